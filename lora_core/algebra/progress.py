"""Finds how far sampling has come from the noise that is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

HALVINGS: Final = 24
DECIMALS: Final = 5
"""Digits of a progress: finer than the steps of any sampler, and coarse enough that half of the way
is 0.5."""


def progress_at(sigma: float, sigma_at: Callable[[float], float]) -> float:
    """Returns the progress, from 0 to 1, at which a noise level ``sigma`` is reached.

    The same level is the same progress, whichever sampler gets there, in however many steps, and
    wherever it started.

    Args:
        sigma: The noise level.
        sigma_at: Gives the noise level at a progress; it falls from 0 to 1 (ComfyUI's
            ``percent_to_sigma``).
    """
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if sigma_at(middle) >= sigma:
            low = middle
        else:
            high = middle
    return round((low + high) / 2, DECIMALS)
