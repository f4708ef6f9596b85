"""What a measurement gives: readings, one for each case, and the tables that they make."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .report import Table, ms, times
from .timing import Contender, Times, compete

MOST_ROUNDS = 20


@dataclass(frozen=True)
class Setting:
    """Where something is measured.

    Attributes:
        device: "cpu" or "cuda".
        quick: Whether to check only that everything works, with tiny sizes.
        seconds: How long contenders may run against each other in one case, if three rounds take no longer.
    """

    device: str
    quick: bool
    seconds: float = 2.0


@dataclass(frozen=True)
class Reading:
    """What was measured in one case.

    Attributes:
        table: The title of the table that it is a row of.
        cells: Words and numbers by column; the end of a column's name is the unit of its numbers.
    """

    table: str
    cells: Mapping[str, str | float]

    def written(self) -> str:
        """Returns one line of JSON; ValueError if a number is not finite."""
        return json.dumps({"table": self.table, "cells": dict(self.cells)}, allow_nan=False)

    @classmethod
    def read(cls, line: str) -> Reading:
        """Reads what ``written`` returned; ValueError if it is anything else."""
        found = json.loads(line)
        if not (isinstance(found, dict) and found.keys() == {"table", "cells"}):
            raise ValueError("not a reading")
        return cls(found["table"], found["cells"])

    def __str__(self) -> str:
        return ", ".join(f"{name} {written(name, cell)}" for name, cell in self.cells.items())


def tables(readings: Iterable[Reading], notes: Mapping[str, str]) -> list[Table]:
    """Returns a table for each title, in the order in which the titles come; ``notes`` are by title."""
    by_title: dict[str, list[Reading]] = {}
    for reading in readings:
        by_title.setdefault(reading.table, []).append(reading)
    made: list[Table] = []
    for title, own in by_title.items():
        columns = [*dict.fromkeys(name for reading in own for name in reading.cells)]
        rows = [[written(name, reading.cells.get(name, "")) for name in columns] for reading in own]
        made.append(Table(title, notes.get(title, ""), columns, rows))
    return made


def written(column: str, cell: str | float) -> str:
    """Returns a cell as tables show it."""
    if isinstance(cell, str):
        return cell
    match column.rpartition(" ")[2]:
        case "ms":
            return ms(cell / 1e3)
        case "MB" | "GB/s" | "rank" | "tokens" | "LoRAs" | "images" | "graphs":
            return f"{cell:.0f}"
        case "error" | "apart":
            return f"{cell:.1e}"
        case "otherwise":
            return f"{cell:.3%}"
        case _:
            return times(cell)


def competed(contenders: Mapping[str, Contender], setting: Setting) -> Times:
    """Runs contenders against each other for as many rounds as the setting's seconds allow, from 3 to 20.

    After a warm-up, one round tells how long a round takes.
    """
    if setting.quick:
        return compete(contenders, 1, setting.device)
    begun = time.perf_counter()
    compete(contenders, 1, setting.device)
    each = (time.perf_counter() - begun) / 2
    rounds = max(3, min(MOST_ROUNDS, int(setting.seconds / each)))
    return compete(contenders, rounds, setting.device, warm_up=False)


def milliseconds(found: Times, *names: str) -> dict[str, float]:
    """Returns a cell with the median of each contender."""
    return {f"{name} ms": found.median(name) * 1e3 for name in names}
