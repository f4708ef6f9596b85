"""What the farm costs, and what its order and its batches save: ``python -m benchmarks.farm``.

Three tables: sleeping workers (what Ray, the order and the journal cost for each item), one plain queue of ComfyUI
beside workers on this machine, and the same rows in random order, in the farm's order, and as batches.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness import farm as made
from harness import sleepers
from harness.host import Host
from harness.installs import OLDEST, HostInstall, find_host
from lora_render import farm
from lora_render.comfy import Place
from lora_render.engine import RayEngine
from lora_render.item import Item, Job
from lora_render.journal import Entry, Journal

Row = tuple[str, ...]

MEMORY = Path("/dev/shm")  # noqa: S108
"""A file system without a disk, where it costs nothing to wait until a file is safely there."""


@dataclass(frozen=True)
class Asked:
    """How large the measurements are."""

    items: int
    rounds: int
    steps: int
    inks: int
    workers: int
    sleepers: int
    folder: Path


def main() -> None:
    """Prints the tables that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=[*PARTS])
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--inks", type=int, default=10, help="how many strengths: recipes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sleepers", type=int, default=1000)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start", flush=True)
    for name in given.only:
        with tempfile.TemporaryDirectory(prefix="farm-", dir="/var/tmp") as folder:
            asked = Asked(
                given.items,
                given.rounds,
                given.steps,
                given.inks,
                given.workers,
                given.sleepers,
                Path(folder),
            )
            PARTS[name](asked)


def table(title: str, head: Row, rows: Iterable[Row]) -> None:
    """Prints a table in Markdown."""
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


# what each item costs


def sleeping(asked: Asked) -> None:
    """The whole farm around workers that sleep, and Ray alone around the same."""
    head = (
        "workers",
        "items",
        "sleep",
        "bytes",
        "how",
        "ideal s",
        "s",
        "items/s",
        "driver ms/item",
    )
    table("Sleeping workers", head, _sleeping_rows(asked))


def _sleeping_rows(asked: Asked) -> Iterable[Row]:
    for workers, items, seconds, size in (
        (1, 500, 0.0, 0),
        (asked.sleepers, 10 * asked.sleepers, 1.0, 0),
        (asked.sleepers, 10 * asked.sleepers, 10.0, 0),
        (asked.sleepers, 4 * asked.sleepers, 1.0, 200_000),
    ):
        for how in ("Ray alone", "the farm, journal in memory", "the farm"):
            engine = sleepers.Sleepers(workers, min(workers, 4))
            try:
                engine.wait_for_all()
                jobs = sleepers.jobs(items, seconds, size)
                clock, cpu = time.perf_counter(), time.process_time()
                if how == "Ray alone":
                    _ray_alone(engine, jobs)
                else:
                    _whole(engine, jobs, asked.folder if how == "the farm" else MEMORY)
                took, cpu = time.perf_counter() - clock, time.process_time() - cpu
            finally:
                engine.close()
            ideal = seconds * -(-items // (2 * workers))
            yield (
                *(f"{workers:,}", f"{items:,}", f"{seconds:g} s", f"{size:,}", how, f"{ideal:.1f}"),
                *(f"{took:.1f}", f"{items / took:.0f}", f"{1000 * cpu / items:.2f}"),
            )


def _whole(engine: sleepers.Sleepers, jobs: Sequence[Job], folder: Path) -> None:
    """The farm with its journal in a new folder below that one."""
    with tempfile.TemporaryDirectory(dir=folder) as out, Journal(Path(out)) as journal:
        _check(farm.run(jobs, engine, journal), len(jobs))


def _ray_alone(engine: sleepers.Sleepers, jobs: Sequence[Job]) -> None:
    """Two jobs at a time for each worker, in turn, and nothing else."""
    waiting = iter(jobs)
    engine.wait(0)
    for worker, job in zip([*range(len(engine.names))] * 2, waiting, strict=False):
        engine.submit(worker, job)
    done = 0
    while done < len(jobs):
        for event in engine.wait(1):
            done += 1
            job = next(waiting, None)
            if job is not None:
                engine.submit(event.worker, job)


# one plain queue


def queue(asked: Asked) -> None:
    """All prompts in the queue of one ComfyUI, beside the farm with some."""
    install = _install()
    jobs = _jobs(asked)
    rounds: list[dict[str, float]] = []
    for number in range(asked.rounds):
        took = {"queue": _plain(asked, install, jobs, number)}
        took["farm"], started = _farm_of_own(asked, install, jobs, number)
        rounds.append(took | {"start": started})
    ratio = statistics.median(each["farm"] / each["queue"] for each in rounds)
    rows = [tuple(f"{each[name]:.1f}" for name in ("queue", "farm", "start")) for each in rounds]
    head = ("one queue, s", f"{asked.workers} workers, s", "start of Ray and ComfyUIs, s")
    table(f"{len(jobs)} renders, medians of {asked.rounds}: ratio {ratio:.2f}", head, rows)


def _plain(asked: Asked, install: HostInstall, jobs: Sequence[Job], number: int) -> float:
    with _host(install, asked.folder / f"plain-{number}") as host:
        host.run(_dict(made.scene(10**6, steps=asked.steps)))  # loads the model
        clock = time.perf_counter()
        names = [host._post("/prompt", {"prompt": job.prompt})["prompt_id"] for job in jobs]
        while len(host._get("/history")) <= len(names):
            time.sleep(0.05)
        return time.perf_counter() - clock


def _farm_of_own(
    asked: Asked, install: HostInstall, jobs: Sequence[Job], number: int
) -> tuple[float, float]:
    folder = asked.folder / f"farm-{number}"
    own = made.own(install, made.lay_out(folder / "base"), folder / "workers")
    clock = time.perf_counter()
    places = [Place(f"w{worker}", own) for worker in range(asked.workers)]
    with RayEngine(places) as engine, Journal(folder / "out") as journal:
        _warm_up(engine, asked, folder / "warm")
        started = time.perf_counter() - clock
        summary = farm.run(jobs, engine, journal)
        _check(summary, len(jobs))
        return summary.seconds, started


def _warm_up(engine: RayEngine, asked: Asked, folder: Path) -> None:
    """Waits until all are ready, and lets each load its model."""
    while len(engine.ready) < len(engine.names):
        time.sleep(0.05)
    prompts = [made.scene(10**6 + seed, steps=asked.steps) for seed in range(asked.workers)]
    jobs = [made.single(made.item(seed, prompt)) for seed, prompt in enumerate(prompts)]
    with Journal(folder) as journal:
        farm.run(jobs, engine, journal, farm.Options(order="listed"))


# orders and batches


def orders(asked: Asked) -> None:
    """The same rows three times, each in a ComfyUI of its own that is new."""
    install = _install()
    jobs = _jobs(asked)
    random.Random(1).shuffle(jobs)
    items = [job.items[0] for job in jobs]
    rows: list[Row] = []
    pictures: dict[str, dict[int, np.ndarray]] = {}
    for name in ("random", "the farm's", "batches"):
        with ExitStack() as stack:
            hosts = [
                stack.enter_context(_host(install, asked.folder / f"{name}-{number}"))
                for number in range(asked.workers)
            ]
            took, patched, pictures[name] = _ordered(asked, name, items, hosts)
        rows.append(
            (
                name,
                f"{took:.1f}",
                f"{patched:,}",
                f"{_difference(pictures['random'], pictures[name])}",
            )
        )
    head = ("order", "s", "weights patched", "largest difference of a byte")
    title = f"{len(items)} rows, {asked.inks} recipes, {asked.workers} workers"
    table(title, head, rows)


def _ordered(
    asked: Asked, name: str, items: Sequence[Item], hosts: Sequence[Host]
) -> tuple[float, int, dict[int, np.ndarray]]:
    places = [
        Place(f"w{number}", f"http://127.0.0.1:{host.port}") for number, host in enumerate(hosts)
    ]
    with RayEngine(places) as engine, Journal(asked.folder / f"out-{name}") as journal:
        info = engine.object_info()
        for host in hosts:
            host.run(_dict(made.scene(10**6, steps=asked.steps)))
        before = sum(host.counters()["patched_weights"] for host in hosts)
        jobs = [made.single(item) for item in items]
        if name == "batches":
            from lora_render.spread import spread_jobs

            jobs = spread_jobs(sorted(items, key=lambda item: item.index), info, 8)
        options = farm.Options(order="listed" if name == "random" else "affinity")
        summary = farm.run(jobs, engine, journal, options)
        _check(summary, len(items))
        patched = sum(host.counters()["patched_weights"] for host in hosts) - before
        return summary.seconds, patched, dict(map(_picture(journal.folder), journal.entries()))


def _picture(folder: Path) -> Callable[[Entry], tuple[int, np.ndarray]]:
    def read(entry: Entry) -> tuple[int, np.ndarray]:
        image = Image.open(io.BytesIO((folder / entry.files[0].path).read_bytes()))
        return entry.index, np.asarray(image).astype(int)

    return read


def _difference(these: Mapping[int, np.ndarray], those: Mapping[int, np.ndarray]) -> int:
    return max(int(np.abs(these[index] - those[index]).max()) for index in these)


def _jobs(asked: Asked) -> list[Job]:
    """Seeds times strengths of ink, the strengths within a seed first."""
    jobs: list[Job] = []
    for index in range(asked.items):
        seed, ink = divmod(index, asked.inks)
        strength = round((1 + ink) / asked.inks, 4)
        prompt = made.scene(seed, strength, steps=asked.steps)
        jobs.append(made.single(made.item(index, prompt, seed=seed, ink=strength)))
    return jobs


def _host(install: HostInstall, folder: Path) -> Host:
    folder.mkdir(parents=True)
    host = Host(install, folder, made.TINY / "models", (), made.PACKS)
    for file in (made.TINY / "loras").iterdir():
        (host.loras_dir / file.name).symlink_to(file)
    return host


def _check(summary: farm.Summary, count: int) -> None:
    if summary.done != count:
        raise SystemExit(f"only {summary.done} of {count} were rendered: {summary}")


def _dict(prompt: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(prompt))


def _install() -> HostInstall:
    install = find_host(OLDEST)
    if install is None:
        raise SystemExit("no ComfyUI found: set COMFYUI_PATH (and COMFYUI_PYTHON)")
    return install


PARTS: dict[str, Callable[[Asked], None]] = {"sleeping": sleeping, "queue": queue, "orders": orders}


if __name__ == "__main__":
    main()
