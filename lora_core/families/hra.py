"""HRA: a product of Householder reflections before the weight (Yuan et al. 2024,
arXiv:2405.17484), as peft writes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..linear_algebra import norm, solve
from .delta import Delta
from .family import Source
from .products import Through


def read(source: Source) -> Sequence[Delta]:
    """W · H₁ ⋯ Hᵣ with H = I - 2uuᵀ for the normalised columns of u (in, rank).

    The product is I - U · T · Uᵀ (the WY form of Schreiber and Van Loan 1989). With peft's
    ``apply_GS`` the columns are made orthogonal first, and T is 2I.
    """
    vectors = source["hra_u"]
    if vectors.ndim != 2 or not vectors.numel():
        found = source.shapes("hra_u")
        raise source.refuse(f": no matrix: {found}.", expected="hra_u (in, rank)", found=found)
    units = vectors.double()
    if source.settings.option("apply_GS", False):
        units = _orthogonal(units)
    lengths = norm(units, dim=0)
    if not units.is_meta and not bool((lengths > 0).all()):
        raise source.refuse(
            " holds a reflection of length 0.", expected="vectors with a direction", found="zeros"
        )
    units = units / lengths
    return (Through(-units @ _core(units), units.T),)


def _core(units: torch.Tensor) -> torch.Tensor:
    """T, upper triangular: its inverse holds half of each vector's square, and their products."""
    gram = units.T @ units
    inverse = gram.triu(1) + torch.diag_embed(gram.diagonal() / 2)
    return solve(inverse, torch.eye(len(inverse), dtype=inverse.dtype, device=inverse.device))


def _orthogonal(vectors: torch.Tensor) -> torch.Tensor:
    """The columns by the modified Gram-Schmidt process, which keeps their order."""
    done: list[torch.Tensor] = []
    for column in vectors.unbind(1):
        rest = column
        for unit in done:
            rest = rest - (unit @ rest) * unit
        done.append(rest / norm(rest))
    return torch.stack(done, 1)
