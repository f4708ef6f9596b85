"""What a new file is made for: a model, the header of a checkpoint, or only the names in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch

from ..applying import model_of
from ..errors import LoraInputError
from ..families import Delta, norm
from ..matching import ModelView
from ..naming import ModelNames, NameStyle, Shape, Target, WrittenName, WrittenNames, part_of
from ..reading import LoraFile, base_of_file
from .agreement import check_agreement
from .change import WeightOf


class NamesInFile(Protocol):
    """Gives the names that weights have in a new file."""

    def of(self, key: str) -> tuple[WrittenName, ...]:
        """Returns the name of a weight, or those of the layers whose rows it holds."""
        ...


NormOf: TypeAlias = Callable[[str], float]
"""Gives the Frobenius norm of a weight by its key."""

NamesOf: TypeAlias = Callable[[NameStyle], NamesInFile]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A model, as a file can be made for it.

    Attributes:
        view: What is known of it.
        names: Gives the names of its weights in a file of a style.
        weight_of: Gives its weights; None if there are only names.
    """

    view: ModelView
    names: NamesOf
    weight_of: WeightOf | None = None

    @property
    def norm_of(self) -> NormOf | None:
        """Gives the Frobenius norms of the weights; None if there are only names."""
        weight_of = self.weight_of
        return None if weight_of is None else lambda key: float(norm(weight_of(key).float()))

    @classmethod
    def of_model(cls, view: ModelView, names: ModelNames, weight_of: WeightOf | None) -> Source:
        """Returns a model of which the weights are named by ``names``."""
        return cls(view, lambda style: WrittenNames(names, view.shapes, style), weight_of)

    @classmethod
    def of_shapes(cls, shapes: Mapping[str, Shape], weight_of: WeightOf | None = None) -> Source:
        """Returns a model of which the shapes are known, as from the header of a checkpoint."""
        empty = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
        return cls.of_model(model_of(empty), ModelNames(shapes), weight_of)

    @classmethod
    def of_files(cls, files: Sequence[LoraFile]) -> Source:
        """Returns the model that files of one dialect describe: every name in them is a layer.

        Raises:
            LoraInputError: They call their layers differently, or the shape of a layer does not
                follow from them.
        """
        check_agreement(files)
        shapes: dict[str, Shape] = {}
        for file in files:
            for name, module in file.modules.items():
                for delta in module.deltas:
                    key, shape = _weight(name, delta, file)
                    if len(shape) >= len(shapes.get(key, ())):
                        shapes[key] = shape
        bases = {base for file in files if (base := base_of_file(file))}
        base = bases.pop() if len(bases) == 1 else None
        dtypes = dict.fromkeys(shapes, torch.float32)
        return cls(ModelView(_OwnNames(shapes), shapes, dtypes, None, base), lambda _: _Same())


class _OwnNames:
    """Takes the names in files for the model's own."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes

    def find(self, name: str) -> Target | None:
        layer = f"{name}.weight"
        known = layer in self._shapes or f"{name}.bias" in self._shapes
        return Target(layer, part_of(name)) if known else None


class _Same:
    """Leaves names as they are."""

    def of(self, key: str) -> tuple[WrittenName, ...]:
        return (WrittenName(key.removesuffix(".weight").removesuffix(".bias"), Target(key)),)


def _weight(name: str, delta: Delta, file: LoraFile) -> tuple[str, Shape]:
    """Returns the weight or bias that a delta is for, and its shape."""
    shape = delta.made_for
    if shape is None or delta.needs_weight:
        raise LoraInputError(
            f"{file.id.name}: what {name} adds ({delta.text()}) depends on the model's weights. "
            "Say which model it is for.",
            key="model",
            expected="a checkpoint",
            found=delta.text(),
        )
    return f"{name}.{delta.slot}", shape
