"""Hashes what a file holds after its header: the same for the same LoRA under any name."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import BinaryIO, Final, TypeVar

from ..algebra import FileId
from ..errors import LoraFileError
from .file_faults import SNIFFED_BYTES, check_beginning, check_size, header_end
from .header import changed, identify, opened, unopened

T = TypeVar("T")

CHUNK_BYTES: Final = 2**20
"""How many bytes are read at once."""

MOST_HASHES: Final = 2**16
"""How many hashes are kept, which takes some 40 MB. Who looks for a file by its content asks for the files
of its size in turn, so if there were more of them than this, all would be hashed again each time."""


class ContentHashes:
    """The hashes of the latest files by identity; safe from several threads."""

    def __init__(self, most: int = MOST_HASHES) -> None:
        self._known: OrderedDict[FileId, str] = OrderedDict()
        self._most = most
        self._lock = Lock()

    def of(self, file: FileId) -> str:
        """Returns what ``content_hash`` returns, and computes it once for each state of a file."""
        with self._lock:
            known = self._known.get(file)
        return known or self._keep(file, content_hash(file))

    def _keep(self, file: FileId, known: str) -> str:
        with self._lock:
            self._known[file] = known
            self._known.move_to_end(file)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return known


shared_hashes: Final = ContentHashes()
"""The hashes that all nodes share."""


def content_hash(file: FileId) -> str:
    """Returns the SHA-256 of the bytes after the header, in 64 hex digits.

    It is what kohya's trainers write as ``sshs_model_hash`` and Civitai calls AutoV3.

    Raises:
        LoraFileError: The file has changed since it was identified, cannot be read, is not a
            safetensors file, or is larger than any LoRA.
    """
    return while_unchanged(file, lambda source: _hashed(source, file.size))


def while_unchanged(file: FileId, read: Callable[[BinaryIO], T]) -> T:
    """Returns what ``read`` makes of a file that is the same before and after.

    Raises:
        LoraFileError: The file has changed since it was identified, cannot be read, or ``read``
            refuses it.
    """
    try:
        with opened(file) as source:
            found = read(source)
        if identify(file.path, file.name) != file:
            raise changed(file)
    except LoraFileError as error:
        raise error.in_file(file.name) from error
    except OSError as error:
        raise unopened(error).in_file(file.name) from error
    return found


def _hashed(source: BinaryIO, size: int) -> str:
    check_size(size)
    beginning = source.read(SNIFFED_BYTES)
    check_beginning(beginning, size)
    source.seek(header_end(beginning))
    digest = hashlib.sha256()
    while part := source.read(CHUNK_BYTES):
        digest.update(part)
    return digest.hexdigest()
