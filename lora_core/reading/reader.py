"""Reads LoRA files: validated, copied to memory, and shared as long as somebody uses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

from ..algebra import FileId
from ..errors import LoraFileError
from ..families import ADAPTER
from ..formats import FileConfig, FileKey, read_config
from .copying import copied
from .file_faults import check_size, explain
from .header import UNSOUND, Head, begins_with, read_head, unopened
from .modules import Content, Module, modules_of
from .tensors import outlines_of, parts_of

MOST_REMEMBERED: Final = 4096
"""How many files are remembered as sound."""

HELD_HEADER_BYTES: Final = 4 * 2**20
"""How much of headers is kept until the files are read."""


@dataclass(frozen=True, eq=False)
class LoraFile:
    """A valid LoRA in memory.

    Attributes:
        id: The file, in one state.
        modules: The modules by the layer's name, as the file writes it.
        unknown: Keys of no known spelling.
        metadata: The file's own metadata, unchecked text.
        notes: What the metadata, and peft's config next to the file, say about its modules.
        interleaved: Whether q, k and v of MiniMax-H3 would be stored head by head in it.
    """

    id: FileId
    modules: Mapping[str, Module]
    unknown: tuple[FileKey, ...]
    metadata: Mapping[str, str]
    notes: FileConfig
    interleaved: bool = False


class FileCache:
    """Reads every file once while anybody holds it; safe from several threads.

    References are weak: what the host frees is freed. Only the names of checked files stay, and the
    heads of a few that were not read yet.
    """

    def __init__(self) -> None:
        self._files: WeakValueDictionary[FileId, LoraFile] = WeakValueDictionary()
        self._sound: dict[FileId, None] = {}  # in the order of the checks
        self._heads: dict[FileId, Head] = {}
        self._lock = Lock()

    def read(self, file: FileId) -> LoraFile:
        """Returns the content of ``file``; LoraFileError if it is not a valid LoRA or has changed
        since."""
        with self._lock:
            known = self._files.get(file)
            if known is None:
                known = read_file(file, self._heads.pop(file, None))
                self._files[file] = known
                self._remember(file)
            return known

    def check(self, file: FileId) -> None:
        """Does what ``check_file`` does, once for each state of a file."""
        with self._lock:
            known = file in self._sound
        if not known:
            head = check_file(file)
            with self._lock:
                self._remember(file)
                self._hold(file, head)

    def _remember(self, file: FileId) -> None:
        self._sound[file] = None
        while len(self._sound) > MOST_REMEMBERED:
            del self._sound[next(iter(self._sound))]

    def _hold(self, file: FileId, head: Head) -> None:
        self._heads[file] = head
        while sum(len(each.beginning) for each in self._heads.values()) > HELD_HEADER_BYTES:
            del self._heads[next(iter(self._heads))]


shared_cache: Final = FileCache()
"""The one cache that all nodes share."""


def check_file(file: FileId) -> Head:
    """Refuses a damaged file, or one that is not a LoRA, from its header alone, in milliseconds.

    It returns what it has read.
    """
    try:
        check_size(file.size)
        head = read_head(file)
        outline_of(file, head)
    except LoraFileError as error:
        raise error.in_file(file.name) from error
    return head


def outline_of(file: FileId, head: Head) -> LoraFile:
    """Reads ``file`` without its numbers, as far as its header says; LoraFileError if it is not a
    LoRA."""
    try:
        outlines = outlines_of(head.tensors)
    except UNSOUND as error:
        raise explain(head.beginning, file.size, error) from error
    return _file(file, head, Content(outlines))


def read_file(file: FileId, head: Head | None = None) -> LoraFile:
    """Reads ``file`` whole and checks everything; LoraFileError names what is wrong.

    Args:
        file: The file, in one state.
        head: Its head, if it was read before.
    """
    try:
        return _parsed(file, head)
    except LoraFileError as error:
        raise error.in_file(file.name) from error


def _notes(file: FileId, metadata: Mapping[str, str]) -> FileConfig:
    try:
        return FileConfig.read(metadata, read_config(Path(file.path)))
    except OSError as error:
        raise unopened(error) from error


def _parsed(file: FileId, head: Head | None) -> LoraFile:
    check_size(file.size)
    if head is None or not begins_with(file, head):
        head = read_head(file)
    data, largest = copied(file, head)
    try:
        tensors = parts_of(data, head.tensors)
    except UNSOUND as error:
        raise explain(head.beginning, file.size, error) from error
    return _file(file, head, Content(tensors, largest))


def _file(file: FileId, head: Head, content: Content) -> LoraFile:
    notes = _notes(file, head.metadata)
    modules, unknown = modules_of(content, notes)
    interleaved = any(key.endswith(ADAPTER) for key in content.tensors)
    return LoraFile(file, modules, unknown, head.metadata, notes, interleaved)
