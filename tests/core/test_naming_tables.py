"""The tables of every architecture, against models of its structure and of no size."""

from collections.abc import Iterator

import pytest

from lora_core.naming import ModelNames
from lora_core.naming.components import components
from lora_core.targets import Shape, Target

Shapes = dict[str, Shape]

W = 8  # the width of every model here
TEXT = 6


def linear(path: str, out: int = W, into: int = W) -> Shapes:
    return {f"{path}.weight": (out, into), f"{path}.bias": (out,)}


def conv(path: str, size: int = 3) -> Shapes:
    return {f"{path}.weight": (W, W, size, size), f"{path}.bias": (W,)}


def norm(path: str) -> Shapes:
    return {f"{path}.weight": (W,), f"{path}.bias": (W,)}


# --- UNet -----------------------------------------------------------------------------------------


def unet(levels: list[int], middle: int, *, size: bool) -> Shapes:
    """``levels`` says how deep the transformers of each level are, 0 for none."""
    shapes = conv("input_blocks.0.0") | linear("time_embed.0") | linear("time_embed.2")
    shapes |= norm("out.0") | conv("out.2")
    if size:
        shapes |= linear("label_emb.0.0") | linear("label_emb.0.2")
    at = 1
    for level, depth in enumerate(levels):
        for _ in range(2):
            shapes |= resnet(f"input_blocks.{at}.0") | attention(f"input_blocks.{at}.1", depth)
            at += 1
        if level < len(levels) - 1:
            shapes |= conv(f"input_blocks.{at}.0.op")
            at += 1
    shapes |= resnet("middle_block.0") | attention("middle_block.1", middle)
    shapes |= resnet("middle_block.2")
    at = 0
    for level, depth in enumerate(reversed(levels)):
        for _ in range(3):
            shapes |= resnet(f"output_blocks.{at}.0") | attention(f"output_blocks.{at}.1", depth)
            at += 1
        if level < len(levels) - 1:
            shapes |= conv(f"output_blocks.{at - 1}.{2 if depth else 1}.conv")
    return shapes


def resnet(path: str) -> Shapes:
    shapes = norm(f"{path}.in_layers.0") | conv(f"{path}.in_layers.2")
    shapes |= linear(f"{path}.emb_layers.1") | conv(f"{path}.skip_connection", 1)
    return shapes | norm(f"{path}.out_layers.0") | conv(f"{path}.out_layers.3")


def attention(path: str, depth: int) -> Shapes:
    if not depth:
        return {}
    shapes = norm(f"{path}.norm") | conv(f"{path}.proj_in", 1) | conv(f"{path}.proj_out", 1)
    for index in range(depth):
        block = f"{path}.transformer_blocks.{index}"
        for layer in TRANSFORMER:
            shapes |= norm(f"{block}.{layer}") if "norm" in layer else linear(f"{block}.{layer}")
        for layer in ("attn2.to_k", "attn2.to_v"):
            shapes |= linear(f"{block}.{layer}", W, TEXT)
    return shapes


TRANSFORMER = [
    *(f"attn{a}.{layer}" for a in (1, 2) for layer in ("to_q", "to_k", "to_v", "to_out.0")),
    *("ff.net.0.proj", "ff.net.2", "norm1", "norm2", "norm3"),
]

RESNET = ["norm1", "conv1", "time_emb_proj", "norm2", "conv2", "conv_shortcut"]


def unet_in_diffusers(levels: list[int], middle: int, *, size: bool) -> Iterator[str]:
    yield from ("conv_in", "conv_norm_out", "conv_out")
    for embedding in ("time_embedding", "add_embedding") if size else ("time_embedding",):
        yield from (f"{embedding}.linear_1", f"{embedding}.linear_2")
    for level, depth in enumerate(levels):
        yield from stage_in_diffusers(f"down_blocks.{level}", 2, 2, depth)
        yield from stage_in_diffusers(f"up_blocks.{len(levels) - 1 - level}", 3, 3, depth)
        if level < len(levels) - 1:
            yield f"down_blocks.{level}.downsamplers.0.conv"
            yield f"up_blocks.{level}.upsamplers.0.conv"
    yield from stage_in_diffusers("mid_block", 2, 1, middle)


def stage_in_diffusers(path: str, resnets: int, attentions: int, depth: int) -> Iterator[str]:
    yield from (f"{path}.resnets.{i}.{layer}" for i in range(resnets) for layer in RESNET)
    for index in range(attentions if depth else 0):
        inside = f"{path}.attentions.{index}"
        yield from (f"{inside}.{layer}" for layer in ("norm", "proj_in", "proj_out"))
        for block in range(depth):
            yield from (f"{inside}.transformer_blocks.{block}.{layer}" for layer in TRANSFORMER)


SD15 = ([1, 1, 1, 0], 1)
SDXL = ([0, 2, 3], 3)


# --- SD 3 -----------------------------------------------------------------------------------------


def sd3(blocks: int = 3) -> Shapes:
    shapes = conv("x_embedder.proj") | linear("context_embedder") | {"pos_embed": (1, 9, W)}
    for layer in ("t_embedder.mlp.0", "t_embedder.mlp.2", "y_embedder.mlp.0", "y_embedder.mlp.2"):
        shapes |= linear(layer)
    shapes |= linear("final_layer.linear") | linear("final_layer.adaLN_modulation.1", 2 * W)
    for index in range(blocks):
        last = index == blocks - 1
        shapes |= sd3_half(f"joint_blocks.{index}.x_block", ends_here=False)
        shapes |= sd3_half(f"joint_blocks.{index}.context_block", ends_here=last)
    shapes |= linear("joint_blocks.0.x_block.attn2.qkv", 3 * W)
    return shapes | linear("joint_blocks.0.x_block.attn2.proj")


def sd3_half(path: str, *, ends_here: bool) -> Shapes:
    shapes = linear(f"{path}.attn.qkv", 3 * W)
    shapes |= norm(f"{path}.attn.ln_q") | norm(f"{path}.attn.ln_k")
    if ends_here:
        return shapes | linear(f"{path}.adaLN_modulation.1", 2 * W)
    for layer in ("attn.proj", "mlp.fc1", "mlp.fc2"):
        shapes |= linear(f"{path}.{layer}")
    return shapes | linear(f"{path}.adaLN_modulation.1", 6 * W)


def sd3_in_diffusers(blocks: int = 3) -> Iterator[str]:
    yield from ("pos_embed.pos_embed", "pos_embed.proj", "context_embedder")
    yield from ("norm_out.linear", "proj_out")
    for embedder in ("timestep_embedder", "text_embedder"):
        yield from (f"time_text_embed.{embedder}.linear_{i}" for i in (1, 2))
    for index in range(blocks):
        block = f"transformer_blocks.{index}"
        yield from (f"{block}.{layer}" for layer in JOINT)
        if index < blocks - 1:
            yield from (f"{block}.{layer}" for layer in JOINT_UNLESS_LAST)
    for layer in ("to_q", "to_k", "to_v", "to_out.0"):
        yield f"transformer_blocks.0.attn2.{layer}"


JOINT = [
    *(f"attn.{layer}" for layer in ("to_q", "to_k", "to_v", "to_out.0", "norm_q", "norm_k")),
    *(f"attn.add_{layer}_proj" for layer in "qkv"),
    *("attn.norm_added_q", "attn.norm_added_k"),
    *("norm1.linear", "norm1_context.linear", "ff.net.0.proj", "ff.net.2"),
]

JOINT_UNLESS_LAST = ["attn.to_add_out", "ff_context.net.0.proj", "ff_context.net.2"]


# --- Flux -----------------------------------------------------------------------------------------


def flux(norm_ending: str = "weight") -> Shapes:
    shapes = linear("img_in") | linear("txt_in") | linear("final_layer.linear")
    shapes |= linear("final_layer.adaLN_modulation.1", 2 * W)
    for layer in ("time_in", "vector_in", "guidance_in"):
        shapes |= linear(f"{layer}.in_layer") | linear(f"{layer}.out_layer")
    for block in ("double_blocks.0.img", "double_blocks.0.txt"):
        shapes |= linear(f"{block}_attn.qkv", 3 * W) | linear(f"{block}_attn.proj")
        shapes |= linear(f"{block}_mod.lin", 6 * W)
        shapes |= linear(f"{block}_mlp.0", 4 * W) | linear(f"{block}_mlp.2", W, 4 * W)
        for which in ("query_norm", "key_norm"):
            shapes[f"{block}_attn.norm.{which}.{norm_ending}"] = (W,)
    for index in range(2):
        block = f"single_blocks.{index}"
        shapes |= linear(f"{block}.linear1", 7 * W) | linear(f"{block}.linear2", W, 5 * W)
        shapes |= linear(f"{block}.modulation.lin", 3 * W)
        for which in ("query_norm", "key_norm"):
            shapes[f"{block}.norm.{which}.{norm_ending}"] = (W,)
    return shapes


def flux_in_diffusers() -> Iterator[str]:
    yield from ("x_embedder", "context_embedder", "norm_out.linear", "proj_out")
    for embedder in ("timestep_embedder", "text_embedder", "guidance_embedder"):
        yield from (f"time_text_embed.{embedder}.linear_{i}" for i in (1, 2))
    yield from (f"transformer_blocks.0.{layer}" for layer in JOINT + JOINT_UNLESS_LAST)
    for index in range(2):
        block = f"single_transformer_blocks.{index}"
        yield from (f"{block}.{layer}" for layer in ("norm.linear", "proj_mlp", "proj_out"))
        for layer in ("to_q", "to_k", "to_v", "norm_q", "norm_k"):
            yield f"{block}.attn.{layer}"


# --- Wan ------------------------------------------------------------------------------------------


def wan() -> Shapes:
    shapes: Shapes = {"patch_embedding.weight": (W, 4, 1, 2, 2), "patch_embedding.bias": (W,)}
    for layer in ("time_embedding.0", "time_embedding.2", "text_embedding.0", "text_embedding.2"):
        shapes |= linear(layer)
    shapes |= linear("time_projection.1", 6 * W) | linear("head.head")
    shapes |= {"head.modulation": (1, 2, W)}
    shapes |= norm("img_emb.proj.0") | norm("img_emb.proj.4")
    shapes |= linear("img_emb.proj.1") | linear("img_emb.proj.3")
    for block in ("blocks.0", "blocks.1"):
        for layer in ("self_attn", "cross_attn"):
            for part in "qkvo":
                shapes |= linear(f"{block}.{layer}.{part}")
            shapes |= norm(f"{block}.{layer}.norm_q") | norm(f"{block}.{layer}.norm_k")
        shapes |= linear(f"{block}.cross_attn.k_img") | linear(f"{block}.cross_attn.v_img")
        shapes |= norm(f"{block}.cross_attn.norm_k_img") | norm(f"{block}.norm3")
        shapes |= linear(f"{block}.ffn.0", 4 * W) | linear(f"{block}.ffn.2", W, 4 * W)
        shapes |= {f"{block}.modulation": (1, 6, W)}
    return shapes


def wan_in_diffusers() -> Iterator[str]:
    yield from ("patch_embedding", "scale_shift_table", "proj_out")
    inside = "condition_embedder"
    for embedder in ("time_embedder", "text_embedder"):
        yield from (f"{inside}.{embedder}.linear_{i}" for i in (1, 2))
    yield f"{inside}.time_proj"
    for layer in ("norm1", "ff.net.0.proj", "ff.net.2", "norm2"):
        yield f"{inside}.image_embedder.{layer}"
    for block in ("blocks.0", "blocks.1"):
        for layer in ("attn1", "attn2"):
            for part in ("to_q", "to_k", "to_v", "to_out.0", "norm_q", "norm_k"):
                yield f"{block}.{layer}.{part}"
        for layer in ("add_k_proj", "add_v_proj", "norm_added_k"):
            yield f"{block}.attn2.{layer}"
        for layer in ("norm2", "ffn.net.0.proj", "ffn.net.2", "scale_shift_table"):
            yield f"{block}.{layer}"


# --- text encoders --------------------------------------------------------------------------------


def open_clip() -> Shapes:
    shapes: Shapes = {"token_embedding.weight": (99, W), "positional_embedding": (7, W)}
    shapes |= norm("ln_final")
    for index in range(2):
        block = f"transformer.resblocks.{index}"
        shapes |= {f"{block}.attn.in_proj_weight": (3 * W, W)}
        shapes |= {f"{block}.attn.in_proj_bias": (3 * W,)}
        for layer in ("attn.out_proj", "mlp.c_fc", "mlp.c_proj"):
            shapes |= linear(f"{block}.{layer}")
        shapes |= norm(f"{block}.ln_1") | norm(f"{block}.ln_2")
    return shapes


def clip_in_transformers() -> Iterator[str]:
    yield "text_model.final_layer_norm"
    yield from (f"text_model.embeddings.{kind}_embedding" for kind in ("token", "position"))
    for index in range(2):
        block = f"text_model.encoder.layers.{index}"
        yield from (f"{block}.self_attn.{part}_proj" for part in ("q", "k", "v", "out"))
        for layer in ("mlp.fc1", "mlp.fc2", "layer_norm1", "layer_norm2"):
            yield f"{block}.{layer}"


# --- what holds for all ---------------------------------------------------------------------------

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


@pytest.mark.parametrize("width", [1024, 1280])
def test_sd_2_and_the_refiner_are_unets_of_no_known_name(width):
    shapes, _ = MODELS["SDXL"]
    context = "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
    names = ModelNames(shapes | {context: (W, width)})
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
