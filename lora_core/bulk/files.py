"""Which files are meant by files and folders, each of them once."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import LoraInputError
from ..library import Listed, find_listed

SUFFIX: Final = ".safetensors"


@dataclass(frozen=True, slots=True)
class Input:
    """A file that was named, or found in a folder that was.

    Attributes:
        folder: The folder that was named, or that of the file.
        name: Its path in that folder.
        listed: What the folder shows of it; None if it is not there, or is no plain file.
        problem: Why a folder cannot be looked into; "" for a file.
    """

    folder: str
    name: str
    listed: Listed | None = None
    problem: str = ""

    @property
    def path(self) -> str:
        """Its whole path."""
        return os.path.join(self.folder, self.name)  # noqa: PTH118 (thousands of them)


def find_inputs(named: Sequence[Path], without: Path | None = None) -> list[Input]:
    """Returns the files that ``named`` means: files as they are, and all LoRAs below folders.

    What begins with a dot is left out, since half-written files do, and so is all below ``without``.
    A file comes once, in the order of the names and then of the alphabet.
    """
    skipped = os.path.realpath(without) if without else None
    names: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for path in named:
        is_folder = os.path.isdir(path)  # noqa: PTH112 (a path that cannot be looked at raises nothing)
        folder, own = _folder(path, skipped) if is_folder else _single(path)
        names[folder] |= own
    found: dict[str, Input] = {}
    for folder, own in names.items():
        for each in _inputs(folder, own):
            found.setdefault(each.path, each)
    return [*found.values()]


def no_files(named: Sequence[Path]) -> LoraInputError:
    """Returns the error for names that mean no file at all."""
    where = ", ".join(map(str, named))
    return LoraInputError(
        f"There is no {SUFFIX} file in {where}.", key="file", expected=SUFFIX, found="none"
    )


def _single(path: Path) -> tuple[str, dict[str, str]]:
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 (which also takes out "..")
    return folder, {name: ""}


def _folder(path: Path, skipped: str | None) -> tuple[str, dict[str, str]]:
    folder = os.path.abspath(path)  # noqa: PTH100
    return folder, dict(sorted(_below(folder, skipped)))


def _below(folder: str, skipped: str | None) -> Iterator[tuple[str, str]]:
    """Yields (path in ``folder``, problem) of each LoRA, and of each folder that cannot be read."""
    problems: list[OSError] = []
    seen: set[tuple[int, int]] = set()  # links can lead in circles
    for where, folders, files in os.walk(folder, onerror=problems.append, followlinks=True):
        place = _place(where)
        if place is None or place in seen or os.path.realpath(where) == skipped:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.lower().endswith(SUFFIX) and not name.startswith("."):
                yield os.path.relpath(os.path.join(where, name), folder), ""  # noqa: PTH118
    for error in problems:
        yield os.path.relpath(error.filename, folder), error.strerror or str(error)


def _place(folder: str) -> tuple[int, int] | None:
    """Returns what a folder is to the system, whatever it is called; None if it has just gone."""
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _inputs(folder: str, names: dict[str, str]) -> Iterator[Input]:
    listed = {each.name: each for each in find_listed(names, [folder])}
    for name, problem in names.items():
        yield Input(folder, name, None if problem else listed.get(name), problem)
