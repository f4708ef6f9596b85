"""Models of the structure of every architecture and of no size: their weights' names and shapes,
and what diffusers calls the same layers."""

from collections.abc import Iterator

from lora_core.naming.targets import Shape

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


# --- FLUX.3, Qwen-Image 2.1 -----------------------------------------------------------------------

FLUX3_MODES = ("image", "image_cond")


def flux3(blocks: int = 2) -> Shapes:
    """Without biases, as Black Forest Labs' checkpoints have it."""
    names = [f"emb_in.{mode}" for mode in FLUX3_MODES] + ["txt_in", "final_layer.image.linear"]
    names += [f"{kind}.{layer}" for kind in ("time_in", "ref_time_in") for layer in IN_AND_OUT]
    shapes: Shapes = {f"{name}.weight": (W, W) for name in names}
    shapes["final_layer.image.adaLN_modulation.1.weight"] = (2 * W, W)
    for kind in ("early_stream_modulations", "single_stream_modulations"):
        for mode in (*FLUX3_MODES, "txt"):
            shapes[f"{kind}.{mode}.lin.weight"] = (3 * W, W)
    stacks = [f"content_mode_blocks.{mode}" for mode in FLUX3_MODES]
    for stack in (*stacks, "txt_mode_blocks", "single_blocks"):
        for index in range(blocks):
            shapes |= flux3_block(f"{stack}.{index}")
    return shapes


IN_AND_OUT = ("in_layer", "out_layer")


def flux3_block(path: str) -> Shapes:
    layers = ("q_proj", "k_proj", "v_proj", "attn_out")
    shapes: Shapes = {f"{path}.{layer}.weight": (W, W) for layer in layers}
    shapes |= {f"{path}.mlp_in.weight": (6 * W, W), f"{path}.mlp_out.weight": (W, 3 * W)}
    return shapes | {f"{path}.norm.{norm}_norm.scale": (W,) for norm in ("query", "key")}


def qwen_image_21(blocks: int = 2) -> Shapes:
    """As ComfyUI saves it: diffusers' names, but for a joined gate."""
    names = ["img_in", "proj_out", "txt_in.in_layer", "txt_in.out_layer", "norm_out.linear"]
    names += [f"time_text_embed.timestep_embedder.linear_{i}" for i in (1, 2)]
    shapes: Shapes = {f"{name}.weight": (W, W) for name in names}
    shapes |= {"modulation.1.weight": (4 * W, W), "txt_in.text_norm.weight": (W,)}
    for index in range(blocks):
        block = f"transformer_blocks.{index}"
        layers = ("to_q", "to_k", "to_v", "to_out.0")
        shapes |= {f"{block}.attn.{layer}.weight": (W, W) for layer in layers}
        shapes |= {f"{block}.attn.norm_{x}.weight": (W,) for x in "qk"}
        shapes[f"{block}.img_mlp.gate_up.weight"] = (6 * W, W)
        shapes[f"{block}.img_mlp.out.weight"] = (W, 3 * W)
    return shapes
