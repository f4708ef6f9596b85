"""Layers that get wider, and those that are wider already: control LoRAs and control models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.samples import pair, tensors, write
from lora_core import LoraMismatchError, apply, load
from lora_core.applying.bake import bake
from lora_core.families.delta import LowRank
from lora_core.fusing.fuse import fuse
from lora_core.fusing.merge import merged
from lora_core.matching.match import WeightTerm
from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Target

LINEAR = (6, 8)


def baked(folder: Path, content: dict[str, torch.Tensor], weights) -> dict[str, torch.Tensor]:
    base, out = write(folder / "base.safetensors", weights), folder / "out.safetensors"
    bake(base, load(write(folder / "x.safetensors", content)), out)
    return load_file(out)


FLUX = ("txt_in", "double_blocks.0.img_mod.lin", "vector_in.in_layer")
"""Layers that make a model Flux."""


def flux() -> dict[str, torch.Tensor]:
    others = {f"{name}.weight": torch.ones(4, 4) for name in FLUX}
    return {**others, **tensors(3, **{"img_in.weight": LINEAR})}


def test_a_lora_of_flux_leaves_the_further_inputs_of_a_control_model_alone(tmp_path):
    weights = flux()
    before = weights["img_in.weight"].clone()
    names = ModelNames({key: tuple(weight.shape) for key, weight in weights.items()})
    assert names.architecture == "Flux"
    content = pair("img_in", 6, 5)
    up, down = content["img_in.lora_up.weight"], content["img_in.lora_down.weight"]
    apply(weights, load(write(tmp_path / "a.safetensors", content)))
    expected = before + torch.nn.functional.pad(up @ down, (0, 3))
    torch.testing.assert_close(weights["img_in.weight"], expected)


def test_a_control_lora_widens_the_layer_that_takes_pictures(tmp_path):
    weights = flux()
    down, up = sorted((content := pair("img_in", 6, 12)).values(), key=len)
    after = baked(tmp_path, content, weights)["img_in.weight"]
    expected = torch.nn.functional.pad(weights["img_in.weight"], (0, 4)) + up @ down
    torch.testing.assert_close(after, expected)


def test_what_widens_and_what_does_not_come_together():
    weight = tensors(3, w=LINEAR)["w"]
    after = merged(weight.clone(), fuse(narrow_and_wide()))
    torch.testing.assert_close(after.double(), both_added(weight), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_wider_weight_is_rounded_once_all_the_same(dtype):
    weight = tensors(3, w=LINEAR)["w"].to(dtype)
    exact = both_added(weight)
    after = merged(weight.clone(), fuse(narrow_and_wide()))
    assert after.dtype == dtype
    assert torch.equal(after, exact.float().to(dtype))


def pairs() -> tuple[LowRank, LowRank]:
    made = (tensors(seed, up=(6, 2), down=(2, width)) for seed, width in ((1, 8), (2, 12)))
    narrow, wide = (LowRank(each["up"], each["down"], 1.0) for each in made)
    return narrow, wide


def narrow_and_wide() -> list[WeightTerm]:
    narrow, wide = pairs()
    return [
        WeightTerm(Target("w"), narrow, 1.0, 0.0, "a"),
        WeightTerm(Target("w"), wide, 1.0, 0.0, "b", width=12),
    ]


def both_added(weight: torch.Tensor) -> torch.Tensor:
    """In float64."""
    (up, down), (other_up, other_down) = ((p.up.double(), p.down.double()) for p in pairs())
    return torch.nn.functional.pad(weight.double() + up @ down, (0, 4)) + other_up @ other_down


@pytest.mark.parametrize(
    "content", [pair("img_in", 7, 12), pair("img_in", 6, 7), pair("linear", 6, 12)]
)
def test_no_other_layer_is_widened(tmp_path, content):
    weights = tensors(3, **{"img_in.weight": LINEAR, "linear.weight": LINEAR})
    with pytest.raises(LoraMismatchError, match="does not fit"):
        apply(weights, load(write(tmp_path / "x.safetensors", content)))


def test_a_layer_is_widened_where_the_file_says_so(tmp_path):
    wide = pair("linear", 6, 12) | {"linear.reshape_weight": torch.tensor([6, 12])}
    weights = tensors(3, **{"linear.weight": LINEAR})
    assert baked(tmp_path, wide, weights)["linear.weight"].shape == (6, 12)


def test_the_report_says_what_has_become_wider(tmp_path):
    weights = flux()
    base, out = write(tmp_path / "base.safetensors", weights), tmp_path / "out.safetensors"
    file = write(tmp_path / "control.safetensors", pair("img_in", 6, 12))
    assert "img_in takes 12 inputs now, 8 before" in str(bake(base, load(file), out))
