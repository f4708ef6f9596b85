"""Copies the numbers of a file to memory, and looks at each of them while it is in the processor's cache.

A mapped file that is cut short would end the process, so nothing is mapped. Copying takes the system
as long as handing out the memory, so several threads share a large file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Final, NamedTuple, TypeVar, cast

import torch

from ..algebra import FileId
from ..families import BITS, largest_magnitudes
from .header import Head, changed, identify, opened, unopened
from .tensors import TYPES

T = TypeVar("T")

CHUNK_BYTES: Final = 2**20
"""How many bytes are copied before they are looked at."""

MOST_THREADS: Final = 4

THREAD_BYTES: Final = 8 * 2**20
"""How many bytes are worth a thread."""


class Piece(NamedTuple):
    """Some bytes of a tensor.

    Attributes:
        key: The tensor's name.
        first: Where they begin in the data.
        last: Where they end.
        dtype: The type to look at them in; None if it is not one whose bits are ordered.
    """

    key: str
    first: int
    last: int
    dtype: torch.dtype | None


class Copy(NamedTuple):
    """What a file holds, in memory.

    Attributes:
        head: Its head.
        data: (bytes,) in uint8, all that follows the header.
        largest: The largest magnitude of each tensor whose type has ordered bits; infinity if it
            holds NaN.
    """

    head: Head
    data: torch.Tensor
    largest: Mapping[str, float]


def copied(file: FileId, head: Head) -> Copy:
    """Copies all that follows the header.

    Raises:
        LoraFileError: The file has changed since it was identified, or cannot be read.
    """
    start = len(head.beginning)
    data = torch.empty(file.size - start, dtype=torch.uint8)
    chunks = [*_chunks(head.tensors)]
    work = iter(chunks)  # the threads share it, so that the file is read in its order
    threads = min(MOST_THREADS, os.cpu_count() or 1, 1 + len(data) // THREAD_BYTES)
    largest: dict[str, float] = {}
    for found in _in_parallel(threads, lambda: _copy(file, start, data, work)):
        for key, magnitude in found:
            largest[key] = max(magnitude, largest.get(key, 0.0))
    if identify(file.path, file.name) != file:
        raise changed(file)
    return Copy(head, data, largest)


def _in_parallel(threads: int, act: Callable[[], T]) -> list[T]:
    """Does the same in some threads, and returns what each of them returns."""
    if threads == 1:
        return [act()]
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(act) for _ in range(threads)]
    return [job.result() for job in jobs]


def _copy(
    file: FileId, start: int, data: torch.Tensor, chunks: Iterable[Sequence[Piece]]
) -> list[tuple[str, float]]:
    """Copies some chunks; returns the largest magnitude in each of their pieces."""
    array = cast(Any, data).numpy()
    found: list[tuple[str, float]] = []
    with opened(file) as source:
        for chunk in chunks:
            first, last = chunk[0].first, chunk[-1].last
            try:
                source.seek(start + first)
                read = cast(Any, source).readinto(array[first:last])
            except OSError as error:
                raise unopened(error) from error
            if read != last - first:
                raise changed(file)
            found += _magnitudes(array, chunk)
    return found


def _magnitudes(array: Any, chunk: Sequence[Piece]) -> Iterator[tuple[str, float]]:
    for dtype, same in groupby(chunk, lambda piece: piece.dtype):
        if dtype is not None:
            pieces = [*same]
            first, last = pieces[0].first, pieces[-1].last
            starts = [piece.first - first for piece in pieces]
            magnitudes = largest_magnitudes(array[first:last], starts, dtype)
            yield from zip((piece.key for piece in pieces), magnitudes, strict=True)


def _chunks(header: Mapping[str, Any]) -> Iterator[list[Piece]]:
    """Yields all of the data, which has no gaps, in pieces that make chunks of about the same
    size."""
    chunk: list[Piece] = []
    for piece in _pieces(header):
        chunk.append(piece)
        if piece.last - chunk[0].first >= CHUNK_BYTES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _pieces(header: Mapping[str, Any]) -> Iterator[Piece]:
    spans = [(*entry["data_offsets"], entry["dtype"], key) for key, entry in header.items()]
    for first, last, name, key in sorted(spans):
        dtype = TYPES.get(name)
        aligned = dtype is not None and first % dtype.itemsize == 0
        ordered = dtype if aligned and dtype in BITS else None
        for at in range(first, last, CHUNK_BYTES):
            yield Piece(key, at, min(last, at + CHUNK_BYTES), ordered)
