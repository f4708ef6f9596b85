"""What `lora-algebra render` costs and saves, and what it survives: ``python -m benchmarks.farm --json farm.json``.

Each part is a table: one plain queue of ComfyUI beside the farm; a ComfyUI, a worker and the driver killed in the
middle; items that fail, hang and end ComfyUI; two hosts by URL; a thousand workers that sleep; and the same rows in
random order, in the farm's order and as batches. On two quiet cores all of it takes under 15 minutes.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness import farm as made
from harness import sleepers
from harness.host import Host
from lora_render import farm
from lora_render.comfy import Place
from lora_render.engine import RayEngine
from lora_render.item import Item, Job
from lora_render.journal import Entry, Journal
from lora_render.spread import spread_jobs

from .farm_faults import faults, hosts, kills
from .farm_parts import Asked, Part, Row, plain_host, plain_hosts, the_install

MEMORY = Path("/dev/shm")  # noqa: S108
"""A file system without a disk, where it costs nothing to wait until a file is safely there."""


def main() -> None:
    """Prints the tables that the command line asks for, and writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=[*PARTS])
    parser.add_argument("--json", type=Path, help="a file for all tables")
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--inks", type=int, default=10, help="how many strengths: recipes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sleepers", type=int, default=1000)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start", flush=True)
    told: list[dict[str, Any]] = []
    for name in given.only:
        with tempfile.TemporaryDirectory(prefix="farm-", dir="/var/tmp") as folder:
            sizes = given.items, given.rounds, given.steps, given.inks
            asked = Asked(*sizes, given.workers, given.sleepers, Path(folder))
            began = time.monotonic()
            part = PARTS[name](asked)
            told.append({"part": name, "wall": time.monotonic() - began, **asdict(part)})
        show(part, told[-1]["wall"])
        if given.json:
            given.json.write_text(json.dumps(told, indent=1))


def show(part: Part, seconds: float) -> None:
    """Prints a table in Markdown."""
    names = [*part.rows[0]]
    print(f"\n### {part.title}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for row in part.rows:
        print(f"| {' | '.join(_said(row[name]) for name in names)} |")
    print(f"\n{seconds:.0f} s", flush=True)


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


# what each item costs


def sleeping(asked: Asked) -> Part:
    """The whole farm around workers that sleep, and Ray alone around the same."""
    title = "Sleeping workers: what Ray, the order and the journal cost for each item"
    return Part(title, tuple(_sleeping_rows(asked)))


def _sleeping_rows(asked: Asked) -> Iterator[Row]:
    for workers, items, seconds, size in (
        (1, 500, 0.0, 0),
        (asked.sleepers, 6 * asked.sleepers, 1.0, 0),
        (asked.sleepers, 2 * asked.sleepers, 1.0, 200_000),
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
            yield {
                "workers": workers,
                "items": items,
                "sleep, s": seconds,
                "bytes": size,
                "how": how,
                "s": took,
                "ideal s": ideal,
                "items/s": items / took,
                "overhead ms/item": 1000 * (took - ideal) / items,
                "driver's processor ms/item": 1000 * cpu / items,
            }


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


def queue(asked: Asked) -> Part:
    """All prompts in the queue of one ComfyUI, beside the farm with one and with some."""
    jobs = _jobs(asked)
    took: dict[str, list[float]] = {}
    starts: dict[str, list[float]] = {}
    for number in range(asked.rounds):
        took.setdefault("one plain queue", []).append(_plain(asked, jobs, number))
        for workers in sorted({1, asked.workers}):
            name = f"the farm, {workers} of its own"
            seconds, started = _farm_of_own(asked, jobs, workers, number)
            took.setdefault(name, []).append(seconds)
            starts.setdefault(name, []).append(started)
    plain = statistics.median(took["one plain queue"])
    rows = tuple(
        {
            "how": how,
            "s": (middle := statistics.median(all_)),
            "of the plain queue": middle / plain,
            "more than the queue, ms/item": 1000 * (middle - plain) / len(jobs),
            "start of Ray and ComfyUIs, s": statistics.median(starts.get(how, [0.0])),
        }
        for how, all_ in took.items()
    )
    return Part(f"{len(jobs)} renders, medians of {asked.rounds}", rows)


def _plain(asked: Asked, jobs: Sequence[Job], number: int) -> float:
    with plain_host(asked.folder / f"plain-{number}") as host:
        host.run(_dict(made.scene(10**6, steps=asked.steps)))  # loads the model
        clock = time.perf_counter()
        for job in jobs:
            host._post("/prompt", {"prompt": job.prompt})
        while host._get("/prompt")["exec_info"]["queue_remaining"]:
            time.sleep(0.05)
        return time.perf_counter() - clock


def _farm_of_own(
    asked: Asked, jobs: Sequence[Job], workers: int, number: int
) -> tuple[float, float]:
    folder = asked.folder / f"farm-{workers}-{number}"
    own = made.own(the_install(), made.lay_out(folder / "base"), folder / "workers")
    clock = time.perf_counter()
    places = [Place(f"w{worker}", own) for worker in range(workers)]
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
    prompts = [made.scene(10**6 + n, steps=asked.steps) for n in range(len(engine.names))]
    jobs = [made.single(made.item(seed, prompt)) for seed, prompt in enumerate(prompts)]
    with Journal(folder) as journal:
        farm.run(jobs, engine, journal, farm.Options(order="listed"))


# orders and batches


def orders(asked: Asked) -> Part:
    """The same rows three times, each in ComfyUIs of their own that are new."""
    jobs = _jobs(asked)
    random.Random(1).shuffle(jobs)
    items = [job.items[0] for job in jobs]
    rows: list[Row] = []
    pictures: dict[str, dict[int, np.ndarray]] = {}
    for name in ("random", "the farm's", "batches"):
        folders = [asked.folder / f"{name}-{number}" for number in range(asked.workers)]
        with plain_hosts(*folders) as running:
            took, patched, pictures[name] = _ordered(asked, name, items, running)
        worst = _difference(pictures["random"], pictures[name])
        first = rows[0]["s"] if rows else took
        rows.append(
            {
                "order": name,
                "s": took,
                "of random": took / first,
                "weights patched": patched,
                "largest difference, of 255": worst,
            }
        )
    title = f"{len(items)} rows, {asked.inks} recipes, {asked.workers} workers"
    return Part(title, tuple(rows))


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


def _check(summary: farm.Summary, count: int) -> None:
    if summary.done != count:
        raise SystemExit(f"only {summary.done} of {count} were rendered: {summary}")


def _dict(prompt: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(prompt))


PARTS: dict[str, Callable[[Asked], Part]] = {
    "queue": queue,
    "kills": kills,
    "faults": faults,
    "hosts": hosts,
    "sleeping": sleeping,
    "orders": orders,
}


if __name__ == "__main__":
    main()
