"""Build tiny random-weight models that the real ComfyUI loads and samples on a CPU.

Run by the host's own Python::

    COMFYUI_PYTHON harness/tiny_models.py HOST_DIR MODELS_DIR [NAME ...]

Nothing is downloaded. Every model has its own seed, so a subset gives the same files as a full
build. Files appear under MODELS_DIR only when complete; HOST_DIR is only read.
"""

from __future__ import annotations

import json
import math
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

StateDict = dict[str, torch.Tensor]

MODEL_FILES = {
    "sd15": "checkpoints/tiny_sd15.safetensors",
    "sd15clip": "checkpoints/tiny_sd15_clip.safetensors",
    "sd3": "diffusion_models/tiny_sd3.safetensors",
    "flux": "diffusion_models/tiny_flux.safetensors",
    "wan": "diffusion_models/tiny_wan.safetensors",
    "taesd": "vae/tiny_taesd.safetensors",
    "taesd16": "vae/tiny_taesd16.safetensors",
    "wan_vae": "vae/tiny_wan_vae.safetensors",
}
"""Model name -> file under MODELS_DIR."""

DEFAULT_NAMES = tuple(name for name in MODEL_FILES if name != "sd15clip")
"""Everything but ``sd15clip``, whose full-size CLIP-L makes it 250 MB."""

WEIGHT_GAIN = 0.6
"""Standard deviation of a weight is WEIGHT_GAIN / sqrt(fan-in)."""

SD15_LATENT_SCALE = 0.18215
FLUX_LATENT_SCALE = 1.5305


def use_host(host: Path) -> None:
    """Make the host importable. Its option parser reads sys.argv, so ours is replaced."""
    sys.argv = [sys.argv[0], "--cpu"]
    sys.path.insert(0, str(host))
    from comfy import options

    options.enable_args_parsing()


def random_weights(
    module: torch.nn.Module, generator: torch.Generator, gain: float = WEIGHT_GAIN
) -> StateDict:
    """Return weights that keep activations finite in half precision, in the layout of ``module``."""
    return {
        key: _random_like(key, tensor, generator, gain).half()
        for key, tensor in module.state_dict().items()
    }


def _random_like(
    key: str, tensor: torch.Tensor, generator: torch.Generator, gain: float
) -> torch.Tensor:
    noise = torch.randn(tensor.shape, generator=generator)
    if tensor.ndim >= 2:
        fan_in = tensor[0].numel() if tensor.shape[0] > 1 else tensor.numel()
        return noise * (gain / math.sqrt(max(1, fan_in)))
    if key.endswith(("weight", "scale", "gamma")):
        return torch.ones(tensor.shape)
    return noise * 0.02


def _prefixed(prefix: str, weights: StateDict) -> StateDict:
    return {prefix + key: tensor for key, tensor in weights.items()}


def _taesd(generator: torch.Generator, channels: int, scale: float) -> StateDict:
    from comfy.taesd.taesd import TAESD

    weights = random_weights(TAESD(latent_channels=channels), generator, gain=0.9)
    return weights | {"vae_scale": torch.tensor(scale), "vae_shift": torch.tensor(0.0)}


def _unet(generator: torch.Generator) -> StateDict:
    """Build one level of the SD 1.5 UNet: detection looks at widths and context, not at depth."""
    from comfy import ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    unet = UNetModel(
        image_size=32,
        in_channels=4,
        out_channels=4,
        model_channels=320,
        context_dim=768,
        num_heads=8,
        num_head_channels=-1,
        num_res_blocks=[1],
        channel_mult=[1],
        transformer_depth=[1],
        transformer_depth_output=[1, 0],
        transformer_depth_middle=-2,
        use_spatial_transformer=True,
        use_linear_in_transformer=False,
        legacy=False,
        operations=ops.disable_weight_init,
        dtype=torch.float32,
    )
    return random_weights(unet, generator)


def build_sd15(generator: torch.Generator) -> StateDict:
    return _prefixed("model.diffusion_model.", _unet(generator)) | _prefixed(
        "first_stage_model.", _taesd(generator, 4, SD15_LATENT_SCALE)
    )


def build_sd15clip(generator: torch.Generator) -> StateDict:
    """Build the same parts as ``sd15`` plus a CLIP-L, whose size the host fixes."""
    import comfy
    from comfy import ops
    from comfy.clip_model import CLIPTextModel

    config = json.loads((Path(comfy.__path__[0]) / "sd1_clip_config.json").read_text())
    text_model = CLIPTextModel(config, torch.float32, "cpu", ops.disable_weight_init)
    return build_sd15(generator) | _prefixed(
        "cond_stage_model.transformer.", random_weights(text_model, generator, gain=0.7)
    )


def build_sd3(generator: torch.Generator) -> StateDict:
    from comfy import ops
    from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT

    depth = 2
    context_embedder = {
        "target": "torch.nn.Linear",
        "params": {"in_features": 4096, "out_features": depth * 64},
    }
    model = MMDiT(
        input_size=None,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        depth=depth,
        adm_in_channels=2048,
        num_patches=64 * 64,
        pos_embed_max_size=64,
        qk_norm="rms",
        context_embedder_config=context_embedder,
        device="cpu",
        operations=ops.disable_weight_init,
        dtype=torch.float32,
    )
    return random_weights(model, generator)


def build_flux(generator: torch.Generator) -> StateDict:
    from comfy import ops
    from comfy.ldm.flux.model import Flux

    model = Flux(
        image_model="flux",
        in_channels=16,
        out_channels=16,
        vec_in_dim=768,
        context_in_dim=4096,
        hidden_size=128,
        mlp_ratio=4.0,
        num_heads=1,
        depth=1,
        depth_single_blocks=2,
        axes_dim=[16, 56, 56],
        theta=10000,
        patch_size=2,
        qkv_bias=True,
        guidance_embed=True,
        txt_ids_dims=[],
        device="cpu",
        operations=ops.disable_weight_init,
        dtype=torch.float32,
    )
    return random_weights(model, generator)


def build_wan(generator: torch.Generator) -> StateDict:
    from comfy import ops
    from comfy.ldm.wan.model import WanModel

    model = WanModel(
        model_type="t2v",
        in_dim=16,
        out_dim=16,
        dim=128,
        ffn_dim=256,
        freq_dim=256,
        text_dim=4096,
        num_heads=1,
        num_layers=2,
        device="cpu",
        operations=ops.disable_weight_init,
        dtype=torch.float32,
    )
    return random_weights(model, generator)


def build_taesd(generator: torch.Generator) -> StateDict:
    return _taesd(generator, 4, SD15_LATENT_SCALE)


def build_taesd16(generator: torch.Generator) -> StateDict:
    return _taesd(generator, 16, FLUX_LATENT_SCALE)


def build_wan_vae(generator: torch.Generator) -> StateDict:
    from comfy.ldm.wan.vae import WanVAE

    vae = WanVAE(
        dim=8,
        z_dim=16,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=2,
        attn_scales=[],
        temperal_downsample=[False, True, True],  # the host's own spelling
    )
    return random_weights(vae, generator)


BUILDERS: dict[str, Callable[[torch.Generator], StateDict]] = {
    "sd15": build_sd15,
    "sd15clip": build_sd15clip,
    "sd3": build_sd3,
    "flux": build_flux,
    "wan": build_wan,
    "taesd": build_taesd,
    "taesd16": build_taesd16,
    "wan_vae": build_wan_vae,
}


def write_model(name: str, models: Path) -> Path:
    """Build one model and move it into place in one step, so that a reader never sees half."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    with torch.no_grad():
        weights = BUILDERS[name](generator)
    target = models / MODEL_FILES[name]
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    save_file({key: tensor.contiguous() for key, tensor in weights.items()}, unfinished)
    return unfinished.replace(target)


def main(host: str, models: str, *names: str) -> None:
    use_host(Path(host))
    for name in names or DEFAULT_NAMES:
        path = write_model(name, Path(models))
        print(f"{path.stat().st_size / 1e6:7.2f} MB  {path}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
