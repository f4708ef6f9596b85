"""The methods by which LoRAs become one, and what each is called."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias

import torch

from ..errors import LoraInputError
from .elections import dare, ties
from .product import Matrix, Product, rows_of
from .ranks import read_rule
from .resize import cut, ranks_of
from .subspaces import knots, orthogonal, tsv


@dataclass(frozen=True, slots=True)
class Options:
    """What a method is told.

    Attributes:
        density: The share of the entries that is kept.
        seed: What random choices begin with.
        rank: How much is kept, as ``read_rule`` reads it.
        most: The rank of one layer, after all of them were looked at; None before.

    Raises:
        LoraInputError: The density is not above 0 and at most 1.
    """

    density: float = 0.2
    seed: int = 0
    rank: str = "exact"
    most: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise LoraInputError(
                f"The density is {self.density:g}. It must be above 0 and at most 1.",
                key="density",
                expected="above 0 and at most 1",
                found=f"{self.density:g}",
            )
        read_rule(self.rank)


Look: TypeAlias = Callable[[Iterable[Matrix]], Sequence[Options]]
"""Looks at the matrices of all layers, and returns what each of them is told."""


def _at_none(options: Options) -> Look | None:
    del options
    return None


def _unchanged(options: Options) -> float:
    del options
    return 1.0


@dataclass(frozen=True, slots=True)
class Method:
    """A way to make one change of several.

    Attributes:
        name: What people write for it.
        paper: Where it is described.
        options: The names of those ``Options`` that it looks at.
        combine: Makes one matrix (m, n) of several, for a layer of that name.
        low_rank: Whether the result is a product of at most the sum of their ranks.
        growth: How many times larger than the sum of its parts' largest entries a result can be.
        look: Returns what looks at the matrices of all layers, one after the other, and tells what
            each of them is told then; None if every layer stands for itself.
    """

    name: str
    paper: str
    options: frozenset[str]
    combine: Callable[[Sequence[Matrix], Options, str], Matrix]
    low_rank: bool = True
    growth: Callable[[Options], float] = _unchanged
    look: Callable[[Options], Look | None] = _at_none


def _sum(parts: Sequence[Matrix], options: Options, layer: str) -> Matrix:
    del options, layer
    products = [part for part in parts if isinstance(part, Product)]
    if len(products) == len(parts):
        return Product.sum(products)
    return torch.stack([rows_of(part, slice(None)) for part in parts]).sum(0)


def _ties(parts: Sequence[Matrix], options: Options, layer: str) -> Matrix:
    del layer
    return ties(parts, options.density)


def _dare(parts: Sequence[Matrix], options: Options, layer: str) -> Matrix:
    """Every layer of every part has a seed of its own, which no other layer changes."""
    seeds = [zlib.crc32(f"{options.seed} {n} {layer}".encode()) for n in range(len(parts))]
    return dare(parts, options.density, seeds)


def _rescaled(options: Options) -> float:
    """What is kept grows as much as is dropped."""
    return 1 / options.density


def _knots(parts: Sequence[Matrix], options: Options, layer: str) -> Matrix:
    del layer
    return knots(parts, options.density)


def _tsv(parts: Sequence[Matrix], options: Options, layer: str) -> Matrix:
    del options, layer
    return tsv(parts)


def _resized(parts: Sequence[Matrix], options: Options, layer: str) -> Matrix:
    """Resizes a layer; one that was not looked at before by itself."""
    whole, rule = _sum(parts, options, layer), read_rule(options.rank)
    if rule is None:
        return whole
    if options.most is not None:
        return cut(whole, options.most)
    return cut(whole, ranks_of([whole], rule)[0] if rule.fixed is None else rule.fixed)


def _at_all(options: Options) -> Look | None:
    """Shares an error among all layers; a fixed rank needs no look."""
    rule = read_rule(options.rank)
    if rule is None or rule.fixed is not None:
        return None

    def look(matrices: Iterable[Matrix]) -> Sequence[Options]:
        return [replace(options, most=rank) for rank in ranks_of(matrices, rule)]

    return look


def _orthogonal(parts: Sequence[Matrix], options: Options, layer: str) -> Matrix:
    del options, layer
    return orthogonal(parts)


_DENSITY: Final = frozenset({"density"})

METHODS: Final = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("sum", "the algebra itself", frozenset(), _sum),
            Method("ties", "Yadav et al. 2023, arXiv:2306.01708", _DENSITY, _ties, low_rank=False),
            Method(
                "dare",
                "Yu et al. 2023, arXiv:2311.03099",
                _DENSITY | {"seed"},
                _dare,
                low_rank=False,
                growth=_rescaled,
            ),
            Method("knots", "Stoica et al. 2024, arXiv:2410.19735", _DENSITY, _knots),
            Method("tsv", "Gargiulo et al. 2024, arXiv:2412.00081", frozenset(), _tsv),
            Method(
                "resize",
                "Eckart and Young 1936",
                frozenset({"rank"}),
                _resized,
                look=_at_all,
            ),
            Method("orthogonal", "projections on the factors", frozenset(), _orthogonal),
        )
    }
)
"""All methods, by name."""
