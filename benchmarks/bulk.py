"""``python -m benchmarks.bulk``: a table of a library, by a plain pool of processes and by Ray.

The contenders look at the same files with the same function, hashes and all, one after the other in each round.
Times are medians, from the start of the processes to the end of the last file. The files are hard links to a few,
so they come from memory, and what is measured is the work and not the disk. Ray is left out if it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
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


def by_pool(files: Sequence[Input], workers: int) -> int:
    return sum(1 for _ in each(LOOK, files, workers))


def by_ray(batch: int, files: Sequence[Input], workers: int) -> int:
    """Ray's tasks, each for ``batch`` files, and as many waiting as the pool has."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
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
            found = 0
            for first in range(0, len(files), batch):
                if len(waiting) >= 4 * workers:
                    (done,), waiting = ray.wait(waiting, num_returns=1)
                    found += len(ray.get(done))
                waiting.append(task.remote(files[first : first + batch]))
            return found + sum(map(len, ray.get(waiting)))
        finally:
            ray.shutdown()


def look_at(files: Sequence[Input]) -> list[object]:
    torch.set_num_threads(1)
    return [LOOK(file) for file in files]


def contenders(workers: int) -> dict[str, Callable[[Sequence[Input]], int]]:
    found: dict[str, Callable[[Sequence[Input]], int]] = {
        "in this process": partial(by_pool, workers=1),
        f"pool, {workers} processes": partial(by_pool, workers=workers),
    }
    if importlib.util.find_spec("ray"):
        for batch in (1, 25):
            name = f"Ray, {workers} processes, {batch} a task"
            found[name] = partial(by_ray, batch, workers=workers)
    return found


def compete(files: Sequence[Input], workers: int, rounds: int) -> None:
    """Prints the table of the contenders."""
    seconds: dict[str, list[float]] = {}
    starts: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, run in contenders(workers).items():
            for times, own in ((starts, files[: 4 * workers]), (seconds, files)):
                began = time.perf_counter()
                run(own)
                times.setdefault(name, []).append(time.perf_counter() - began)
    alone = median(seconds["in this process"])
    print("| by | seconds | files/s | in this process = 1 | of which start, s |")
    print("|---|---|---|---|---|")
    for name, own in seconds.items():
        took = median(own)
        speed = f"{len(files) / took:.0f} | {alone / took:.2f}"
        print(f"| {name} | {took:.1f} | {speed} | {median(starts[name]):.1f} |", flush=True)


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
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"this process: {peak:.0f} MiB at most")


if __name__ == "__main__":
    main()
