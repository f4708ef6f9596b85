"""Weights that are replaced by weights of another shape: exactly as they are, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import LoraMismatchError
from .match import WeightTerm


def check_replaced(weights: Mapping[str, Sequence[WeightTerm]]) -> None:
    """Refuses a weight of another shape that is not the only change of its target
    (LoraMismatchError).

    A weight that is set means W + strength · (value - W), so it scales and adds up like everything
    else. For two shapes there is no such sum: it means its value at strength 1 by itself. The host
    replaces the weight whatever the strength is.
    """
    for key, weight_terms in weights.items():
        for weight_term in weight_terms:
            if weight_term.shape is not None:
                _check(key, weight_term, weight_terms)


def _check(key: str, weight_term: WeightTerm, all_of_weight: Sequence[WeightTerm]) -> None:
    if weight_term.strength != 1:
        found = f"{weight_term.strength:g}"
        raise _refusal(
            weight_term, f"{key} only at strength 1, not at {found}", "strength 1", found
        )
    other = next((each for each in all_of_weight if each is not weight_term), None)
    if other is not None:
        found = other.file
        raise _refusal(
            weight_term, f"{key} only alone, but {found} changes it too", "one LoRA", found
        )


def _refusal(weight_term: WeightTerm, what: str, expected: str, found: str) -> LoraMismatchError:
    return LoraMismatchError(
        f"has a weight of another shape, {weight_term.shape}, which can replace {what}.",
        key=weight_term.target.key,
        expected=expected,
        found=found,
        file=weight_term.file,
    )
