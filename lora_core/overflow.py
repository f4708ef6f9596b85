"""Refusing deltas that a weight's type cannot hold: they would turn the image black."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from .errors import LoraMismatchError
from .match import Addend


def check_range(weights: Mapping[str, Sequence[Addend]], dtypes: Mapping[str, torch.dtype]) -> None:
    """LoraMismatchError if a weight's sum of deltas may not fit into its type.

    The bound from the largest factors clears all sane files at no cost; only where it does not are
    the deltas looked at entry by entry.
    """
    largest = {dtype: torch.finfo(dtype).max for dtype in set(dtypes.values())}
    for key, addends in weights.items():
        if not sum([addend.bound for addend in addends]) <= largest[dtypes[key]]:  # or no number
            _look_closer(key, addends, dtypes[key])


def _look_closer(key: str, addends: Sequence[Addend], dtype: torch.dtype) -> None:
    """Adds up only what meets."""
    if _sum(addends, lambda addend: addend.bound) > torch.finfo(dtype).max:
        _look_closely(key, addends, dtype)


def _look_closely(key: str, addends: Sequence[Addend], dtype: torch.dtype) -> None:
    peaks = {addend: abs(addend.strength) * addend.delta.peak() for addend in addends}
    total = _sum(addends, peaks.__getitem__)
    if total > torch.finfo(dtype).max:
        worst = max(addends, key=peaks.__getitem__)
        raise _overflow(key, total, dtype).in_file(worst.file)


def _sum(addends: Sequence[Addend], size: Callable[[Addend], float]) -> float:
    """The most that can come together in one entry: what meets does so where one of them begins."""
    starts = {addend.target.rows[0] if addend.target.rows else 0 for addend in addends}
    sizes = {addend: _known(size(addend)) for addend in addends}
    return max(
        sum(sizes[addend] for addend in addends if addend.target.holds(row)) for row in starts
    )


def _known(size: float) -> float:
    """What is no number may be any."""
    return math.inf if math.isnan(size) else size


def _overflow(key: str, total: float, dtype: torch.dtype) -> LoraMismatchError:
    name = str(dtype).removeprefix("torch.")
    limit = torch.finfo(dtype).max
    return LoraMismatchError(
        f"{key} would change by up to {total:.3g}, which its type {name} cannot hold "
        f"(largest number {limit:.3g}). Use a lower strength, or the file is damaged.",
        key=key,
        expected=f"at most {limit:.3g}",
        found=f"{total:.3g}",
    )
