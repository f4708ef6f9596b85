"""Looks at every number of a tensor once, cheaply."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

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

BITS: Final[Mapping[torch.dtype, tuple[torch.dtype, str, str, int]]] = MappingProxyType(
    {
        torch.float16: (torch.int16, "u2", "<e", 2),
        torch.bfloat16: (torch.int16, "u2", "<f", 4),
        torch.float32: (torch.int32, "u4", "<f", 4),
        torch.float64: (torch.int64, "u8", "<d", 8),
    }
)
"""A type → the integers of its size with and without a sign, and the format and the size in bytes of the
number that begins with the same bits."""


def largest_magnitude(key: str, tensor: torch.Tensor) -> float:
    """Finds the largest absolute value in ``tensor``; LoraFileError if any is NaN or infinite.

    A tensor without data has no values: 0.
    """
    if tensor.is_meta or not tensor.numel():
        return 0.0
    plain = tensor.is_cpu and tensor.dtype in BITS
    largest = _by_bits(tensor) if plain else _by_numbers(tensor)
    if not math.isfinite(largest):
        raise LoraFileError(
            f"{key} holds NaN or infinity: its training went wrong, or the file is damaged.",
            key=key,
            expected="finite numbers",
            found="NaN or infinity",
        )
    return largest


def _by_bits(tensor: torch.Tensor) -> float:
    """Compares bit patterns, which without the sign are ordered like the numbers, with NaN after
    infinity.

    As signed integers the largest is the largest positive number; as unsigned ones it is the
    negative number farthest from 0. These are two passes over the data in place, without a copy.
    numpy's take one core, while torch's would use all of them on each small tensor.
    """
    integers, unsigned, form, size = BITS[tensor.dtype]
    signed = cast(Any, tensor.contiguous().view(integers).numpy())
    top, sign = int(signed.view(unsigned).max()), 1 << (8 * signed.itemsize - 1)
    found = max(int(signed.max()), top - sign if top >= sign else 0)
    (number,) = struct.unpack(
        form, (found << 8 * (size - signed.itemsize)).to_bytes(size, "little")
    )
    return number


def _by_numbers(tensor: torch.Tensor) -> float:
    """Finds the smallest and the largest in one pass; a NaN becomes both."""
    low, high = torch.aminmax(tensor.double() if tensor.dtype.itemsize == 1 else tensor)
    return max(abs(float(low)), abs(float(high)))
