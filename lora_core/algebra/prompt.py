"""Prompts: a LoRA for those conditionings only that carry its name."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from ..naming import Layer
from ..strict_json import Json
from .json_fields import texts_of
from .modifier import Axis, Modifier, Moment


@dataclass(frozen=True, slots=True, order=True)
class Prompt(Modifier):
    """A factor of 1 for conditionings that carry a name, and of 0 for all others.

    Attributes:
        name: The name, which nobody sees.
    """

    axes: ClassVar[frozenset[Axis]] = frozenset(("prompt",))

    name: str

    @property
    def constant(self) -> Fraction | None:
        return None

    @property
    def json_version(self) -> int:
        return 5

    @property
    def words(self) -> str:
        return "for one prompt only"

    def factors(self, moment: Moment, layer: Layer | None) -> tuple[float, ...]:
        """Returns the factor for conditionings that carry the name; ``regions_of`` tells which do."""
        return (1.0,)

    def max_abs(self, layer: Layer | None = None) -> float:
        return 1.0

    def times(self, other: Modifier) -> Modifier | None:
        return self if self == other else None

    def to_json(self) -> dict[str, list[Json]]:
        return {"prompts": [self.name]}

    @classmethod
    def from_json(cls, entry: dict[str, Json]) -> list[Prompt]:
        return [*map(cls, texts_of(entry, "prompts"))]
