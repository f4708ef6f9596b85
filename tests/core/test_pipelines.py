"""diffusers' pipelines as oracles: their own files on the host's layout of the same weights."""

import warnings

import pytest

pytest.importorskip("diffusers")
pytest.importorskip("peft")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tools.fidelity import pipelines


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", pipelines.CASES)
def test_what_a_pipeline_saves_changes_the_same_weights_by_the_same(case):
    row = pipelines.measure(case)
    assert row.problem == ""
    assert row.layers > 20
    assert row.error <= 1e-12
