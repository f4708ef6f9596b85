"""HRA: a product of Householder reflections before the weight (Yuan et al. 2024,
arXiv:2405.17484), as peft writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import torch

from ..errors import LoraFileError
from .delta import Delta
from .family import Family, Form
from .linear_algebra import norm
from .products import Through
from .source import Source

HIGHEST_RANK: Final = 1024
"""The highest rank: multiplying reflections takes time by the square of their number."""

SMALLEST_REST: Final = 1e-9
"""If less than this is left of a vector of length 1 after the others, it is rounding."""


def read(source: Source) -> Sequence[Delta]:
    """Reads W · H₁ ⋯ Hᵣ with H = I - 2uuᵀ for the normalised columns of u (in, rank).

    The product is I + L · Uᵀ (the WY form of Bischof and Van Loan 1987). With peft's ``apply_GS`` the
    columns are made orthogonal first.
    """
    vectors = source["hra_u"]
    if vectors.ndim != 2 or not vectors.numel() or vectors.shape[1] > _most(vectors):
        found = source.shapes("hra_u")
        raise source.refuse(
            f": hra_u is not a matrix, or its rank is too high: {found}.",
            expected="hra_u (in, rank)",
            found=found,
        )
    units = _of_length_1(source, vectors.double())
    if source.settings.option("apply_GS", False):
        units = _orthogonal(source, units)
    return (Through(_reflected(units), units.T),)


def _most(vectors: torch.Tensor) -> int:
    """Returns the highest rank: no more reflections than there are inputs."""
    return min(len(vectors), HIGHEST_RANK)


def _of_length_1(source: Source, vectors: torch.Tensor) -> torch.Tensor:
    """Divides columns by their lengths, after dividing by their largest entries, whose squares any
    type holds."""
    largest = vectors.abs().amax(0)
    if not vectors.is_meta and not bool((largest > 0).all()):
        raise _without_direction(source)
    near = vectors / largest
    return near / norm(near, dim=0)


def _reflected(units: torch.Tensor) -> torch.Tensor:
    """Gives L of H₁ ⋯ Hᵣ - I = L · Uᵀ.

    Its columns -2 · H₁ ⋯ Hₖ₋₁ · uₖ are of length 2, however the vectors lie to each other.
    """
    gram, left = units.T @ units, -2 * units
    if units.is_meta:
        return left
    for k in range(1, units.shape[1]):
        left[:, k] -= 2 * (left[:, :k] @ gram[:k, k])
    return left


def _orthogonal(source: Source, units: torch.Tensor) -> torch.Tensor:
    """Makes the columns orthogonal (Gram-Schmidt), up to their signs, which no reflection shows."""
    if units.is_meta:
        return units
    columns, rest = cast(Any, torch.linalg).qr(units)
    if not bool((rest.diagonal().abs() > SMALLEST_REST).all()):
        raise _without_direction(source)
    return columns


def _without_direction(source: Source) -> LoraFileError:
    return source.refuse(
        " has a reflection vector of length 0.", expected="vectors with a direction", found="zeros"
    )


HRA: Final = Family(
    "HRA",
    spellings={".hra_u*": "hra_u"},
    forms=(Form(needs={"hra_u"}, read=read),),
    peft_types={"HRA"},
)
