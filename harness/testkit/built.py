"""Small models of architectures whose real sizes the host's loader insists on, or that it computes
in its own way.

They are built from a config, with seeded weights, without a file.
"""

import json
import math

import torch
from comfy import model_management, ops, sd, supported_models
from comfy.model_patcher import CoreModelPatcher
from comfy_api.latest import io

LTX = {
    "attention_head_dim": 64,
    "num_attention_heads": 2,
    "cross_attention_dim": 128,
    "num_layers": 2,
}

CONFIGS = {
    "z_image": (
        "ZImage",
        {
            "image_model": "lumina2",
            "patch_size": 2,
            "in_channels": 16,
            "dim": 256,
            "cap_feat_dim": 64,
            "n_layers": 2,
            "n_refiner_layers": 1,
            "qk_norm": True,
            "n_heads": 4,
            "n_kv_heads": 4,
            "axes_dims": [16, 24, 24],
            "axes_lens": [64, 64, 64],
            "rope_theta": 256.0,
            "ffn_dim_multiplier": 2.0,
            "z_image_modulation": True,
            "time_scale": 1000.0,
        },
    ),
    "cosmos": (
        "CosmosT2IPredict2",
        {
            "image_model": "cosmos_predict2",
            "max_img_h": 240,
            "max_img_w": 240,
            "max_frames": 128,
            "in_channels": 16,
            "out_channels": 16,
            "patch_spatial": 2,
            "patch_temporal": 1,
            "model_channels": 128,
            "concat_padding_mask": True,
            "crossattn_emb_channels": 64,
            "pos_emb_cls": "rope3d",
            "pos_emb_learnable": True,
            "pos_emb_interpolation": "crop",
            "min_fps": 1,
            "max_fps": 30,
            "use_adaln_lora": True,
            "adaln_lora_dim": 32,
            "num_blocks": 2,
            "num_heads": 2,
            "extra_per_block_abs_pos_emb": False,
            "rope_h_extrapolation_ratio": 4.0,
            "rope_w_extrapolation_ratio": 4.0,
            "rope_t_extrapolation_ratio": 1.0,
            "extra_h_extrapolation_ratio": 1.0,
            "extra_w_extrapolation_ratio": 1.0,
            "extra_t_extrapolation_ratio": 1.0,
            "rope_enable_fps_modulation": False,
        },
    ),
    "ltx": ("LTXV", {"image_model": "ltxv", **LTX}),
    "wan_i2v": (
        "WAN21_I2V",
        {
            "image_model": "wan2.1",
            "model_type": "i2v",
            "in_dim": 36,
            "out_dim": 16,
            "dim": 128,
            "ffn_dim": 256,
            "freq_dim": 64,
            "text_dim": 64,
            "num_heads": 2,
            "num_layers": 1,
        },
    ),
    "h3": (
        "MiniMaxH3",
        {
            "image_model": "minimax_h3",
            "hidden_size": 128,
            "num_layers": 2,
            "token_refiner_num_layers": 1,
            "num_attention_heads": 2,
            "attention_head_dim": 64,
            "ffn_hidden_size": 128,
            "text_dim": 64,
            "time_embed_hidden_size": 64,
            "time_embed_dim": 64,
            "rope_inv_freq_len": 8,
        },
    ),
}
"""The host's class of each, and what its loader would have detected."""

GAIN = 0.6


def seeded(model: torch.nn.Module) -> None:
    """Fills every parameter from its own name, so that both hosts have the same."""
    for number, (key, weight) in enumerate(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
        fan_in = weight[0].numel() if weight.ndim > 1 else 1
        plain = noise * GAIN / math.sqrt(fan_in) if weight.ndim > 1 else 0.02 * noise
        gain = weight.ndim == 1 and key.endswith("weight")
        weight.data.copy_(plain + float(gain))
    for key, buffer in model.named_buffers():
        if key.endswith("inv_freq"):
            buffer.copy_(1.0 / 10000 ** torch.linspace(0, 1, len(buffer)))


def int8(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns a weight as ``comfy_quant`` keeps it."""
    stored: dict[str, torch.Tensor] = {}
    told = torch.tensor(list(json.dumps({"format": "int8_tensorwise"}).encode()), dtype=torch.uint8)
    for key, weight in weights.items():
        stored[key] = weight
        if (
            weight.ndim == 2
            and min(weight.shape) >= 64
            and "blocks" in key
            and key.endswith(".weight")
        ):
            scale = weight.abs().max() / 127
            stored[key] = (weight / scale).round().to(torch.int8)
            layer = key.removesuffix("weight")
            stored |= {f"{layer}weight_scale": scale, f"{layer}comfy_quant": told}
    return stored


def whole(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns what ``stored`` stands for, in float32."""
    scales = {key.removesuffix("_scale"): w for key, w in stored.items() if key.endswith("_scale")}
    return {
        key: weight * scales[key] if key in scales else weight
        for key, weight in stored.items()
        if not key.endswith(("weight_scale", "comfy_quant"))
    }


def built(kind: str) -> CoreModelPatcher:
    name, config = CONFIGS[kind]
    settings = getattr(supported_models, name)(config)
    settings.set_inference_dtype(torch.float32, None)
    settings.custom_operations = ops.disable_weight_init
    with torch.no_grad():
        model = settings.get_model({}, "", device=torch.device("cpu"))
        seeded(model)
    device = model_management.get_torch_device()
    return CoreModelPatcher(model, load_device=device, offload_device=torch.device("cpu"))


class TKBuilt(io.ComfyNode):
    """A small model; LTX and H3 also with int8 weights, or with what these stand for in float32."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKBuilt",
            category="testkit",
            inputs=[
                io.Combo.Input("kind", options=list(CONFIGS)),
                io.Combo.Input("weights", options=["float32", "int8", "int8 whole"]),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, kind: str, weights: str) -> io.NodeOutput:
        model = built(kind)
        if weights == "float32":
            return io.NodeOutput(model)
        stored = int8({k: w.clone() for k, w in model.model.diffusion_model.state_dict().items()})
        stored = whole(stored) if weights == "int8 whole" else stored
        metadata = {"config": json.dumps({"transformer": LTX})}
        return io.NodeOutput(
            sd.load_diffusion_model_state_dict(
                stored, model_options={"dtype": torch.float32}, metadata=metadata
            )
        )
