"""Refusing deltas that a weight's type cannot hold: they would turn the image black."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from .errors import LoraMismatchError
from .families import Delta, Pair, Replacement, Residue
from .match import Addend


def check_range(weights: Mapping[str, Iterable[Addend]], dtypes: Mapping[str, torch.dtype]) -> None:
    """LoraMismatchError if a weight's sum of deltas may not fit into its type.

    The bound from the largest factors clears all sane files at no cost; only where it does not are
    the deltas looked at entry by entry.
    """
    for key, addends in weights.items():
        if sum(addend.bound for addend in addends) > torch.finfo(dtypes[key]).max:
            _look_closely(key, addends, dtypes[key])


def _look_closely(key: str, addends: Iterable[Addend], dtype: torch.dtype) -> None:
    peaks = [(abs(addend.strength) * _peak(addend.delta), addend.file) for addend in addends]
    total = sum(peak for peak, _ in peaks)
    if not total <= torch.finfo(dtype).max:  # which catches NaN, too
        _, worst = max(peaks)
        raise _overflow(key, total, dtype).in_file(worst)


def _peak(delta: Delta) -> float:
    match delta:
        case Pair(up, down, scale):
            entries = up.double() @ down.double() * scale
        case Residue(entries) | Replacement(entries):
            pass
    return float(entries.abs().max())


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
