"""LoKr: a Kronecker product (KronA, Edalati et al. 2022, arXiv:2212.10650; as LyCORIS and peft
write it)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from ..naming import Shape
from .balance import balanced
from .base_weight import BaseWeight
from .delta import (
    LARGEST_PAIR_RANK,
    Delta,
    Dense,
    LowRank,
    Slot,
    Static,
    is_matrix_of,
    shape_for,
    shape_text,
)
from .family import Family, Form
from .finite import largest_magnitude
from .linear_algebra import kron, norm, product_norm
from .source import Source, check_pair, tucker, wide
from .weight_dependent import WeightDependent


@dataclass(frozen=True, slots=True, eq=False)
class Kronecker(WeightDependent):
    """scale · first ⊗ second.

    Attributes:
        first: (a, c), or two factors of it: (a, rank), (rank, c).
        second: (b, d · kernel), or two factors of it; out is a · b, in is c · d.
        scale: alpha / rank.
        kernel: Empty for a linear layer.
        scrambled: Whether it is multiplied as peft does for one-dimensional convolutions, see
            ``read``.
        rows: (start, length), which rows of the product are meant; None for all of them.
        rank: The rank of the factors; None if there are none.
    """

    first: tuple[torch.Tensor, ...]
    second: tuple[torch.Tensor, ...]
    scale: float
    kernel: Shape = ()
    scrambled: bool = False
    rows: tuple[int, int] | None = None
    slot: Slot = "weight"

    @property
    def rank(self) -> int | None:
        ranks = [len(factors[-1]) for factors in (self.second, self.first) if len(factors) > 1]
        return ranks[0] if ranks else None

    @property
    def inputs(self) -> int:
        return self.size[1]

    @property
    def made_for(self) -> Shape:
        return shape_for(*self.size, self.kernel)

    @property
    def is_zero(self) -> bool:
        return self.scale == 0

    @property
    def needs_weight(self) -> bool:
        return False

    @property
    def pair_rank(self) -> int | None:
        if len(self.second) == 1 or self.scrambled:
            return None
        inner = self.first[-1]
        return (len(inner) if len(self.first) > 1 else inner.shape[1]) * len(self.second[1])

    @property
    def size(self) -> tuple[int, int]:
        height, width = self._whole
        return height if self.rows is None else self.rows[1], width

    @property
    def _whole(self) -> tuple[int, int]:
        (a, c), (b, d) = _size(self.first), _size(self.second)
        return a * b, c * d

    def fits(self, shape: Shape) -> bool:
        return is_matrix_of(shape, *self.size, self.kernel)

    def text(self) -> str:
        sides = (" · ".join(map(shape_text, side)) for side in (self.first, self.second))
        return " ⊗ ".join(sides)

    def max_abs_bound(self) -> float:
        return abs(self.scale) * _bound(self.first) * _bound(self.second)

    def max_abs(self) -> float:
        """Returns its largest entry: the rows of the product are those of both sides, each with
        each."""
        first, second = (
            _product([factor.double() for factor in side]).abs()
            for side in (self.first, self.second)
        )
        if self.rows is None or self.scrambled:
            return abs(self.scale) * float(first.max() * second.max())
        rows = first.amax(1)[:, None] * second.amax(1)
        return abs(self.scale) * float(self._own(rows.flatten()).max())

    def norm(self) -> float | None:
        """Returns the product of both sides' norms, where all rows are meant."""
        if self.rows is not None:
            return None
        return abs(self.scale) * math.prod(map(_norm, (self.first, self.second)))

    def cut(self, rows: slice) -> Kronecker:
        """Returns the blocks of the second side that hold these rows, and which of their rows are
        meant."""
        start = rows.start + (self.rows[0] if self.rows else 0)
        length = rows.stop - rows.start
        if self.scrambled:
            return replace(self, rows=(start, length))
        height = len(self.second[0])
        above, below = start // height, -(-(start + length) // height)
        own = self.first[0][above:below]
        whole = length == height * (below - above)
        left = None if whole else (start - above * height, length)
        return replace(self, first=(own, *self.first[1:]), rows=left)

    def _own(self, product: torch.Tensor) -> torch.Tensor:
        return product if self.rows is None else product.narrow(0, *self.rows)

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        first, second = ([*map(weight.like, side)] for side in (self.first, self.second))
        if self.pair_rank is not None and self.pair_rank <= LARGEST_PAIR_RANK:
            return (self._pair(first, second),)
        return (Dense(self._entries(_product(first) * self.scale, _product(second))),)

    def to_low_rank(self) -> LowRank:
        return self._pair([*map(wide, self.first)], [*map(wide, self.second)])

    def _pair(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> LowRank:
        """Gives the exact pair, whose rank is the product of both, by the mixed product:
        (P · Q) ⊗ (up · down) = (P ⊗ up) · (Q ⊗ down)."""
        outer, *inner = first
        one = torch.eye(outer.shape[1], dtype=outer.dtype, device=outer.device)
        sides = ((outer, second[0]), (inner[0] if inner else one, second[1]))
        up, down = (kron(x, y) for x, y in sides)
        return LowRank(self._own(up), down, self.scale, self.kernel)

    def _entries(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        if self.scrambled:
            blocks = second.view(len(second), -1, *self.kernel)
            entries = torch.kron(first[None], blocks).reshape(self._whole)
        else:
            entries = kron(first, second)
        return self._own(entries)


def _size(factors: tuple[torch.Tensor, ...]) -> tuple[int, int]:
    return len(factors[0]), factors[-1].shape[1]


def _bound(factors: tuple[torch.Tensor, ...]) -> float:
    size = float(len(factors[-1])) if len(factors) > 1 else 1.0
    for factor in factors:
        size *= largest_magnitude("factor", factor)
    return size


def _norm(factors: tuple[torch.Tensor, ...]) -> float:
    first, *others = factors
    return product_norm(first, others[0]) if others else float(norm(first.float()))


def _product(factors: Sequence[torch.Tensor]) -> torch.Tensor:
    product, *others = factors
    for other in others:
        product = product @ other
    return product


def read(source: Source) -> Sequence[Delta]:
    """Reads W + scale · w1 ⊗ w2, w1 (a, c) and w2 (b, d[, kernel…]).

    Each is whole or w_a · w_b, and may have a Tucker core t, as convolutions have.

    scale is alpha over the rank of w2's factors, or else of w1's. With both whole, LyCORIS
    scales by 1 whatever its alpha is, while peft still scales by its config's alpha / r. For Conv1d,
    peft multiplies (1, a, c) with (b, d, kernel) and reads the result row by row as a weight; it
    is recognised by the alpha that LyCORIS always writes and peft never.
    """
    first, _ = _side(source, "1")
    second, kernel = _side(source, "2")
    rank = Kronecker(first, second, 1.0).rank
    if rank is not None:
        scale = source.scale(rank)
    else:
        scale = 1.0 if source.get("alpha") is not None else _noted_scale(source)
    of_peft = source.get("alpha") is None and len(kernel) == 1 and len(second) == 1
    sizes = [largest_magnitude("factor", factor) for factor in first + second]
    factors, scale = balanced(first + second, sizes, scale)
    first, second = tuple(factors[: len(first)]), tuple(factors[len(first) :])
    return (Kronecker(first, second, scale, kernel, of_peft),)


def _refuse_both(source: Source, whole: str, *factors: str) -> None:
    there = [factor for factor in factors if factor in source.tensors]
    if there:
        found = ", ".join(there)
        raise source.refuse(
            f" is ambiguous: it has both {whole} and {found}.",
            expected="the whole or its factors",
            found=found,
        )


def _noted_scale(source: Source) -> float:
    rank = source.settings.noted_rank()
    return source.settings.scale(rank) if rank else 1.0


def _side(source: Source, number: str) -> tuple[tuple[torch.Tensor, ...], Shape]:
    """Gives one side as matrices to multiply, and the kernel, where it shows."""
    whole, up, down = (f"lokr_w{number}{end}" for end in ("", "_a", "_b"))
    core = f"lokr_t{number}"
    if whole in source.tensors:
        _refuse_both(source, whole, up, down, core)
        tensor = source[whole]
        if tensor.ndim < 2 or not tensor.numel():
            found = source.shapes(whole)
            raise source.refuse(f": not a matrix: {found}.", expected="a matrix", found=found)
        return (tensor.flatten(1),), tuple(tensor.shape[2:])
    if up not in source.tensors or down not in source.tensors:
        found = ", ".join(sorted(source.tensors))
        raise source.refuse(
            f" is LoKr with neither {whole} nor both of its factors.", expected=whole, found=found
        )
    if core in source.tensors:
        return tucker(source, up, down, core), tuple(source[core].shape[2:])
    check_pair(source, up, down)
    return (source[up].flatten(1), source[down].flatten(1)), tuple(source[down].shape[2:])


_SPELLINGS: Final = {
    ".lokr_w1*": "lokr_w1",
    ".lokr_w1_a*": "lokr_w1_a",
    ".lokr_w1_b*": "lokr_w1_b",
    ".lokr_t1*": "lokr_t1",
    ".lokr_w2*": "lokr_w2",
    ".lokr_w2_a*": "lokr_w2_a",
    ".lokr_w2_b*": "lokr_w2_b",
    ".lokr_t2*": "lokr_t2",
}
_TAKES: Final = frozenset((*_SPELLINGS.values(), "alpha"))

LOKR: Final = Family(
    "LoKr",
    spellings=_SPELLINGS,
    forms=(
        Form(needs={"lokr_w1"}, takes=_TAKES, read=read),
        Form(needs={"lokr_w1_a", "lokr_w1_b"}, takes=_TAKES, read=read),
    ),
    peft_types={"LOKR"},
    decomposes=True,
)
