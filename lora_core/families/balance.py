"""Gives factors similar sizes, so that neither they nor parts of their product leave float32.

A file may hold 1e38 next to 1e-38, or an alpha that compensates for both. Only the product counts,
so powers of two are moved from one factor to another, which loses no digit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch

from .delta import LowRank
from .finite import largest_magnitude

FAR_EXPONENT: Final = 32
"""Factors beyond this power of two are not kept as they are in the file."""

LARGEST_FLOAT32_EXPONENT: Final = 127
"""Numbers beyond this power of two are kept in float64 until they are refused."""

UNBALANCED: Final = 8
"""Two factors that are this many powers of two apart are not of similar size; likewise a scale and
1."""


def balanced(
    factors: Sequence[torch.Tensor], sizes: Sequence[float], scale: float = 1.0
) -> tuple[list[torch.Tensor], float]:
    """Returns other factors and another scale with the same product.

    Args:
        factors: The factors of one product, of any shapes.
        sizes: The largest magnitude of each factor; 0 where it has no data.
        scale: The factor on the product.

    Returns:
        The very same where all sizes are within 2^±``FAR_EXPONENT``; else factors in at least float32.
    """
    exponents = [_exponent(size) for size in (*sizes, scale)]
    if all(abs(exponent) <= FAR_EXPONENT for exponent in exponents):
        return [*factors], scale
    if not all((*sizes, scale)):
        return [torch.zeros_like(factor) for factor in factors], 0.0 if scale == 0 else 1.0
    each, rest = divmod(sum(exponents), len(factors))
    wanted = [each + (place < rest) for place in range(len(factors))]
    moved = [
        shifted(factor, to - exponent, to)
        for factor, exponent, to in zip(factors, exponents, wanted, strict=False)
    ]
    return moved, math.ldexp(scale, -exponents[-1])


def _exponent(number: float) -> int:
    return math.frexp(number)[1]


def shifted(tensor: torch.Tensor, powers: int, to: int = 0) -> torch.Tensor:
    """Returns tensor · 2^powers in at least float32, in two steps since no type holds every such
    power.

    Args:
        tensor: Any tensor.
        powers: The power of two to multiply by.
        to: The power of two of the result's largest number: it is given in float64 if float32 cannot
            hold that.
    """
    first = powers // 2
    made = tensor.double() * math.ldexp(1.0, first) * math.ldexp(1.0, powers - first)
    return made if tensor.dtype == torch.float64 or to > LARGEST_FLOAT32_EXPONENT else made.float()


def balanced_pair(pair: LowRank) -> LowRank:
    """Returns the same pair with factors of similar size and a scale near 1.

    Half precision has to hold what each of them gives.
    """
    sizes = [largest_magnitude("factor", side) for side in (pair.up, pair.down)]
    if not (all(sizes) and pair.scale):
        zeros = torch.zeros_like(pair.up), torch.zeros_like(pair.down)
        return replace(pair, up=zeros[0], down=zeros[1], sizes=None)
    up, down, scale = (math.frexp(size)[1] for size in (*sizes, pair.scale))
    if abs(up - down) < UNBALANCED and abs(scale) < UNBALANCED:
        return pair
    total = up + down + scale
    return replace(
        pair,
        up=shifted(pair.up, total // 2 - up),
        down=shifted(pair.down, total - total // 2 - down),
        scale=math.ldexp(pair.scale, -scale),
        sizes=None,
    )
