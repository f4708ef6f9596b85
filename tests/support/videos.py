"""What the tests of the tables of videos share."""

from collections.abc import Iterator

from lora_core.naming.targets import Shape
from tools.fidelity.layouts import layouts

ROOT = "diffusion_model."

DOTTED = ("", "transformer.", "diffusion_model.", "base_model.model.", "model.diffusion_model.")
UNDERSCORED = ("lora_unet_", "lora_unet__", "lora_transformer_", "lycoris_")


def spellings(path: str) -> Iterator[str]:
    """A layer under every prefix."""
    yield from (prefix + path for prefix in DOTTED)
    yield from (prefix + path.replace(".", "_") for prefix in UNDERSCORED)


def bare(model: str) -> dict[str, Shape]:
    return {key.removeprefix(ROOT): shape for key, shape in layouts()[model].shapes.items()}


# What ComfyUI makes of the names in Tencent's checkpoints, the other way round.
TENCENT = (
    ("_mod.lin.", "_mod.linear."),
    ("_attn.qkv.", "_attn_qkv."),
    ("_attn.proj.", "_attn_proj."),
    (".modulation.lin.", ".modulation.linear."),
    ("mlp.0.", "mlp.fc1."),
    ("mlp.2.", "mlp.fc2."),
    ("_attn.norm.query_norm.", "_attn_q_norm."),
    ("_attn.norm.key_norm.", "_attn_k_norm."),
    (".norm.query_norm.", ".q_norm."),
    (".norm.key_norm.", ".k_norm."),
    ("txt_in.c_embedder.in_layer.", "txt_in.c_embedder.linear_1."),
    ("txt_in.c_embedder.out_layer.", "txt_in.c_embedder.linear_2."),
    ("t_embedder.in_layer.", "t_embedder.mlp.0."),
    ("t_embedder.out_layer.", "t_embedder.mlp.2."),
    ("time_in.in_layer.", "time_in.mlp.0."),
    ("time_in.out_layer.", "time_in.mlp.2."),
    ("guidance_in.in_layer.", "guidance_in.mlp.0."),
    ("guidance_in.out_layer.", "guidance_in.mlp.2."),
)


def tencent(key: str) -> str:
    for here, there in TENCENT:
        key = key.replace(here, there)
    return key
