"""Times that can be compared: all contenders in every round, and ratios within a round only.

A machine gets slower and faster while it is measured. What runs side by side is hit alike, so that the
median of the rounds' ratios says more than the ratio of two medians.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Action = Callable[[], object]


def nothing() -> None:
    """Does nothing, for steps that are not needed."""


@dataclass(frozen=True)
class Contender:
    """What is timed, and what happens before and after it without being timed."""

    run: Action
    before: Action = nothing
    after: Action = nothing


@dataclass(frozen=True)
class Times:
    """Seconds of every contender, by round."""

    seconds: Mapping[str, list[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, *others: str) -> float:
        """Returns how many times as long it takes as ``others`` together: the median over the
        rounds."""
        rounds = zip(self.seconds[name], *map(self.seconds.__getitem__, others), strict=True)
        return statistics.median(mine / sum(theirs) for mine, *theirs in rounds)


def compete(
    contenders: Mapping[str, Contender], rounds: int, device: str, warm_up: bool = True
) -> Times:
    """Runs all contenders ``rounds`` times, in turn, each time starting with another one.

    Args:
        contenders: The contenders by name.
        rounds: How many rounds to run.
        device: The device that they work on; it is waited for before a time is taken.
        warm_up: Whether each runs once before.
    """
    names = list(contenders)
    for name in names if warm_up else ():
        once(contenders[name], device)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(once(contenders[name], device))
    return Times(seconds)


def once(contender: Contender, device: str) -> float:
    """Returns the seconds of a single run."""
    contender.before()
    gc.disable()
    try:
        synchronise(device)
        start = time.perf_counter()
        contender.run()
        synchronise(device)
        return time.perf_counter() - start
    finally:
        gc.enable()
        contender.after()


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
