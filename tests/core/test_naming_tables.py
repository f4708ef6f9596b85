"""The tables of every architecture, against models of its structure and of no size."""

import pytest

from lora_core.naming.components import components
from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Target
from tests.support.layouts import (
    SD15,
    SDXL,
    W,
    clip_in_transformers,
    flux,
    flux_in_diffusers,
    linear,
    open_clip,
    sd3,
    sd3_in_diffusers,
    unet,
    unet_in_diffusers,
    wan,
    wan_in_diffusers,
)

MODELS = {
    "SD 1.5": (unet(*SD15, size=False), [*unet_in_diffusers(*SD15, size=False)]),
    "SDXL": (unet(*SDXL, size=True), [*unet_in_diffusers(*SDXL, size=True)]),
    "SD3": (sd3(), [*sd3_in_diffusers()]),
    "Flux": (flux(), [*flux_in_diffusers()]),
    "Wan": (wan(), [*wan_in_diffusers()]),
    None: (open_clip(), [*clip_in_transformers()]),
}

every_model = pytest.mark.parametrize("architecture", MODELS, ids=str)


@every_model
def test_the_architecture_is_recognised(architecture):
    shapes, _ = MODELS[architecture]
    assert ModelNames(shapes).architecture == architecture


@every_model
def test_the_architecture_is_recognised_in_a_checkpoint(architecture):
    shapes, _ = MODELS[architecture]
    checkpoint = {f"model.diffusion_model.{key}": shape for key, shape in shapes.items()}
    assert ModelNames(checkpoint).architecture == architecture


@every_model
def test_the_names_of_diffusers_cover_every_weight_exactly_once(architecture):
    shapes, diffusers = MODELS[architecture]
    names = ModelNames(shapes)
    covered: dict[str, list[tuple[int, int]]] = {}
    for name in diffusers:
        target = names.find(name)
        assert target is not None, name
        rows = target.rows or (0, shapes[target.key][0])
        covered.setdefault(target.key, []).append(rows)
    assert covered.keys() == {key for key in shapes if not key.endswith("bias")}
    for key, slices in covered.items():
        assert tiles(slices, shapes[key][0]), key


def tiles(slices: list[tuple[int, int]], height: int) -> bool:
    end = 0
    for start, length in sorted(slices):
        if start != end or length <= 0:
            return False
        end += length
    return end == height


@every_model
def test_biases_are_cut_like_their_weights(architecture):
    shapes, diffusers = MODELS[architecture]
    names = ModelNames(shapes)
    fused = [t for t in map(names.find, diffusers) if t is not None and t.rows]
    assert all(shapes[t.bias().key] == shapes[t.key][:1] for t in fused)


@every_model
def test_underscored_names_mean_the_same(architecture):
    shapes, diffusers = MODELS[architecture]
    names = ModelNames(shapes)
    own = [key.removesuffix(".weight") for key in shapes]
    for path in [*diffusers, *own]:
        assert names.find("lycoris_" + path.replace(".", "_")) == names.find(path) is not None


@every_model
def test_no_two_paths_have_the_same_underscored_form(architecture):
    shapes, _ = MODELS[architecture]
    (component,) = components(shapes, None)
    assert len(component.underscored) == len(component.dotted)


# --- facts ----------------------------------------------------------------------------------------


def target(key: str, rows: tuple[int, int] | None = None, *, swapped: bool = False) -> Target:
    return Target(key, rows=rows, halves_swapped=swapped)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("conv_in", "input_blocks.0.0"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"),
        ("down_blocks.1.resnets.0.conv_shortcut", "input_blocks.4.0.skip_connection"),
        (
            "down_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k",
            "input_blocks.5.1.transformer_blocks.0.attn2.to_k",
        ),
        ("down_blocks.3.resnets.1.conv1", "input_blocks.11.0.in_layers.2"),
        ("mid_block.attentions.0.proj_in", "middle_block.1.proj_in"),
        ("mid_block.resnets.1.time_emb_proj", "middle_block.2.emb_layers.1"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.1.conv"),
        ("up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv"),
        ("up_blocks.3.attentions.2.proj_out", "output_blocks.11.1.proj_out"),
        ("up_blocks.3.resnets.2.conv2", "output_blocks.11.0.out_layers.3"),
    ],
)
def test_sd15(name, weight):
    shapes, _ = MODELS["SD 1.5"]
    assert ModelNames(shapes).find(f"unet.{name}") == target(f"{weight}.weight")


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("add_embedding.linear_1", "label_emb.0.0"),
        ("class_embedding.linear_2", "label_emb.0.2"),
        ("down_blocks.1.attentions.0.proj_in", "input_blocks.4.1.proj_in"),
        (
            "up_blocks.0.attentions.2.transformer_blocks.1.ff.net.0.proj",
            "output_blocks.2.1.transformer_blocks.1.ff.net.0.proj",
        ),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.2.conv"),
        ("up_blocks.1.attentions.0.norm", "output_blocks.3.1.norm"),
    ],
)
def test_sdxl(name, weight):
    shapes, _ = MODELS["SDXL"]
    assert ModelNames(shapes).find(f"unet.{name}") == target(f"{weight}.weight")


def test_the_refiner_of_sdxl_is_a_unet_of_no_known_name():
    shapes, _ = MODELS["SDXL"]
    context = "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
    names = ModelNames(shapes | {context: (W, 1280)})
    assert names.architecture is None
    assert names.find("unet.conv_in") == target("input_blocks.0.0.weight")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("attn.to_q", target("joint_blocks.1.x_block.attn.qkv.weight", (0, W))),
        ("attn.to_k", target("joint_blocks.1.x_block.attn.qkv.weight", (W, W))),
        ("attn.add_v_proj", target("joint_blocks.1.context_block.attn.qkv.weight", (2 * W, W))),
        ("attn.to_add_out", target("joint_blocks.1.context_block.attn.proj.weight")),
        ("ff.net.2", target("joint_blocks.1.x_block.mlp.fc2.weight")),
        ("norm1.linear", target("joint_blocks.1.x_block.adaLN_modulation.1.weight")),
    ],
)
def test_sd3(name, expected):
    shapes, _ = MODELS["SD3"]
    assert ModelNames(shapes).find(f"transformer.transformer_blocks.1.{name}") == expected


def test_sd3_swaps_scale_and_shift_where_nothing_else_is_modulated():
    names = ModelNames(MODELS["SD3"][0])
    last = "transformer.transformer_blocks.{}.norm1_context.linear"
    weight = "joint_blocks.{}.context_block.adaLN_modulation.1.weight"
    assert names.find(last.format(1)) == target(weight.format(1))
    assert names.find(last.format(2)) == target(weight.format(2), swapped=True)
    assert names.find("transformer.norm_out.linear") == target(
        "final_layer.adaLN_modulation.1.weight", swapped=True
    )
    assert names.find("lora_unet_final_layer_adaLN_modulation_1") == target(
        "final_layer.adaLN_modulation.1.weight"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x_embedder", target("img_in.weight")),
        ("norm_out.linear", target("final_layer.adaLN_modulation.1.weight", swapped=True)),
        ("transformer_blocks.0.attn.to_v", target("double_blocks.0.img_attn.qkv.weight", (16, 8))),
        (
            "transformer_blocks.0.attn.add_q_proj",
            target("double_blocks.0.txt_attn.qkv.weight", (0, 8)),
        ),
        ("transformer_blocks.0.ff_context.net.2", target("double_blocks.0.txt_mlp.2.weight")),
        ("single_transformer_blocks.1.attn.to_k", target("single_blocks.1.linear1.weight", (8, 8))),
        (
            "single_transformer_blocks.1.proj_mlp",
            target("single_blocks.1.linear1.weight", (24, 32)),
        ),
        ("single_transformer_blocks.1.proj_out", target("single_blocks.1.linear2.weight")),
        # Flux.2
        ("transformer_blocks.0.ff.linear_in", target("double_blocks.0.img_mlp.0.weight")),
        (
            "single_transformer_blocks.1.attn.to_qkv_mlp_proj",
            target("single_blocks.1.linear1.weight"),
        ),
    ],
)
def test_flux(name, expected):
    shapes, _ = MODELS["Flux"]
    assert ModelNames(shapes).find(f"transformer.{name}") == expected


def test_flux_norms_may_be_called_scales():
    names = ModelNames(flux(norm_ending="scale"))
    assert names.find("transformer.transformer_blocks.0.attn.norm_added_k") == target(
        "double_blocks.0.txt_attn.norm.key_norm.scale"
    )


def test_chroma_is_not_flux_but_has_its_blocks():
    shapes = {key: shape for key, shape in MODELS["Flux"][0].items() if "mod" not in key}
    guidance = "distilled_guidance_layer.layers.0"
    names = ModelNames(shapes | linear(f"{guidance}.in_layer"))
    assert names.architecture is None
    assert names.find("transformer.x_embedder") == target("img_in.weight")
    assert names.find(f"transformer.{guidance}.linear_1") == target(f"{guidance}.in_layer.weight")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("blocks.1.attn1.to_out.0", "blocks.1.self_attn.o.weight"),
        ("blocks.1.attn2.add_k_proj", "blocks.1.cross_attn.k_img.weight"),
        ("blocks.1.ffn.net.0.proj", "blocks.1.ffn.0.weight"),
        ("blocks.1.norm2", "blocks.1.norm3.weight"),
        ("blocks.1.scale_shift_table", "blocks.1.modulation"),
        ("condition_embedder.time_proj", "time_projection.1.weight"),
        ("proj_out", "head.head.weight"),
    ],
)
def test_wan(name, key):
    shapes, _ = MODELS["Wan"]
    assert ModelNames(shapes).find(f"transformer.{name}") == target(key)


def test_vace_blocks_are_wan_blocks():
    names = ModelNames(wan() | linear("vace_blocks.0.before_proj"))
    expected = target("vace_blocks.0.before_proj.weight")
    assert names.find("transformer.vace_blocks.0.proj_in") == expected


def test_open_clip_keeps_its_projection_to_itself():
    names = ModelNames(open_clip() | {"text_projection": (W, W)}, "text_encoder_2")
    assert names.find("lora_te2_text_projection") is None
    assert names.find("text_projection") is None
