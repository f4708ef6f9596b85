"""Looks at every number of a tensor once, cheaply."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

import numpy as np
import torch

from ..errors import LoraFileError

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
"""The types whose numbers have a meaning without a scale next to them."""

BITS: Final[Mapping[torch.dtype, tuple[str, str, int]]] = MappingProxyType(
    {
        torch.float16: ("i2", "f2", 0),
        torch.bfloat16: ("i2", "f4", 16),
        torch.float32: ("i4", "f4", 0),
        torch.float64: ("i8", "f8", 0),
    }
)
"""A type → the integers of its size, the numbers of numpy that begin with the same bits, and how many bits
these have more."""


def largest_magnitude(key: str, tensor: torch.Tensor) -> float:
    """Finds the largest absolute value in ``tensor``; LoraFileError if any is NaN or infinite.

    A tensor without data has no values: 0.
    """
    if tensor.is_meta or not tensor.numel():
        return 0.0
    plain = tensor.is_cpu and tensor.dtype in BITS
    return finite(key, _by_bits(tensor) if plain else _by_numbers(tensor))


def finite(key: str, largest: float) -> float:
    """Returns the largest absolute value in a tensor; LoraFileError if it is NaN or infinite."""
    if not math.isfinite(largest):
        raise LoraFileError(
            f"{key} holds NaN or infinity: its training went wrong, or the file is damaged.",
            key=key,
            expected="finite numbers",
            found="NaN or infinity",
        )
    return largest


def largest_magnitudes(data: Any, starts: Sequence[int], dtype: torch.dtype) -> list[float]:
    """Finds the largest absolute value in each of some tensors that lie one behind the other.

    It compares bit patterns, which without the sign are ordered like the numbers, with NaN after
    infinity. As signed integers the largest is the largest positive number; as unsigned ones it is
    the negative number farthest from 0. These are two passes over the data in place, without a
    copy. numpy's take one core, while torch's would use all of them on each small tensor.

    Args:
        data: (bytes,) in uint8, an array of numpy.
        starts: Where each tensor begins in it; none of them is empty.
        dtype: Their type, one of ``BITS``.

    Returns:
        The values; infinity for a tensor with NaN.
    """
    integers, numbers, more = BITS[dtype]
    signed = data.view(integers)
    places = [start // dtype.itemsize for start in starts]
    positive: Any = np.maximum.reduceat(signed, places)
    unsigned = signed.view(f"u{integers[1]}")
    lowest = cast(Any, np.maximum.reduceat(unsigned, places)).view(integers)
    negative = np.where(lowest < 0, lowest & np.iinfo(integers).max, 0)
    bits: Any = np.maximum(positive, negative).astype(f"i{numbers[1]}") << more
    found = bits.view(numbers).astype(float)
    return np.where(np.isnan(found), np.inf, found).tolist()


def _by_bits(tensor: torch.Tensor) -> float:
    data = cast(Any, tensor.reshape(-1).view(torch.uint8)).numpy()
    (found,) = largest_magnitudes(data, [0], tensor.dtype)
    return found


def _by_numbers(tensor: torch.Tensor) -> float:
    """Finds the smallest and the largest in one pass; a NaN becomes both."""
    low, high = torch.aminmax(tensor.double() if tensor.dtype.itemsize == 1 else tensor)
    return max(abs(float(low)), abs(float(high)))
