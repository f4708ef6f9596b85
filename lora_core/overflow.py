"""Refusing deltas that a weight's type, or the float32 of their sums, cannot hold: they would turn the
image black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch

from .branches import UNBALANCED
from .errors import LoraMismatchError
from .match import Addend
from .room import Room, room_of

LARGEST_STRENGTH: Final = 2.0**40
"""A factor in a file may take 2^32 of float32, and its alpha as much."""

ACTIVATION: Final = 64
"""What the numbers that come into a layer may add up to: a branch has to hold their products, too."""


def check_range(weights: Mapping[str, Sequence[Addend]], dtypes: Mapping[str, torch.dtype]) -> None:
    """LoraMismatchError if a weight with its sum of deltas may not fit into its type.

    The bound from the largest factors clears all sane files at no cost; only where it does not are
    the deltas looked at entry by entry.
    """
    for key, addends in weights.items():
        room = room_of(dtypes[key])
        total = room.row + sum([room.taken(a.delta, a.bound, abs(a.strength)) for a in addends])
        if not (total <= room.most and _are_usable(addends)):  # or no number
            _look_closer(key, addends, room, dtypes[key])


def check_beside(layers: Mapping[str, Sequence[Addend]], dtypes: Mapping[str, torch.dtype]) -> None:
    """The same of what goes beside layers, at the greatest strengths that it will have.

    Layers of less than half precision compute in that.
    """
    for key, addends in layers.items():
        dtype = dtypes[key] if dtypes[key].itemsize > 1 else torch.float16
        most = room_of(dtype).most
        beside = Room(most / ACTIVATION, 0.0)
        sums = sum([addend.bound for addend in addends])
        if not (sums <= beside.most and _are_usable(addends, most)):
            _look_closer(key, addends, beside, dtype, most)
        hidden = max(_hidden(addend) for addend in addends)
        if not hidden <= beside.most:
            worst = max(addends, key=_hidden)
            raise _overflow(key, hidden, beside, dtype).in_file(worst.file)


def _hidden(addend: Addend) -> float:
    """The most that a branch has between its factors, which are of like size, for an input of 1."""
    column = addend.bound / (addend.delta.pair_rank or 1)
    return 2**UNBALANCED * math.sqrt(column * abs(addend.strength))


def _are_usable(addends: Sequence[Addend], most: float = math.inf) -> bool:
    """Whether strengths, and factors without them, are what can be multiplied one by one."""
    return all(
        abs(a.strength) <= LARGEST_STRENGTH and a.bound <= most * abs(a.strength) for a in addends
    )


def _look_closer(
    key: str, addends: Sequence[Addend], room: Room, dtype: torch.dtype, most: float = math.inf
) -> None:
    """Adds up only what meets, and then entry by entry."""
    for size in (_bound, _peak):
        sizes = {a: size(a) for a in addends}
        taken = {a: room.taken(a.delta, sizes[a], abs(a.strength)) for a in addends}
        worst = max(addends, key=lambda a: _known(taken[a]))
        total = room.row + _sum(addends, taken.__getitem__)
        if total <= room.most and all(sizes[a] <= most * abs(a.strength) for a in addends):
            break
    else:
        raise _overflow(key, total - room.row, room, dtype).in_file(worst.file)
    _refuse_strengths(key, addends)


def _bound(addend: Addend) -> float:
    return addend.bound


def _peak(addend: Addend) -> float:
    return abs(addend.strength) * addend.delta.peak()


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


def _refuse_strengths(key: str, addends: Sequence[Addend]) -> None:
    for addend in addends:
        if abs(addend.strength) > LARGEST_STRENGTH:
            raise LoraMismatchError(
                f"{key} would change at a strength of {addend.strength:.3g}, which is beyond what can be "
                f"computed with (at most {LARGEST_STRENGTH:.3g}).",
                key=key,
                expected=f"a strength of at most {LARGEST_STRENGTH:.3g}",
                found=f"{addend.strength:.3g}",
            ).in_file(addend.file)


def _overflow(key: str, total: float, room: Room, dtype: torch.dtype) -> LoraMismatchError:
    name = str(dtype).removeprefix("torch.")
    change, way = f"{key} would change by", "lower strength"
    if not room.row:
        change, way = f"the branch beside {key} would compute with", "lower strength, or merge it"
    return LoraMismatchError(
        f"{change} up to {total:.3g}, which its type {name} cannot hold "
        f"(at most {room.most - room.row:.3g}). Use a {way}, or the file is damaged.",
        key=key,
        expected=f"at most {room.most - room.row:.3g}",
        found=f"{total:.3g}",
    )
