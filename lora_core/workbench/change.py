"""What a recipe adds to the weights of a model, as matrices that can be kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

import torch

from ..combining import Matrix, Product, size_of
from ..errors import LoraInputError
from ..families import Static
from ..fusing import Patch, fuse, merge_, resolved
from ..matching import ModelPlan, WeightTerm
from ..naming import Shape

WeightOf: TypeAlias = Callable[[str], torch.Tensor]
"""Gives a weight of the model by its key, as numbers."""

SUM_TYPE: Final = torch.float64
"""The type in which everything here is computed, so that errors of a file can be told from ours."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What is added to some rows of a weight.

    Attributes:
        start: The first row.
        matrix: (rows, in · kernel).
    """

    start: int
    matrix: Matrix

    @property
    def end(self) -> int:
        """The row after the last one."""
        return self.start + size_of(self.matrix)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What is added to one weight.

    Attributes:
        key: The weight.
        shape: Its shape.
        pieces: What is added, to rows that may overlap; either products, or one matrix for all of it.
    """

    key: str
    shape: Shape
    pieces: tuple[Piece, ...]

    @property
    def height(self) -> int:
        """How many rows the weight has."""
        return self.shape[0] if self.shape else 1

    def whole(self) -> Matrix | None:
        """Returns what is added to all of it; None if nothing is."""
        return self.rows(0, self.height)

    def rows(self, start: int, length: int) -> Matrix | None:
        """Returns what is added to some rows, (length, in · kernel); None if nothing is."""
        parts = [
            _placed(piece, start, length)
            for piece in self.pieces
            if piece.start < start + length and start < piece.end
        ]
        products = [part for part in parts if isinstance(part, Product)]
        if len(products) < len(parts):
            (dense,) = parts
            return dense
        return Product.sum(products) if products else None


class ModelChanges(Protocol):
    """What is added to the weights of one model, worked out whenever somebody asks."""

    @property
    def keys(self) -> Collection[str]:
        """The weights that change."""
        ...

    def of(self, key: str) -> Change:
        """Returns what is added to one weight, which may be nothing."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What a plan adds to the weights of one model, computed anew whenever somebody asks.

    Attributes:
        plan: What is merged into the model.
        shapes: The shapes of its weights.
        weight_of: Gives the weights, for what depends on them; None if there are none.
    """

    plan: ModelPlan
    shapes: Mapping[str, Shape]
    weight_of: WeightOf | None = None

    @property
    def keys(self) -> Collection[str]:
        return self.plan.merged.keys()

    def of(self, key: str) -> Change:
        """Returns what is added to one weight, which may be nothing.

        Raises:
            LoraInputError: It depends on the weight and there is none, or changes a layer's shape.
        """
        terms, shape = self.plan.merged.get(key, ()), self.shapes[key]
        return Change(key, shape, _pieces(key, shape, terms, self.weight_of))


def _pieces(
    key: str, shape: Shape, terms: Sequence[WeightTerm], weight_of: WeightOf | None
) -> tuple[Piece, ...]:
    _refuse_reshaped(key, terms)
    patches = fuse([_as_pair(term, shape) for term in terms], SUM_TYPE)
    if not any(map(_needs_weight, patches)):
        patches = [resolved(patch, _rows_like(patch, shape)) for patch in patches]
    if all(_is_product(patch) for patch in patches):
        return tuple(_piece(patch) for patch in patches)
    base = torch.zeros(shape, dtype=SUM_TYPE)
    if any(_needs_weight(patch) for patch in patches):
        base = _weight(key, terms, weight_of)
    after = base.clone()
    merge_(after, patches)
    height = shape[0] if shape else 1
    return (Piece(0, (after - base).reshape(height, -1)),)


def _as_pair(term: WeightTerm, shape: Shape) -> WeightTerm:
    """Returns a term with an exact pair of factors where it has one that is smaller than the
    weight."""
    rank = None if isinstance(term.delta, Static) else term.delta.pair_rank
    rows = term.target.rows[1] if term.target.rows else shape[0] if shape else 1
    if rank is None or rank >= min(rows, math.prod(shape[1:])):
        return term
    return replace(term, delta=term.delta.to_low_rank())


def _rows_like(patch: Patch, shape: Shape) -> torch.Tensor:
    """Returns rows of the shape that a patch is for, which take no memory."""
    height = patch.rows[1] if patch.rows else shape[0] if shape else 1
    return torch.zeros((), dtype=SUM_TYPE).expand(height, *shape[1:])


def _is_product(patch: Patch) -> bool:
    static = patch.dense is None and not patch.weight_dependent
    return patch.gate is not None and static and not _needs_weight(patch)


def _needs_weight(patch: Patch) -> bool:
    shares = patch.row is not None or patch.column is not None
    depends = any(delta.needs_weight for _, delta in patch.weight_dependent)
    return depends or shares or patch.keep != 1.0


def _piece(patch: Patch) -> Piece:
    up = torch.cat([up.to(SUM_TYPE) for up in patch.ups], 1)
    down = torch.cat([down.to(SUM_TYPE) for down in patch.downs])
    start = patch.rows[0] if patch.rows else 0
    gate = torch.empty(0) if patch.gate is None else patch.gate.to(SUM_TYPE)
    if not len(gate):
        return Piece(start, Product(up, down))
    if bool((gate == gate[0]).all()):
        return Piece(start, Product(up, down, float(gate[0])))
    return Piece(start, Product(up * gate, down))


def _placed(piece: Piece, start: int, length: int) -> Matrix:
    """Returns a piece as a part of some rows that it meets: zero where it has none."""
    first, last = max(piece.start, start), min(piece.end, start + length)
    inside = slice(first - piece.start, last - piece.start)
    if not isinstance(piece.matrix, Product):
        return piece.matrix[inside]
    own = piece.matrix.rows(inside)
    if last - first == length:
        return own
    above, below = first - start, start + length - last
    return Product(torch.nn.functional.pad(own.up, (0, 0, above, below)), own.down, own.scale)


def _refuse_reshaped(key: str, terms: Sequence[WeightTerm]) -> None:
    for term in terms:
        if term.width is not None or term.shape is not None:
            raise LoraInputError(
                f"{term.file} changes the shape of {key}: a control LoRA cannot be a part of a new "
                "file. Take it out of the sum.",
                key=key,
                expected="LoRAs for the layer's own shape",
                found=term.delta.text(),
            )


def _weight(key: str, terms: Sequence[WeightTerm], weight_of: WeightOf | None) -> torch.Tensor:
    if weight_of is None:
        names = ", ".join(dict.fromkeys(term.file for term in terms))
        raise LoraInputError(
            f"What {names} adds to {key} depends on the model's weights (as in DoRA, OFT or IA3). "
            "Give the model itself, not only its names.",
            key="model",
            expected="a model with weights",
            found=terms[0].delta.text(),
        )
    return weight_of(key).to(device="cpu", dtype=SUM_TYPE)
