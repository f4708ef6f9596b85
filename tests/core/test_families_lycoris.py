"""Files that LyCORIS itself has written, against LyCORIS' own forward."""

from __future__ import annotations

import pytest

from harness.oracles import LYCORIS
from harness.oracles.measure import TOLERANCES, measure

pytest.importorskip("lycoris")


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("case", LYCORIS, ids=str)
def test_every_family_at_every_strength(tmp_path, case, dtype):
    assert measure(case, tmp_path, dtype) <= TOLERANCES[dtype]
