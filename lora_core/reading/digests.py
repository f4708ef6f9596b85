"""What a table of files says of a file's bytes, each found in one pass: its hashes, and single numbers in it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import torch

from ..algebra import FileId
from .content import CHUNK_BYTES, while_unchanged
from .file_faults import SNIFFED_BYTES, check_beginning, header_end
from .header import Head, opened, unopened
from .tensors import TYPES


@dataclass(frozen=True, slots=True)
class Digests:
    """The hashes of a file, each in 64 hex digits.

    Attributes:
        sha256: SHA-256 of the whole file.
        autov3: SHA-256 of what follows the header, as ``shared_hashes`` has it.
    """

    sha256: str
    autov3: str


def digests_of(file: FileId) -> Digests:
    """Returns both hashes of ``file``, which is read once.

    Raises:
        LoraFileError: The file has changed since it was identified, cannot be read, or is not a
            safetensors file.
    """
    return while_unchanged(file, lambda source: _digests(source, file.size))


def _digests(source: BinaryIO, size: int) -> Digests:
    beginning = source.read(SNIFFED_BYTES)
    check_beginning(beginning, size)
    whole, content = hashlib.sha256(beginning), hashlib.sha256()
    header = source.read(max(0, header_end(beginning) - len(beginning)))
    whole.update(header)
    content.update(beginning[header_end(beginning) :])  # of a header that is very short
    while part := source.read(CHUNK_BYTES):
        whole.update(part)
        content.update(part)
    return Digests(whole.hexdigest(), content.hexdigest())


def read_scalars(file: FileId, head: Head, keys: Iterable[str]) -> list[float]:
    """Returns the different finite numbers that ``keys`` hold, in ascending order; tensors of more
    than one number are left out.

    Raises:
        LoraFileError: The file has changed since it was identified, or cannot be read.
    """
    start = len(head.beginning)
    found: set[tuple[str, bytes]] = set()
    try:
        with opened(file) as source:
            for key in keys:
                entry = head.tensors[key]
                first, last = entry["data_offsets"]
                if math.prod(entry["shape"]) == 1 and entry["dtype"] in TYPES:
                    source.seek(start + first)
                    found.add((entry["dtype"], source.read(last - first)))
    except OSError as error:
        raise unopened(error).in_file(file.name) from error
    numbers = {_number(*each) for each in found}
    return sorted(number for number in numbers if math.isfinite(number))


def _number(dtype: str, data: bytes) -> float:
    value = torch.frombuffer(bytearray(data), dtype=TYPES[dtype])
    return math.nan if value.is_complex() else float(value.double())
