"""One large file: a LoRA of rank 128 for all of Flux, read and checked by us, against reading its bytes.

``python -m benchmarks.cold_file WAY PATH`` does it one way, and prints it as JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from harness.host import REPOSITORY

from . import models
from .loras import matrices, write_lora
from .report import Settings, Table, mb, ms, progress, times
from .usage import peak_growth

RANK: Final = 128

LARGEST_FILE: Final = 12 * 10**8
"""So much of Flux is in it: with all layers it would have 20 % more."""


def table(settings: Settings, folder: Path) -> Table:
    """Returns the medians of all ways, in turn, each in a new process."""
    path = folder / "large.safetensors"
    write_lora(path, _sizes(LARGEST_FILE // (100 if settings.quick else 1)), RANK)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(settings.rounds):
        for way in [*WAYS][:: 1 if number % 2 else -1]:
            found[way].append(_run(way, path))
            progress(f"one large file: {way}: {json.dumps(found[way][-1])}")
    rows: list[tuple[str, ...]] = []
    for way in WAYS:
        seconds, processors, memory = (
            statistics.median(measured[part] for measured in found[way])
            for part in ("seconds", "CPU", "memory")
        )
        ratio = statistics.median(
            own["seconds"] / bytes_only["seconds"]
            for own, bytes_only in zip(found[way], found["reading"], strict=True)
        )
        rows.append((way, ms(seconds), ms(processors), mb(memory), times(ratio)))
    note = (
        f"A file of {path.stat().st_size / 1e9:.2f} GB, rank {RANK}, for Flux. *reading* is Python's own "
        "`read_bytes`. *ours* is read, checked in every number, and made into modules."
    )
    columns = ("", "ms", "CPU ms", "memory MB", "/ reading")
    return Table("One large file", note, columns, rows)


def _sizes(most: int) -> dict[str, tuple[int, int]]:
    """Returns as many layers of Flux as a file of that many bytes has."""
    chosen: dict[str, tuple[int, int]] = {}
    left = most
    for key, (out, into) in matrices(models.flux(torch.float16)).items():
        left -= 2 * RANK * (out + into)
        if left < 0:
            break
        chosen[key] = (out, into)
    return chosen


def _run(way: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.cold_file", way, path],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _ours(path: Path) -> object:
    from lora_core.reading import identify, read_file

    return read_file(identify(path))


WAYS: Final[dict[str, Callable[[Path], object]]] = {"ours": _ours, "reading": Path.read_bytes}


def main(way: str, path: str) -> None:
    """Does it one way, and prints what it takes."""
    import lora_core.reading  # noqa: F401 (importing is not measured)

    found: dict[str, float] = {}

    def run() -> object:
        begun, processors = time.perf_counter(), time.process_time()
        content = WAYS[way](Path(path))
        found["seconds"] = time.perf_counter() - begun
        found["CPU"] = time.process_time() - processors
        return content

    found["memory"] = peak_growth(run, "cpu")
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
