"""What a method makes of other LoRAs, matched to models like a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

import torch

from ..algebra import FileId, Making, Recipe
from ..combining import (
    METHODS,
    Combined,
    Look,
    Matrix,
    Method,
    Options,
    PartTerm,
    Product,
    as_delta,
    matrix_of,
)
from ..errors import LoraInputError, LoraMismatchError
from ..families import Delta, Slot
from ..formats import FileConfig, reference_notes
from ..naming import Part, Shape, Target, part_of
from ..reading import LoraFile
from .file_match import FileMatch
from .match import MatchedDelta, ModelView, WeightTerm
from .report import LoraReport, PartReport

if TYPE_CHECKING:
    from .plan import Plan

PlanOf = Callable[[Recipe], "Plan"]
"""Plans one part for the same models."""

Progress: TypeAlias = Callable[[int, int], None]
"""A function that is called with (weights done, weights to do)."""


def match_made(
    leaf: FileId,
    making: Making,
    views: Sequence[ModelView],
    plan: PlanOf,
    progress: Progress | None = None,
) -> FileMatch:
    """Works out what a method makes of its parts on some models, at strength 1.

    Args:
        leaf: What stands for it in recipes.
        making: The method and its parts.
        views: The models.
        plan: Plans one part.
        progress: Is called before each weight; what it raises ends the work.

    Raises:
        LoraInputError: There is no such method, or it is told something that it does not know.
        LoraError: A part is damaged or does not fit.
    """
    method, options = read_method(making)
    work = _Work(leaf, method, options, progress)
    plans = [plan(Recipe(part)) for part in making.parts]
    deltas = [
        matched
        for index, view in enumerate(views)
        for matched in work.on(view, index, [own.models[index].merged for own in plans])
    ]
    notes = [part.metadata for own in plans for part in own.files]
    file = LoraFile(leaf, {}, (), reference_notes(notes), FileConfig())
    return FileMatch(file, tuple(deltas), _report(leaf, method, deltas, plans))


def read_method(making: Making) -> tuple[Method, Options]:
    """Returns the method of a making, and what it is told; LoraInputError if it is not known."""
    method = METHODS.get(making.method)
    if method is None:
        raise LoraInputError(
            f"{making.method!r} is not a method. Use one of: {', '.join(METHODS)}.",
            key="method",
            expected=", ".join(METHODS),
            found=making.method,
        )
    told = dict(making.options)
    unknown = told.keys() - method.options
    if unknown:
        raise LoraInputError(
            f"{method.name} has no option {min(unknown)}.",
            key=min(unknown),
            expected=", ".join(sorted(method.options)) or "no options",
            found=min(unknown),
        )
    usual = Options()
    try:
        density, seed = float(told.get("density", usual.density)), int(told.get("seed", usual.seed))
    except ValueError as error:
        raise LoraInputError(
            f"{making} has an option that is not a number.",
            key="options",
            expected="numbers",
            found=str(told),
        ) from error
    return method, Options(density, seed, told.get("rank", usual.rank))


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What a method does to one model after the other."""

    leaf: FileId
    method: Method
    options: Options
    progress: Progress | None

    def on(
        self, view: ModelView, index: int, merged: Sequence[Mapping[str, Sequence[WeightTerm]]]
    ) -> Iterator[MatchedDelta]:
        """Yields what is added to the weights of one model, of which each part adds ``merged``."""
        layers = [
            _Layer.of(self.leaf, key, [own[key] for own in merged if key in own], view.shapes[key])
            for key in dict.fromkeys(key for own in merged for key in own)
        ]
        look = self.method.look(self.options)
        step = _steps(len(layers) * (1 if look is None else 2), self.progress)
        told = self._told(look, layers, step) if look else {}
        for layer in layers:
            step()
            delta = _delta(self.method, told.get(layer.key, self.options), layer)
            target = Target(layer.key, layer.part)
            term = WeightTerm(target, delta, 1.0, delta.max_abs_bound(), self.leaf.name)
            yield MatchedDelta(layer.key, index, layer.shape, term)

    def _told(
        self, look: Look, layers: Sequence[_Layer], step: Callable[[], None]
    ) -> dict[str, Options]:
        """Returns what the layers are told that can be looked at before the weights are there."""
        seen: list[str] = []

        def matrices() -> Iterator[Matrix]:
            for layer in layers:
                step()
                if layer.is_matrix and not layer.takes_weight:
                    seen.append(layer.key)
                    yield METHODS["sum"].combine(layer.matrices(), self.options, layer.key)

        told = look(matrices())
        return dict(zip(seen, told, strict=True))


def _steps(total: int, progress: Progress | None) -> Callable[[], None]:
    """Returns what tells that the next of ``total`` steps begins."""
    done = count()
    return (lambda: progress(next(done), total)) if progress else lambda: None


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """All parts for one weight.

    Attributes:
        parts: The terms of each part.
    """

    key: str
    shape: Shape
    parts: Sequence[Sequence[WeightTerm]]
    terms: tuple[tuple[PartTerm, ...], ...]

    @classmethod
    def of(
        cls, leaf: FileId, key: str, parts: Sequence[Sequence[WeightTerm]], shape: Shape
    ) -> _Layer:
        _refuse_reshaped(leaf, key, parts)
        height = shape[0] if shape else 1
        terms = tuple(tuple(_part_term(term, height) for term in part) for part in parts)
        return cls(key, shape, parts, terms)

    @property
    def takes_weight(self) -> bool:
        """Whether a part is only known when the weight is there."""
        deltas = (term.delta for part in self.terms for term in part)
        return any(delta.needs_weight or delta.follows or delta.removes for delta in deltas)

    def matrices(self) -> Sequence[Matrix]:
        """Returns the parts, computed anew each time: those of all layers would fill the memory."""
        found = [matrix_of(part, self.shape) for part in self.terms]
        known = [matrix for matrix in found if matrix is not None]
        if len(known) < len(found):
            raise TypeError(f"a part for {self.key} takes the weight")
        return known

    @property
    def part(self) -> Part:
        return self.parts[0][0].target.part

    @property
    def slot(self) -> Slot:
        return self.parts[0][0].delta.slot

    @property
    def is_matrix(self) -> bool:
        return len(self.shape) > 1


def _delta(method: Method, options: Options, layer: _Layer) -> Delta:
    """Returns what is added to one layer: a pair if it has a low rank, and else what works it out when
    the weight is there, so that nothing as large as the weight is kept."""
    own = METHODS["sum"] if method.low_rank and not layer.is_matrix else method
    if own.low_rank and not layer.takes_weight:
        made = own.combine(layer.matrices(), options, layer.key)
        if isinstance(made, Product) or not layer.is_matrix:
            return as_delta(_single(made), layer.shape, layer.slot)
    return _combined(own, options, layer)


def _combined(method: Method, options: Options, layer: _Layer) -> Combined:
    every = [term for part in layer.parts for term in part]
    return Combined(
        method,
        options,
        layer.key,
        layer.terms,
        layer.shape,
        sum(term.max_abs_bound for term in every) * method.growth(options),
        layer.slot,
        any(term.delta.follows for term in every),
        any(term.delta.removes for term in every),
    )


def _part_term(term: WeightTerm, height: int) -> PartTerm:
    start, length = term.target.rows or (0, height)
    return PartTerm(term.strength, term.delta, start, length)


def _single(matrix: Matrix) -> Matrix:
    """Returns a matrix in float32, as deltas are kept."""
    if isinstance(matrix, torch.Tensor):
        return matrix.float()
    return replace(matrix, up=matrix.up.float(), down=matrix.down.float())


def _refuse_reshaped(leaf: FileId, key: str, parts: Sequence[Sequence[WeightTerm]]) -> None:
    for term in (term for part in parts for term in part):
        if term.width is not None or term.shape is not None:
            raise LoraMismatchError(
                f"{leaf.label}: {term.file} changes the shape of {key}, so it cannot be combined.",
                key=key,
                expected="LoRAs for the layer's own shape",
                found=term.delta.text(),
                file=term.file,
            )


def _report(
    leaf: FileId, method: Method, deltas: Sequence[MatchedDelta], plans: Sequence[Plan]
) -> LoraReport:
    ranks = [d.weight_term.delta.rank for d in deltas if d.weight_term.delta.rank is not None]
    loras = [lora for plan in plans for lora in plan.report.loras]
    bases = {lora.base for lora in loras}
    return LoraReport(
        name=leaf.name,
        parts=(_part(deltas, loras, "model"), _part(deltas, loras, "clip")),
        families=(method.name,),
        ranks=(min(ranks), max(ranks)) if ranks else None,
        parameters=sum(lora.parameters for lora in loras),
        touched=sum(torch.Size(matched.shape).numel() for matched in deltas),
        unknown=tuple(dict.fromkeys(name for lora in loras for name in lora.unknown)),
        base=bases.pop() if len(bases) == 1 else None,
        zero_layers=0,
        scale_unread=any(lora.scale_unread for lora in loras),
        dialects=tuple(dict.fromkeys(each for lora in loras for each in lora.dialects)),
        model=next((lora.model for lora in loras if lora.model), None),
    ).with_warnings(*(warning for lora in loras for warning in lora.extra_warnings))


def _part(deltas: Sequence[MatchedDelta], loras: Sequence[LoraReport], part: Part) -> PartReport:
    applied = sum(matched.weight_term.target.part == part for matched in deltas)
    own = [each for lora in loras for each in lora.parts if each.part == part]
    missed = {name for lora in loras for name in lora.unknown if part_of(name) == part}
    connected = any(each.connected for each in own)
    return PartReport(part, 1.0, applied + len(missed), applied, connected)
