"""Finds files in the host's loras folders."""

from __future__ import annotations

import functools
import hashlib
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import folder_paths

from ...lora_core.algebra import FileId, Recipe
from ...lora_core.errors import LoraError, LoraFileError, LoraInputError
from ...lora_core.formats import config_changed
from ...lora_core.library import (
    Asked,
    Found,
    Listed,
    choose_name,
    find_listed,
    resolve,
    warnings_of,
)
from ...lora_core.reading import identify, shared_hashes
from ...lora_core.warning import LoraWarning

LORAS = "loras"

MODEL_KINDS = ("checkpoints", "diffusion_models")
"""The host's names for its folders of models."""


def lora_names() -> list[str]:
    """Returns the names that the host lists in its loras folders."""
    return folder_paths.get_filename_list(LORAS)


def listed_files(names: Iterable[str] | None = None) -> list[Listed]:
    """Returns where the listed files are, or those of ``names``, and what lies next to them."""
    folders = folder_paths.get_folder_paths(LORAS)
    return [*find_listed(lora_names() if names is None else names, folders)]


def find_model(kind: str, name: str) -> FileId:
    """Returns the model that the host lists under that name; LoraError if there is none."""
    listed = kind in MODEL_KINDS and name in folder_paths.get_filename_list(kind)
    path = folder_paths.get_full_path(kind, name) if listed else None
    if path is None:
        raise LoraInputError(
            f'Model "{name[:200]}": there is no such file in the {kind} folder.',
            key="name",
            expected="a listed name",
            found=name,
        )
    return identify(path, name)


def listed_states() -> str:
    """Returns one hash for the states of all listed files: it changes if any of them changes."""
    states = sorted(_states(lora_names()))
    return hashlib.sha256(repr(states).encode()).hexdigest()


def _states(names: Iterable[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields the state of every existing file, read from disk once, in the first folder that has
    it.

    The host takes it from the same folder.
    """
    left = set(names)
    for folder in folder_paths.get_folder_paths(LORAS):
        for name in _lying_in(folder, left):
            state = _state(Path(folder, name))
            if state:
                left.discard(name)
                yield name, state


def _lying_in(folder: str, names: Iterable[str]) -> list[str]:
    """Returns those of ``names`` that a folder has, with one look into each of its directories."""
    entries_in = functools.cache(_entries)
    split = [(name, Path(folder, name)) for name in names]
    return [name for name, path in split if path.name in entries_in(path.parent)]


def _entries(directory: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in directory.iterdir())
    except OSError:
        return frozenset()


def _state(path: Path) -> tuple[int, ...]:
    """Returns the state of a file; nothing for anything else, which the host ignores."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ()
    if not stat.S_ISREG(status.st_mode):
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino, config_changed(path)


def find_lora(asked: object) -> FileId:
    """Returns the listed file that ``asked`` means; LoraError if there is none."""
    return _listed(choose_name(asked, lora_names()))


class Library:
    """The listed files at one moment; the size of each is read from disk once."""

    def __init__(self) -> None:
        self._names = lora_names()
        self._sizes: dict[str, int | None] = {}

    def resolve(self, asked: Asked) -> Found:
        """Returns the listed name that is meant, and what shows it; LoraError if there is none."""
        try:
            return resolve(asked, self._names, self._size, _content)
        except LoraError as error:
            raise error.in_row(asked.row) from error

    def find(self, asked: Asked) -> FileId:
        """Returns the file that is meant, in its current state; LoraError if there is none."""
        return self.find_with_warnings(asked)[0]

    def find_with_warnings(self, asked: Asked) -> tuple[FileId, tuple[LoraWarning, ...]]:
        """Returns the same, and warnings about how it was found."""
        found = self.resolve(asked)
        try:
            return _listed(found.name), warnings_of(asked, found)
        except LoraError as error:
            raise error.in_row(asked.row) from error

    def _size(self, name: str) -> int | None:
        if name not in self._sizes:
            self._sizes[name] = _size(name)
        return self._sizes[name]


def resolve_lora(asked: Asked) -> Found:
    """Returns the listed name that ``asked`` means, and what shows it; LoraError if there is none."""
    return Library().resolve(asked)


def content_of(file: FileId) -> str:
    """Returns the hash of what follows the file's header; LoraFileError if it cannot be read."""
    return shared_hashes.of(file)


def _size(name: str) -> int | None:
    """Returns the size of a listed file in bytes; None if it is not one of ours or cannot be read."""
    try:
        return _listed(name).size
    except LoraError:
        return None


def _content(name: str) -> str | None:
    try:
        return content_of(_listed(name))
    except LoraError:
        return None


def _listed(name: str) -> FileId:
    path = folder_paths.get_full_path(LORAS, name)
    if path is None:
        raise LoraFileError(
            "is listed but not there: it was removed, or it is a broken link.",
            file=name,
            expected="a file",
            found="nothing",
        )
    return identify(path, name)


def current(recipe: Recipe) -> Recipe:
    """Returns the recipe with the current files: a loader with a linked name may have run before a
    change."""
    return recipe.with_files(lambda file: identify(file.path, file.name))
