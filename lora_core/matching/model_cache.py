"""Keeps facts for as long as a host model is in memory, so that changing a strength costs no
reading.

The host drops a patched model, with everything attached to it, as soon as a strength before it
changes. The torch model underneath stays. What does not depend on strengths is kept next to it, in
words and numbers only, since a reference to the model would keep it alive forever.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

import torch

from ..algebra import FileId
from ..reading import LoraFile
from .file_match import NONE_KNOWN, FileMatches
from .match import ModelView


class ModelCache:
    """What is known of one torch model, and the files of one recipe on it.

    Every attribute is replaced as a whole, so two threads may at worst compute the same thing
    twice.
    """

    def __init__(self) -> None:
        self._view: tuple[object, ModelView] | None = None
        self._matches: tuple[Sequence[ModelView], FileMatches] = ((), NONE_KNOWN)
        self._files: Mapping[FileId, LoraFile] = {}

    def view(self, facts: object, find_out: Callable[[], ModelView]) -> ModelView:
        """Returns the view that was made from equal ``facts`` the last time, or a new one."""
        known = self._view
        if known is not None and known[0] == facts:
            return known[1]
        view = find_out()
        self._view = (facts, view)
        return view

    def matches(self, models: Sequence[ModelView]) -> FileMatches:
        """Returns what is known of files on these very views."""
        known, matches = self._matches
        same = len(known) == len(models) and all(map(operator.is_, known, models))
        return matches if same else NONE_KNOWN

    def keep(self, models: Sequence[ModelView], matches: FileMatches) -> None:
        """Keeps the files of a recipe instead of those before, unless they are among them.

        So it is never more than one recipe: the whole of a chain of nodes, or one with a part
        switched off.
        """
        if not matches.keys() <= self._files.keys():
            self._files = {file: match.file for file, match in matches.items()}
        known = {**self.matches(models), **matches}
        self._matches = (
            models,
            {file: match for file, match in known.items() if file in self._files},
        )


_caches: Final[WeakKeyDictionary[torch.nn.Module, ModelCache]] = WeakKeyDictionary()
_lock: Final = Lock()


def cache_of(model: torch.nn.Module) -> ModelCache:
    """Returns the cache of a model; it disappears with the model."""
    with _lock:
        return _caches.setdefault(model, ModelCache())
