"""What can be seen of LoRA Algebra's live path from outside: gates, hooks, and who holds what."""

import functools
import gc
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import torch
from comfy import model_base, model_management
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from .reporting import ReportNode, report, token

MOST_CALLS = 10_000

_calls: deque[dict[str, Any]] = deque(maxlen=MOST_CALLS)


def taken_calls() -> list[dict[str, Any]]:
    """Returns the latest evaluations of models, and forgets them.

    For each: the noise level, how many conditionings it is for, and for each of our stacks the
    strength of its first column for each image (one if they are alike, null if the gate is closed),
    with the noise level that the host has at a progress of the first of these strengths, and
    whether a gate was open before the call.
    """
    taken = list(_calls)
    _calls.clear()
    return taken


def record_model_calls() -> None:
    """Looks at the gates when a model computes, within all wrappers."""
    original, outer = model_base.BaseModel._apply_model, model_base.BaseModel.apply_model
    open_before: list[bool] = []

    @functools.wraps(outer)
    def entered(model: Any, *args: Any, **kwargs: Any) -> Any:
        open_before[:] = [gate.rows is not None for gate, _ in _mounts(model)]
        return outer(model, *args, **kwargs)

    @functools.wraps(original)
    def recording(model: Any, x: torch.Tensor, t: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        options = args[3] if len(args) > 3 else kwargs.get("transformer_options", {})
        stacks = [_strengths(*mount) for mount in _mounts(model)]
        _calls.append(
            {
                "sigma": float(t.flatten()[0]),
                "chunks": len(options.get("cond_or_uncond", (0,))),
                "images": len(x),
                "stacks": stacks,
                "open_before": any(open_before),
                "sigma_at": [_sigma_at(model, each[0]) for each in stacks if each],
            }
        )
        return original(model, x, t, *args, **kwargs)

    model_base.BaseModel.apply_model = entered
    model_base.BaseModel._apply_model = recording


def _mounts(model: Any) -> Iterator[tuple[Any, Any]]:
    """Yields (gate, stack) of everything of ours next to a model."""
    patcher = model.current_patcher
    for injections in patcher.injections.values() if patcher else ():
        beside = getattr(injections[0].inject, "__self__", None)
        if type(beside).__name__ == "LiveStack":
            place = beside._attached.get(model)
            if place and place.handles:
                yield place.gate, beside.stack


def _strengths(gate: Any, stack: Any) -> list[float] | None:
    if gate.rows is None:
        return None
    rows = gate.rows.sum(1) if gate.rows.ndim > 2 else gate.rows  # of all masks together
    return (rows[:, 0].double() / float(stack._scales[0])).tolist()


def _sigma_at(model: Any, progress: float) -> float:
    """Returns a noise level; at the very ends the host answers with numbers that no sampler uses."""
    inside = min(max(progress, 1e-6), 1 - 1e-6)
    return float(model.model_sampling.percent_to_sigma(inside))


def _is_replaced(module: torch.nn.Module) -> bool:
    """Tells whether the host's bypass left a forward on a module."""
    return getattr(module.forward, "__self__", module) is not module


def _is_live(module: str) -> bool:
    return module.endswith(
        (
            ".lora_core.applying.live",
            ".lora_core.applying.branches",
            ".nodes.host.live",
            ".nodes.host.live_stack",
        )
    )


class TKGates(ReportNode):
    """What is left of the live path on a model and in the process."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKGates",
            category="testkit",
            is_output_node=True,
            inputs=[
                io.Model.Input("model", optional=True),
                io.AnyType.Input("after", optional=True, tooltip="run after this"),
            ],
        )

    @classmethod
    def execute(cls, model: ModelPatcher | None = None, after: object = None) -> io.NodeOutput:
        del after  # only orders the nodes of a prompt
        gc.collect()
        objects = [thing for thing in gc.get_objects() if _is_live(str(type(thing).__module__))]
        modules = list(model.model.modules()) if model else []
        loaded = [known.model for known in model_management.current_loaded_models]
        beside = [m for models in model.additional_models.values() for m in models] if model else []
        return report(
            {
                "beside": [token(patcher.model) for patcher in beside],
                "hooks": sum(len(module._forward_hooks) for module in modules),
                "replaced_forwards": sum(map(_is_replaced, modules)),
                "injected": bool(model and model.is_injected),
                "alive": Counter(type(thing).__name__ for thing in objects),
                "open": sum(type(t).__name__ == "Gate" and t.rows is not None for t in objects),
                "loaded": [type(patcher.model).__name__ for patcher in loaded if patcher],
            }
        )


class TKDeepClone(io.ComfyNode):
    """Returns the model as the host copies it for another device."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKDeepClone",
            category="testkit",
            inputs=[io.Model.Input("model")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model: ModelPatcher) -> io.NodeOutput:
        return io.NodeOutput(model.deepclone_multigpu(new_load_device=torch.device("cpu")))


class TKTiles(io.ComfyNode):
    """A model that is evaluated in two tiles, as packs for large pictures do."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKTiles",
            category="testkit",
            inputs=[io.Model.Input("model")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model: Any) -> io.NodeOutput:
        def in_tiles(apply_model: Any, given: Any) -> torch.Tensor:
            tiles = given["input"].chunk(2, -1)
            return torch.cat([apply_model(t, given["timestep"], **given["c"]) for t in tiles], -1)

        clone = model.clone()
        clone.set_model_unet_function_wrapper(in_tiles)
        return io.NodeOutput(clone)


class TKShortOfMemory(io.ComfyNode):
    """A model of which the host believes that memory holds one conditioning at a time."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKShortOfMemory",
            category="testkit",
            inputs=[io.Model.Input("model")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model: ModelPatcher) -> io.NodeOutput:
        clone = model.clone()
        clone.add_object_patch("memory_usage_factor", 1e12)
        return io.NodeOutput(clone)
