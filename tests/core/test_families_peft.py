"""Files that peft itself has written, against peft's own forward."""

from __future__ import annotations

import pytest

from harness.oracles import PEFT
from harness.oracles.measure import TOLERANCES, measure
from harness.oracles.peft_oracle import build_two_at_once
from lora_core import applied, load

pytest.importorskip("peft")


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("case", PEFT, ids=str)
def test_every_family_at_every_strength(tmp_path, case, dtype):
    assert measure(case, tmp_path, dtype) <= TOLERANCES[dtype]


@pytest.mark.parametrize("strengths", [(0.5, -1.5), (1.0, 1.0), (2.0, 0.25)])
def test_two_adapters_at_once(tmp_path, strengths):
    first, second, weights, deltas = build_two_at_once(tmp_path, strengths)
    recipe = strengths[0] * load(first) + strengths[1] * load(second)
    before = {key: weight.clone() for key, weight in weights.items()}
    with applied(weights, recipe):
        for key, delta in deltas.items():
            error = (weights[key] - before[key] - delta).norm() / delta.norm()
            assert error <= 1e-12, key
