"""A row of the host's models, and the options that several rows share."""

from __future__ import annotations

from typing import Any, NamedTuple


class HostModel(NamedTuple):
    base: str
    module: str
    options: dict[str, Any]
    device: str = "meta"
    keep: tuple[str, int] | None = None
    """A stack of blocks, and how many of them are left, where their number is no option."""


def unet(levels: int, depth: list[int], **options: Any) -> HostModel:
    """Returns a UNet of two residual blocks a level; ``depth`` has a number for each of them."""
    output = [
        d for level in range(levels) for d in (*depth[2 * level : 2 * level + 2], depth[2 * level])
    ]
    common = {
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 32,
        "num_res_blocks": [2] * levels,
        "channel_mult": [1, 2, 4, 4][:levels],
        "transformer_depth": depth,
        "transformer_depth_output": output,
        "transformer_depth_middle": 1,
        "num_heads": 2,
        "num_head_channels": -1,
        "use_spatial_transformer": True,
        "legacy": False,
    }
    return HostModel(
        options.pop("base", "BaseModel"),
        "ldm.modules.diffusionmodules.openaimodel:UNetModel",
        common | options,
    )


FLUX = {
    "in_channels": 4,
    "out_channels": 4,
    "vec_in_dim": 20,
    "context_in_dim": 24,
    "hidden_size": 32,
    "mlp_ratio": 4.0,
    "num_heads": 2,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "guidance_embed": True,
    "txt_ids_dims": [],
}

HUNYUAN = {key: FLUX[key] for key in FLUX if key not in ("txt_ids_dims", "patch_size")} | {
    "patch_size": [1, 2, 2],
    "byt5": False,
    "meanflow": False,
    "use_cond_type_embedding": False,
    "vision_in_dim": None,
    "meanflow_sum": False,
}

COSMOS2 = {
    "max_img_h": 24,
    "max_img_w": 24,
    "max_frames": 8,
    "in_channels": 4,
    "out_channels": 4,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "model_channels": 32,
    "num_blocks": 2,
    "num_heads": 2,
    "crossattn_emb_channels": 24,
    "pos_emb_cls": "rope3d",
    "use_adaln_lora": True,
    "adaln_lora_dim": 12,
}
