"""Reads LoRA files: validated, copied to memory, and shared as long as somebody uses them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

from ..algebra import FileId
from ..errors import LoraFileError
from ..families import ADAPTER
from ..formats import FileConfig, FileKey, read_config
from .copying import Copy, copied
from .file_faults import check_size, explain
from .header import UNSOUND, Head, begins_with, head_of, read_head, unopened
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
    headers of a few that were not read yet.
    """

    def __init__(self) -> None:
        self._files: WeakValueDictionary[FileId, LoraFile] = WeakValueDictionary()
        self._sound: dict[FileId, None] = {}  # in the order of the checks
        self._headers: dict[FileId, bytes] = {}  # what was read of it are too many objects
        self._copies: dict[FileId, Future[Copy]] = {}
        self._lock = Lock()

    def read(self, file: FileId) -> LoraFile:
        """Returns the content of ``file``; LoraFileError if it is not a valid LoRA or has changed
        since."""
        with self._lock:
            known = self._files.get(file)
            if known is None:
                known = self._read(file, self._headers.pop(file, None))
                self._files[file] = known
                self._remember(file)
            return known

    def _read(self, file: FileId, accepted: bytes | None) -> LoraFile:
        copy = self._copies.pop(file, None)
        if copy is None or copy.cancel():  # it has not begun, or its context has ended
            return read_file(file, accepted)
        return _named(file, lambda: _parsed(file, copy.result()))

    @contextmanager
    def ahead(self, files: Iterable[FileId]) -> Generator[None]:
        """Copies ``files`` in their order while the caller does other things, until the context ends.

        ``read`` takes what was copied, and says then what is wrong with a file. A copy that nobody
        has asked for is gone with the context.
        """
        with ThreadPoolExecutor(1) as pool:
            jobs = self._begin(pool, files)
            try:
                yield
            finally:
                self._end(jobs)

    def _begin(
        self, pool: ThreadPoolExecutor, files: Iterable[FileId]
    ) -> dict[FileId, Future[Copy]]:
        with self._lock:
            wanted = [f for f in files if f not in self._files and f not in self._copies]
            jobs = {file: pool.submit(_copied, file, self._headers.get(file)) for file in wanted}
            self._copies |= jobs
        return jobs

    def _end(self, jobs: Mapping[FileId, Future[Copy]]) -> None:
        for job in jobs.values():
            job.cancel()  # the one that has begun is waited for
        with self._lock:
            for file, job in jobs.items():
                if self._copies.get(file) is job:
                    del self._copies[file]

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
        self._headers[file] = head.beginning
        while sum(map(len, self._headers.values())) > HELD_HEADER_BYTES:
            del self._headers[next(iter(self._headers))]


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


def read_file(file: FileId, accepted: bytes | None = None) -> LoraFile:
    """Reads ``file`` whole and checks everything; LoraFileError names what is wrong.

    Args:
        file: The file, in one state.
        accepted: The bytes before its data, if they were checked before.
    """
    return _named(file, lambda: _parsed(file, _copied(file, accepted)))


def _named(file: FileId, read: Callable[[], LoraFile]) -> LoraFile:
    """Lets what is wrong with a file name it."""
    try:
        return read()
    except LoraFileError as error:
        raise error.in_file(file.name) from error


def _notes(file: FileId, metadata: Mapping[str, str]) -> FileConfig:
    try:
        return FileConfig.read(metadata, read_config(Path(file.path)))
    except OSError as error:
        raise unopened(error) from error


def _copied(file: FileId, accepted: bytes | None) -> Copy:
    check_size(file.size)
    if accepted is not None and begins_with(file, accepted):
        return copied(file, head_of(accepted))
    return copied(file, read_head(file))


def _parsed(file: FileId, copy: Copy) -> LoraFile:
    head = copy.head
    try:
        tensors = parts_of(copy.data, head.tensors)
    except UNSOUND as error:
        raise explain(head.beginning, file.size, error) from error
    return _file(file, head, Content(tensors, copy.largest))


def _file(file: FileId, head: Head, content: Content) -> LoraFile:
    notes = _notes(file, head.metadata)
    modules, unknown = modules_of(content, notes)
    interleaved = any(key.endswith(ADAPTER) for key in content.tensors)
    return LoraFile(file, modules, unknown, head.metadata, notes, interleaved)
