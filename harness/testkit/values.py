"""Looks at values that no node of the host shows, and does to stacks what other packs do."""

import copy
from typing import Any

from comfy_api.latest import io

from .reporting import ReportNode, report

STACK = io.Custom("LORA_STACK")


class TKValue(ReportNode):
    """A text as it is, a stack's entries, or a recipe's fingerprint and terms."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKValue",
            category="testkit",
            is_output_node=True,
            inputs=[io.AnyType.Input("value")],
        )

    @classmethod
    def execute(cls, value: Any) -> io.NodeOutput:
        if not hasattr(value, "fingerprint"):
            return report(value)
        terms = [
            [term.file.name, str(term.strength_model), str(term.strength_clip)]
            for term in value.terms
        ]
        return report({"fingerprint": value.fingerprint, "terms": terms})


def _unpacked(stack: list[Any]) -> list[Any]:
    """Unpacks as the strictest consumers do: a fourth field would raise."""
    return [(name, model, clip) for name, model, clip in stack]


def _halved(stack: list[Any]) -> list[Any]:
    return [(name, model / 2, clip / 2) for name, model, clip in stack]


WAYS = {
    "unpacked": _unpacked,
    "deep copied": copy.deepcopy,
    "filtered": lambda stack: [entry for entry in stack if entry[0] != "None"],
    "halved": _halved,
    "as lists": lambda stack: [list(entry) for entry in stack],
    "as objects": lambda stack: [{"name": n, "strength": m, "lora": {}} for n, m, _ in stack],
    "of five fields": lambda stack: [(*entry, "all", "all") for entry in stack],
    "with nothing chosen": lambda stack: [("None", 1.0, 1.0), *stack],
    "None": lambda _: None,
    "a text": lambda _: "ink",
}


class TKStack(io.ComfyNode):
    """Another pack's node between two of LORA_STACK."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKStack",
            category="testkit",
            inputs=[
                STACK.Input("lora_stack", optional=True),
                io.Combo.Input("way", options=list(WAYS)),
            ],
            outputs=[STACK.Output()],
        )

    @classmethod
    def execute(cls, way: str, lora_stack: list[Any] | None = None) -> io.NodeOutput:
        return io.NodeOutput(WAYS[way](lora_stack))


class TKStacked(io.ComfyNode):
    """A stack of one entry, as other packs' stackers make it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKStacked",
            category="testkit",
            inputs=[
                io.String.Input("name"),
                io.Float.Input("model", default=1.0, min=-100.0, max=100.0),
                io.Float.Input("clip", default=1.0, min=-100.0, max=100.0),
            ],
            outputs=[STACK.Output()],
        )

    @classmethod
    def execute(cls, name: str, model: float, clip: float) -> io.NodeOutput:
        return io.NodeOutput([(name, model, clip)])
