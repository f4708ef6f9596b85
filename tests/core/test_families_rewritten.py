"""Trainers without a package, against their forwards written anew."""

from __future__ import annotations

import pytest

from harness.oracles import REWRITTEN
from harness.oracles.measure import TOLERANCES, measure


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("case", REWRITTEN, ids=str)
def test_every_family_at_every_strength(tmp_path, case, dtype):
    assert measure(case, tmp_path, dtype) <= TOLERANCES[dtype]
