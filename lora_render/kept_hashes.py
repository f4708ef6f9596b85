"""Hashes of model files, kept for the next run: reading 50 GB of models takes a minute or two."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from .contents import Contents
from .new_file import new_file

STATES: Final = 3
"""What is noted of a file beside its hash: size, time and inode."""


class KeptContents(Contents):
    """``Contents`` that keeps its hashes in the file ``store``, each for as long as its file stays as it is."""

    def __init__(self, folders: Sequence[Path], store: Path) -> None:
        super().__init__(folders)
        self._store = store
        self._kept = _read(store)
        self._new = False

    def save(self) -> None:
        """Writes down what was computed."""
        if self._new:
            with new_file(self._store) as new:
                new.write_text(json.dumps(self._kept), encoding="utf-8")
            self._new = False

    def _hash(self, path: Path) -> str:
        state = path.stat()
        known = [state.st_size, state.st_mtime_ns, state.st_ino]
        place = str(path.absolute())
        kept = self._kept.get(place)
        if kept is None or kept[:STATES] != known:
            kept = [*known, super()._hash(path)]
            self._kept[place] = kept
            self._new = True
        return str(kept[STATES])


def _read(store: Path) -> dict[str, list[Any]]:
    """Returns the hashes of an earlier run; without them they are computed again."""
    with contextlib.suppress(OSError, ValueError):
        kept: Any = json.loads(store.read_text(encoding="utf-8"))
        if isinstance(kept, dict):
            entries = cast("dict[str, Any]", kept)
            return {path: each for path, each in entries.items() if _is_entry(each)}
    return {}


def _is_entry(value: Any) -> bool:
    return isinstance(value, list) and len(cast("list[Any]", value)) == STATES + 1
