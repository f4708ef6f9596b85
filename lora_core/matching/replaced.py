"""Weights that are replaced by others of another shape: exactly as they are, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import LoraMismatchError
from .match import WeightTerm


def check_replaced(weights: Mapping[str, Sequence[WeightTerm]]) -> None:
    """LoraMismatchError where a weight of another shape is not all that its place gets.

    A set weight is W + strength · (value - W), so that it scales and adds up like everything else.
    Of two shapes there is no such sum: it means its value at strength 1 by itself, and nothing else.
    The host replaces whatever the strength.
    """
    for key, addends in weights.items():
        for addend in addends:
            if addend.shape is not None:
                _check(key, addend, addends)


def _check(key: str, addend: WeightTerm, all_of_weight: Sequence[WeightTerm]) -> None:
    if addend.strength != 1:
        found = f"{addend.strength:g}"
        raise _refusal(addend, f"{key} only at strength 1, not at {found}", "strength 1", found)
    other = next((each for each in all_of_weight if each is not addend), None)
    if other is not None:
        found = other.file
        raise _refusal(addend, f"{key} only alone, but {found} changes it too", "one LoRA", found)


def _refusal(addend: WeightTerm, what: str, expected: str, found: str) -> LoraMismatchError:
    return LoraMismatchError(
        f"has a weight of another shape, {addend.shape}, which can replace {what}.",
        key=addend.target.key,
        expected=expected,
        found=found,
        file=addend.file,
    )
