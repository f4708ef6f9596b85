"""Cold: the first use of files in a process.

Three questions, and a new process for each number: the nodes alone, all from the queue to the sampler's first step in
a real ComfyUI, and one large file against reading it.

``python -m benchmarks.cold WAY DEVICE FOLDER COUNT`` runs the nodes alone one way, and prints it as JSON.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from harness.host import REPOSITORY

from . import cold_file, cold_queue, models
from .host import start
from .host_nodes import HostChain, our_apply, our_recipe, use_folder
from .loras import matrices, write_lora
from .memory import warm_up
from .report import Section, Settings, Table, mb, ms, progress, times
from .usage import peak_growth

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

COUNTS, LAYERS, RANK = (1, 3, 10), 720, 16

WAYS: Final[dict[str, Callable[[ModelPatcher, list[str]], ModelPatcher]]] = {
    "ours": lambda base, names: our_apply(our_recipe(names), base),
    "host": lambda base, names: HostChain(names).apply(base),
}

Measured = Mapping[str, float]
"""What one process has measured, by its name: seconds, or bytes."""

NOTE = (
    "Each number is from a new process that has used neither the files nor the model, ours and the "
    "host's in turn. The system has the files in its memory. *CPU* is in seconds of all processors. "
    "*memory* is by how much the process has grown at most; the pages of files that the host maps count, too."
)


def measure(settings: Settings) -> Section:
    """Measures all of it; about 12 minutes with 5 rounds on two quiet cores."""
    counts = COUNTS[:1] if settings.quick else COUNTS
    folder = settings.folder / "cold"
    folder.mkdir()
    tables = [
        _nodes(settings, folder, counts),
        _queue(settings, folder, counts),
        cold_file.table(settings, folder),
    ]
    return Section("Cold", NOTE, tables)


def _nodes(settings: Settings, folder: Path, counts: Sequence[int]) -> Table:
    sizes = matrices(models.sdxl(torch.float16))
    blocks = [key for key in sizes if "transformer_blocks" in key or ".proj_" in key]
    _write(folder / "nodes", {key: sizes[key] for key in blocks[:LAYERS]}, max(counts))

    def run(way: str, count: int) -> Measured:
        module = [sys.executable, "-W", "ignore", "-m", "benchmarks.cold"]
        done = subprocess.run(
            [*module, way, settings.device, folder / "nodes", str(count)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    note = (
        f"LoRAs of {LAYERS} layers and rank {RANK} on an SDXL whose weights take no time. Ours reads and checks "
        "the files here; ComfyUI maps them, and reads them while it patches."
    )
    return _table("The nodes alone", note, ("nodes", "CPU", "memory"), settings, counts, run)


def _queue(settings: Settings, folder: Path, counts: Sequence[int]) -> Table:
    sizes = matrices(models.sd15(torch.float16))
    _write(folder / "queue", sizes, max(counts))

    def run(way: str, count: int) -> Measured:
        return cold_queue.measure(way, count, folder / "queue")

    note = (
        f"SD 1.5 in float16 with LoRAs of rank {RANK} on all of its {len(sizes)} matrices, in a ComfyUI that was "
        "just started: from queueing its first prompt to the sampler's first evaluation of the model. *first step* "
        "is without the time to make the model, which is the same for both; *with the model* is all. *nodes* is "
        "until the sampler's turn, and *patching* from there. This is on the CPU."
    )
    return _table("From the queue to the first step", note, cold_queue.PARTS, settings, counts, run)


def _write(folder: Path, sizes: Mapping[str, tuple[int, int]], count: int) -> None:
    folder.mkdir()
    for number in range(count):
        write_lora(folder / f"{number}.safetensors", sizes, RANK)


def _table(
    title: str,
    note: str,
    parts: Sequence[str],
    settings: Settings,
    counts: Sequence[int],
    run: Callable[[str, int], Measured],
) -> Table:
    """Runs both ways in turn, and makes a row of each part for each number of LoRAs."""
    rows: list[tuple[str, ...]] = []
    for count in counts:
        found: dict[str, list[Measured]] = {way: [] for way in WAYS}
        for number in range(settings.rounds):
            for way in [*WAYS][:: 1 if number % 2 else -1]:
                found[way].append(run(way, count))
                progress(f"{title}: {count} LoRAs, {way}: {json.dumps(found[way][-1])}")
        rows += [(str(count), part, *_compared(found, part)) for part in parts]
    return Table(title, note, ("LoRAs", "", "ours", "host", "ours / host"), rows)


def _compared(found: Mapping[str, Sequence[Measured]], part: str) -> tuple[str, ...]:
    """Returns both medians, and the median of the rounds' ratios."""
    text = (lambda size: f"{mb(size)} MB") if part == "memory" else (lambda s: f"{ms(s)} ms")
    medians = [text(statistics.median(measured[part] for measured in found[way])) for way in WAYS]
    ratios = [o[part] / h[part] for o, h in zip(found["ours"], found["host"], strict=True)]
    return (*medians, times(statistics.median(ratios)))


@torch.inference_mode()
def main(way: str, device: str, folder: str, count: str) -> None:
    """Runs the nodes one way, and prints what it takes."""
    start(device)
    use_folder(Path(folder))
    names = [f"{number}.safetensors" for number in range(int(count))]
    warm_up(device)
    base = models.patcher_of(models.sdxl(torch.float16), "cpu")
    found: dict[str, float] = {}

    def run() -> ModelPatcher:
        begun, processors = time.perf_counter(), time.process_time()
        patched = WAYS[way](base, names)
        found["nodes"] = time.perf_counter() - begun
        found["CPU"] = time.process_time() - processors
        return patched

    gc.collect()  # what importing has left behind
    found["memory"] = peak_growth(run, "cpu")
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
