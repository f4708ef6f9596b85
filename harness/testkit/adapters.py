"""Handles a model's patches the way other packs and the host's memory manager may."""

import torch
from comfy import lora
from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter import WeightAdapterBase
from comfy_api.latest import io

from .reporting import ReportNode, report


def _patched(weight: torch.Tensor, adapter: object, **changes: object) -> torch.Tensor:
    """Returns the weight after one patch entry, with fields of the entry changed."""
    entry = {"strength": 1.0, "strength_model": 1.0, "offset": None, "function": None, **changes}
    patch = (
        entry["strength"],
        adapter,
        entry["strength_model"],
        entry["offset"],
        entry["function"],
    )
    return lora.calculate_weight([patch], weight.clone(), "key")


def _checks(weight: torch.Tensor, adapter: WeightAdapterBase) -> dict[str, float]:
    """Returns how far each way of applying the adapter is from what it should give."""
    delta = _patched(weight, adapter) - weight
    rows = weight.shape[0]
    copies = lora.prefetch_prepared_value(adapter, [0], None, None, False)
    taller = torch.cat([weight, weight])
    expected = {
        "rebuilt": (_patched(weight, copies), weight + delta),
        "half_strength": (_patched(weight, adapter, strength=0.5), weight + 0.5 * delta),
        "function": (
            _patched(weight, adapter, function=lambda change: change.flip(0)),
            weight + delta.flip(0),
        ),
        "offset": (
            _patched(taller, adapter, offset=(0, rows, rows)),
            torch.cat([weight, weight + delta]),
        ),
        "strength_model": (_patched(weight, adapter, strength_model=0.25), 0.25 * weight + delta),
    }
    return {
        name: ((found - exact).abs().max() / exact.abs().max()).item()
        for name, (found, exact) in expected.items()
    }


class TKAdapters(ReportNode):
    """The largest relative error of each way to apply the adapters of a model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKAdapters",
            category="testkit",
            is_output_node=True,
            inputs=[io.Model.Input("model")],
        )

    @classmethod
    def execute(cls, model: ModelPatcher) -> io.NodeOutput:
        weights = {key: entries[0][0] for key, entries in model.get_key_patches().items()}
        found = [
            _checks(weights[key].float(), patches[-1][1]) for key, patches in model.patches.items()
        ]
        worst = {name: max(each[name] for each in found) for name in found[0]}
        return report({"adapters": len(found), **worst})


def _append(model: ModelPatcher, key: str) -> None:
    weight = model.get_key_patches()[key][0][0]
    model.patches.setdefault(key, []).append((1.0, ("diff", (weight * 0.5,)), 1.0, None, None))


def _halve(model: ModelPatcher, key: str) -> None:
    model.patches[key] = [(0.5 * patch[0], *patch[1:]) for patch in model.patches[key]]


def _drop(model: ModelPatcher, key: str) -> None:
    del model.patches[key]


def _empty(model: ModelPatcher, key: str) -> None:
    model.patches[key] = []


HOW = {"append": _append, "halve": _halve, "drop": _drop, "empty": _empty}


class TKTamper(io.ComfyNode):
    """Changes a clone's patches behind the host's back: the model keeps its identity."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKTamper",
            category="testkit",
            inputs=[
                io.Model.Input("model"),
                io.String.Input("key"),
                io.Combo.Input("how", options=list(HOW)),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, key: str, how: str) -> io.NodeOutput:
        clone = model.clone()
        HOW[how](clone, key)
        return io.NodeOutput(clone)
