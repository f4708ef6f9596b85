"""``python -m benchmarks.bulk``: a table of a library, by a plain pool of processes and by Ray.

The contenders look at the same files with the same function, hashes and all, one after the other in each round.
Times are medians, from the start of the processes to the end of the last file. The files are hard links to a few,
so they come from memory, and what is measured is the work and not the disk. Ray is left out if it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch

from harness.samples import pair, write
from lora_core.bulk import Listing, list_library
from lora_core.bulk.files import Input, find_inputs
from lora_core.bulk.look import look
from lora_core.bulk.pool import cores, each

DIFFERENT = 32
"""How many files differ; the others are hard links to these."""

LOOK = partial(look, True)


def make_library(folder: Path, count: int, layers: int) -> None:
    """Writes ``count`` LoRAs of ``layers`` layers into a hundred folders."""
    for number in range(count):
        own = folder / f"{number % 100:02}"
        own.mkdir(parents=True, exist_ok=True)
        path = own / f"{number}.safetensors"
        if number < DIFFERENT:
            names = (f"lora_unet_mid_block_attentions_{n}_proj_in" for n in range(layers))
            tensors = {
                key: tensor
                for seed, name in enumerate(names)
                for key, tensor in pair(name, 64, 64, seed=number + seed, alpha=2.0).items()
            }
            write(path, tensors, {"ss_network_module": "networks.lora", "number": str(number)})
        else:
            shared = number % DIFFERENT
            os.link(folder / f"{shared % 100:02}" / f"{shared}.safetensors", path)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took, in seconds, in seconds of all processors, and in MiB of all its processes at its end."""

    seconds: float
    cpu_s: float
    mib: float


def used() -> tuple[float, float]:
    """Returns the processor seconds and the MiB of this process and all that come from it, by Linux's /proc.

    Unlike the time on the wall, the former means something on a busy machine, too.
    """
    ticks, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[folder.name] = fields[1]
            ticks[folder.name] = sum(map(int, fields[11:15]))  # with those of its dead children
    ours = [str(os.getpid())]
    for pid in ours:
        ours += [child for child, parent in parents.items() if parent == pid]
    return sum(ticks[pid] for pid in ours) / os.sysconf("SC_CLK_TCK"), sum(map(_mib, ours))


def _mib(pid: str) -> float:
    with suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.partition("\nPss:")[2].split()[0]) / 1024
    return 0.0


def by_pool(files: Sequence[Input], workers: int) -> tuple[float, float]:
    left = len(files)
    for _ in each(LOOK, files, workers):
        left -= 1
        if not left:
            return used()
    raise RuntimeError("files were lost")


def by_ray(batch: int, files: Sequence[Input], workers: int) -> tuple[float, float]:
    """Ray's tasks, each for ``batch`` files, and as many waiting as the pool has."""
    import ray

    os.environ["PYTHONPATH"] = str(Path.cwd())
    with tempfile.TemporaryDirectory(prefix="ray") as own:
        ray.init(
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=256 << 20,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=own,
        )
        try:
            task = ray.remote(look_at)
            waiting: list[object] = []
            for first in range(0, len(files), batch):
                if len(waiting) >= 4 * workers:
                    (done,), waiting = ray.wait(waiting, num_returns=1)
                    ray.get(done)
                waiting.append(task.remote(files[first : first + batch]))
            ray.get(waiting)
            return used()
        finally:
            ray.shutdown()


def look_at(files: Sequence[Input]) -> list[object]:
    torch.set_num_threads(1)
    return [LOOK(file) for file in files]


Run = Callable[[Sequence[Input]], tuple[float, float]]


def contenders(workers: int) -> dict[str, Run]:
    found: dict[str, Run] = {
        "in this process": partial(by_pool, workers=1),
        f"pool, {workers} processes": partial(by_pool, workers=workers),
    }
    if importlib.util.find_spec("ray"):
        for batch in (1, 25):
            name = f"Ray, {workers} processes, {batch} a task"
            found[name] = partial(by_ray, batch, workers=workers)
    return found


def cost_of(run: Run, files: Sequence[Input]) -> Cost:
    began, (before, _) = time.perf_counter(), used()
    after, mib = run(files)
    return Cost(time.perf_counter() - began, after - before, mib)


def compete(files: Sequence[Input], workers: int, rounds: int) -> None:
    """Prints the table of the contenders; a start is a run on a few files."""
    costs: dict[str, list[tuple[Cost, Cost]]] = {}
    for _ in range(rounds):
        for name, run in contenders(workers).items():
            found = cost_of(run, files[: 4 * workers]), cost_of(run, files)
            costs.setdefault(name, []).append(found)
            print(name, *found, file=sys.stderr, flush=True)
    alone = median(whole.seconds for _, whole in costs["in this process"])
    print(
        "| by | seconds | files/s | times as fast | start, s | CPU ms/file | start, CPU s | MiB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, own in costs.items():
        took = median(whole.seconds for _, whole in own)
        start = median(start.seconds for start, _ in own)
        start_cpu = median(start.cpu_s for start, _ in own)
        cpu = median(whole.cpu_s - start.cpu_s for start, whole in own) / len(files) * 1000
        mib = max(whole.mib for _, whole in own)
        speed = f"{took:.1f} | {len(files) / took:.0f} | {alone / took:.2f}"
        print(f"| {name} | {speed} | {start:.1f} | {cpu:.2f} | {start_cpu:.1f} | {mib:.0f} |")


def list_twice(folder: Path, workers: int) -> None:
    """Prints how long the whole command takes, and once more when nothing has changed."""
    out = folder.with_name(
        "library.parquet" if importlib.util.find_spec("pyarrow") else "library.jsonl"
    )
    listing = Listing([folder], out, True, workers, "benchmark")
    for what in ("first", "again"):
        began = time.perf_counter()
        tally = list_library(listing, lambda _: None)
        took = time.perf_counter() - began
        print(
            f"{what}: {took:.1f} s, {tally.done} read, {tally.kept} kept, {out.stat().st_size} bytes"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=cores())
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "library"
        make_library(folder, options.files, options.layers)
        files = find_inputs([folder])
        size = files[0].listed.size if files[0].listed else 0
        print(f"{len(files)} files of {options.layers} layers, {size} bytes each, {cores()} cores")
        compete(files, options.workers, options.rounds)
        list_twice(folder, options.workers)


if __name__ == "__main__":
    main()
