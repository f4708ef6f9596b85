"""A checkpoint on disk, of which the header is read now, and a weight when somebody asks."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import safetensors
import torch

from ..applying import SCALES
from ..errors import LoraFileError, LoraMismatchError
from ..naming import Shape
from .source import Source

_NUMBERS: Final = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""Types that can be computed with as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A checkpoint on disk.

    Attributes:
        path: Where it is.
        shapes: The shapes of all its weights.
        plain: The weights that mean what they say; others have a scale next to them, or are packed.
    """

    path: Path
    shapes: dict[str, Shape]
    plain: frozenset[str]

    @classmethod
    def of(cls, path: Path) -> Checkpoint:
        """Reads a header; LoraFileError if it is not a .safetensors file."""
        with _opened(path) as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118, no mapping
            shapes = {key: tuple(own.get_shape()) for key, own in slices.items()}
            numbers = {key for key, own in slices.items() if own.get_dtype() in _NUMBERS}
        return cls(path, shapes, frozenset(key for key in numbers if not _scale(key, shapes)))

    def source(self) -> Source:
        """Returns it as a model that files can be made for."""
        return Source.of_shapes(self.shapes, self.weight)

    def weight(self, key: str) -> torch.Tensor:
        """Reads one weight; LoraMismatchError if its numbers need something else to mean it.

        The file is opened anew each time, so that no more of it than this stays in memory.
        """
        if key not in self.plain:
            found = _scale(key, self.shapes) or "a packed type"
            raise LoraMismatchError(
                f"{key} in {self.path.name} is stored with {found}; only ComfyUI can read such weights.",
                key=key,
                expected="plain weights",
                found=found,
            )
        with _opened(self.path) as file:
            return file.get_tensor(key)


def checkpoint(path: Path) -> Source:
    """Returns the model in a checkpoint; LoraFileError if it is not a .safetensors file."""
    return Checkpoint.of(path).source()


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    try:
        with cast(Any, safetensors.safe_open)(path, framework="pt") as file:
            yield file
    except (safetensors.SafetensorError, FileNotFoundError) as error:
        raise LoraFileError(
            f"cannot be read as a checkpoint: {error}",
            file=path.name,
            expected="a .safetensors file",
            found=str(error),
        ) from error


def _scale(key: str, keys: Collection[str]) -> str | None:
    """Returns the name of the scale that a weight is stored with, if it has one."""
    layer = key.removesuffix("weight")
    return next((scale for scale in SCALES if layer + scale in keys), None)
