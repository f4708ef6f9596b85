"""Block weights: a factor for each block, kind or part of a model. They can be merged."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar, Final

from ..naming import Layer, Layers
from ..strict_json import Json
from .block_layers import factors_of
from .block_text import TEXT, Line, read_lines, refused
from .json_fields import texts_of
from .modifier import Axis, Modifier, Moment

WORDS_SHOWN: Final = 3
"""How many lines a report shows."""


@dataclass(frozen=True, slots=True, order=True)
class BlockWeights(Modifier):
    """A factor on a strength for each layer of the denoiser; see ``block_text`` for the text.

    What no line names keeps its strength. Text encoders have no blocks, and keep theirs.

    Attributes:
        text: The lines in normal form: equal texts are equal values.
        lines: The same, as read.

    Raises:
        LoraInputError: The text cannot be read, or names text encoders.
    """

    axes: ClassVar[frozenset[Axis]] = frozenset(("layer",))

    text: str
    lines: tuple[Line, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        lines = read_lines(self.text)
        for line in lines:
            if line.name == TEXT:
                raise refused(repr(str(line)), "blocks of the model", "text encoders")
        object.__setattr__(self, "lines", lines)
        object.__setattr__(self, "text", "\n".join(map(str, lines)))

    @property
    def constant(self) -> Fraction | None:
        factors = {end for line in self.lines for end in (line.first, line.last)}
        if not any(line.selector is None for line in self.lines):
            factors.add(Fraction(1))
        return factors.pop() if len(factors) == 1 else None

    @property
    def json_version(self) -> int:
        return 4

    @property
    def words(self) -> str:
        shown = [f"{line.name} at {line.factor}" for line in self.lines[:WORDS_SHOWN]]
        more = len(self.lines) - WORDS_SHOWN
        return f"weighted by block: {', '.join(shown)}{f' and {more} more' if more > 0 else ''}"

    def factors(self, moment: Moment, layer: Layer | None) -> tuple[float, ...]:
        """Returns the factor for a layer, the same for all images."""
        return (self._at(layer),)

    def max_abs(self, layer: Layer | None = None) -> float:
        """Returns the magnitude of the factor for a layer, or the largest of all."""
        if layer is not None:
            return abs(self._at(layer))
        ends = [abs(float(end)) for line in self.lines for end in (line.first, line.last)]
        named = any(line.selector is None for line in self.lines)
        return max([*ends, *(() if named else (1.0,))])

    def check(self, model: Layers) -> None:
        """Refuses lines that name nothing in a model (LoraInputError)."""
        model.answer(self, lambda: self._factors(model))

    def times(self, other: Modifier) -> Modifier | None:
        return None

    def to_json(self) -> dict[str, list[Json]]:
        return {"blocks": [self.text]}

    @classmethod
    def from_json(cls, entry: dict[str, Json]) -> list[BlockWeights]:
        return [*map(cls, texts_of(entry, "blocks"))]

    def _at(self, layer: Layer | None) -> float:
        if layer is None:
            raise ValueError("block weights have a factor for a layer only")
        model = layer.model
        return model.answer(self, lambda: self._factors(model))[layer.key]

    def _factors(self, model: Layers) -> dict[str, float]:
        return {key: float(factor) for key, factor in factors_of(self.lines, model).items()}


def read_blocks(text: str) -> tuple[BlockWeights, Fraction]:
    """Reads block weights as people write them, with a line for the text encoders.

    Returns:
        The factors for the layers of the denoiser, and the factor for the text encoders.

    Raises:
        LoraInputError: The text cannot be read.
    """
    lines = read_lines(text)
    own = [line for line in lines if line.name != TEXT]
    encoders = [line for line in lines if line.name == TEXT]
    for line in encoders:
        if line.first != line.last:
            raise refused(repr(str(line)), "one factor for the text encoders", line.factor)
    return BlockWeights("\n".join(map(str, own))), (encoders[-1].first if encoders else Fraction(1))
