"""Architectures that no ComfyUI here has yet: their names against diffusers' classes and converters."""

from __future__ import annotations

import pytest
import torch

from harness.samples import pair, write
from lora_core import LoraMismatchError, apply, load
from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Shape
from tests.core.test_naming_videos_converted import assert_converted, lora_converter, numbered
from tests.support.layouts import FLUX3_MODES, W, flux3, qwen_image_21
from tests.support.videos import bare, spellings

diffusers = pytest.importorskip("diffusers")
single_file = pytest.importorskip("diffusers.loaders.single_file_utils")

BY_DIFFUSERS = {
    # class, options, what we call it
    "FLUX.3": (
        "Flux3Transformer2DModel",
        {
            "in_channels": 4,
            "cond_in_channels": 4,
            "num_layers": 2,
            "num_single_layers": 2,
            "attention_head_dim": 8,
            "num_attention_heads": 2,
            "joint_attention_dim": 6,
            "axes_dims_rope": (2, 2, 2, 2),
            "flow_map": True,
        },
    ),
    "FIBO 2": (
        "BriaFibo2Transformer2DModel",
        {
            "in_channels": 4,
            "dim": 64,
            "n_layers": 2,
            "n_refiner_layers": 1,
            "n_heads": 2,
            "cap_feat_dim": 12,
            "injection_layer_ids": (1,),
            "perceiver_num_layers": 1,
            "axes_dims": (8, 12, 12),
        },
    ),
    "Qwen-Image 2.1": (
        "QwenImage21Transformer2DModel",
        {
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "context_in_dim": 12,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "MiniMax-H3": (
        "MiniMaxH3Transformer3DModel",
        {"num_attention_heads": 2, "attention_head_dim": 8, "hidden_size": 16, "num_layers": 1},
    ),
    "MiniMax-Music 3": ("MiniMaxMusic3Transformer1DModel", {"num_layers": 1}),
}


def by_diffusers(name: str) -> dict[str, Shape]:
    kind, options = BY_DIFFUSERS[name]
    with torch.device("meta"):
        model = getattr(diffusers, kind)(**options)
    return {key: tuple(weight.shape) for key, weight in model.named_parameters()}


@pytest.mark.parametrize("name", BY_DIFFUSERS)
def test_diffusers_own_model_is_recognised_and_every_layer_found(name):
    shapes = by_diffusers(name)
    names = ModelNames(shapes)
    assert names.architecture == name
    for key in shapes:
        if key.endswith(".weight"):
            for spelled in spellings(key.removesuffix(".weight")):
                target = names.find(spelled)
                assert target is not None and target.key == key, spelled


@pytest.mark.parametrize(
    ("name", "shapes", "converter"),
    [
        ("FLUX.3", flux3(), "convert_flux3_transformer_checkpoint_to_diffusers"),
        (
            "Qwen-Image 2.1",
            qwen_image_21(),
            "convert_qwen_image21_transformer_checkpoint_to_diffusers",
        ),
    ],
)
def test_the_original_layout_by_diffusers_converter(name, shapes, converter):
    assert ModelNames(shapes).architecture == name
    state = numbered(shapes)
    converted = getattr(single_file, converter)(dict(state))
    assert_converted(shapes, state, converted)
    kinds = {k.split(".")[-2] for k in by_diffusers(name) if k.endswith(".weight")}
    assert {key.split(".")[-2] for key in converted if key.endswith(".weight")} >= kinds - {"1"}


def test_the_original_layout_of_minimax_h3():
    shapes = bare("minimax_h3")
    state = numbered(shapes)
    convert = single_file.convert_minimax_h3_transformer_checkpoint_to_diffusers
    assert_converted(shapes, state, convert(dict(state), {}))


def test_the_original_layout_of_wan_animate_2():
    shapes = bare("wan_animate2")
    state = numbered(shapes)
    convert = single_file.convert_wan_animate_2_transformer_to_diffusers
    assert_converted(shapes, state, convert(dict(state)))


def test_a_lora_of_flux_3_as_diffusers_converts_it():
    shapes = flux3()
    layers = [k.removesuffix(".weight") for k in shapes if k.endswith(".weight")]
    layers = [layer for layer in layers if "_blocks." in layer]
    assert len(layers) == 6 * 2 * (2 + len(FLUX3_MODES))
    file = {f"diffusion_model.{layer}.lora_A.weight": torch.zeros(1) for layer in layers}
    convert = lora_converter("_convert_non_diffusers_flux3_lora_to_diffusers")
    names = ModelNames(shapes)
    for layer, key in zip(layers, convert(file), strict=True):
        target = names.find(key.removesuffix(".lora_A.weight"))
        assert target is not None and target.key == f"{layer}.weight"


@pytest.mark.parametrize("prefix", ["diffusion_model.", "", "lora_unet_"])
def test_a_lora_of_minimax_h3_as_diffusers_converts_it(prefix):
    """qkv in three, and the halves of the gated MLP the other way round."""
    shapes = bare("minimax_h3")
    layers = [k.removesuffix(".weight") for k in shapes if len(shapes[k]) == 2]
    file: dict[str, torch.Tensor] = {}
    for at, layer in enumerate(layers):
        height = shapes[f"{layer}.weight"][0]
        name = prefix + (layer.replace(".", "_") if prefix.endswith("_") else layer)
        file[f"{name}.lora_A.weight"] = torch.full((1, shapes[f"{layer}.weight"][1]), float(at))
        file[f"{name}.lora_B.weight"] = torch.arange(float(height))[:, None]
    names = ModelNames(shapes)
    convert = lora_converter("_convert_non_diffusers_minimax_h3_lora_to_diffusers")
    assert all(names.find(key.partition(".lora")[0]) for key in file)
    converted = convert(dict(file))
    for key, up in converted.items():
        path, is_up, _ = key.partition(".lora_B")
        if is_up:
            target = names.find(path)
            layer = layers[int(converted[f"{path}.lora_A.weight"][0, 0])]
            assert target.key == f"{layer}.weight", path
            rows = torch.arange(float(shapes[target.key][0]))
            rows = rows if target.rows is None else rows.narrow(0, *target.rows)
            half = len(rows) // 2
            rows = torch.cat([rows[half:], rows[:half]]) if target.halves_swapped else rows
            assert torch.equal(rows, up[:, 0]), path


def test_a_gated_mlp_of_h3_gets_what_the_original_name_gets(tmp_path):
    shapes = bare("minimax_h3")
    height, width = shapes["blocks.0.mlp.fc1.weight"]
    content = pair("diffusion_model.blocks.0.mlp.fc1", height, width)
    up, down = content.values()
    half = height // 2
    swapped = {
        "transformer.transformer_blocks.0.ff.net.0.proj.lora_B.weight": torch.cat(
            [up[half:], up[:half]]
        ),
        "transformer.transformer_blocks.0.ff.net.0.proj.lora_A.weight": down,
    }
    found = []
    for index, each in enumerate((content, swapped)):
        weights = {key: torch.zeros(shape) for key, shape in shapes.items()}
        apply(weights, load(write(tmp_path / f"{index}.safetensors", each)))
        found.append(weights["blocks.0.mlp.fc1.weight"])
    assert torch.equal(*found) and found[0].abs().sum() > 0


def test_mage_flow_is_told_from_qwen_image_by_its_text():
    shapes = bare("mage_flow")
    assert ModelNames(shapes).architecture == "Mage-Flow"
    assert ModelNames(shapes | {"txt_norm.weight": (W,)}).architecture == "Qwen-Image"


# --- DiffSynth's q, k and v of MiniMax-H3, head by head --------------------------------------------

QKV = "blocks.0.attn.qkv_proj"


def of_diffsynth(
    head: int = 128, heads: int = 2
) -> tuple[dict[str, Shape], dict[str, torch.Tensor]]:
    """A model with heads as wide as diffusers wants them, and a LoRA of one layer of it."""
    shapes = bare("minimax_h3") | {
        f"{QKV}.weight": (3 * heads * head, 32),
        "blocks.0.attn.q_norm.weight": (head,),
    }
    up, down = pair("x", 3 * heads * head, 32).values()
    file = {f"{QKV}.lora_A.default.weight": down, f"{QKV}.lora_B.default.weight": up}
    return shapes, file


def delta_of(shapes, file, path) -> torch.Tensor:
    weights = {key: torch.zeros(shape) for key, shape in shapes.items()}
    apply(weights, load(write(path, file)))
    return weights[f"{QKV}.weight"]


def test_heads_of_diffsynth_are_put_in_order_as_diffusers_does(tmp_path):
    shapes, file = of_diffsynth()
    convert = lora_converter("_convert_non_diffusers_minimax_h3_lora_to_diffusers")
    found = delta_of(shapes, file, tmp_path / "diffsynth.safetensors")
    converted = delta_of(shapes, convert(dict(file)), tmp_path / "converted.safetensors")
    assert torch.equal(found, converted)
    plain = {key.replace(".default", ""): value for key, value in file.items()}
    assert not torch.equal(delta_of(shapes, plain, tmp_path / "plain.safetensors"), found)


def test_by_the_names_of_diffusers_nothing_is_put_in_order(tmp_path):
    shapes, file = of_diffsynth()
    up, down = file[f"{QKV}.lora_B.default.weight"], file[f"{QKV}.lora_A.default.weight"]
    content = {
        f"transformer_blocks.0.attn.to_q.lora_{x}.default.weight": value
        for x, value in (("A", down), ("B", up[:256]))
    }
    found = delta_of(shapes, content, tmp_path / "a.safetensors")
    torch.testing.assert_close(found[:256], up[:256] @ down)
    assert not found[256:].any()


def test_what_is_no_lora_cannot_be_put_in_order(tmp_path):
    shapes, file = of_diffsynth()
    content = {**file, "blocks.1.attn.qkv_proj.diff": torch.ones(48, 32)}
    with pytest.raises(LoraMismatchError, match="head by head, and a difference of"):
        delta_of(shapes, content, tmp_path / "a.safetensors")


def test_a_layer_of_another_height_is_refused_as_any_is(tmp_path):
    shapes, _ = of_diffsynth()
    up, down = pair("x", 7, 32).values()
    file = {f"{QKV}.lora_A.default.weight": down, f"{QKV}.lora_B.default.weight": up}
    with pytest.raises(LoraMismatchError, match="does not fit"):
        delta_of(shapes, file, tmp_path / "a.safetensors")
