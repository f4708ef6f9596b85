"""Models of the host with weights that mean nothing: real classes, real shapes, nothing downloaded."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from harness.host import ensure_models
from harness.installs import find_host
from harness.tiny_models import MODEL_FILES
from harness.workflows import KINDS

if TYPE_CHECKING:
    from comfy.model_base import BaseModel
    from comfy.model_patcher import ModelPatcher

META = "meta"
PATTERN = 1 << 20
"""Random numbers that are repeated over a whole model: drawing billions would take minutes."""


def tiny(kind: str) -> ModelPatcher:
    """Loads one of the tests' tiny real models."""
    from comfy import sd

    install = find_host()
    assert install is not None  # noqa: S101 (the benchmarks run in it)
    path = str(ensure_models(install, {kind: MODEL_FILES[kind]}) / MODEL_FILES[kind])
    if KINDS[kind].vae:
        return sd.load_diffusion_model(path)
    return sd.load_checkpoint_guess_config(path, output_vae=False, output_clip=False)[0]


class Layers(torch.nn.Module):
    """Layers of one size in a row, as in a transformer without its attention."""

    def __init__(
        self,
        *,
        out: int,
        into: int,
        count: int,
        operations: Any,
        dtype: torch.dtype,
        device: str | None = None,
        **_others: object,
    ) -> None:
        super().__init__()
        self.dtype = dtype
        self.layers = torch.nn.ModuleList(
            operations.Linear(into, out, bias=False, dtype=dtype, device=device)
            for _ in range(count)
        )

    def forward(self, x: torch.Tensor, *_args: object, **_others: object) -> torch.Tensor:
        """Same shape as ``x``, (images, tokens, width)."""
        for layer in self.layers:
            x = x + layer(functional.layer_norm(x, x.shape[-1:]))
        return x


def layers(out: int, into: int, count: int, dtype: torch.dtype, device: str) -> BaseModel:
    """Returns a model of ``count`` weights (out, into)."""
    from comfy.model_base import BaseModel
    from comfy.supported_models_base import BASE

    config = BASE({"dtype": dtype, "out": out, "into": into, "count": count, "in_channels": 4})
    return filled(BaseModel(config, device=META, unet_model=Layers), device)


def sd15(dtype: torch.dtype) -> BaseModel:
    """Returns the whole UNet, without weights."""
    from comfy.supported_models import SD15

    depth = {"transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1}
    own = {"context_dim": 768, "use_linear_in_transformer": False, "adm_in_channels": None}
    output = {"transformer_depth_output": [1] * 9 + [0] * 3}
    unet = _unet([1, 2, 4, 4], dtype) | depth | output | own
    return SD15(unet).get_model({}, device=META)


def sdxl(dtype: torch.dtype) -> BaseModel:
    """Returns the whole UNet, without weights."""
    from comfy.supported_models import SDXL

    depth = {"transformer_depth": [0, 0, 2, 2, 10, 10], "transformer_depth_middle": 10}
    output = {"transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10]}
    own = {"context_dim": 2048, "use_linear_in_transformer": True, "adm_in_channels": 2816}
    unet = _unet([1, 2, 4], dtype) | depth | output | own | {"num_classes": "sequential"}
    return SDXL(unet).get_model({}, device=META)


def flux(dtype: torch.dtype) -> BaseModel:
    """Returns Flux.1, without weights."""
    from comfy.supported_models import Flux

    config = {
        "image_model": "flux",
        "in_channels": 16,
        "out_channels": 16,
        "vec_in_dim": 768,
        "context_in_dim": 4096,
        "hidden_size": 3072,
        "mlp_ratio": 4.0,
        "num_heads": 24,
        "depth": 19,
        "depth_single_blocks": 38,
        "axes_dim": [16, 56, 56],
        "theta": 10000,
        "patch_size": 2,
        "qkv_bias": True,
        "guidance_embed": True,
        "txt_ids_dims": [],
        "dtype": dtype,
    }
    return Flux(config).get_model({}, device=META)


Architecture = Callable[[torch.dtype], "BaseModel"]


def filled(model: BaseModel, device: str, keys: Container[str] | None = None) -> BaseModel:
    """Gives a model that was made on the meta device its weights.

    Args:
        model: Changed in place, and returned.
        device: Where it is to be.
        keys: Which weights get numbers and memory of their own; all others are a single zero, seen
            in their shape. None for all.
    """
    pattern = (torch.randn(PATTERN) * 0.02).to(device)
    for path, module in model.named_modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            own = keys is None or f"{path}.{name}" in keys
            value = _repeated(pattern, weight) if own else _zeros(weight, device)
            setattr(module, name, torch.nn.Parameter(value, requires_grad=False))
    return model


def _repeated(pattern: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    flat = torch.empty(like.numel(), dtype=like.dtype, device=pattern.device)
    whole = len(flat) // PATTERN * PATTERN
    flat[:whole].view(-1, PATTERN).copy_(pattern)
    flat[whole:].copy_(pattern[: len(flat) - whole])
    return flat.view(like.shape)


def _zeros(like: torch.Tensor, device: str) -> torch.Tensor:
    return torch.zeros((), dtype=like.dtype, device=device).expand(like.shape)


def patcher_of(model: BaseModel, device: str) -> ModelPatcher:
    """Returns the host's patcher of a model that stays on its device, so that no transfer is
    measured."""
    from comfy.model_management import get_torch_device
    from comfy.model_patcher import ModelPatcher

    where = get_torch_device() if device == "cuda" else torch.device(device)
    return ModelPatcher(model, load_device=where, offload_device=where)


def _unet(multiples: list[int], dtype: torch.dtype) -> dict[str, Any]:
    return {
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 320,
        "num_res_blocks": [2] * len(multiples),
        "channel_mult": multiples,
        "use_spatial_transformer": True,
        "use_temporal_attention": False,
        "legacy": False,
        "dtype": dtype,
    }
