"""Modifiers: factors on a strength that depend on the step, the image or the place.

To add a kind, add a file with a frozen, ordered dataclass, and a row in ``modulation.MODIFIERS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final, Literal, TypeAlias

from ..naming import Layer, Layers
from ..strict_json import Json

Axis: TypeAlias = Literal["step", "image", "layer", "place", "prompt"]
"""What a factor can depend on: the step of sampling, the image of the batch, the layer of the
model, the place in the picture, the prompt."""

MERGEABLE: Final[frozenset[Axis]] = frozenset(("layer",))
"""The axes that a merged weight can follow: it is the same at every step, for every image, place
and prompt."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of sampling.

    Attributes:
        progress: From 0 to 1, counted as ComfyUI does: by the noise that is left.
        images: How many images the batch has, if no modifier says it.
    """

    progress: float = 0.0
    images: int = 1


class Modifier(ABC):
    """A factor on a strength.

    Attributes:
        axes: What the factor depends on.
    """

    __slots__ = ()

    axes: ClassVar[frozenset[Axis]]

    @property
    def needs_live(self) -> bool:
        """Whether no merged weight can have this factor."""
        return not self.axes <= MERGEABLE

    @property
    def images(self) -> int | None:
        """The size of the batch that the modifier is for; None if it fits any."""
        return None

    @property
    @abstractmethod
    def constant(self) -> Fraction | None:
        """The factor, if it is always the same; None if it has several values."""

    @property
    @abstractmethod
    def json_version(self) -> int:
        """The first version of a recipe's JSON that has this modifier."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What the modifier does, for people, such as "scheduled 0:0, 1:1"."""

    @abstractmethod
    def factors(self, moment: Moment, layer: Layer | None) -> tuple[float, ...]:
        """Returns the factor for each image, or a single one for all of them.

        Args:
            moment: The moment of sampling.
            layer: The weight of the model; None if no modifier depends on it.
        """

    @abstractmethod
    def max_abs(self, layer: Layer | None = None) -> float:
        """Returns the largest magnitude of the factor, for a layer or for any, whatever else it
        depends on."""

    def check(self, model: Layers) -> None:  # noqa: B027 (most modifiers fit every model)
        """Refuses a model for which the modifier makes no sense (LoraInputError)."""

    @abstractmethod
    def __lt__(self, other: object) -> bool:
        """Orders modifiers of one kind, for the normal form of a product."""

    @abstractmethod
    def times(self, other: Modifier) -> Modifier | None:
        """Returns the product with another modifier of its kind; None if it stays a product of two."""

    def identity(self) -> dict[str, list[Json]]:
        """Returns what a fingerprint takes of it: its JSON fields, or less if that tells it apart."""
        return self.to_json()

    @abstractmethod
    def to_json(self) -> dict[str, list[Json]]:
        """Returns the fields that describe it; those of all modifiers of a product are joined."""

    @classmethod
    @abstractmethod
    def from_json(cls, entry: dict[str, Json]) -> Sequence[Modifier]:
        """Reads the modifiers of this kind from the fields of ``entry``; LoraInputError if they are
        wrong."""
