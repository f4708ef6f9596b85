"""Deltas that have to meet the weight to be turned into the normal form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..naming import Shape
from .base_weight import BaseWeight
from .delta import Delta, LowRank, Slot, Static


@dataclass(frozen=True, slots=True, eq=False)
class HalvesSwapped(Delta):
    """A delta whose weight has its two halves of rows exchanged in the file's layout."""

    inner: Delta
    slot: Slot

    @property
    def rank(self) -> int | None:
        return self.inner.rank

    @property
    def pair_rank(self) -> int | None:
        return self.inner.pair_rank

    @property
    def made_for(self) -> Shape | None:
        return self.inner.made_for

    @property
    def is_zero(self) -> bool:
        return self.inner.is_zero

    @property
    def follows(self) -> bool:
        return self.inner.follows

    @property
    def removes(self) -> bool:
        return self.inner.removes

    @property
    def made_wide(self) -> bool:
        return self.inner.made_wide

    @property
    def needs_weight(self) -> bool:
        return self.inner.needs_weight

    def fits(self, shape: Shape) -> bool:
        return self.inner.fits(shape)

    def text(self) -> str:
        return self.inner.text()

    def max_abs_bound(self) -> float:
        return self.inner.max_abs_bound()

    def max_abs(self) -> float:
        return self.inner.max_abs()

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        return tuple(
            delta.with_halves_swapped()
            for delta in self.inner.resolve_on(weight.with_halves_swapped())
        )

    def with_halves_swapped(self) -> Delta:
        return self.inner

    def to_low_rank(self) -> LowRank:
        return self.inner.to_low_rank().with_halves_swapped()


class WeightDependent(Delta):
    """A delta that needs the weight to be turned into the normal form."""

    __slots__ = ()

    @property
    def needs_weight(self) -> bool:
        return True

    def max_abs(self) -> float:
        return self.max_abs_bound()

    def with_halves_swapped(self) -> Delta:
        return HalvesSwapped(self, self.slot)
