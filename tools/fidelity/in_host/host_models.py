"""ComfyUI's own models, small and without memory. Only for the host's python: it imports comfy.

A row names the class that decides which names the host's key map gets, the class of the denoiser,
and what that is built with. Widths are small and differ; what is fused, grouped or left out of a
last block is as in the real model. Stacks are as short as they can be.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import comfy.model_base
import comfy.ops
import host_images
import host_newer
import host_videos
import torch
from host_rows import HostModel


def _there(row: HostModel) -> bool:
    """Tells whether this host has the model."""
    return hasattr(comfy.model_base, row.base)


MODELS = {
    name: row
    for name, row in (host_images.MODELS | host_videos.MODELS | host_newer.MODELS).items()
    if _there(row)
}


def build(name: str) -> torch.nn.Module:
    """Returns a model as the host's key map sees one: its class, its configuration and its
    denoiser."""
    row = MODELS[name]
    path, _, inside = row.module.partition(":")
    make = getattr(importlib.import_module(f"comfy.{path}"), inside)
    denoiser = make(
        **row.options,
        dtype=torch.float32,
        device=row.device,
        operations=comfy.ops.disable_weight_init,
    )
    if row.keep is not None:
        stack, count = row.keep
        del denoiser.get_submodule(stack)[count:]
    kind = getattr(comfy.model_base, row.base)
    model = kind.__new__(kind)
    torch.nn.Module.__init__(model)
    model.diffusion_model = denoiser
    model.model_config = SimpleNamespace(unet_config=row.options)
    return model
