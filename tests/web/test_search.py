"""What somebody finds of ours who looks for a loader in the page's own search."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

pytestmark = pytest.mark.every_page

ROWS = "LoRA Rows (LoRA Loader)"


@pytest.fixture
def ours(host):
    """The names of our nodes."""
    known = host.object_info().values()
    return {
        node["display_name"] for node in known if node["python_module"].endswith("lora-algebra")
    }


def test_lora_rows_is_found_as_a_loader(page, ours):
    """Of all nodes the first; for less than that, the first of ours: ComfyUI's own three are known to its search."""
    assert page.searched("lora loader")[0] == ROWS
    for words in ("lora", "power lora", "multi lora", "lora list", "trigger words"):
        found = page.searched(words)
        assert next(name for name in found if name in ours) == ROWS, words
        assert found.index(ROWS) < 4, words
