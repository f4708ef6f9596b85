"""Measures how far our result is from an oracle's."""

from __future__ import annotations

from pathlib import Path

import torch

from lora_core import Recipe, applied, load

from .case import Case, Made, Weights

STRENGTHS = (-1.0, 0.0, 0.5, 1.0, 2.0)

FLOAT32_SUM = 2.0**-20
"""Relative error of a sum in float32, with room for the terms inside a delta."""

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-6}


def measure(case: Case, folder: Path, dtype: torch.dtype, seed: int = 0) -> float:
    """Returns the largest relative error of a delta, over all strengths.

    Raises:
        AssertionError: A weight has changed that the oracle leaves alone, or strength 0 has
            changed anything.
        LoraError: We refuse the file.
    """
    made = case.build(folder, seed, dtype)
    recipe = load(made.file)
    return max(_error(made, strength * recipe, strength) for strength in STRENGTHS)


def steps_off(case: Case, folder: Path, dtype: torch.dtype, seed: int = 0) -> float:
    """Returns how far a weight of half precision is from the exact one, in steps between its
    numbers.

    One rounding takes at most half a step; two of them take more somewhere.
    """
    made = case.build(folder, seed, dtype)
    recipe = load(made.file)
    return max(_steps(made, strength * recipe, strength) for strength in STRENGTHS if strength)


def _steps(made: Made, recipe: Recipe, strength: float) -> float:
    weights = {key: value.clone() for key, value in made.weights.items()}
    with applied(weights, recipe):
        return max(_most_steps(made, weights, key, strength) for key in made.delta)


def _most_steps(made: Made, weights: Weights, key: str, strength: float) -> float:
    """Returns the allowed steps, with what float32 loses in a sum of numbers of this size, however
    small the sum is."""
    base, added = made.weights[key].double(), strength * made.delta[key]
    exact = base + added
    step = torch.finfo(weights[key].dtype).eps * torch.exp2(torch.frexp(exact).exponent - 1)
    allowed = FLOAT32_SUM * (base.abs() + added.abs())
    off = (weights[key].double() - exact).abs() - allowed
    return float((off / step.clamp(min=torch.finfo(torch.float32).tiny)).max())


def _error(made: Made, recipe: Recipe, strength: float) -> float:
    before = {key: value.clone() for key, value in made.weights.items()}
    with applied(before, recipe) as report:
        if strength:
            (loras,) = report.loras
            assert not loras.unknown, f"not applied: {loras.unknown}"
        after = {key: value.clone() for key, value in before.items()}
    touched = made.delta if strength else {}
    for key in after.keys() - touched.keys():
        assert torch.equal(after[key], made.weights[key]), f"{key} has changed"
    return max((_distance(made, after, key, strength) for key in touched), default=0.0)


def _distance(made: Made, after: Weights, key: str, strength: float) -> float:
    """Returns |ours - theirs| / |theirs|; at a strength that the oracle supports, theirs is its own
    forward."""
    theirs = made.deltas[strength][key] if strength in made.deltas else strength * made.delta[key]
    ours = after[key].double() - made.weights[key].double()
    return float((ours - theirs).norm() / theirs.norm())
