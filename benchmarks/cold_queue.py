"""From the queue to the first step: one prompt in a real ComfyUI that was just started."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.host import PACKS, REPOSITORY, Host, Prompt
from harness.installs import find_host
from harness.workflows import Graph, host_loras, stacked_loras

from .host_nodes import STRENGTH

PARTS: Final = ("first step", "nodes", "patching", "with the model", "CPU", "memory")

PACK: Final = {"cold": REPOSITORY / "benchmarks" / "cold_pack"}


def measure(way: str, count: int, loras: Path) -> Mapping[str, float]:
    """Returns the ``PARTS`` of one prompt: seconds, and bytes.

    Args:
        way: "ours" or "host".
        count: How many LoRAs.
        loras: The folder that has them, as 0.safetensors and so on.
    """
    install = find_host()
    if install is None:
        raise RuntimeError("no ComfyUI found")
    with tempfile.TemporaryDirectory(prefix="cold-") as folder:
        (Path(folder) / "models").mkdir()
        host = Host(
            install, Path(folder) / "host", Path(folder) / "models", packs={**PACKS, **PACK}
        )
        for number in range(count):
            name = f"{number}.safetensors"
            (host.loras_dir / name).symlink_to(loras / name)
        with host:
            queued = time.time()
            result = host.run(_prompt(way, count))
    if result.status != "success":
        raise RuntimeError(result.error)
    return _parts(queued, json.loads(result.outputs["ColdFirstStep"]["text"][0]))


def _prompt(way: str, count: int) -> Prompt:
    graph = Graph()
    names = [(f"{number}.safetensors", STRENGTH) for number in range(count)]
    chain = stacked_loras(*names) if way == "ours" else host_loras(*names)
    model, _ = chain(graph, [graph.add("ColdModel"), 0], None)
    graph.add("ColdFirstStep", model=model)
    return graph.prompt


def _parts(queued: float, noted: Mapping[str, float]) -> dict[str, float]:
    model = noted["made"] - noted["begun"]
    return {
        "first step": noted["first"] - queued - model,
        "nodes": noted["nodes"] - queued - model,
        "patching": noted["first"] - noted["nodes"],
        "with the model": noted["first"] - queued,
        "CPU": noted["spent"] - noted["processors"],
        "memory": noted["then VmHWM"] - noted["VmRSS"],
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
