"""Modulation: what all modifiers together do to a strength."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ..naming import Layer, Layers
from ..strict_json import Json
from .block_weights import BlockWeights
from .curve import Curve
from .mask import Mask
from .modifier import Axis, Modifier, Moment
from .prompt import Prompt
from .spread import Spread, same_length

MODIFIERS: Final[tuple[type[Modifier], ...]] = (Curve, Spread, BlockWeights, Mask, Prompt)
"""The kinds of modifiers. New ones come last: fingerprints depend on the order."""


ALWAYS_WRITTEN: Final = ("curves", "spread")
"""Fields of the JSON form that are written even if they are empty, as in the first version."""


@dataclass(frozen=True, slots=True)
class Modulation:
    """A product of modifiers in normal form; the empty one is 1, always and everywhere.

    Attributes:
        modifiers: The modifiers by kind, in the order of ``MODIFIERS``.

    Raises:
        LoraInputError: Two of them are for batches of different sizes.
    """

    modifiers: tuple[Modifier, ...] = ()

    def __post_init__(self) -> None:
        own = (modifier for kind in self._by_kind() for modifier in kind)
        object.__setattr__(self, "modifiers", tuple(own))

    @classmethod
    def of(cls, modifiers: Iterable[Modifier]) -> tuple[Modulation, Fraction]:
        """Returns the product of ``modifiers``, and separately the factor of those that are
        constant."""
        known = [(modifier, modifier.constant) for modifier in modifiers]
        constant = math.prod((c for _, c in known if c is not None), start=Fraction(1))
        return cls(tuple(modifier for modifier, c in known if c is None)), constant

    def __bool__(self) -> bool:
        return bool(self.modifiers)

    def __lt__(self, other: Modulation) -> bool:
        return self._by_kind() < other._by_kind()

    @property
    def axes(self) -> frozenset[Axis]:
        """What the modulation depends on."""
        return frozenset(axis for modifier in self.modifiers for axis in modifier.axes)

    @property
    def needs_live(self) -> bool:
        """Whether no merged weight can have this factor."""
        return any(modifier.needs_live for modifier in self.modifiers)

    def times(self, other: Modulation) -> Modulation:
        """Returns the product of both."""
        return Modulation(self.modifiers + other.modifiers)

    def factors(self, moment: Moment, layer: Layer | None) -> tuple[float, ...]:
        """Returns the factor for each image, or a single one for all of them; see
        ``Modifier.factors``."""
        each = [modifier.factors(moment, layer) for modifier in self.modifiers]
        if len(each) == 1:  # this runs for every layer of every file
            return each[0]
        images = max(map(len, each), default=1)
        return tuple(math.prod(own[n % len(own)] for own in each) for n in range(images))

    def max_abs(self, layer: Layer | None = None) -> float:
        """Returns the largest magnitude of the factor, for a layer or for any."""
        return math.prod(modifier.max_abs(layer) for modifier in self.modifiers)

    def check(self, model: Layers) -> None:
        """Refuses a model for which a modifier makes no sense (LoraInputError)."""
        for modifier in self.modifiers:
            modifier.check(model)

    def to_json(self) -> dict[str, Json]:
        """Returns the fields that ``modifiers_in`` reads."""
        return _joined(modifier.to_json() for modifier in self.modifiers)

    def identity(self) -> dict[str, Json]:
        """Returns what a fingerprint takes of it."""
        return _joined(modifier.identity() for modifier in self.modifiers)

    def __str__(self) -> str:
        return ", ".join(modifier.words for modifier in self.modifiers)

    def _by_kind(self) -> tuple[tuple[Modifier, ...], ...]:
        return tuple(
            _product([own for own in self.modifiers if type(own) is kind]) for kind in MODIFIERS
        )


def _joined(each: Iterable[dict[str, list[Json]]]) -> dict[str, Json]:
    fields: dict[str, list[Json]] = {name: [] for name in ALWAYS_WRITTEN}
    for own in each:
        for name, values in own.items():
            fields.setdefault(name, []).extend(values)
    return {**fields}


def _product(modifiers: Iterable[Modifier]) -> tuple[Modifier, ...]:
    """Returns the normal form of a product of one kind: as few modifiers as possible, sorted."""
    own: list[Modifier] = []
    for each in modifiers:
        product = own[-1].times(each) if own else None
        if product is None:
            own.append(each)
        else:
            own[-1] = product
    return tuple(sorted(own))


def modifiers_in(entry: dict[str, Json]) -> list[Modifier]:
    """Reads the modifiers of ``entry``; LoraInputError if they are wrong."""
    return [modifier for kind in MODIFIERS for modifier in kind.from_json(entry)]


def images_of(modulations: Iterable[Modulation]) -> int | None:
    """Returns the size of the batch that the modulations are for; None if they fit any.

    Raises:
        LoraInputError: They are for batches of different sizes.
    """
    each = [modifier.images for known in modulations for modifier in known.modifiers]
    sizes = [size for size in each if size is not None]
    for size in sizes[1:]:
        same_length(sizes[0], size)
    return sizes[0] if sizes else None
