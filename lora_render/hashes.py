"""The contents of the files that a workflow names, so that a changed file is another picture."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from .new_file import new_file

CHUNK_BYTES: Final = 1 << 22


class Hashes:
    """SHA-256 of model files by the names that workflows have for them.

    A name is the path below a folder of one kind (``loras``, ``vae``, …) in one of ``models``, or below
    one of ``inputs``. Hashes are kept in the file ``store`` for as long as a file's size and time stay.
    """

    def __init__(self, models: Iterable[Path], inputs: Iterable[Path], store: Path) -> None:
        self._models = tuple(models)
        self._inputs = tuple(inputs)
        self._store = store
        self._files: dict[str, list[Path]] | None = None
        self._kept = _read(store)
        self._new = False

    def __call__(self, name: str) -> str | None:
        """Returns the hash of the file that ``name`` means, or None if there is none.

        If the name means several files of different kinds, it is the hash of all their hashes.
        """
        if self._files is None:
            self._files = self._listed()
        found = {self._of(path) for path in self._files.get(name.replace("\\", "/"), ())}
        if len(found) < 2:
            return next(iter(found), None)
        return hashlib.sha256("".join(sorted(found)).encode()).hexdigest()

    def save(self) -> None:
        """Writes down what was computed."""
        if self._new:
            with new_file(self._store) as new:
                new.write_text(json.dumps(self._kept), encoding="utf-8")
            self._new = False

    def _listed(self) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = defaultdict(list)
        kinds = (kind for folder in self._models if folder.is_dir() for kind in folder.iterdir())
        for root in (*kinds, *self._inputs):
            for path in _below(root):
                files[path.relative_to(root).as_posix()].append(path)
        return files

    def _of(self, path: Path) -> str:
        state = path.stat()
        known = [state.st_size, state.st_mtime_ns, state.st_ino]
        kept = self._kept.get(str(path))
        if not (kept and kept[:3] == known):
            kept = [*known, _sha256(path)]
            self._kept[str(path)] = kept
            self._new = True
        return str(kept[3])


def _below(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root, followlinks=True):
        yield from (Path(folder) / name for name in names)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _read(store: Path) -> dict[str, list[Any]]:
    """Returns the hashes of an earlier run; without them they are computed again."""
    with contextlib.suppress(OSError, ValueError):
        kept: Any = json.loads(store.read_text(encoding="utf-8"))
        if isinstance(kept, dict):
            entries = cast("dict[str, Any]", kept).items()
            return {
                path: each
                for path, each in entries
                if isinstance(each, list) and len(cast("list[Any]", each)) == 4
            }
    return {}
