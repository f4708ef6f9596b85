"""Modifiers: factors on a strength that say at which step, for which image or where it counts.

To add a kind: a file with a frozen, ordered dataclass, and a row in ``modulation.MODIFIERS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final, Literal, TypeAlias

from ..strict_json import Json

Axis: TypeAlias = Literal["step", "image", "layer", "place", "prompt"]
"""What a factor may depend on: the step of sampling, the image of the batch, the layer of the model,
the place in the picture, the prompt."""

MERGEABLE: Final[frozenset[Axis]] = frozenset(("layer",))
"""A merged weight is the same at every step, for every image, place and prompt."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of sampling.

    Attributes:
        progress: From 0 to 1, as ComfyUI counts it: by the noise that is left.
        images: How many images the batch has, where no modifier says it.
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
        """Whether no merged weight can have it."""
        return not self.axes <= MERGEABLE

    @property
    def images(self) -> int | None:
        """The size of the batch that it is for; None if it fits any."""
        return None

    @property
    @abstractmethod
    def constant(self) -> Fraction | None:
        """The one factor that it always is; None if it has several."""

    @property
    @abstractmethod
    def json_version(self) -> int:
        """The version of a recipe's JSON that first had it."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it does, for people: a participle with what goes with it."""

    @abstractmethod
    def factors(self, moment: Moment, layer: str) -> tuple[float, ...]:
        """The factor for each image, or a single one for all of them.

        Args:
            moment: When.
            layer: The name of the weight in the model.
        """

    @abstractmethod
    def max_abs(self) -> float:
        """The largest magnitude of the factor, whatever it depends on."""

    @abstractmethod
    def __lt__(self, other: object) -> bool:
        """An order of those of one kind, for the normal form of a product."""

    @abstractmethod
    def times(self, other: Modifier) -> Modifier | None:
        """The product with another of its kind; None if it stays a product of two."""

    @abstractmethod
    def to_json(self) -> dict[str, list[Json]]:
        """The fields that say it; those of all modifiers of a product are joined."""

    @classmethod
    @abstractmethod
    def from_json(cls, entry: dict[str, Json]) -> Sequence[Modifier]:
        """The modifiers of this kind that the fields of ``entry`` say; LoraInputError if they are wrong."""
