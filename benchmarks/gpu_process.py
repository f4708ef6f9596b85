"""A measurement as a process of its own: its readings as they come, and why it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Timer
from typing import IO

from harness.host import REPOSITORY

from .gpu_readings import Reading
from .report import progress

SHOWN = 4000
"""How many characters of what a failed process has said are shown."""


@dataclass
class Outcome:
    """What became of one measurement.

    Attributes:
        ended: "complete", or why it is not.
        seconds: What it took, with its start.
        notes: The notes of its tables, by their titles.
    """

    name: str
    ended: str = "it was still running"
    seconds: float = 0.0
    readings: list[Reading] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Takes one line of the process; what is neither a reading nor notes is left alone."""
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and found.keys() == {"notes"}:
                self.notes = found["notes"]
            else:
                self.readings.append(Reading.read(line))
                progress(f"{self.name}: {self.readings[-1]}")


def run(command: Sequence[str], outcome: Outcome, seconds: float, told: Callable[[], None]) -> None:
    """Runs a measurement, and kills it with all its children after ``seconds``.

    Args:
        command: The process.
        outcome: Receives the readings as they come, and how it ended.
        seconds: The time limit.
        told: Is called after each line.
    """
    begun = time.monotonic()
    over: list[bool] = []
    with tempfile.TemporaryFile("w+") as said, _started(command, said) as process:
        timer = Timer(seconds, lambda: (over.append(True), _kill(process)))
        timer.start()
        try:
            for line in process.stdout or ():
                outcome.take(line)
                told()
            code = process.wait()
        finally:
            timer.cancel()
            _kill(process)
        outcome.ended = f"stopped after {seconds:.0f} s" if over else _ending(code, said)
    outcome.seconds = time.monotonic() - begun


def _started(command: Sequence[str], said: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[str]) -> None:
    """Kills a process with all its children, such as torch's compilers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(code: int, said: IO[str]) -> str:
    """Returns how a process has ended, and shows what one that failed has said."""
    if code == 0:
        return "complete"
    said.seek(0)
    text = said.read().strip()
    print(text[-SHOWN:], file=sys.stderr)
    last = text.rpartition("\n")[2].strip()
    return last if code == 1 and last else f"ended with code {code}. {last}".strip()
