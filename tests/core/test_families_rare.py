"""Families that hardly any file is of: exact or refused, and nothing between."""

from __future__ import annotations

import pytest
import torch

from harness.oracles import RARE
from harness.oracles.measure import TOLERANCES, measure
from lora_core import LoraFileError

pytest.importorskip("peft")
pytest.importorskip("lycoris")


@pytest.mark.parametrize("case", RARE, ids=str)
def test_what_is_not_read_is_refused(tmp_path, case):
    """By its name where its keys are known, so that nobody takes it for a broken LoRA."""
    try:
        assert measure(case, tmp_path, torch.float32) <= TOLERANCES[torch.float32]
    except LoraFileError as refusal:
        text = str(refusal).casefold()
        assert case.family.casefold() in text or "is no lora" in text
