"""A saved file with diffusers' names, opened and fused by diffusers' own models: the same effect."""

from __future__ import annotations

import warnings

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("peft")

import diffusers
from diffusers.loaders import lora_pipeline
from safetensors.torch import save_file

from lora_core import apply, load
from lora_core.naming import ModelNames, WrittenNames
from lora_core.workbench import Format, Source, save
from tests.host.kinds import slow_but

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tools.fidelity import conversions, diffusers_models, pipelines
    from tools.fidelity.layouts import layouts

pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("ignore")]

STRENGTH = 0.3

OUTSIDE = {"ace_step15", "anima", "ltxav"}
"""Where diffusers keeps some of the host's layers in other classes."""

FUSED = {"ovis_image", "wan_animate2", "minimax_music3"}
"""Of which diffusers' class has layers that no name in a file means: fused ones, or of other names."""


def written(layout):
    """The names of diffusers for every layer that the host has."""
    names = WrittenNames(ModelNames(layout.shapes), layout.shapes, "diffusers")
    return {layer: names.of(f"{layer}.weight") for layer in layout.layers}


@pytest.mark.parametrize("name", [name for name, layout in layouts().items() if layout.diffusers])
def test_the_names_are_those_of_diffusers_own_class(name):
    layout = layouts()[name]
    strange = {
        layer
        for layer, names in written(layout).items()
        if any(each.name.partition(".")[2] not in layout.diffusers for each in names)
    }
    if name in OUTSIDE:
        assert 0 < len(strange) < len(layout.layers)
        strange = {
            layer
            for layer in strange
            if "decoder.layers" in layer or ".blocks.0.self_attn" in layer
        }
        strange = {layer for layer in strange if "llm_adapter" not in layer}
    if name not in FUSED:
        assert not strange


def lora(layout, layers, file):
    """Random pairs on layers, by the host's own names."""
    made = {}
    for layer in layers:
        out, *inner = layout.shapes[f"{layer}.weight"]
        rank, width = min(2, out), torch.Size(inner).numel()
        made[f"{layer}.lora_up.weight"] = torch.randn(out, rank, *[1] * len(inner[1:]))
        made[f"{layer}.lora_down.weight"] = torch.randn(rank, *inner) / width**0.5
    save_file(made, file)
    return load(file)


def opened_by_diffusers(model, name, file):
    """The weights of a model of diffusers after its pipeline has read the file and fused it."""
    pipeline = pipelines.PIPELINES[name]
    kind = getattr(diffusers, pipeline, None) or getattr(lora_pipeline, pipeline)
    found = kind.lora_state_dict(str(file))
    state, *alphas = found if isinstance(found, tuple) else (found,)
    part = "unet" if hasattr(kind, "unet_name") else "transformer"
    model.load_lora_adapter(state, prefix=part, network_alphas=(alphas or [None])[0])
    model.double().fuse_lora()
    return model.state_dict()


def is_apart(key):
    """Whether a weight is of a part that diffusers keeps elsewhere, and that is never small."""
    return any(part in key for part in pipelines.APART)


QUICK = {"flux", "flux2", "sdxl", "wan_t2v", "z_image"}


@pytest.mark.parametrize("name", slow_but(QUICK, pipelines.PIPELINES))
def test_diffusers_makes_the_same_of_it(tmp_path, name, show):
    layout = layouts()[name]
    torch.manual_seed(0)
    model = diffusers_models.build(name).double()
    ours = {
        key: torch.zeros(()).expand(shape) if is_apart(key) else pipelines._numbers(shape)
        for key, shape in layout.shapes.items()
    }
    tables = conversions.Conversion(pipelines.TABLES, pipelines._by_tables(model, layout))
    conversion = conversions.of(name) or tables

    def converted():
        own = {k: v.clone() for k, v in ours.items() if not is_apart(k)}
        own = {k.removeprefix(pipelines.ROOT): v for k, v in own.items()}
        return conversion.convert(own, dict(getattr(model, "config", {})))

    before = converted()
    paths = pipelines._load(model, before)
    there = {f"{path}.weight" for path in paths}
    layers = [
        layer
        for layer, names in written(layout).items()
        if all(f"{each.name.partition('.')[2]}.weight" in there for each in names)
    ]
    recipe = STRENGTH * lora(layout, layers, tmp_path / "lora.safetensors")
    out = tmp_path / "kept.safetensors"
    form = Format(None, torch.float32, "diffusers")
    save(recipe, [Source.of_shapes(layout.shapes)], out, form)
    apply(ours, recipe)
    after = converted()
    fused = opened_by_diffusers(model, name, out)
    changed = [p for p in paths if not torch.equal(before[f"{p}.weight"], after[f"{p}.weight"])]
    errors = [
        pipelines._error(
            before[f"{path}.weight"], after[f"{path}.weight"], fused[f"{path}.base_layer.weight"]
        )
        for path in changed
    ]
    show(f"{name}: {len(changed)} of {len(paths)} layers by diffusers, error {max(errors):.1e}")
    assert len(changed) == len(paths) or name in OUTSIDE
    assert len(changed) > 20
    assert max(errors) < 1e-6
