"""A bank of heads in place of one (PDD LoRAs of MiniMax-H3), patched by the real host.

No host that reads one could be had here: what is tested is the patch, and that others are told apart.
"""

from __future__ import annotations

import pytest

from tools.fidelity.host import ask_host


@pytest.mark.slow
def test_the_host_puts_a_bank_in_the_place_of_a_head_and_takes_it_away_again(host_install, show):
    found = ask_host("banks")
    if not found:
        pytest.skip(f"ComfyUI {host_install.version} has no MiniMax-H3")
    assert found["replaced"] == {"weight": True, "bias": True}
    assert found["restored"]
    show(f"ComfyUI {host_install.version}: reads a bank of heads: {found['reads_banks']}")
