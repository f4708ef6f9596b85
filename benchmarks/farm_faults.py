"""What the command `lora-algebra render` survives: kills, bad items, a driver that ends while hosts run on.

The command is a process of its own, as a user starts it. What it has done is read from its journal and its manifest.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from harness import farm as made
from harness.host import REPOSITORY
from harness.installs import environment_of

from .farm_parts import Asked, Part, Row, plain_hosts, the_install

POLL_SECONDS = 0.02
LONGEST_SECONDS = 1200.0
OTHERS = 20
"""Rows that are well, beside the bad ones."""


class Rendering:
    """One table, and the command that renders it into one folder."""

    def __init__(self, folder: Path, rows: Sequence[tuple[int, float, str]], steps: int) -> None:
        self.out, self.rows = folder / "out", len(rows)
        folder.mkdir(parents=True, exist_ok=True)
        workflow, table = folder / "workflow.json", folder / "table.csv"
        workflow.write_text(json.dumps(made.scene(0, steps=steps)))
        lines = [f"{seed},{ink},{kind}" for seed, ink, kind in rows]
        table.write_text("\n".join(["KSampler.seed,#1.strength,TKTrouble.kind", *lines]))
        self._command = [sys.executable, "-m", "lora_core", "render", workflow, table]
        self._command += ["--out", self.out, "--json"]

    def own(self, folder: Path, workers: int, *more: str) -> list[str]:
        """Returns the arguments with which it starts ComfyUIs."""
        base = made.lay_out(folder / "base")
        arguments = f"--comfyui-args=--cpu --disable-api-nodes --base-directory {base}"
        return ["--workers", str(workers), "--models", str(base / "models"), arguments, *more]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts the command."""
        told = subprocess.PIPE
        return subprocess.Popen(
            [*map(str, self._command), *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **environment_of(the_install()), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=told,
            stderr=told,
            text=True,
        )

    def lines(self) -> list[dict[str, Any]]:
        """Returns the whole lines of its journal."""
        with contextlib.suppress(OSError):
            text = (self.out / "journal.jsonl").read_text()
            return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]
        return []

    def ok(self) -> int:
        """Returns how many lines say that an item is there."""
        return sum(line["status"] == "ok" for line in self.lines())

    def became(self) -> Row:
        """Returns whether the manifest has every row once, and every item a file."""
        manifest = parquet.read_table(self.out / "manifest.parquet").to_pylist()
        ended = Counter(line["key"] for line in self.lines() if line["status"] == "ok")
        files = [file["path"] for row in manifest for file in row["files"]]
        there = sum((self.out / path).is_file() for path in files)
        twice = len(manifest) - len({row["key"] for row in manifest})
        return {
            "rows": self.rows,
            "in the manifest": len(manifest),
            "files": there,
            "twice": twice + sum(count - 1 for count in ended.values()),
            "lost": self.rows - len({row["key"] for row in manifest}),
        }


def until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> float:
    """Waits for something while the command runs; returns after how many seconds it came."""
    began = time.monotonic()
    while not condition():
        if process.poll() is not None or time.monotonic() - began > LONGEST_SECONDS:
            raise SystemExit(f"it did not happen: {process.communicate()}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


# kill -9


def kills(asked: Asked) -> Part:
    """kill -9 of a ComfyUI, of a worker, and of the driver, each in the middle of a run of its own."""
    rows = [_killed(asked, what) for what in ("a ComfyUI", "a worker", "the driver")]
    return Part(f"{asked.items} rows, {asked.workers} workers, kill -9 in the middle", rows)


def _killed(asked: Asked, what: str) -> Row:
    folder = asked.folder / what.replace(" ", "-")
    todo = [(index, _ink(index, asked), "none") for index in range(asked.items)]
    rendering = Rendering(folder, todo, asked.steps)
    arguments = rendering.own(folder, asked.workers)
    began = time.monotonic()
    process = rendering.start(*arguments)
    try:
        until(process, lambda: rendering.ok() >= asked.items // 2)
        process, resumed = _kill(what, process, rendering, arguments)
        said, complaint = process.communicate(timeout=LONGEST_SECONDS)
    finally:
        process.kill()
    seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{what}: status {process.returncode}. {said} {complaint}")
    return {"killed": what, **rendering.became(), "resumed in s": resumed, "s in all": seconds}


def _kill(
    what: str, process: subprocess.Popen[str], rendering: Rendering, arguments: Sequence[str]
) -> tuple[subprocess.Popen[str], float]:
    """Kills; returns the command that goes on, and how long it took until the victim has rendered an item again."""
    before = len(rendering.lines())
    if what == "the driver":
        process.kill()
        process.communicate()
        before = len(rendering.lines())
        process = rendering.start(*arguments)
        return process, until(process, lambda: len(rendering.lines()) > before)
    victim = rendering.lines()[-1]["worker"].partition("@")[0]
    pid = made.comfyuis(rendering.out)[victim]
    os.kill(pid if what == "a ComfyUI" else made.parent(made.parent(pid)), signal.SIGKILL)

    def again() -> bool:
        """Its first two lines may be of items that were done before; it may come too late for another one."""
        if process.poll() is not None:
            return True
        new = [line["worker"].partition("@")[0] for line in rendering.lines()[before:]]
        return new.count(victim) > 2 and made.comfyuis(rendering.out).get(victim, pid) != pid

    return process, until(process, again)


def _ink(index: int, asked: Asked) -> float:
    return round((1 + index % asked.inks) / asked.inks, 4)


# bad items


def faults(asked: Asked) -> Part:
    """One item fails, one hangs, one ends ComfyUI each time; the others are rendered."""
    bad = [(5, 0.5, "raise"), (10, 0.5, "deaf"), (15, 0.5, "end")]
    well = [(100 + index, _ink(index, asked), "none") for index in range(OTHERS)]
    rendering = Rendering(asked.folder, sorted([*bad, *well]), asked.steps)
    limit = "30"
    arguments = rendering.own(asked.folder, asked.workers, "--limit", limit)
    process = rendering.start(*arguments)
    said, complaint = process.communicate(timeout=LONGEST_SECONDS)
    with contextlib.suppress(ValueError):
        told = json.loads(said)
        rows = [
            {
                "row": each["index"] + 1,
                "asked for": each["parameters"]["TKTrouble.kind"],
                "status": each["status"],
                "node": each["node"],
                "message": each["message"][:100],
            }
            for each in told["failed"]
        ]
        title = (
            f"{rendering.rows} rows, three of them bad, limit {limit} s: exit status {process.returncode}, "
            f"{told['rendered']} rendered, {len(told['failed'])} failed, {len(told['not_done'])} left"
        )
        return Part(title, rows)
    raise SystemExit(f"status {process.returncode}: {said} {complaint}")


# hosts


def hosts(asked: Asked) -> Part:
    """Two ComfyUIs that run already; the driver is killed in the middle and started again."""
    todo = [(index, _ink(index, asked), "none") for index in range(asked.items)]
    rendering = Rendering(asked.folder, todo, asked.steps)
    with plain_hosts(asked.folder / "one", asked.folder / "two") as (one, two):
        urls = [f"http://127.0.0.1:{host.port}" for host in (one, two)]
        arguments = [part for url in urls for part in ("--host", url)]
        began = time.monotonic()
        process = rendering.start(*arguments)
        until(process, lambda: rendering.ok() >= asked.items // 2)
        process.kill()
        process.communicate()
        before = len(rendering.lines())
        process = rendering.start(*arguments)
        resumed = until(process, lambda: len(rendering.lines()) > before)
        process.communicate(timeout=LONGEST_SECONDS)
        seconds = time.monotonic() - began
        prompts = [host.log().count("got prompt") for host in (one, two)]
    row = {
        "exit status": process.returncode,
        **rendering.became(),
        "prompts of each": " + ".join(map(str, prompts)),
        "prompts in all": sum(prompts),
        "resumed in s": resumed,
        "s in all": seconds,
    }
    return Part(f"{asked.items} rows, two hosts by URL, kill -9 of the driver", [row])
