"""A checkpoint on disk, of which the header is read now, and a weight when somebody asks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import safetensors
import torch

from ..errors import LoraFileError
from ..naming import Shape
from .source import Source

_COMPUTABLE: Final = ("F64", "F32", "F16", "BF16")
"""Types that can be computed with as they are."""


@contextmanager
def opened(path: Path) -> Generator[Any]:
    """Opens a checkpoint; LoraFileError if it is not a .safetensors file."""
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


def shapes_in(file: Any) -> dict[str, Shape]:
    """Returns the shapes of the weights in an open checkpoint that can be computed with."""
    slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118, no mapping
    return {
        key: tuple(own.get_shape()) for key, own in slices.items() if own.get_dtype() in _COMPUTABLE
    }


def checkpoint(path: Path) -> Source:
    """Returns the model in a checkpoint; LoraFileError if it is not a .safetensors file."""

    def weight_of(key: str) -> torch.Tensor:
        with opened(path) as file:
            return file.get_tensor(key)

    with opened(path) as file:
        return Source.of_shapes(shapes_in(file), weight_of)
