"""Looking at every number of a tensor once, cheaply."""

from __future__ import annotations

import math
from typing import Final

import torch

from .errors import LoraFileError

COMPUTABLE: Final = frozenset(
    (
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
    )
)
"""Types whose numbers have a meaning of their own."""


def largest_magnitude(key: str, tensor: torch.Tensor) -> float:
    """The largest absolute value in ``tensor``; LoraFileError if any is NaN or infinite.

    The smallest and the largest number in one pass, without a copy; a NaN comes through as both.
    Tensors without data have none to look at: 0.
    """
    if tensor.is_meta or not tensor.numel():
        return 0.0
    low, high = torch.aminmax(tensor)
    largest = max(abs(float(low)), abs(float(high)))
    if not math.isfinite(largest):
        raise LoraFileError(
            f"{key} holds NaN or infinity: its training went wrong, or the file is damaged.",
            key=key,
            expected="finite numbers",
            found="NaN or infinity",
        )
    return largest
