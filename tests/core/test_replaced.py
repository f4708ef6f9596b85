"""Weights that are replaced by others of another shape: MiniMax-H3's banks of heads (PDD LoRAs)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.samples import pair, tensors, write
from lora_core import LoraMismatchError, Recipe, apply, load
from lora_core.algebra.curve import Curve
from lora_core.applying.apply import model_of
from lora_core.applying.bake import bake
from lora_core.fusing.fuse import fuse
from lora_core.fusing.merge import merged, wider_shape
from lora_core.matching.assign import split_recipe
from lora_core.matching.plan import make_plan
from lora_core.reading.reader import FileCache

HEAD, AUDIO = "final_layer.video_out", "final_layer.audio_out"


def weights() -> dict[str, torch.Tensor]:
    shapes = {"video": (6, 8), "video_bias": (6,), "audio": (2, 8), "linear": (4, 8)}
    made = tensors(1, **shapes)
    return {
        f"{HEAD}.weight": made["video"],
        f"{HEAD}.bias": made["video_bias"],
        f"{AUDIO}.weight": made["audio"],
        "linear.weight": made["linear"],
    }


def bank(heads: int = 4) -> dict[str, torch.Tensor]:
    made = tensors(2, weight=(heads * 6, 8), bias=(heads * 6,), audio=(heads * 2, 8))
    return {
        f"diffusion_model.{HEAD}.set_weight": made["weight"],
        f"diffusion_model.{HEAD}.set_bias": made["bias"],
        f"diffusion_model.{AUDIO}.set_weight": made["audio"],
    }


@pytest.fixture
def file(tmp_path):
    return load(write(tmp_path / "pdd.safetensors", bank() | pair("linear", 4, 8)))


def plan(recipe: Recipe, *, banks: bool = True):
    base = {f"diffusion_model.{key}": weight for key, weight in weights().items()}
    model = replace(model_of(base), banks=banks, branches=frozenset(base))
    return base, make_plan(recipe, [model], FileCache())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_bank_takes_the_place_of_a_head_as_it_is(file, dtype):
    base, made = plan(file)
    weight_terms = made.models[0].merged
    for key, value in bank().items():
        name = key.replace("set_", "")
        before = base[name].to(dtype)
        patches = fuse(weight_terms[name])
        after = merged(before.clone(), patches)
        assert wider_shape(patches) == after.shape == value.shape
        assert torch.equal(after, value.to(dtype)) and after.dtype == dtype
    assert made.report.loras[0].parts[0].applied == 4


def test_halves_that_come_to_one_are_one(file):
    _, made = plan(0.5 * file + 0.5 * file)
    assert len(made.models[0].merged) == 4


@pytest.mark.parametrize("strength", [0.5, -1.0, 2.0, 0.999])
def test_no_other_strength_has_a_meaning(file, strength):
    with pytest.raises(LoraMismatchError, match="only at strength 1, not at") as refused:
        plan(strength * file)
    error = refused.value
    assert (error.file, error.expected) == ("pdd.safetensors", "strength 1")
    assert error.key.endswith(("video_out.weight", "video_out.bias", "audio_out.weight"))


def test_strength_0_is_the_model(file):
    base, made = plan(file - file)
    assert not made.models[0].merged and base


@pytest.mark.parametrize("second", [pair(HEAD, 6, 8), {f"{HEAD}.diff_b": torch.ones(6)}, bank()])
def test_nothing_else_may_change_the_same_weight(file, second, tmp_path):
    other = load(write(tmp_path / "other.safetensors", second))
    with pytest.raises(LoraMismatchError, match=r"\.safetensors changes it too"):
        plan(file + other)


def test_nor_can_it_vary(file):
    base, _ = plan(file)
    model = replace(model_of(base), banks=True, branches=frozenset(base))
    varying = split_recipe(file.scheduled(Curve.parse("linear")), "auto", quantised=False)
    with pytest.raises(LoraMismatchError, match="of its layers cannot vary"):
        make_plan(Recipe(), [model], FileCache(), earlier=[varying])


def test_where_banks_are_not_read_it_is_refused_and_says_why(file):
    with pytest.raises(LoraMismatchError, match=r"holds 4 heads instead of one.*newer than 0\.33"):
        plan(file, banks=False)


@pytest.mark.parametrize(
    "content",
    [
        {f"{HEAD}.set_weight": torch.ones(13, 8)},
        {f"{HEAD}.set_weight": torch.ones(3, 8)},
        {f"{HEAD}.set_weight": torch.ones(12, 9)},
        {"linear.set_weight": torch.ones(8, 8)},
        {f"{HEAD}.diff": torch.ones(12, 8)},
    ],
)
def test_no_other_shape_and_no_other_layer(content, tmp_path):
    with pytest.raises(LoraMismatchError, match=r"does not fit the model's weight of \(\d, 8\)\.$"):
        plan(load(write(tmp_path / "a.safetensors", content)))


def test_a_bank_is_not_put_into_a_module_or_a_checkpoint(file, tmp_path):
    base = weights()
    with pytest.raises(LoraMismatchError, match="holds 4 heads"):
        apply(base, file)
    with pytest.raises(LoraMismatchError, match="holds 4 heads"):
        bake(write(tmp_path / "base.safetensors", base), file, tmp_path / "out.safetensors")


def test_a_bias_is_set_like_a_weight(tmp_path):
    """Of the same shape: the delta is value - bias, at any strength."""
    base = weights()
    before, value = base[f"{HEAD}.bias"].clone(), torch.arange(6.0)
    file = load(write(tmp_path / "a.safetensors", {f"{HEAD}.set_bias": value}))
    apply(base, 0.25 * file)
    torch.testing.assert_close(base[f"{HEAD}.bias"], 0.75 * before + 0.25 * value)
