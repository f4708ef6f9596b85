"""The tensors of a file that the library has accepted, as parts of one buffer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import torch

from ..errors import LoraFileError

TYPES: Final[Mapping[str, torch.dtype]] = MappingProxyType(
    {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "F8_E4M3": torch.float8_e4m3fn,
        "F8_E5M2": torch.float8_e5m2,
        "C64": torch.complex64,
        "U64": torch.uint64,
        "U32": torch.uint32,
        "U16": torch.uint16,
        "I64": torch.int64,
        "I32": torch.int32,
        "I16": torch.int16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }
)
"""The types by their names in a header."""

MOST_DIMENSIONS: Final = 8


def outlines_of(header: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Returns every tensor that a header names, without its data: those of one shape and type are the
    same. LoraFileError as in ``parts_of``."""
    known: dict[object, torch.Tensor] = {}
    outlines: dict[str, torch.Tensor] = {}
    for key, entry in header.items():
        shape, dtype = _shape_of(key, entry), _type_of(key, entry)
        kind = (dtype, *shape)
        if kind not in known:
            known[kind] = torch.empty(shape, dtype=dtype, device="meta")
        outlines[key] = known[kind]
    return outlines


def parts_of(data: torch.Tensor, header: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Returns every tensor that a header names, without a copy if it is aligned.

    Args:
        data: (bytes,) in uint8, all of the file after the header.
        header: A header that the library has accepted.

    Raises:
        LoraFileError: It names an unsupported type, or more dimensions than a layer has.
    """
    wholes: dict[torch.dtype, torch.Tensor] = {}
    tensors: dict[str, torch.Tensor] = {}
    for key, entry in header.items():
        first, last = entry["data_offsets"]
        dtype, shape = _type_of(key, entry), _shape_of(key, entry)
        size = dtype.itemsize
        if first % size:
            tensors[key] = data[first:last].clone().view(dtype).view(shape)
            continue
        if dtype not in wholes:
            wholes[dtype] = data[: len(data) - len(data) % size].view(dtype)
        tensors[key] = wholes[dtype][first // size : last // size].view(shape)
    return tensors


def _shape_of(key: str, entry: Mapping[str, Any]) -> list[int]:
    """Returns a shape. torch and numpy make tensors of more dimensions than they can compute with."""
    shape: list[int] = entry["shape"]
    if len(shape) > MOST_DIMENSIONS:
        raise LoraFileError(
            f"{key} has {len(shape)} dimensions; a layer has at most {MOST_DIMENSIONS}.",
            key=key,
            expected=f"at most {MOST_DIMENSIONS} dimensions",
            found=str(len(shape)),
        )
    return shape


def _type_of(key: str, entry: Mapping[str, Any]) -> torch.dtype:
    name: str = entry["dtype"]
    if name not in TYPES:
        raise LoraFileError(
            f"{key} holds numbers of type {name}, which are not supported.",
            key=key,
            expected="floating point numbers",
            found=name,
        )
    return TYPES[name]
