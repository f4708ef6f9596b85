"""The tables of what makes videos, against what diffusers' own converters do with every row."""

import re
from collections.abc import Callable

import pytest
import torch

from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Shape, Target
from tests.support.videos import ROOT, bare, tencent
from tools.fidelity.layouts import layouts

State = dict[str, torch.Tensor]


def numbered(shapes: dict[str, Shape]) -> State:
    """Weights in which each row has a number of its own, and no memory is taken for its width."""
    state, at = {}, 0
    for key, shape in shapes.items():
        height = shape[0] if shape else 1
        rows = torch.arange(at, at + height).view(height, *[1] * (len(shape) - 1))
        state[key], at = rows.expand(shape), at + height
    return state


NONE = "$^"
"""Matches no key."""


def rows_of(tensor: torch.Tensor) -> list[int]:
    return tensor.flatten(1)[:, 0].tolist() if tensor.dim() > 1 else tensor.tolist()


def expected_rows(state: State, target: Target) -> list[int]:
    rows = rows_of(state[target.key])
    if target.rows:
        start, height = target.rows
        rows = rows[start : start + height]
    half = len(rows) // 2
    return rows[half:] + rows[:half] if target.halves_swapped else rows


def assert_converted(shapes: dict[str, Shape], state: State, converted: State, skip: str = NONE):
    """Every weight of diffusers' is made of the rows that its name means here."""
    names = ModelNames(shapes)
    assert converted
    for key, tensor in converted.items():
        if re.search(skip, key):
            continue
        layer, _, ending = key.rpartition(".")
        target = names.find(f"transformer.{layer if ending in ('weight', 'bias') else key}")
        assert target is not None, key
        target = target.bias() if ending == "bias" else target
        assert rows_of(tensor) == expected_rows(state, target), key


def converter(name: str) -> Callable[[State], State]:
    return getattr(pytest.importorskip("diffusers.loaders.single_file_utils"), name)


@pytest.mark.parametrize(
    ("model", "function", "prefix", "skip"),
    [
        ("ltxv", "convert_ltx_transformer_checkpoint_to_diffusers", "", NONE),
        ("ltxav", "convert_ltx2_transformer_to_diffusers", "", NONE),
        ("wan_t2v", "convert_wan_transformer_to_diffusers", "", NONE),
        ("wan_i2v", "convert_wan_transformer_to_diffusers", "", NONE),
        ("wan_vace", "convert_wan_transformer_to_diffusers", "", NONE),
        ("cosmos_predict2", "convert_cosmos_transformer_checkpoint_to_diffusers", "net.", NONE),
    ],
)
def test_against_the_converter_of_checkpoints(model, function, prefix, skip):
    shapes = bare(model)
    state = numbered(shapes)
    converted = converter(function)({prefix + key: value for key, value in state.items()})
    assert_converted(shapes, state, converted, skip)


def test_against_the_converter_of_wan_animate_checkpoints():
    block = "face_adapter.fuser_blocks.1"
    shapes = bare("wan_animate") | {
        f"{block}.linear1_kv.weight": (16, 8),
        f"{block}.linear1_kv.bias": (16,),
        f"{block}.linear1_q.weight": (8, 8),
        f"{block}.linear2.weight": (8, 8),
        f"{block}.q_norm.weight": (4,),
        f"{block}.k_norm.weight": (4,),
    }
    state = numbered(shapes)
    convert = converter("convert_wan_transformer_to_diffusers")
    # but for the biases of activations, and the taps of filters, which nobody trains
    assert_converted(shapes, state, convert(dict(state)), r"act_fn|kernel")


class Kept(dict[str, torch.Tensor]):
    """A checkpoint that stays whole; diffusers takes it apart, then looks in it for Cosmos 1."""

    pop = dict.__getitem__


def test_against_the_converter_of_cosmos_1_checkpoints():
    shapes = bare("cosmos1")
    state = numbered(shapes)
    convert = converter("convert_cosmos_transformer_checkpoint_to_diffusers")
    converted = convert(Kept({f"net.{key}": value for key, value in state.items()}))
    assert_converted(shapes, state, converted, "pos_embedder")


def test_against_the_converter_of_mochi_checkpoints():
    convert = converter("convert_mochi_transformer_checkpoint_to_diffusers")
    shapes = {key: shape for key, shape in bare("mochi").items() if "blocks." not in key}
    for index in range(48):  # diffusers knows but this number
        block = f"blocks.{int(index == 47)}."
        shapes |= {
            key.replace(block, f"blocks.{index}.", 1): shape
            for key, shape in bare("mochi").items()
            if key.startswith(block)
        }
    state = numbered(shapes)
    assert_converted(shapes, state, convert(dict(state)))


def hunyuan_video() -> dict[str, Shape]:
    """The only width that diffusers' converters know."""
    shapes = dict(bare("hunyuan_video"))
    for key, shape in shapes.items():
        if key.startswith("single_blocks.") and "linear1" in key:
            shapes[key] = (7 * 3072, 3072)[: len(shape)]
    return shapes


def test_against_the_converter_of_hunyuan_video_checkpoints():
    shapes = hunyuan_video()
    state = numbered(shapes)
    original = {tencent(key): value for key, value in state.items()}
    convert = converter("convert_hunyuan_video_transformer_to_diffusers")
    assert_converted(shapes, state, convert(original))


# --- diffusers' converters of LoRA files ----------------------------------------------------------


def lora_converter(name: str) -> Callable[[State], State]:
    return getattr(pytest.importorskip("diffusers.loaders.lora_conversion_utils"), name)


def assert_lora_converted(model: str, function: str, paths: dict[str, str]) -> None:
    """Each layer's name in a file, ``paths``, means what it does when diffusers has changed it."""
    convert = lora_converter(function)
    names = ModelNames(bare(model))
    for path, key in paths.items():
        down, up = torch.zeros(2, 4), torch.zeros(4, 2)
        file = {f"{path}.lora_A.weight": down, f"{path}.lora_B.weight": up}
        for name in convert(file):
            layer = name.removesuffix(".lora_A.weight").removesuffix(".lora_B.weight")
            assert names.find(path) == names.find(layer) == Target(key), name


def native_layers(model: str, prefix: str, pattern: str) -> dict[str, str]:
    layers = (layer.removeprefix(ROOT) for layer in layouts()[model].layers)
    return {prefix + layer: f"{layer}.weight" for layer in layers if re.search(pattern, layer)}


@pytest.mark.parametrize(
    ("model", "function", "pattern"),
    [
        ("ltxv", "_convert_non_diffusers_ltxv_lora_to_diffusers", "transformer_blocks"),
        ("ltxav", "_convert_non_diffusers_ltx2_lora_to_diffusers", "^(?!.*connector)"),
        ("cosmos_predict2", "_convert_non_diffusers_anima_lora_to_diffusers", ""),
    ],
)
def test_against_the_converters_of_lora_files(model, function, pattern):
    assert_lora_converted(model, function, native_layers(model, "diffusion_model.", pattern))


def test_against_the_converter_of_wan_lora_files():
    convert = lora_converter("_convert_non_diffusers_wan_lora_to_diffusers")
    names = ModelNames(bare("wan_i2v"))
    layers = native_layers("wan_i2v", "diffusion_model.", "blocks|_embedding.[02]|head|time_proj")
    for number, path in enumerate(layers):
        assert names.find(path) is not None
        layers[path] = str(number)
    file = {f"{path}.lora_A.weight": torch.full((2, 4), float(n)) for path, n in layers.items()}
    file |= {f"{path}.lora_B.weight": torch.full((4, 2), float(n)) for path, n in layers.items()}
    by_number = {float(n): names.find(path) for path, n in layers.items()}
    converted = convert(file)
    assert len(converted) == len(file)
    for name, tensor in converted.items():
        layer = name.removesuffix(".lora_A.weight").removesuffix(".lora_B.weight")
        assert names.find(layer) == by_number[tensor[0, 0].item()], name


def test_against_the_converter_of_hunyuan_video_lora_files():
    shapes = hunyuan_video()
    state = numbered(shapes)
    file = {}
    for key, tensor in state.items():
        # Of the refiner's fused layer diffusers splits the lower factor, too.
        if key.endswith(".weight") and tensor.dim() == 2 and "self_attn.qkv" not in key:
            path = f"transformer.{tencent(key).removesuffix('.weight')}"
            file |= {f"{path}.lora_A.weight": torch.zeros(2, 1)}
            file |= {f"{path}.lora_B.weight": tensor[:, :2]}
    converted = lora_converter("_convert_hunyuan_video_lora_to_diffusers")(file)
    # Of the last modulation it swaps the halves of both factors, the lower of which has none.
    ups = {
        key.removeprefix("transformer.").replace(".lora_B", ""): tensor
        for key, tensor in converted.items()
        if "lora_B" in key
    }
    assert_converted(shapes, state, ups)
