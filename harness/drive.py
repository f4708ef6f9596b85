"""Renders jobs of harness/farm.py as a process of its own, which a test may kill: ``python -m harness.drive``.

Prints the summary as JSON at its end, and a line for each thing that happens before.
"""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Mapping
from pathlib import Path

from lora_render import farm
from lora_render.comfy import Place
from lora_render.engine import RayEngine
from lora_render.item import Job
from lora_render.journal import Entry, Journal

from . import farm as made
from .installs import OLDEST, find_host


class Printing(farm.Watch):
    """Prints what it is told."""

    def ready(self, worker: str) -> None:
        """Prints who is ready."""
        print("ready", worker, flush=True)

    def ended(self, worker: str, entry: Entry) -> None:
        """Prints which item has ended."""
        print("ended", entry.index, entry.status, worker, entry.attempts, flush=True)

    def lost(self, worker: str, reason: str, for_good: bool) -> None:
        """Prints who was lost."""
        print("lost", worker, for_good, reason.splitlines()[0], flush=True)


def jobs(count: int, troubles: Mapping[int, str]) -> list[Job]:
    """Returns ``count`` jobs of four recipes; ``troubles`` is index -> that of TKTrouble."""
    found: list[Job] = []
    for index in range(count):
        ink = 0.25 * (1 + index % 4)
        prompt = made.scene(index, ink, trouble=troubles.get(index, "none"))
        found.append(made.single(made.item(index, prompt, seed=index, ink=ink)))
    return found


def main() -> None:
    """Renders what the command line says."""
    # Who is started in the background of a shell is deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--url", action="append", default=[])
    parser.add_argument("--limit", type=float)
    parser.add_argument("--patience", type=float, default=120.0)
    parser.add_argument("--trouble", action="append", default=[], help="INDEX=KIND")
    asked = parser.parse_args()
    install = find_host(OLDEST)
    assert install
    at = asked.url or [made.own(install, asked.base, asked.out / "workers")] * asked.workers
    places = [
        Place(f"w{number}", each, asked.limit, asked.patience) for number, each in enumerate(at)
    ]
    troubles = {int(index): kind for index, _, kind in (t.partition("=") for t in asked.trouble)}
    with Journal(asked.out) as journal, RayEngine(places) as engine:
        summary = farm.run(jobs(asked.count, troubles), engine, journal, watch=Printing())
    failed = {entry.index: entry.status for entry in summary.failed}
    left = [item.index for item in summary.not_done]
    said = {"done": summary.done, "failed": failed, "not_done": left, "stopped": summary.stopped}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
