"""What is held for as long as a host model is in memory, so that a moved strength costs no reading.

The host drops a patched model, with all that hangs on it, as soon as a strength in front of it is
moved. The torch model underneath stays: what does not depend on strengths is kept beside it, in
words and numbers only, since a reference to the model would keep it alive for ever.
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
from .fit import NONE_KNOWN, Fits
from .match import Model


class Held:
    """What is known of one torch model, and the files of one recipe on it.

    Every attribute is replaced whole: of two threads, one may find something out in vain.
    """

    def __init__(self) -> None:
        self._view: tuple[object, Model] | None = None
        self._fits: tuple[Sequence[Model], Fits] = ((), NONE_KNOWN)
        self._files: Mapping[FileId, LoraFile] = {}

    def view(self, facts: object, find_out: Callable[[], Model]) -> Model:
        """The view that was made from equal ``facts`` the last time, or else a new one."""
        known = self._view
        if known is not None and known[0] == facts:
            return known[1]
        view = find_out()
        self._view = (facts, view)
        return view

    def fits(self, models: Sequence[Model]) -> Fits:
        """What is known of files on these very views."""
        known, fits = self._fits
        same = len(known) == len(models) and all(map(operator.is_, known, models))
        return fits if same else NONE_KNOWN

    def keep(self, models: Sequence[Model], fits: Fits) -> None:
        """Keeps the files of a recipe in place of those before, unless they are among them.

        So it is never more than one recipe: the whole of a chain of nodes, or what has a part
        switched off for now.
        """
        if not fits.keys() <= self._files.keys():
            self._files = {file: fit.file for file, fit in fits.items()}
        known = {**self.fits(models), **fits}
        self._fits = models, {file: fit for file, fit in known.items() if file in self._files}


_held: Final[WeakKeyDictionary[torch.nn.Module, Held]] = WeakKeyDictionary()
_lock: Final = Lock()


def held_for(model: torch.nn.Module) -> Held:
    """What is held for a model; it goes when the model goes."""
    with _lock:
        return _held.setdefault(model, Held())
