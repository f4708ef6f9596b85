"""Takes a LoRA out of a finished model: what is the difference to the model it came from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from ..errors import LoraMismatchError
from ..naming import NameStyle, Shape, architecture_named
from .accuracy import Errors
from .change import SUM_TYPE, Change, Piece, WeightOf
from .checkpoint import Checkpoint
from .metadata import sizes
from .new_file import NewFile
from .save import Format, write_changes
from .source import Source
from .steps import Progress
from .unit import weight_of_bias

EQUAL: Final = "There is nothing to extract: the weights that both models have are equal."


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
        # what nobody has ever set, as the host leaves some weights, may be NaN in both
        same = (tuned == base) | (tuned.isnan() & base.isnan())
        shape, difference = self.shapes[key], (tuned - base).masked_fill(same, 0.0)
        if not bool(difference.isfinite().all()):
            raise LoraMismatchError(
                f"{key} holds NaN or infinity in one of the models.",
                key=key,
                expected="finite numbers",
                found="NaN or infinity",
            )
        return Change(key, shape, (Piece(0, difference.reshape(shape[0] if shape else 1, -1)),))


@dataclass(frozen=True, slots=True)
class Extracted:
    """A LoRA that was taken out of a model.

    Attributes:
        path: Where it is.
        layers: How many layers it has.
        errors: How far it is from the whole difference.
        left_out: How many weights are not in the file: only one of the models has them, they are
            stored with a scale, or a LoRA has no name for them, as for those of a VAE.
    """

    path: Path
    layers: int
    errors: Errors
    left_out: int


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
    NewFile.check(out)
    both = {key: shape for key, shape in base.items() if key in tuned}
    _check_alike(both, tuned, base)
    both = {key: both[key] for key in _named(both, model, form.style or "ComfyUI")}
    difference = Difference(both, *weights)

    def notes(ranks: Collection[int]) -> dict[str, str]:
        stated = architecture_named(model.view.base).stated[:1]
        return {
            "format": "pt",
            "ss_network_module": "networks.lora",
            **sizes(ranks),
            "modelspec.sai_model_spec": "1.0.1",
            "modelspec.title": out.stem,
            "modelspec.date": datetime.now(timezone.utc).replace(microsecond=0).isoformat(),
            **({"ss_base_model_version": stated[0]} if stated else {}),
        }

    layers, errors = write_changes([difference], [model], out, form, notes, progress, EQUAL)
    return Extracted(out, layers, errors, len(tuned.keys() | base.keys()) - len(both))


def extract_files(
    tuned: Path, base: Path, out: Path, form: Format, progress: Progress | None = None
) -> Extracted:
    """Writes the difference of two checkpoints, and reads them layer by layer.

    Raises:
        LoraFileError: One of them cannot be read.
        LoraError: As ``extract``.
    """
    pair = Checkpoint.of(tuned), Checkpoint.of(base)
    shapes = [{key: own.shapes[key] for key in own.shapes if key in own.plain} for own in pair]
    model, weights = pair[1].source(), (pair[0].weight, pair[1].weight)
    found = extract(shapes[0], shapes[1], weights, model, out, form, progress)
    every = len(pair[0].shapes.keys() | pair[1].shapes.keys())
    plain = len(shapes[0].keys() | shapes[1].keys())
    return replace(found, left_out=found.left_out + every - plain)


def _named(both: Mapping[str, Shape], model: Source, style: NameStyle) -> Iterator[str]:
    """Yields the weights that a LoRA has a name for; a VAE's and the like have none."""
    names = model.names(style)
    for key in both:
        written = names.of(weight_of_bias(key, both) or key)
        if all(model.view.names.find(each.name) is not None for each in written):
            yield key


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
