"""What the real page made of saved workflows; see record.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "data" / "render"
WORKFLOWS = {
    file.stem: file
    for folder in ("tests/workflows", "example_workflows", "examples/tiny")
    for file in sorted((ROOT / folder).glob("*.json"))
    if not file.name.endswith(".api.json")
}


def object_info() -> dict[str, Any]:
    """What the host says of the nodes in the recorded workflows, without what no test asks for."""
    return json.loads((FOLDER / "object_info.json").read_text(encoding="utf-8"))


def prompts() -> dict[str, Any]:
    """What the page sends for each workflow."""
    return json.loads((FOLDER / "prompts.json").read_text(encoding="utf-8"))


def computes(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """What counts of a prompt: titles are words of the page's language, unless the workflow has them."""
    return {node: (each["class_type"], each["inputs"]) for node, each in prompt.items()}
