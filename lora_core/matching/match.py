"""Matches one file to the weights of some models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from ..errors import LoraFileError, LoraMismatchError
from ..families import Delta, Diagonal, LowRank, Replacement, Slot, regrouped
from ..naming import HEAD_BANKS, Layers, Names, Part, Shape, Target, architecture_named, part_of
from ..reading import LoraFile, base_of_file


@dataclass(frozen=True, slots=True, eq=False)
class ModelView:
    """What matching needs to know of a model, without tensors.

    Attributes:
        names: Finds the weight that a name in a file means.
        shapes: The shape of every weight.
        dtypes: The type that each patched weight has to fit into.
        parts: The parts of the model; None if only the matching names can tell.
        base: The kind of model, for messages; None if it is not known.
        branches: The parameters of layers that can have a branch next to them.
        quantised: Whether merging would round its weights to a few bits again.
        banks: Whether it reads a bank of heads instead of one.
        layers: What each weight of the denoiser is, found out when somebody asks.
    """

    names: Names
    shapes: Mapping[str, Shape]
    dtypes: Mapping[str, torch.dtype]
    parts: frozenset[Part] | None = None
    base: str | None = None
    branches: frozenset[str] = frozenset()
    quantised: bool = False
    banks: bool = False
    layers: Layers = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", Layers(self.shapes, self.base))


@dataclass(frozen=True, slots=True, eq=False)
class WeightTerm:
    """strength · delta, to be added to a target.

    Attributes:
        max_abs_bound: An upper bound for the magnitude of its entries.
        file: Name of the file it comes from, for messages.
        width: How many inputs the weight must have for it; None if it fits as it is.
        shape: The new shape of the weight, if it is replaced by one of another shape.
    """

    target: Target
    delta: Delta
    strength: float
    max_abs_bound: float
    file: str
    width: int | None = None
    shape: Shape | None = None

    def times(self, strength: float) -> WeightTerm:
        return WeightTerm(
            self.target,
            self.delta,
            self.strength * strength,
            self.max_abs_bound * abs(strength),
            self.file,
            self.width,
            self.shape,
        )


@dataclass(frozen=True, slots=True, eq=False)
class MatchedDelta:
    """A delta that has found its weight.

    Attributes:
        model: The index of the model.
        shape: The shape of the target.
        weight_term: What it adds at strength 1.
    """

    name: str
    model: int
    shape: Shape
    weight_term: WeightTerm


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What became of every delta of one file, which is the same at every strength.

    Attributes:
        missed: The names that no model knows, once for each weight or bias that they mean.
        base: The kind of model it was matched to; None if it is not known.
    """

    file: LoraFile
    deltas: tuple[MatchedDelta, ...]
    missed: tuple[str, ...]
    parts: frozenset[Part]
    base: str | None = None


def match_file(file: LoraFile, models: Sequence[ModelView]) -> Match:
    """Finds the weight of every delta in ``file``.

    Raises:
        LoraMismatchError: A shape does not fit, or nothing does.
        LoraFileError: Two names in the file mean the same weight.
    """
    try:
        return _matched(file, models)
    except LoraFileError as error:
        raise error.in_file(file.id.name) from error
    except LoraMismatchError as error:
        raise error.in_file(file.id.name, _origins(file, models)) from error


def _matched(file: LoraFile, models: Sequence[ModelView]) -> Match:
    deltas: list[MatchedDelta] = []
    missed: dict[tuple[str, Slot], None] = {}
    for name, module in file.modules.items():
        for delta, max_abs_bound in zip(module.deltas, module.max_abs_bounds, strict=True):
            found = _find(name, delta, models)
            if found is not None:
                index, target = found
                own = (
                    regrouped(name, delta, target, models[index].shapes)
                    if file.interleaved
                    else delta
                )
                deltas += _matched_deltas(name, own, max_abs_bound, file.id.name, models, found)
            elif not _is_share_of_bias(delta):
                missed[name, delta.slot] = None
    _refuse_synonyms(deltas)
    match = Match(
        file,
        tuple(deltas),
        tuple(name if slot == "weight" else f"{name} (bias)" for name, slot in missed),
        _parts(deltas, models),
        _base(models),
    )
    _refuse_stranger(match, models)
    return match


def _find(name: str, delta: Delta, models: Sequence[ModelView]) -> tuple[int, Target] | None:
    """Returns the first model that has a weight of that name, by its index, and the weight."""
    for index, model in enumerate(models):
        target = model.names.find(name)
        if target is not None and delta.slot == "bias":
            target = target.bias()
        if target is not None and all(p.key in model.shapes for p in target.pieces()):
            return index, target
    return None


def _is_share_of_bias(delta: Delta) -> bool:
    """Tells whether a delta is a share of a bias, which is nothing if the layer has no bias."""
    return isinstance(delta, Diagonal) and delta.slot == "bias"


def _matched_deltas(
    name: str,
    delta: Delta,
    max_abs_bound: float,
    file: str,
    models: Sequence[ModelView],
    found: tuple[int, Target],
) -> Iterator[MatchedDelta]:
    """Yields one delta for each weight that the model has in place of the file's layer."""
    index, target = found
    if target.source is not None:
        _check_whole(name, delta, target, models[index].shapes[target.key])
    for piece in target.pieces():
        own = delta if piece.source is None else _cut(name, delta, target, piece.source)
        weight_term, shape = _weight_term(name, own, max_abs_bound, file, models[index], piece)
        yield MatchedDelta(name, index, shape, weight_term)


def _weight_term(
    name: str, delta: Delta, max_abs_bound: float, file: str, model: ModelView, target: Target
) -> tuple[WeightTerm, Shape]:
    """Returns what is added to a target at strength 1, and its shape."""
    weight = model.shapes[target.key]
    shape = weight if target.rows is None else (target.rows[1], *weight[1:])
    width = None
    heads = _heads(delta, target, shape)
    if heads and model.banks:
        bank = (heads * shape[0], *shape[1:])
        return WeightTerm(target, delta, 1.0, max_abs_bound, file, shape=bank), shape
    if not delta.fits(shape):
        adapted = _adapted(delta, target, shape, model)
        if adapted is None:
            raise _misfit(name, delta, shape, heads)
        delta, width = adapted
    swapped = delta.with_halves_swapped() if target.halves_swapped else delta
    return WeightTerm(target, swapped, 1.0, max_abs_bound, file, width), shape


def _heads(delta: Delta, target: Target, shape: Shape) -> int:
    """Counts the heads of a bank that replaces a single one; 0 if the delta is not a bank."""
    layer = target.key.rpartition(".")[0]
    if (
        not (isinstance(delta, Replacement) and layer.endswith(HEAD_BANKS))
        or target.rows is not None
    ):
        return 0
    rows, *inputs = delta.value.shape or (0,)
    whole = tuple(inputs) == shape[1:] and rows > shape[0] and rows % shape[0] == 0
    return rows // shape[0] if whole else 0


def _check_whole(name: str, delta: Delta, target: Target, weight: Shape) -> None:
    """Refuses a layer that has more or fewer rows than the model has in its place."""
    height = sum(piece.source[1] for piece in target.pieces() if piece.source)
    shape = (height, *weight[1:])
    if not delta.fits(shape):
        raise _misfit(name, delta, shape)


def _cut(name: str, delta: Delta, whole: Target, source: tuple[int, int]) -> Delta:
    """Returns some rows of a delta whose layer the model has split."""
    start, length = source
    cut = delta.cut(slice(start, start + length))
    if cut is None:
        keys = ", ".join(piece.key for piece in whole.pieces())
        raise LoraMismatchError(
            f"{name} is split between {keys} in this model, and {delta.text()} cannot be split.",
            key=name,
            expected="a delta whose rows stand for themselves",
            found=delta.text(),
        )
    return cut


def _adapted(
    delta: Delta, target: Target, shape: Shape, model: ModelView
) -> tuple[LowRank, int | None] | None:
    """Fits a pair to the layer that reads pictures, in a model that reads another number of them.

    It returns the pair, and how many inputs the layer must have for it: a control LoRA widens it,
    and a LoRA of the model without control does not use the further inputs. None for any other
    mismatch.
    """
    if not isinstance(delta, LowRank) or len(shape) != 2 or target.rows is not None:
        return None
    allowed = delta.widens or architecture_named(model.base).can_widen(target.key)
    if not allowed or len(delta.up) != shape[0]:
        return None
    missing = shape[1] - delta.down.shape[1]
    if missing < 0:
        return delta, delta.down.shape[1]
    return replace(delta, down=torch.nn.functional.pad(delta.down, (0, missing))), None


def _misfit(name: str, delta: Delta, shape: Shape, heads: int = 0) -> LoraMismatchError:
    found = delta.text()
    bank = (
        f" It holds {heads} heads instead of one (a PDD LoRA), which needs a ComfyUI newer than 0.33."
        if heads
        else ""
    )
    return LoraMismatchError(
        f"{name}: {found} does not fit the model's weight of {shape}.{bank}",
        key=name,
        expected=str(shape),
        found=found,
    )


def _origins(file: LoraFile, models: Sequence[ModelView]) -> str:
    """Says what file and model were made for, if known: that is why they do not fit."""
    looks, known = base_of_file(file), _base(models)
    if looks and looks == known:
        return f" Both look like {known}, perhaps in variants of different sizes."
    made_for = f" The file looks made for {looks}." if looks else ""
    return made_for + (f" The model is {known}." if known else "")


def _base(models: Sequence[ModelView]) -> str | None:
    return next((model.base for model in models if model.base), None)


def _refuse_synonyms(deltas: Sequence[MatchedDelta]) -> None:
    """Refuses two names in a file that mean the same weight, or some of the same rows of it."""
    known: dict[tuple[int, str], list[MatchedDelta]] = {}
    for matched in deltas:
        others = known.setdefault((matched.model, matched.weight_term.target.key), [])
        for other in others:
            if other.name != matched.name and other.weight_term.target.meets(
                matched.weight_term.target
            ):
                raise LoraFileError(
                    f"{other.name} and {matched.name} are ambiguous: both match {matched.weight_term.target.key}.",
                    key=matched.name,
                    expected="one name for each weight",
                    found=f"{other.name} and {matched.name}",
                )
        others.append(matched)


def _parts(deltas: Sequence[MatchedDelta], models: Sequence[ModelView]) -> frozenset[Part]:
    """Returns the parts that can be patched."""
    declared = [model.parts for model in models if model.parts is not None]
    if declared:
        return frozenset[Part]().union(*declared)
    return frozenset(matched.weight_term.target.part for matched in deltas) or frozenset(
        ("model", "clip")
    )


def _refuse_stranger(match: Match, models: Sequence[ModelView]) -> None:
    """Refuses a file of which nothing fits the denoiser, or nothing at all, though it is meant to.

    A text encoder that does not fit is only reported: files for models with several often do not.
    """
    strangers = [name for name in match.missed if part_of(name) in match.parts]
    fitting = {matched.weight_term.target.part for matched in match.deltas}
    if "model" in {part_of(name) for name in strangers} - fitting or (strangers and not fitting):
        raise LoraMismatchError(
            f"0 of {len(strangers)} layers fit this model; the first is {strangers[0]}.",
            key=strangers[0],
            expected=_base(models) or "names of this model",
            found=base_of_file(match.file) or strangers[0],
        )
