"""Everything, in the host's Python: measures, and writes docs/benchmarks.md and its picture."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.host import REPOSITORY

from .host import machine, start
from .report import Section, Settings, document, progress

PARTS = (
    "patching",
    "outside",
    "nodes",
    "cold",
    "live",
    "varying",
    "regions",
    "keeping",
    "memory",
    "scale",
    "gpu",
)
PAGE, PICTURE = "benchmarks.md", "benchmarks.png"


def main(arguments: Sequence[str]) -> None:
    asked = _parsed(arguments)
    install = start(asked.device)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(asked.device, asked.rounds, asked.quick, Path(folder))
        parts = _parts(settings, asked.out, asked.all_layers)
        sections = [parts[name]() for name in asked.only]
    command = " ".join(["make bench", *([f'ARGS="{" ".join(arguments)}"'] if arguments else [])])
    page = document(machine(install, asked.device), sections, command)
    if asked.out is None:
        print(page)
        return
    (asked.out / PAGE).write_text(page, encoding="utf-8")
    progress(f"wrote {asked.out / PAGE}")


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, help="5, or 2 if quick")
    parser.add_argument("--quick", action="store_true", help="a minute: only whether it works")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--all-layers", action="store_true", help="of SDXL and Flux that fit")
    parser.add_argument("--out", type=Path, help="folder of the page; docs, or none if not all")
    asked = parser.parse_args(arguments)
    asked.rounds = asked.rounds or (2 if asked.quick else 5)
    if asked.out is None and not asked.quick and set(asked.only) == set(PARTS):
        asked.out = REPOSITORY / "docs"
    if asked.out is not None:  # before anything is measured
        asked.out.mkdir(parents=True, exist_ok=True)
    return asked


def _parts(
    settings: Settings, out: Path | None, all_layers: bool
) -> dict[str, Callable[[], Section]]:
    from . import cold, gpu, keeping, live, memory, node_side, outside, regions, scale, varying

    return {
        "patching": lambda: _patching(settings, out, all_layers),
        "outside": lambda: outside.measure(settings),
        "nodes": lambda: node_side.measure(settings),
        "cold": lambda: cold.measure(settings),
        "live": lambda: live.measure(settings),
        "varying": lambda: varying.measure(settings),
        "regions": lambda: regions.measure(settings),
        "keeping": lambda: keeping.measure(settings),
        "memory": lambda: memory.measure(settings),
        "scale": lambda: scale.measure(settings),
        "gpu": lambda: gpu.section(REPOSITORY / "docs"),
    }


def _patching(settings: Settings, out: Path | None, all_layers: bool) -> Section:
    from . import patching, plot, whole

    rows = patching.shapes(settings)
    models, notes = whole.whole_models(settings, all_layers)
    if out is not None:
        plot.draw(plot.lines(rows, models), out / PICTURE)
    return patching.section(rows, models, notes, PICTURE if out is not None else None)


if __name__ == "__main__":
    main(sys.argv[1:])
