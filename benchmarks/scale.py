"""How time and memory grow with the size of the work: stacks, ranks, keys of a file, files of a library.

``python -m benchmarks.scale FOLDER ROUNDS SIZES [CASE…]`` measures everything, or some cases, and prints it as JSON. It
starts the host once, and each measurement is a fork of it, in which nobody has used the files or the models.
"""

from __future__ import annotations

import gc
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from harness.host import REPOSITORY

from .host import start
from .report import Section, Settings, Table, mb, ms, progress
from .scale_cases import CASES, Case, load_modules
from .usage import peak_growth

PEAK = "peak memory MB"
"""The row that is in bytes; all others are in seconds."""

MOST_ROUNDS = 3
"""A round takes minutes, and exponents of processor time need no more."""

NOTE = (
    "Times are milliseconds of the processors in all threads, with torch on one, in a process that has used none of "
    "the files; medians of the rounds. Waiting does not count. The system has the files in its memory. The memory is "
    "the growth at its peak. *exponent*: the slope of a line through the logarithms of all sizes and times, by "
    "least squares. 1 is proportional to the size, 0 does not depend on it. *at the end*: the slope from the "
    "second largest size to the largest one. *expected* is what the work itself grows by. Fixed costs make the "
    "exponents smaller, since they are the same at every size. Only an exponent that is clearly larger than "
    "expected is a fault."
)

Found = dict[str, float]
"""What one process has measured: seconds by step, and bytes."""


@dataclass(frozen=True)
class Clock:
    """The seconds that all processors took for each step."""

    seconds: Found = field(default_factory=dict[str, float])

    @contextmanager
    def __call__(self, step: str) -> Generator[None]:
        begun = time.process_time()
        yield
        self.seconds[step] = time.process_time() - begun


def measure(settings: Settings) -> Section:
    folder = settings.folder / "scale"
    which = "few" if settings.quick else "all"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "benchmarks.scale"),
            *(folder, str(min(settings.rounds, MOST_ROUNDS)), which),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, dict[str, list[Found]]] = json.loads(done.stdout.splitlines()[-1])
    return Section("Scale", NOTE, [_table(case, measured[case.name]) for case in CASES])


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Returns the slope of the line through the logarithms of both, by least squares.

    Values of 0 count as the smallest that can be measured.
    """
    logs = [math.log(max(value, sys.float_info.epsilon)) for value in values]
    return statistics.linear_regression([*map(math.log, sizes)], logs).slope


def _table(case: Case, measured: Mapping[str, Sequence[Found]]) -> Table:
    """Returns the table of one case, from what each process of each size has found."""
    sizes = [*map(int, measured)]
    steps = {**case.steps, PEAK: case.memory}
    rows = [
        _row(step, expected, sizes, [[each[step] for each in own] for own in measured.values()])
        for step, expected in steps.items()
    ]
    columns = ("", *(f"{size:,}" for size in sizes), "exponent", "at the end", "expected")
    return Table(case.title, case.note, columns, rows)


def _row(
    step: str, expected: float, sizes: Sequence[int], found: Sequence[Sequence[float]]
) -> tuple[str, ...]:
    medians = [*map(statistics.median, found)]
    shown = [(mb if step == PEAK else ms)(value) for value in medians]
    slopes = (exponent(sizes, medians), exponent(sizes[-2:], medians[-2:]))
    return (step, *shown, *(f"{slope:.2f}" for slope in slopes), f"{expected:g}")


def main(folder: str, rounds: str, which: str, *names: str) -> None:
    start("cpu")
    load_modules()
    gc.freeze()  # a collection in a fork would copy all of the host's objects
    found = {
        case.name: {
            size: _measured(case, Path(folder, case.name, str(size)), size, int(rounds))
            for size in (case.few if which == "few" else case.sizes)
        }
        for case in CASES
        if not names or case.name in names
    }
    print(json.dumps(found))


def _measured(case: Case, folder: Path, size: int, rounds: int) -> list[Found]:
    folder.mkdir(parents=True)
    _in_fork(lambda: case.write(folder, size) or {})
    found: list[Found] = []
    for _ in range(rounds):
        progress(f"scale: {case.name}, {size}")
        found.append(_in_fork(lambda: _once(case, folder, size)))
    return found


def _once(case: Case, folder: Path, size: int) -> Found:
    torch.set_num_threads(1)  # those that wait for each other count as work
    run, clock = case.prepare(folder, size), Clock()
    peak = peak_growth(lambda: run(clock), "cpu")
    return {**clock.seconds, PEAK: peak}


def _in_fork(work: Callable[[], Found]) -> Found:
    """Returns what ``work`` returns in a copy of this process, which has loaded modules, and nothing else."""
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(work, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError as error:
        raise RuntimeError("a measurement has failed; its error is above") from error
    finally:
        process.join()


def _send(work: Callable[[], Found], sender: Connection) -> None:
    sender.send(work())


if __name__ == "__main__":
    main(*sys.argv[1:])
