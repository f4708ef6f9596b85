"""Files and weights of half precision: the exact result, rounded once."""

from __future__ import annotations

import pytest
import torch

from harness.oracles import CASES
from harness.oracles.measure import steps_off

pytest.importorskip("peft")
pytest.importorskip("lycoris")

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_weight_is_rounded_once(tmp_path, case, dtype):
    assert steps_off(case, tmp_path, dtype) <= 0.51
