"""How much a file changes in each block, by the names of every dialect and without a model."""

from __future__ import annotations

import pytest
import torch

from harness.samples import conv, pair, tensors, write
from lora_core.library import block_sizes
from lora_core.reading import read_file
from lora_core.reading.header import identify

RANK = 4
ALPHA = 2.0


def sizes(tmp_path, content, metadata=None):
    file = read_file(identify(write(tmp_path / "style.safetensors", content, metadata)))
    return {own.name: own.sizes for own in block_sizes(file)}


def peft(name, out, inner, seed=0):
    made = tensors(seed, up=(out, RANK), down=(RANK, inner))
    return {f"{name}.lora_B.weight": made["up"], f"{name}.lora_A.weight": made["down"]}


def explicit(*layers, scale=1.0):
    """The norm of all changes of one block, of the layers' ups and downs multiplied out."""
    pairs = [[*layer.values()][:2] for layer in layers]
    changes = [up.flatten(1).double() @ down.flatten(1).double() for up, down in pairs]
    return scale * float(torch.cat([change.flatten() for change in changes]).norm())


FLUX = {"ss_base_model_version": "flux1"}
WAN = {"modelspec.architecture": "wan2.1/lora"}
SDXL = {"ss_base_model_version": "sdxl_base_v1-0"}

PLACES = {
    "Flux as kohya": (
        "lora_unet_double_blocks_1_img_attn_qkv",
        "lora_unet_single_blocks_2_linear1",
        FLUX,
        ("double", 1, 2),
        ("single", 2, 3),
    ),
    "Flux as diffusers": (
        "transformer.transformer_blocks.1.attn.to_q",
        "transformer.single_transformer_blocks.2.attn.to_q",
        {},
        ("double", 1, 2),
        ("single", 2, 3),
    ),
    "Flux as OneTrainer": (
        "lora_transformer_transformer_blocks_1_attn_to_q",
        "lora_transformer_single_transformer_blocks_2_proj_mlp",
        {},
        ("double", 1, 2),
        ("single", 2, 3),
    ),
    "Flux as it calls itself": (
        "diffusion_model.double_blocks.1.img_attn.qkv",
        "diffusion_model.single_blocks.2.linear1",
        {},
        ("double", 1, 2),
        ("single", 2, 3),
    ),
    "SDXL as kohya": (
        "lora_unet_down_blocks_1_attentions_1_transformer_blocks_0_attn2_to_k",
        "lora_unet_up_blocks_0_attentions_2_proj_in",
        SDXL,
        ("in", 5, 9),
        ("out", 2, 9),
    ),
    "SDXL as it calls itself": (
        "lora_unet_input_blocks_5_1_transformer_blocks_0_attn2_to_k",
        "lora_unet_output_blocks_2_1_proj_in",
        SDXL,
        ("in", 5, 9),
        ("out", 2, 9),
    ),
    "SDXL as diffusers": (
        "unet.down_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k",
        "unet.up_blocks.0.upsamplers.0.conv",
        SDXL,
        ("in", 5, 9),
        ("out", 2, 9),
    ),
    "SD 1.5 as kohya": (
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k",
        "lora_unet_up_blocks_3_resnets_2_conv1",
        {"ss_base_model_version": "sd_v1"},
        ("mid", 0, 1),
        ("out", 11, 12),
    ),
    "Wan as kohya": (
        "lora_unet_blocks_3_self_attn_q",
        "lora_unet_vace_blocks_1_cross_attn_k",
        WAN,
        ("block", 3, 4),
        ("vace", 1, 2),
    ),
    "Wan as diffusers": (
        "transformer.blocks.3.attn1.to_q",
        "transformer.vace_blocks.1.attn2.to_k",
        WAN,
        ("block", 3, 4),
        ("vace", 1, 2),
    ),
    "Wan as it calls itself": (
        "diffusion_model.blocks.3.self_attn.q",
        "diffusion_model.vace_blocks.1.cross_attn.k",
        {},
        ("block", 3, 4),
        ("vace", 1, 2),
    ),
}
"""Two layers, what the file notes, and for each layer its list, its number and how many there are."""


@pytest.mark.parametrize("made", PLACES.values(), ids=PLACES)
def test_each_layer_counts_in_its_block(tmp_path, made):
    first, second, metadata, *places = made
    layers = [peft(first, 24, 16, seed=1), peft(second, 8, 40, seed=2)]
    told = sizes(tmp_path, {**layers[0], **layers[1]}, metadata)
    for (name, number, count), layer in zip(places, layers, strict=True):
        expected = [0.0] * count
        expected[number] = explicit(layer)
        assert told[name] == pytest.approx(expected, rel=1e-3)


def test_layers_of_one_block_add_up_and_alpha_counts(tmp_path):
    names = [f"lora_unet_double_blocks_0_{layer}_attn_qkv" for layer in ("img", "txt")]
    layers = [pair(name, 24, 16, RANK, seed, ALPHA) for seed, name in enumerate(names)]
    told = sizes(tmp_path, {**layers[0], **layers[1]}, FLUX)
    assert told == {"double": (pytest.approx(explicit(*layers, scale=ALPHA / RANK), rel=1e-3),)}


def test_a_convolution_has_a_size(tmp_path):
    content = conv("lora_unet_input_blocks_1_0_in_layers_2", 8, 6, 3, 3, seed=1)
    told = sizes(tmp_path, content, SDXL)
    assert told["in"][1] == pytest.approx(explicit(content), rel=1e-3)
    assert told["mid"] == (0.0,)


@pytest.mark.parametrize("shape", [(3, 5), (4096, 2), (1, 200_000)])
def test_no_matrix_is_larger_than_the_factors(tmp_path, shape):
    """A file can have any shapes: of these, the squares would not fit into memory."""
    rank, size = shape
    layer = pair("diffusion_model.single_blocks.0.linear1", size, size, rank)
    told = sizes(tmp_path, layer)["single"]
    up, down = layer.values()
    expected = float((up @ down).norm()) if size < 100 else float(up.norm() * down.norm())
    assert told == (pytest.approx(expected, rel=1e-3),)


@pytest.mark.parametrize("factors", [("lokr_w2",), ("lokr_w2_a", "lokr_w2_b")])
def test_lokr_has_a_size(tmp_path, factors):
    shapes = {"lokr_w1": (2, 3), "lokr_w2": (4, 5), "lokr_w2_a": (4, 2), "lokr_w2_b": (2, 5)}
    made = tensors(1, **{name: shapes[name] for name in ("lokr_w1", *factors)})
    content = {f"lora_unet_single_blocks_0_linear1.{k}": v for k, v in made.items()}
    second = made[factors[0]] if len(factors) == 1 else made[factors[0]] @ made[factors[1]]
    expected = float(torch.kron(made["lokr_w1"], second).norm())
    assert sizes(tmp_path, content, FLUX) == {"single": (pytest.approx(expected, rel=1e-3),)}


def test_a_plain_difference_has_a_size(tmp_path):
    diff = tensors(1, diff=(6, 4))["diff"]
    told = sizes(tmp_path, {"diffusion_model.single_blocks.0.linear1.diff": diff})
    assert told == {"single": (pytest.approx(float(diff.norm()), rel=1e-3),)}


def test_what_depends_on_the_weight_has_none(tmp_path):
    name = "lora_unet_single_blocks_1_linear1"
    content = {**pair(name, 8, 6), f"{name}.dora_scale": torch.ones(8, 1)}
    content |= pair("lora_unet_single_blocks_2_linear1", 8, 6)
    told = sizes(tmp_path, content, FLUX)["single"]
    assert told[:2] == (0.0, None)
    assert told[2]


def test_text_encoders_are_in_no_block(tmp_path):
    content = pair("text_encoder.text_model.encoder.layers.3.self_attn.q_proj", 8, 6)
    content |= pair("diffusion_model.layers.1.attention.qkv", 8, 6)
    told = sizes(tmp_path, content)  # Z-Image or Lumina, which call their blocks alike
    assert [*told] == ["layer"]
    assert len(told["layer"]) == 2


def test_an_unknown_architecture_has_no_blocks(tmp_path):
    assert sizes(tmp_path, pair("lora_unet_stages_3_attn_q", 8, 6)) == {}


def test_absurd_numbers_are_not_believed(tmp_path):
    content = pair("diffusion_model.double_blocks.0.img_attn.qkv", 8, 6)
    for number in ("200", "987654321", "9" * 5000):
        content |= pair(f"diffusion_model.double_blocks.{number}.img_attn.qkv", 8, 6)
    assert len(sizes(tmp_path, content)["double"]) == 1
