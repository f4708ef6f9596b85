"""Refuses deltas that a weight's type, or the float32 of their sums, cannot hold: they would turn
the image black."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch

from ..errors import LoraMismatchError
from ..families import UNBALANCED, Room, balanced_pair, largest_magnitude, room_of
from .match import WeightTerm

LARGEST_STRENGTH: Final = 2.0**40
"""The largest strength: a factor in a file may take 2^32 of float32's range, and its alpha as much."""

LARGEST_INPUT_SUM: Final = 64
"""The largest sum of the numbers that enter a layer: a branch has to hold their products, too."""


def check_range(
    weights: Mapping[str, Sequence[WeightTerm]], dtypes: Mapping[str, torch.dtype]
) -> None:
    """Refuses a weight whose sum of deltas may not fit into its type (LoraMismatchError).

    The bound from the largest factors clears all sane files at no cost. Only where it does not are
    the deltas looked at entry by entry. Intermediate sums have to fit into float32.
    """
    for key, weight_terms in weights.items():
        room = room_of(dtypes[key])
        total = room.row + sum(
            [room.taken(a.delta, a.max_abs_bound, abs(a.strength)) for a in weight_terms]
        )
        strongest = max(abs(a.strength) for a in weight_terms)
        if not (total <= room.most and strongest <= LARGEST_STRENGTH):  # also true for NaN
            _look_closer(key, weight_terms, room, dtypes[key])
            _check_sum(key, weight_terms, room_of(torch.float32), torch.float32, _summed)
            _refuse_strengths(key, weight_terms)


def check_live_range(
    layers: Mapping[str, Sequence[WeightTerm]], dtypes: Mapping[str, torch.dtype]
) -> None:
    """Refuses live terms whose sums may not fit, at the largest strengths that they will have.

    Layers below half precision compute in half precision. All sums are formed in the layer's type,
    and the factors by themselves have to fit into it, too.
    """
    for key, weight_terms in layers.items():
        dtype = dtypes[key] if dtypes[key].itemsize > 1 else torch.float16
        most = room_of(dtype).most
        branch_room = Room(most / LARGEST_INPUT_SUM, 0.0)
        if not sum([weight_term.max_abs_bound for weight_term in weight_terms]) <= branch_room.most:
            _look_closer(key, weight_terms, branch_room, dtype)
            _check_sum(key, weight_terms, Room(most, 0.0), dtype, _bound)
        for weight_term in weight_terms:
            is_pair = weight_term.delta.pair_rank is not None
            if (
                not (is_pair and _between(weight_term) <= branch_room.most)
                and not _seen(weight_term) <= branch_room.most
            ):
                raise _overflow(key, _seen(weight_term), branch_room, dtype).in_file(
                    weight_term.file
                )
        _refuse_strengths(key, weight_terms)


def _look_closer(
    key: str, weight_terms: Sequence[WeightTerm], room: Room, dtype: torch.dtype
) -> None:
    """Adds up only the deltas that overlap, and then entry by entry."""
    try:
        _check_sum(key, weight_terms, room, dtype, _bound)
    except LoraMismatchError:
        _check_sum(key, weight_terms, room, dtype, _peak)


def _check_sum(
    key: str,
    weight_terms: Sequence[WeightTerm],
    room: Room,
    dtype: torch.dtype,
    size: Callable[[WeightTerm], float],
) -> None:
    taken = {a: _known(room.taken(a.delta, size(a), abs(a.strength))) for a in weight_terms}
    total = _sum(weight_terms, taken)
    if room.row + total > room.most:
        worst = max(weight_terms, key=taken.__getitem__)
        raise _overflow(key, total, room, dtype).in_file(worst.file)


def _between(weight_term: WeightTerm) -> float:
    """Returns a bound for the numbers between a branch's factors for an input of 1.

    The factors are of similar size, and their scale is near 1.
    """
    column, strength = (
        weight_term.max_abs_bound / (weight_term.delta.pair_rank or 1),
        abs(weight_term.strength),
    )
    return 2**UNBALANCED * math.sqrt(column * max(strength, 1 / strength if strength else 1.0))


def _seen(weight_term: WeightTerm) -> float:
    """Returns the same bound for the delta as it is, from the factors themselves."""
    strength = abs(weight_term.strength)
    if weight_term.delta.pair_rank is None:
        return weight_term.max_abs_bound / (strength or 1.0)
    pair = balanced_pair(weight_term.delta.to_low_rank())
    up, down = largest_magnitude("up", pair.up), largest_magnitude("down", pair.down)
    return max(up, down, down * abs(pair.scale) * strength)


def _bound(weight_term: WeightTerm) -> float:
    return weight_term.max_abs_bound


def _peak(weight_term: WeightTerm) -> float:
    return abs(weight_term.strength) * weight_term.delta.max_abs()


def _summed(weight_term: WeightTerm) -> float:
    """Returns the largest number that float32 sees while the delta is added up."""
    return _peak(weight_term) if weight_term.delta.made_wide else weight_term.max_abs_bound


def _sum(weight_terms: Sequence[WeightTerm], sizes: Mapping[WeightTerm, float]) -> float:
    """Returns the largest sum in one entry: where deltas overlap, one of them begins."""
    starts = {
        weight_term.target.rows[0] if weight_term.target.rows else 0 for weight_term in weight_terms
    }
    return max(
        sum(sizes[weight_term] for weight_term in weight_terms if weight_term.target.holds(row))
        for row in starts
    )


def _known(size: float) -> float:
    """Returns a bound; infinity for NaN."""
    return math.inf if math.isnan(size) else size


def _refuse_strengths(key: str, weight_terms: Sequence[WeightTerm]) -> None:
    for weight_term in weight_terms:
        if abs(weight_term.strength) > LARGEST_STRENGTH:
            raise LoraMismatchError(
                f"{key} would change at a strength of {weight_term.strength:.3g}, which is too large to "
                f"compute with (at most {LARGEST_STRENGTH:.3g}).",
                key=key,
                expected=f"a strength of at most {LARGEST_STRENGTH:.3g}",
                found=f"{weight_term.strength:.3g}",
            ).in_file(weight_term.file)


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
