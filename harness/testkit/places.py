"""Where in a layer's output a live LoRA changed something."""

from collections.abc import Callable
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy_api.latest import io

from .reporting import ReportNode, report, save_tensors

LAYERS = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)

_changed: dict[str, torch.Tensor] = {}


class TKWatchPlaces(io.ComfyNode):
    """A model that looks at each of its layers before and after the live LoRAs, when it runs first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKWatchPlaces",
            category="testkit",
            inputs=[io.Model.Input("model")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model: ModelPatcher) -> io.NodeOutput:
        _changed.clear()
        clone = model.clone()
        clone.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "testkit places", _watched)
        return io.NodeOutput(clone)


class TKPlaces(ReportNode):
    """Saves for each layer that ran which places of its output changed, to output/NAME.safetensors."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKPlaces",
            category="testkit",
            is_output_node=True,
            inputs=[io.Latent.Input("after"), io.String.Input("name")],
        )

    @classmethod
    def execute(cls, after: dict[str, Any], name: str) -> io.NodeOutput:
        del after  # only orders the nodes of a prompt
        return report({"file": save_tensors(name, _changed)})


def _watched(executor: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> torch.Tensor:
    handles: list[torch.utils.hooks.RemovableHandle] = []
    for name, layer in executor.class_obj.diffusion_model.named_modules():
        if isinstance(layer, LAYERS):
            handles += _around(name, layer)
    try:
        return executor(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()


def _around(name: str, layer: torch.nn.Module) -> list[torch.utils.hooks.RemovableHandle]:
    """Hooks before and after those that are there. A layer that runs more than once counts once."""
    base: list[torch.Tensor] = []

    def before(_layer: torch.nn.Module, _given: Any, out: torch.Tensor) -> None:
        base[:] = [out.clone()]

    def after(_layer: torch.nn.Module, _given: Any, out: torch.Tensor) -> None:
        channels = -1 if isinstance(layer, torch.nn.Linear) else 1
        _changed.setdefault(name, (out != base.pop()).any(channels))

    return [
        layer.register_forward_hook(before, prepend=True),
        layer.register_forward_hook(after),
    ]
