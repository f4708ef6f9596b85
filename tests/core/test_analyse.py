"""What is in LoRAs, beside the dense matrices that the analysis never makes."""

from __future__ import annotations

import json
import math

import pytest
import torch

from harness.samples import pair, tensors, write
from lora_core import Recipe, load
from lora_core.reading import FileCache
from lora_core.workbench import Source, analyse, fights, plain
from tests.core.test_save import changes, source

KEYS = {
    "transformer_blocks.0.attn.to_q": (48, 40),
    "transformer_blocks.1.attn.to_q": (48, 40),
    "transformer_blocks.1.img_mlp.net.2": (40, 96),
    "img_in": (48, 16),
}


@pytest.fixture
def weights():
    shapes = {f"{key}.weight": shape for key, shape in KEYS.items()}
    return {f"diffusion_model.{key}": w for key, w in tensors(1, **shapes).items()}


def file(folder, name, seeds, **signs) -> Recipe:
    """Random pairs; ``signs`` turns some of them."""
    content = {}
    for key, seed in zip(KEYS, seeds, strict=True):
        if seed is not None:
            own = pair(f"diffusion_model.{key}", *KEYS[key], seed=seed)
            turn = signs.get("turned") == key
            content |= {k: -v if turn and "up" in k else v for k, v in own.items()}
    return load(write(folder / f"{name}.safetensors", content))


@pytest.fixture
def recipe(tmp_path):
    a = file(tmp_path, "a", (1, 2, 3, 4))
    b = file(tmp_path, "b", (1, 5, None, 6), turned="transformer_blocks.0.attn.to_q")
    return 0.5 * a + 0.5 * b


def found(recipe, weights):
    return analyse(recipe, source(weights), cache=FileCache())


def dense(recipe, weights):
    return [changes(Recipe((term,)), weights) for term in recipe.terms]


def test_sizes_and_cosines_are_those_of_the_matrices(recipe, weights):
    one, other = (torch.cat([w.flatten() for w in own.values()]) for own in dense(recipe, weights))
    own = found(recipe, weights)
    assert own.names == ("a", "b")
    assert own.sizes == pytest.approx((float(one.norm()), float(other.norm())), rel=1e-4)
    assert own.total == pytest.approx(float((one + other).norm()), rel=1e-4)
    cosine = float(one @ other / one.norm() / other.norm())
    assert own.cosines[0] == pytest.approx((1.0, cosine), rel=1e-3)
    assert own.cosines[1] == pytest.approx((cosine, 1.0), rel=1e-3)


def test_cells_are_blocks_and_kinds(recipe, weights):
    norms = {key: float(weight.norm()) for key, weight in weights.items()}
    cells = {(c.place, c.kind): c for c in found(recipe, weights).cells}
    assert {*cells} == {
        (("", 0), "other"),
        (("transformer_block", 0), "attn"),
        (("transformer_block", 1), "attn"),
        (("transformer_block", 1), "ff"),
    }
    key = "diffusion_model.transformer_blocks.1.img_mlp.net.2.weight"
    only = cells[("transformer_block", 1), "ff"]
    assert only.sizes == pytest.approx(
        (float(dense(recipe, weights)[0][key].norm()), 0.0), rel=1e-4
    )
    assert only.weight == pytest.approx(norms[key])
    assert only.agreement == pytest.approx(0, abs=1e-6)
    gone = cells[("transformer_block", 0), "attn"]
    assert gone.total < 1e-3 * gone.sizes[0]
    assert gone.agreement == pytest.approx(-1, abs=1e-3)


def test_where_loras_cancel_each_other_is_said(recipe, weights):
    assert [
        (kind, [*blocks]) for kind, blocks, by in fights(found(recipe, weights).cells) if by < -0.9
    ] == [("attn", [("transformer_block", 0)])]


def test_shared_subspaces_are_shares(tmp_path, weights):
    own = found(
        file(tmp_path, "a", (1, None, None, None)) + file(tmp_path, "b", (1, None, None, None)),
        weights,
    )
    assert torch.allclose(torch.tensor(own.outputs), torch.ones(2, 2), atol=1e-4)
    assert torch.allclose(torch.tensor(own.inputs), torch.ones(2, 2), atol=1e-4)
    apart = found(
        file(tmp_path, "c", (1, None, None, None)) + file(tmp_path, "d", (9, None, None, None)),
        weights,
    )
    assert 0.02 < apart.outputs[0][1] < 0.3  # 4 of 48 at random
    nothing = found(
        file(tmp_path, "e", (1, None, None, None)) + file(tmp_path, "f", (None, 2, None, None)),
        weights,
    )
    assert nothing.outputs[0][1] == nothing.cosines[0][1] == 0


def test_it_says_how_small_a_file_can_be(tmp_path, weights):
    key = "diffusion_model.img_in"
    u, _, vh = torch.linalg.svd(torch.randn(48, 16), full_matrices=False)
    values = torch.tensor([1.0, 0.5, 0.04, 0.001])
    content = {f"{key}.lora_up.weight": u[:, :4] * values, f"{key}.lora_down.weight": vh[:4]}
    (own,) = found(load(write(tmp_path / "x.safetensors", content)), weights).smaller
    assert [(each.error, each.rank, each.share) for each in own] == [
        ("1%", 3, 0.75),
        ("5%", 2, 0.5),
    ]


def test_it_can_be_written_as_json(recipe, weights):
    values = json.loads(json.dumps(plain(found(recipe, weights))))
    assert values["names"] == ["a", "b"]
    assert all(math.isfinite(cell["total"]) for cell in values["cells"])


NAMED = {
    "lora_unet_double_blocks_3_img_attn_qkv": ("double", 3, "attn"),
    "lora_unet_double_blocks_3_txt_mlp_2": ("double", 3, "ff"),
    "lora_unet_double_blocks_0_img_mod_lin": ("double", 0, "mod"),
    "lora_unet_single_blocks_12_linear1": ("single", 12, "fused"),
    "lora_unet_img_in": ("", 0, "other"),
    "transformer.transformer_blocks.5.attn.to_q": ("double", 5, "attn"),
    "transformer.single_transformer_blocks.7.proj_mlp": ("single", 7, "ff"),
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q": ("in", 4, "attn"),
    "lora_unet_middle_block_1_transformer_blocks_1_attn2_to_k": ("mid", 0, "cross attn"),
    "lora_unet_output_blocks_5_1_transformer_blocks_0_ff_net_0_proj": ("out", 5, "ff"),
    "lora_unet_input_blocks_2_0_emb_layers_1": ("in", 2, "mod"),
    "lora_unet_input_blocks_2_0_in_layers_2": ("in", 2, "conv"),
}


@pytest.mark.parametrize("name", NAMED)
def test_blocks_and_kinds_are_told_by_the_names_in_a_file(tmp_path, name):
    is_unet = any(word in name for word in ("input", "middle", "output"))
    said = {"ss_base_model_version": "sdxl_base_v1-0" if is_unet else "flux1"}
    file = write(tmp_path / "a.safetensors", pair(name, 48, 40, seed=1), said)
    recipe = load(file)
    cache = FileCache()
    model = Source.of_files([cache.read(own) for own in recipe.files])
    (cell,) = analyse(recipe, model, cache=cache).cells
    assert (*cell.place, cell.kind) == NAMED[name]
