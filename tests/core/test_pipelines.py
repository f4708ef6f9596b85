"""diffusers' pipelines as oracles: their own files on the host's layout of the same weights."""

import warnings

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("peft")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tools.fidelity import diffusers_models, pipelines
    from tools.fidelity.layouts import layouts

pytestmark = pytest.mark.thorough


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", pipelines.CASES)
def test_what_a_pipeline_saves_changes_the_same_weights_by_the_same(case):
    row = pipelines.measure(case)
    assert row.problem == ""
    assert row.layers > 20
    assert row.error <= 1e-12


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", diffusers_models.MODELS)
def test_the_layouts_that_are_kept_are_those_of_the_installed_diffusers(name):
    with torch.device("meta"):
        model = diffusers_models.build(name)
    found = {
        path: tuple(module.weight.shape)
        for path, module in model.named_modules()
        if isinstance(module, pipelines.LAYERS)
    }
    assert layouts()[name].diffusers == found
