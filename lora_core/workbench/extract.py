"""Takes a LoRA out of a finished model: what is the difference to the model it came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..errors import LoraMismatchError
from ..naming import Shape, architecture_named
from .accuracy import Errors
from .change import SUM_TYPE, Change, Piece, WeightOf
from .checkpoint import opened, shapes_in
from .save import Format, write_changes
from .source import Source
from .steps import Progress
from .unit import Unit


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """tuned − base, one weight at a time.

    Attributes:
        shapes: The weights that both have.
        tuned: Gives those of the finished model.
        base: Gives those of the model that it came from.
    """

    shapes: Mapping[str, Shape]
    tuned: WeightOf
    base: WeightOf

    @property
    def keys(self) -> Collection[str]:
        return self.shapes.keys()

    def of(self, key: str) -> Change:
        """Returns the difference of one weight."""
        tuned, base = (weights(key).to("cpu", SUM_TYPE) for weights in (self.tuned, self.base))
        shape = self.shapes[key]
        return Change(key, shape, (Piece(0, (tuned - base).reshape(shape[0] if shape else 1, -1)),))


@dataclass(frozen=True, slots=True)
class Extracted:
    """A LoRA that was taken out of a model.

    Attributes:
        path: Where it is.
        layers: How many layers it has.
        errors: How far it is from the whole difference.
    """

    path: Path
    layers: int
    errors: Errors


def extract(
    tuned: Mapping[str, Shape],
    base: Mapping[str, Shape],
    weights: tuple[WeightOf, WeightOf],
    model: Source,
    out: Path,
    form: Format,
    progress: Progress | None = None,
) -> Extracted:
    """Writes the difference of two models as a LoRA.

    Args:
        tuned: The shapes of the finished model's weights.
        base: Those of the model that it came from.
        weights: Give the weights of both, one at a time; no more of them are in memory.
        model: The model that it came from, for names.
        out: The new file.
        form: How the file is written.
        progress: Is called before each weight; what it raises ends the work.

    Raises:
        LoraMismatchError: The two are not the same architecture.
        LoraInputError: ``out`` cannot be a new file, or there is no difference.
        OSError: The file cannot be written. Then there is none.
    """
    both = {key: shape for key, shape in base.items() if key in tuned}
    _check_alike(both, tuned, base)
    difference = Difference(both, *weights)

    def notes(units: Sequence[Unit]) -> dict[str, str]:
        del units
        stated = architecture_named(model.view.base).stated[:1]
        return {
            "format": "pt",
            "ss_network_module": "networks.lora",
            "modelspec.sai_model_spec": "1.0.1",
            "modelspec.title": out.stem,
            "modelspec.date": datetime.now(timezone.utc).replace(microsecond=0).isoformat(),
            **({"ss_base_model_version": stated[0]} if stated else {}),
        }

    layers, errors = write_changes([difference], [model], out, form, notes, progress)
    return Extracted(out, layers, errors)


def extract_files(
    tuned: Path, base: Path, out: Path, form: Format, progress: Progress | None = None
) -> Extracted:
    """Writes the difference of two checkpoints, and reads them layer by layer.

    Raises:
        LoraFileError: One of them cannot be read.
        LoraError: As ``extract``.
    """
    with opened(tuned) as finished, opened(base) as original:
        shapes = [shapes_in(finished), shapes_in(original)]
        model = Source.of_shapes(shapes[1])
        weights = finished.get_tensor, original.get_tensor
        return extract(shapes[0], shapes[1], weights, model, out, form, progress)


def _check_alike(
    both: Mapping[str, Shape], tuned: Mapping[str, Shape], base: Mapping[str, Shape]
) -> None:
    other = next((key for key, shape in both.items() if tuned[key] != shape), None)
    if other is not None:
        raise LoraMismatchError(
            f"{other} is {tuned[other]} in one model and {base[other]} in the other, so they are not "
            "the same architecture.",
            key=other,
            expected=str(base[other]),
            found=str(tuned[other]),
        )
    if not both:
        raise LoraMismatchError(
            "The two models have no weight in common, so they are not the same architecture.",
            key=next(iter(base), ""),
            expected="weights of the same names",
            found=next(iter(tuned), "none"),
        )
