"""Whatever a file holds, it is refused in a line, or applied; `make fuzz N=300000` tries more of them."""

from __future__ import annotations

import pytest
import torch

from lora_core.families.registry import FORMS

from .judge import Summary, run

FILES = 2_000
SEED = 1


@pytest.fixture(scope="module")
def summary() -> Summary:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run(range(FILES), SEED)
    finally:
        torch.set_num_threads(threads)


def test_nothing_else_happens(summary, show):
    for line in summary.lines():
        show(line)
    assert not summary.faults


def test_every_outcome_is_met(summary):
    """The fuzz would prove nothing if all files were refused at the door."""
    assert sum(summary.outcomes.values()) == FILES
    for outcome in (
        "LoraFileError while its header is read",
        "LoraFileError while it is read",
        "LoraMismatchError before it is merged, refused live",
        "applied, applied live",
        "applied, refused live",
    ):
        assert summary.outcomes[outcome] > FILES / 50, outcome
    assert summary.compared > FILES / 20


@pytest.mark.parametrize("family", sorted({family.name_of(form) for family, form in FORMS}))
def test_every_family_is_applied(summary, family):
    assert summary.families[family] > FILES / 400
