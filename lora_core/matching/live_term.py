"""Live terms: what goes next to a layer instead of into its weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..algebra import FileId
from ..families import Delta, Dense, LowRank
from ..naming import Rows, Shape

HIGHEST_BRANCH_RANK: Final = 512
"""The highest rank of a product that becomes a pair for a branch; beyond it, the branch costs more
than the layer."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveTerm:
    """What one file adds to some rows of one parameter.

    Attributes:
        file: The file whose strength counts.
        rows: (start, length) of the layer's outputs; None for all of them.
        delta: A delta that ``can_go_live``.
    """

    file: FileId
    rows: Rows
    delta: Delta


def can_go_live(delta: Delta, shape: Shape) -> bool:
    """Tells whether a delta of a parameter of this shape can be a branch, if its layer takes one."""
    if len(shape) < 2:
        return isinstance(delta, Dense)
    rank = delta.pair_rank
    return isinstance(delta, LowRank) or (rank is not None and rank <= HIGHEST_BRANCH_RANK)
