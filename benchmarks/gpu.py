"""``python -m benchmarks.gpu``: all that is measured on a GPU, in less than eight minutes.

Each measurement is a process of its own with a time limit, so one that fails or hangs leaves the others alone.
``benchmarks_gpu.json`` is written anew with each reading, and ``benchmarks_gpu.md`` after each measurement. With
``--device cpu --quick`` it only shows that everything works.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.host import REPOSITORY
from harness.installs import HostInstall, find_host

from .gpu_process import Outcome, run
from .gpu_readings import Reading, Setting, tables
from .report import Section, progress

TOTAL_SECONDS = 450.0
PATIENCE = 10
"""How many times as long everything may take if it is only to show that it works, on any machine."""

LEAST_SECONDS = 5.0
"""With less time left, nothing more is begun."""

GRACE = 10.0
"""Seconds between the time at which a measurement ends by itself and the time at which it is killed."""

NAME = "benchmarks_gpu"

LIMITS: Mapping[str, float] = {
    "merging": 50,
    "host_merging": 60,
    "sums": 30,
    "steps": 40,
    "schedules": 30,
    "spreads": 30,
    "masks": 30,
    "compiled": 75,
    "host_live": 75,
    "chunks": 20,
    "host_varying": 60,
    "host_regions": 60,
}
"""All measurements, what matters most first, and the seconds that each may take."""

IN_HOST = "host_"
"""How the names of measurements begin that need ComfyUI; the others need only torch."""

Measure = Callable[[Setting], Iterator[Reading]]


def find(name: str) -> tuple[Measure, Mapping[str, str]]:
    """Returns a measurement, and the notes of its tables by their titles."""
    if name.startswith(IN_HOST):
        from . import gpu_host

        return gpu_host.MEASURES[name], gpu_host.NOTES
    from . import gpu_merge, gpu_steps

    module = gpu_merge if name in gpu_merge.MEASURES else gpu_steps
    return module.MEASURES[name], module.NOTES


def measure_here(name: str, setting: Setting, seconds: float, out: IO[str]) -> None:
    """Writes the notes and readings of one measurement as lines of JSON, until it or the time is at its end."""
    end = time.monotonic() + seconds
    import torch

    measure, notes = find(name)
    out.write(json.dumps({"notes": notes}) + "\n")
    with torch.inference_mode(not name.startswith(IN_HOST)):
        for reading in measure(setting):
            out.write(reading.written() + "\n")
            out.flush()
            if time.monotonic() > end:
                raise SystemExit(f"its {seconds:.0f} s were over")


@dataclass(frozen=True)
class Results:
    """All that was measured, and where it is written."""

    machine: Mapping[str, str]
    outcomes: list[Outcome]
    folder: Path

    def write_json(self) -> None:
        measurements = [
            {
                "name": own.name,
                "ended": own.ended,
                "seconds": round(own.seconds, 1),
                "readings": [{"table": r.table, "cells": dict(r.cells)} for r in own.readings],
            }
            for own in self.outcomes
        ]
        whole = {"machine": dict(self.machine), "measurements": measurements}
        _replace(self.folder / f"{NAME}.json", json.dumps(whole, indent=1, ensure_ascii=False))

    def write_page(self) -> None:
        _replace(self.folder / f"{NAME}.md", str(self))

    def __str__(self) -> str:
        facts = ["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in self.machine.items())]
        parts = ["# Benchmarks on a GPU", INTRODUCTION, "\n".join(facts)]
        for own in self.outcomes:
            parts += map(str, tables(own.readings, own.notes))
            if own.ended != "complete":
                parts.append(f"Not complete: *{own.name}*: {own.ended}.")
        return "\n\n".join(parts) + "\n"


INTRODUCTION = (
    '`make bench ARGS="--device cuda"` writes this page. Times are medians. A ratio is computed in each round, and '
    "the median is shown. Below 1, the first of the two is faster. [Benchmarks](benchmarks.md) explains the tables "
    "that were measured in ComfyUI."
)


def section(docs: Path) -> Section:
    """Returns what the page says of GPUs: where the results are, or that there are none, and how to get them."""
    known = (docs / f"{NAME}.md").exists()
    return Section("On a GPU", f"{MEASURED if known else NOT_MEASURED} {HOW}", [])


MEASURED = f"[Benchmarks on a GPU]({NAME}.md) has the results."
NOT_MEASURED = "No GPU was at hand so far, so all numbers on this page are those of a CPU."
HOW = f"""\
`make bench ARGS="--device cuda"` takes less than eight minutes, and writes `docs/{NAME}.md` and `docs/{NAME}.json`. It measures:

- merging, compared with ComfyUI's own patches and with a copy of the same weights on the GPU;
- a step with live LoRAs, a schedule, a spread and masks;
- sums in float32 compared with products in TF32 and in bfloat16, also in two or three parts, with the error of each against float64;
- torch.compile on and off.

Each measurement is a process of its own with a time limit. If one fails, the page says why, and the others go on. Results are written as
they come. What is compared with ComfyUI is left out where there is none. A computer that cannot install the test packages needs only torch,
numpy and safetensors: `python3 -m benchmarks --device cuda --out FOLDER`.

`python -m benchmarks.gpu --device cpu --quick` runs all of it on tiny sizes without a GPU. It only shows that everything works."""


def _replace(path: Path, text: str) -> None:
    """Writes a file whole, so that a run that is cut off leaves the last one."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def measure_all(asked: argparse.Namespace, install: HostInstall | None) -> Results:
    """Runs what was asked for, one measurement after the other, and writes what they give."""
    end = time.monotonic() + asked.seconds
    results = Results(_machine(install, asked.device), [], asked.out)
    asked.out.mkdir(parents=True, exist_ok=True)
    progress(f"the results are in {asked.out}")
    for name in asked.only:
        outcome = Outcome(name)
        results.outcomes.append(outcome)
        left = end - time.monotonic()
        if name.startswith(IN_HOST) and install is None:
            outcome.ended = "no ComfyUI was found (COMFYUI_PATH, COMFYUI_PYTHON)"
        elif left < LEAST_SECONDS:
            outcome.ended = f"the {asked.seconds:.0f} s for all were over"
        else:
            limit = min(LIMITS[name] * (PATIENCE if asked.quick else 1), left)
            run(_command(name, asked, limit), outcome, limit + GRACE, results.write_json)
        progress(f"{name}: {outcome.ended}")
        results.write_json()
        results.write_page()
    return results


def _command(name: str, asked: argparse.Namespace, seconds: float) -> list[str]:
    module = [sys.executable, "-W", "ignore", "-m", "benchmarks.gpu", "--one", name]
    quick = ["--quick"] if asked.quick else []
    return [*module, "--device", asked.device, "--seconds", f"{seconds:.0f}", *quick]


def _machine(install: HostInstall | None, device: str) -> dict[str, str]:
    import torch

    from .host import machine

    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"torch {torch.__version__} finds no GPU (in {sys.executable})")
    return machine(install, device)


def main(arguments: Sequence[str]) -> int:
    asked = _parsed(arguments)
    if asked.one:
        measure_here(asked.one, Setting(asked.device, asked.quick), asked.seconds, sys.stdout)
        return 0
    results = measure_all(asked, find_host())
    print(results)
    return 0 if any(outcome.readings for outcome in results.outcomes) else 1


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__)
    names = tuple(LIMITS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only whether it works")
    parser.add_argument("--only", choices=names, nargs="+", default=names)
    parser.add_argument("--seconds", type=float, help=f"{TOTAL_SECONDS:.0f}: for all together")
    parser.add_argument(
        "--out", type=Path, help="folder; docs, or a new one if not all is measured"
    )
    parser.add_argument("--one", choices=names, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    asked.seconds = asked.seconds or TOTAL_SECONDS * (PATIENCE if asked.quick else 1)
    if asked.out is None and not asked.one:
        whole = asked.device == "cuda" and not asked.quick and set(asked.only) == set(names)
        asked.out = REPOSITORY / "docs" if whole else Path(tempfile.mkdtemp())
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
