"""Cold: the first use of files and of a model in a process, from the nodes to the model that is ready for its
first step.

``python -m benchmarks.cold WAY DEVICE FOLDER COUNT`` measures one way, and prints it as JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness.host import REPOSITORY

from . import models
from .host import start
from .host_nodes import HostChain, our_apply, our_recipe, use_folder
from .loras import matrices, write_lora
from .memory import load, warm_up
from .report import Section, Settings, Table, ms, progress, times

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

COUNTS, RANK = (1, 10), 16
DTYPE = torch.float16

WAYS: dict[str, Callable[[ModelPatcher, list[str]], ModelPatcher]] = {
    "ours": lambda base, names: our_apply(our_recipe(names), base),
    "host": lambda base, names: HostChain(names).apply(base),
}

Measured = tuple[float, float, float]
"""Seconds until the nodes are done and until the weights are patched, and seconds of all processors."""


def measure(settings: Settings) -> Section:
    folder = settings.folder / "cold"
    folder.mkdir()
    sizes = matrices(models.sd15(DTYPE))
    for number in range(max(COUNTS)):
        write_lora(folder / f"{number}.safetensors", sizes, RANK)
    rows = [_row(count, settings, folder) for count in COUNTS[: 1 if settings.quick else None]]
    note = (
        f"SD 1.5 in float16 with LoRAs of rank {RANK} on all of its {len(sizes)} matrices. Each is one new "
        "process, in turn, in which nobody has used the files or the model. *nodes*: what the nodes take. "
        "*ready*: from the nodes to the patched model. *CPU*: the same in seconds of all processors. The "
        "system has the files in its memory."
    )
    columns = ("LoRAs", *(f"{part} {who} ms" for part in PARTS for who in WAYS))
    ratios = tuple(f"{part}: ours / host" for part in PARTS)
    return Section("Cold", note, [Table("First use", "", (*columns, *ratios), rows)])


PARTS = ("nodes", "ready", "CPU")


def _row(count: int, settings: Settings, folder: Path) -> tuple[str, ...]:
    found: dict[str, list[Measured]] = {way: [] for way in WAYS}
    for number in range(settings.rounds):
        for way in [*WAYS][:: 1 if number % 2 else -1]:
            progress(f"cold: {way}, {count} LoRAs")
            found[way].append(_in_fresh_process(way, settings.device, folder, count))
    medians = [
        ms(statistics.median(measured[part] for measured in found[way]))
        for part in range(len(PARTS))
        for way in WAYS
    ]
    ratios = [times(_ratio(found["ours"], found["host"], part)) for part in range(len(PARTS))]
    return (str(count), *medians, *ratios)


def _ratio(ours: Sequence[Measured], host: Sequence[Measured], part: int) -> float:
    return statistics.median(o[part] / h[part] for o, h in zip(ours, host, strict=True))


def _in_fresh_process(way: str, device: str, folder: Path, count: int) -> Measured:
    module = [sys.executable, "-W", "ignore", "-m", "benchmarks.cold"]
    done = subprocess.run(
        [*module, way, device, folder, str(count)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    nodes, ready, processors = json.loads(done.stdout.splitlines()[-1])
    return nodes, ready, processors


@torch.inference_mode()
def main(way: str, device: str, folder: str, count: str) -> None:
    start(device)
    use_folder(Path(folder))
    names = [f"{number}.safetensors" for number in range(int(count))]
    warm_up(device)
    base = models.patcher_of(models.filled(models.sd15(DTYPE), device), device)
    begun, processors = time.perf_counter(), time.process_time()
    patched = WAYS[way](base, names)
    nodes = time.perf_counter() - begun
    load(patched)
    ready = time.perf_counter() - begun
    print(json.dumps([nodes, ready, time.process_time() - processors]))


if __name__ == "__main__":
    main(*sys.argv[1:])
