"""Refusing deltas that a weight's type, or the float32 of their sums, cannot hold: they would turn the
image black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch

from ..errors import LoraMismatchError
from ..families import UNBALANCED, Room, balanced_pair, largest_magnitude, room_of
from .match import WeightTerm

LARGEST_STRENGTH: Final = 2.0**40
"""A factor in a file may take 2^32 of float32, and its alpha as much."""

ACTIVATION: Final = 64
"""What the numbers that come into a layer may add up to: a branch has to hold their products, too."""


def check_range(
    weights: Mapping[str, Sequence[WeightTerm]], dtypes: Mapping[str, torch.dtype]
) -> None:
    """LoraMismatchError if a weight with its sum of deltas may not fit into its type.

    The bound from the largest factors clears all sane files at no cost; only where it does not are
    the deltas looked at entry by entry. What is added up on the way has to fit into float32.
    """
    for key, addends in weights.items():
        room = room_of(dtypes[key])
        total = room.row + sum(
            [room.taken(a.delta, a.max_abs_bound, abs(a.strength)) for a in addends]
        )
        strongest = max(abs(a.strength) for a in addends)
        if not (total <= room.most and strongest <= LARGEST_STRENGTH):  # or no number
            _look_closer(key, addends, room, dtypes[key])
            _check_sum(key, addends, room_of(torch.float32), torch.float32, _summed)
            _refuse_strengths(key, addends)


def check_beside(
    layers: Mapping[str, Sequence[WeightTerm]], dtypes: Mapping[str, torch.dtype]
) -> None:
    """The same of what goes beside layers, at the greatest strengths that it will have.

    Layers of less than half precision compute in that. All sums are formed in the layer's type, and the
    factors alone have to fit into it, too.
    """
    for key, addends in layers.items():
        dtype = dtypes[key] if dtypes[key].itemsize > 1 else torch.float16
        most = room_of(dtype).most
        beside = Room(most / ACTIVATION, 0.0)
        if not sum([addend.max_abs_bound for addend in addends]) <= beside.most:
            _look_closer(key, addends, beside, dtype)
            _check_sum(key, addends, Room(most, 0.0), dtype, _bound)
        for addend in addends:
            paired = addend.delta.pair_rank is not None
            if (
                not (paired and _between(addend) <= beside.most)
                and not _seen(addend) <= beside.most
            ):
                raise _overflow(key, _seen(addend), beside, dtype).in_file(addend.file)
        _refuse_strengths(key, addends)


def _look_closer(key: str, addends: Sequence[WeightTerm], room: Room, dtype: torch.dtype) -> None:
    """Adds up only what meets, and then entry by entry."""
    try:
        _check_sum(key, addends, room, dtype, _bound)
    except LoraMismatchError:
        _check_sum(key, addends, room, dtype, _peak)


def _check_sum(
    key: str,
    addends: Sequence[WeightTerm],
    room: Room,
    dtype: torch.dtype,
    size: Callable[[WeightTerm], float],
) -> None:
    taken = {a: _known(room.taken(a.delta, size(a), abs(a.strength))) for a in addends}
    total = _sum(addends, taken)
    if room.row + total > room.most:
        worst = max(addends, key=taken.__getitem__)
        raise _overflow(key, total, room, dtype).in_file(worst.file)


def _between(addend: WeightTerm) -> float:
    """No number that a branch has between its factors is larger, for an input of 1: they are of like size,
    and their scale is near 1."""
    column, strength = addend.max_abs_bound / (addend.delta.pair_rank or 1), abs(addend.strength)
    return 2**UNBALANCED * math.sqrt(column * max(strength, 1 / strength if strength else 1.0))


def _seen(addend: WeightTerm) -> float:
    """The same as it is, from the factors themselves."""
    strength = abs(addend.strength)
    if addend.delta.pair_rank is None:
        return addend.max_abs_bound / (strength or 1.0)
    pair = balanced_pair(addend.delta.to_low_rank())
    up, down = largest_magnitude("up", pair.up), largest_magnitude("down", pair.down)
    return max(up, down, down * abs(pair.scale) * strength)


def _bound(addend: WeightTerm) -> float:
    return addend.max_abs_bound


def _peak(addend: WeightTerm) -> float:
    return abs(addend.strength) * addend.delta.max_abs()


def _summed(addend: WeightTerm) -> float:
    """What float32 sees of it while it is added up."""
    return _peak(addend) if addend.delta.made_wide else addend.max_abs_bound


def _sum(addends: Sequence[WeightTerm], sizes: Mapping[WeightTerm, float]) -> float:
    """The most that can come together in one entry: what meets does so where one of them begins."""
    starts = {addend.target.rows[0] if addend.target.rows else 0 for addend in addends}
    return max(
        sum(sizes[addend] for addend in addends if addend.target.holds(row)) for row in starts
    )


def _known(size: float) -> float:
    """What is no number may be any."""
    return math.inf if math.isnan(size) else size


def _refuse_strengths(key: str, addends: Sequence[WeightTerm]) -> None:
    for addend in addends:
        if abs(addend.strength) > LARGEST_STRENGTH:
            raise LoraMismatchError(
                f"{key} would change at a strength of {addend.strength:.3g}, which is too large to "
                f"compute with (at most {LARGEST_STRENGTH:.3g}).",
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
        f"(at most {room.most - room.row:.3g}). Use a {way}; if that does not help, the file is damaged.",
        key=key,
        expected=f"at most {room.most - room.row:.3g}",
        found=f"{total:.3g}",
    )
