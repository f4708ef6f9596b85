"""LoRA Rows as a script writes them, and what the node gives for them in the real host."""

from __future__ import annotations

from typing import Any

from harness.host import Host
from harness.workflows import Graph

Row = dict[str, Any]


def row(name: object, strength: object = 1.0, **others: object) -> Row:
    return {"on": True, "name": name, "strength": strength, **others}


def saved(*rows: Row) -> dict[str, Any]:
    return {"version": 1, "rows": list(rows)}


def values(host: Host, node: str, outputs: tuple[str, ...], **inputs: object) -> dict[str, Any]:
    """What a node of ours gives, by the names of its outputs."""
    graph = Graph()
    made = graph.add(node, **inputs)
    shown = {name: graph.add("TKValue", value=[made, index]) for index, name in enumerate(outputs)}
    result = host.run(graph.prompt)
    return {name: result.report(id_) for name, id_ in shown.items()}


def rows_give(host: Host, rows: object, **inputs: object) -> dict[str, Any]:
    return values(host, "LoRARows", ("lora", "triggers", "tags"), rows=rows, **inputs)


def validation_error(host: Host, rows: object) -> str:
    graph = Graph()
    graph.add("TKValue", value=[graph.add("LoRARows", rows=rows), 0])
    result = host.run(graph.prompt, expect_error=True)
    assert result.status == "invalid"
    (said,) = result.validation_errors("LoRARows")
    return said


def names(given: dict[str, Any]) -> list[str]:
    """Of the files in the value that LoRA Rows, or another node of ours, gives."""
    return [name for name, _, _ in given["lora"]["terms"]]
