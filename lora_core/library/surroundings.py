"""Where the files of a list are, and what lies next to each, by one look into every directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from glob import has_magic
from typing import Final, TypeAlias

from .sidecars import sidecar_names

PICTURES: Final = frozenset(("png", "jpg", "jpeg", "webp", "gif"))
VIDEOS: Final = frozenset(("mp4", "webm"))

PREVIEW: Final = ".preview"
"""What some programs write between a file's name and the ending of its picture."""

State: TypeAlias = tuple[int, int, int]
"""Time of the last change, size, and number in the file system."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A listed file that is there.

    Attributes:
        name: Its name in the list.
        folder: The number of the folder that it is in.
        path: Its path.
        state: Its state,
        notes: and those of the notes next to it.
        has_picture: Whether there is a picture next to it that the host shows.
        video: The path of the video next to it; "" if there is none.
    """

    name: str
    folder: int
    path: str
    state: State
    notes: tuple[State, ...] = ()
    has_picture: bool = False
    video: str = ""

    @property
    def modified(self) -> int:
        """The time of its last change, in milliseconds since 1970."""
        return self.state[0] // 1_000_000

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.state[1]


def find_listed(names: Iterable[str], folders: Iterable[str]) -> Iterator[Listed]:
    """Yields each of ``names`` that is a file in one of ``folders``, found in the first that has it."""
    left = dict.fromkeys(names)
    for number, folder in enumerate(folders):
        directory = _directories(folder)
        for name in [*left]:
            found = _find(name, number, folder, directory)
            if found:
                del left[name]
                yield found


@dataclass(frozen=True, slots=True)
class _Directory:
    """One look into a directory.

    Attributes:
        entries: What is in it, by name.
        pictures: The stems of the pictures that the host shows.
        videos: The names of videos, by their stems.
    """

    entries: dict[str, os.DirEntry[str]]
    pictures: frozenset[str]
    videos: dict[str, str]


def _directories(folder: str) -> Callable[[str], _Directory]:
    """Returns a function that looks into each directory of ``folder`` once."""
    inside = os.path.realpath(folder)

    @cache
    def directory(path: str) -> _Directory:
        try:
            with os.scandir(path) as found:
                entries = {entry.name: entry for entry in found}
        except (OSError, ValueError):
            entries = dict[str, os.DirEntry[str]]()
        # the host finds pictures by a pattern, and shows none from outside of the folder
        shown = not has_magic(path) and _is_within(inside, os.path.realpath(path))
        pictures = _stems(entries, PICTURES) if shown else {}
        return _Directory(entries, frozenset(pictures), _stems(entries, VIDEOS))

    return directory


def _is_within(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _stems(entries: dict[str, os.DirEntry[str]], endings: frozenset[str]) -> dict[str, str]:
    """Returns the names of plain files with such endings, by what stands before it: links could
    lead anywhere."""
    split = ((name, name.rpartition(".")) for name in entries)
    found = [(name, stem) for name, (stem, _, ending) in split if ending.lower() in endings]
    return {
        stem.removesuffix(PREVIEW): name
        for name, stem in found
        if entries[name].is_file(follow_symlinks=False)
    }


def _find(
    name: str, number: int, folder: str, directory: Callable[[str], _Directory]
) -> Listed | None:
    path = os.path.join(folder, name)  # noqa: PTH118 (thousands of them)
    where, own = os.path.split(path)
    around = directory(where)
    state = _state(around, own, follow=True)
    if state is None:
        return None
    stem = own.rpartition(".")[0] or own
    notes = (_state(around, beside, follow=False) for beside in sidecar_names(own))
    video = around.videos.get(stem)
    return Listed(
        name,
        number,
        path,
        state,
        tuple(filter(None, notes)),
        stem in around.pictures and not has_magic(stem),
        os.path.join(where, video) if video else "",  # noqa: PTH118
    )


def _state(around: _Directory, name: str, *, follow: bool) -> State | None:
    entry = around.entries.get(name)
    if entry is None:
        return None
    try:
        status = entry.stat(follow_symlinks=follow)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
