"""A LoRA file on disk, and what its header says."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import safetensors

from ..algebra import FileId
from ..errors import LoraFileError
from ..formats import config_changed
from .file_faults import (
    LARGEST_HEADER_BYTES,
    SNIFFED_BYTES,
    check_beginning,
    explain,
    header_end,
    read_header,
)

UNSOUND: Final = (
    safetensors.SafetensorError,
    KeyError,
    TypeError,
    RuntimeError,
    OverflowError,
)
"""The errors of a header that names something impossible; the library does not find all of it."""


@dataclass(frozen=True, slots=True)
class Head:
    """A header that the library has accepted.

    Attributes:
        tensors: What it says about each tensor, by key.
        metadata: The file's own notes, unchecked text.
        beginning: The bytes before the data.
    """

    tensors: Mapping[str, Any]
    metadata: Mapping[str, str]
    beginning: bytes = field(repr=False)


def identify(path: str | os.PathLike[str], name: str | None = None) -> FileId:
    """Returns the identity of the .safetensors file at ``path``, called ``name`` in messages.

    Raises:
        LoraFileError: There is no such file, it cannot be opened, or it is of another kind.
    """
    where = Path(path)
    called = name or where.name
    if where.suffix.lower() != ".safetensors":
        raise LoraFileError(
            "only .safetensors files are read, since other formats can carry code. "
            "Convert it to .safetensors first.",
            file=called,
            expected=".safetensors",
            found=where.suffix or "no suffix",
        )
    try:
        return _identity(where.stat(), str(where), called)
    except LoraFileError as error:
        raise error.in_file(called) from error
    except (OSError, ValueError) as error:
        raise unopened(error).in_file(called) from error


def read_head(file: FileId, largest: int = LARGEST_HEADER_BYTES, words: int | None = None) -> Head:
    """Reads the header of ``file``.

    Args:
        file: The file, in one state.
        largest: How many bytes the header may have.
        words: How many words, numbers, lists or objects it may have; None for any number.

    Raises:
        LoraFileError: The header is damaged, or too large.
    """
    beginning = _beginning(file, largest)
    if words is not None and max(map(beginning.count, (b'"', b",", b"[", b"{"))) > words:
        raise LoraFileError(
            "has a header that is too large to show.",
            expected=f"at most {words} words",
            found="more",
        )
    try:
        check_whole(file)
        return head_of(beginning)
    except UNSOUND as error:
        raise explain(beginning, file.size, error) from error


def begins_with(file: FileId, beginning: bytes) -> bool:
    """Tells whether the bytes before the data are these; LoraFileError if it cannot be read."""
    return _beginning(file, len(beginning)) == beginning


def _beginning(file: FileId, largest: int) -> bytes:
    with opened(file) as source:
        try:
            beginning = source.read(SNIFFED_BYTES)
            check_beginning(beginning, file.size, largest)
            return beginning + source.read(max(0, header_end(beginning) - SNIFFED_BYTES))
        except OSError as error:
            raise unopened(error) from error


def head_of(beginning: bytes) -> Head:
    """Reads the bytes before the data, once the library has accepted them."""
    header = read_header(beginning)
    metadata: dict[str, str] = header.pop("__metadata__", None) or {}
    return Head(header, metadata, beginning)


def check_whole(file: FileId) -> None:
    """Lets the library check the header, and makes sure that it saw what was read."""
    _check_path(file)
    try:
        with cast(Any, safetensors.safe_open)(file.path, framework="pt"):
            pass
    except OSError as error:
        raise changed(file) from error
    with opened(file):
        pass


def _check_path(file: FileId) -> None:
    """Refuses a path that the library cannot open; its own error would show the whole path."""
    try:
        file.path.encode()
    except UnicodeEncodeError as error:
        raise LoraFileError(
            "has a path that is not valid UTF-8, which the safetensors library cannot open. Rename it.",
            expected="a path in UTF-8",
            found="other bytes",
        ) from error


def opened(file: FileId) -> BinaryIO:
    """Opens the file for reading, if it still is what was identified."""
    identify(file.path, file.name)  # this comes first: opening a pipe would wait forever
    try:
        source = Path(file.path).open("rb")  # noqa: SIM115 (the caller closes it)
    except OSError as error:
        raise unopened(error) from error
    if _identity(os.fstat(source.fileno()), file.path, file.name) != file:
        source.close()
        raise changed(file)
    return source


def changed(file: FileId) -> LoraFileError:
    """Returns the error for a file that is no longer what was identified."""
    return LoraFileError(
        "has changed on disk since it was chosen. Queue the prompt again.",
        expected=f"{file.size} bytes of {file.mtime_ns}",
        found="another state of the file",
    )


def unopened(error: Exception) -> LoraFileError:
    """Returns the error for a file that the system does not let us open."""
    reason = getattr(error, "strerror", None) or str(error)
    return LoraFileError(f"cannot be opened: {reason}.", expected="a readable file", found=reason)


def _identity(status: os.stat_result, path: str, name: str) -> FileId:
    if not stat.S_ISREG(status.st_mode):
        raise LoraFileError(
            "is not a regular file.", expected="a regular file", found="a folder, pipe or device"
        )
    config_mtime_ns = config_changed(Path(path))
    return FileId(path, status.st_mtime_ns, status.st_size, status.st_ino, name, config_mtime_ns)
