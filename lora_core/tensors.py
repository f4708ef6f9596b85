"""The tensors of a file that the library has found sound, as parts of one buffer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import torch

TYPES: Final[Mapping[str, torch.dtype]] = MappingProxyType(
    {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "F8_E4M3": torch.float8_e4m3fn,
        "F8_E5M2": torch.float8_e5m2,
        "C64": torch.complex64,
        "I64": torch.int64,
        "I32": torch.int32,
        "I16": torch.int16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }
)
"""By their names in a header."""


def outlines_of(header: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Every tensor that a header names, without its data; KeyError if its type is unknown here."""
    return {
        key: torch.empty(entry["shape"], dtype=TYPES[entry["dtype"]], device="meta")
        for key, entry in header.items()
    }


def parts_of(
    buffer: torch.Tensor, header: Mapping[str, Any], start: int
) -> dict[str, torch.Tensor]:
    """Every tensor that a header names, without a copy where the data lies aligned.

    Args:
        buffer: (bytes,) in uint8, the whole file.
        header: One that the library has found sound; KeyError if it names a type unknown here.
        start: Where the data begins.
    """
    tensors: dict[str, torch.Tensor] = {}
    for key, entry in header.items():
        first, last = (start + offset for offset in entry["data_offsets"])
        dtype = TYPES[entry["dtype"]]
        part = buffer[first:last]
        if first % dtype.itemsize:
            part = part.clone()
        tensors[key] = part.view(dtype).view(entry["shape"])
    return tensors
