"""``python -m benchmarks.bulk``: work on many files, by a plain pool of processes and by Ray, and by our commands.

It prints a section of docs/benchmarks.md. Run it in our own environment, since the host's has no Ray; without Ray, its
rows are left out. ``--json FILE`` writes the numbers. On two quiet cores it takes about twenty minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch

from harness.samples import pair, write
from lora_core.__main__ import main as command
from lora_core.bulk.files import Input, find_inputs
from lora_core.bulk.look import look
from lora_core.bulk.pool import cores, each

from .report import Section, Table, progress

NOTE = (
    "The contenders look at the same {files:,} files of {layers} layers ({size} KB each) with the same function, hashes and "
    "all, one after the other in each of {rounds} rounds. Times are medians, from the start of the processes to the end of the "
    "last file. The files are hard links to a few, so they come from memory, and what is measured is the work and not the disk. "
    "*CPU* is the time of all processors in all processes; that to start is of a run on a few files, and is not part of "
    "what a file takes. The memory is that of all processes at their end."
)
COMMANDS_NOTE = (
    "Each command with {workers} processes, on {files:,} of the files, from start to end, and the same command once more when "
    "nothing is left to do. New files are written to the disk for good, one by one."
)

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
        "one process, ours": partial(by_pool, workers=1),
        f"{workers} processes, pool": partial(by_pool, workers=workers),
    }
    if importlib.util.find_spec("ray"):
        found["one process, Ray, 25 a task"] = partial(by_ray, 25, workers=1)
        for batch in (1, 25):
            name = f"{workers} processes, Ray, {batch} a task"
            found[name] = partial(by_ray, batch, workers=workers)
    return found


def cost_of(run: Run, files: Sequence[Input]) -> Cost:
    began, (before, _) = time.perf_counter(), used()
    after, mib = run(files)
    return Cost(time.perf_counter() - began, after - before, mib)


Costs = dict[str, list[tuple[Cost, Cost]]]
"""What the start and the whole of each round took, by contender."""


def compete(files: Sequence[Input], workers: int, rounds: int) -> Costs:
    """Runs all contenders in turn; a start is a run on a few files."""
    costs: Costs = {}
    for number in range(rounds):
        for name, run in contenders(workers).items():
            progress(f"round {number + 1}: {name}")
            found = cost_of(run, files[: 4 * workers]), cost_of(run, files)
            costs.setdefault(name, []).append(found)
            progress(f"{found[1].seconds:.1f} s, {found[1].cpu_s:.1f} s of all processors")
    return costs


def table_of(costs: Costs, count: int, note: str) -> Table:
    """Returns the table of the contenders."""
    columns = ("by", "s", "files/s", "times as fast", "CPU ms/file", "start s", "start CPU s", "MB")
    alone = median(whole.seconds for _, whole in next(iter(costs.values())))
    rows: list[Sequence[str]] = []
    for name, own in costs.items():
        took = median(whole.seconds for _, whole in own)
        start = median(start.seconds for start, _ in own)
        start_cpu = median(start.cpu_s for start, _ in own)
        cpu = median(whole.cpu_s - start.cpu_s for start, whole in own) / count * 1000
        mib = max(whole.mib for _, whole in own)
        speed = (f"{took:.1f}", f"{count / took:.0f}", f"{alone / took:.2f}", f"{cpu:.2f}")
        rows.append((name, *speed, f"{start:.1f}", f"{start_cpu:.1f}", f"{mib:.0f}"))
    return Table("By pool and by Ray", note, columns, rows)


def commands(out: Path) -> dict[str, list[str]]:
    """Returns our commands by what they are called in the table."""
    ending = "parquet" if importlib.util.find_spec("pyarrow") else "jsonl"
    return {
        "inspect": ["--out", str(out.with_suffix(f".{ending}"))],
        "convert": ["--dtype", "float16", "--out-dir", str(out)],
        "resize": ["--rank", "2", "--out-dir", str(out)],
        "analyse": ["--out-dir", str(out)],
    }


def use(folder: Path, count: int, workers: int) -> Table:
    """Runs each of our commands twice, and returns their table."""
    rows: list[Sequence[str]] = []
    for verb, more in commands(folder.with_name("made")).items():
        took: list[float] = []
        for again in ("", ", again"):
            progress(f"{verb}{again}")
            began = time.perf_counter()
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123
                status = command([verb, str(folder), *more, "--json", "--workers", str(workers)])
            took.append(time.perf_counter() - began)
            if status:
                raise RuntimeError(f"{verb} has ended with {status}")
        shutil.rmtree(folder.with_name("made"), ignore_errors=True)
        rows.append((f"`{verb}`", f"{took[0]:.1f}", f"{count / took[0]:.0f}", f"{took[1]:.1f}"))
    note = COMMANDS_NOTE.format(workers=workers, files=count)
    return Table("By command", note, ("command", "s", "files/s", "again s"), rows)


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder, some = Path(temporary) / "library", Path(temporary) / "some"
        make_library(folder, options.files, options.layers)
        make_library(some, options.made, options.layers)
        files = find_inputs([folder])
        size = files[0].listed.size if files[0].listed else 0
        told = {"files": len(files), "layers": options.layers, "rounds": options.rounds}
        costs = compete(files, options.workers, options.rounds)
        tables = [
            table_of(costs, len(files), NOTE.format(**told, size=round(size / 1000))),
            use(some, options.made, options.workers),
        ]
    print(Section("Many files", f"`python -m benchmarks.bulk`, {cores()} cores.", tables))
    if options.json:
        plain = {name: [[*map(asdict, both)] for both in own] for name, own in costs.items()}
        text = json.dumps({**told, "costs": plain, "commands": tables[1].rows})
        options.json.write_text(text, encoding="utf-8")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--made", type=int, default=10_000, help="for how many our commands run")
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
