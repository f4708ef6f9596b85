"""The oracles themselves: numbers that are worth comparing with."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from safetensors.torch import load_file

from harness.oracles import CASES, RARE

pytest.importorskip("peft")
pytest.importorskip("lycoris")

pytestmark = pytest.mark.thorough

MAY_BE_ZERO = {"alpha", "on_input"}


def test_no_two_cases_are_called_the_same():
    names = Counter(map(str, [*CASES, *RARE]))
    assert not [name for name, count in names.items() if count > 1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_is_not_trivial(tmp_path, case):
    """No parameter is left at zero, and the delta is about as large as the weight."""
    made = case.build(tmp_path, 0, torch.float64)
    for key, tensor in load_file(made.file).items():
        assert tensor.any() or key.rpartition(".")[2] in MAY_BE_ZERO, key
    for key, delta in made.delta.items():
        assert 0.05 < float(delta.norm() / made.weights[key].norm()) < 10, key


@pytest.mark.parametrize("case", CASES, ids=str)
def test_strength_is_linear_where_an_oracle_says_so(tmp_path, case):
    made = case.build(tmp_path, 1, torch.float64)
    for strength, deltas in made.deltas.items():
        for key, delta in deltas.items():
            expected = strength * made.delta[key]
            torch.testing.assert_close(delta, expected, rtol=1e-11, atol=1e-11)
