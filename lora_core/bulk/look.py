"""The row of a file in a table of files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ..algebra import FileId
from ..errors import LoraError, LoraFileError
from ..families import KEYS
from ..formats import FileConfig, FileKey, Role, config_changed, read_config
from ..library import Facts, entry_of
from ..reading import Head, digests_of, identify, read_scalars
from .columns import Row, Value, row_of
from .files import Input

ALPHA: Final = Role("alpha")


def state_of(file: Input, told: object) -> str:
    """Returns a hash of the states of a file and of what is next to it; it is another if ``told`` is."""
    listed = file.listed
    if listed is None:
        return ""
    beside = (listed.notes, listed.has_picture, listed.video, config_changed(Path(listed.path)))
    return hashlib.sha256(repr((told, listed.state, beside)).encode()).hexdigest()[:32]


def refused_row(file: Input, error: str) -> Row:
    """Returns the row of a file that could not be looked at."""
    size, modified = (file.listed.size, file.listed.state[0]) if file.listed else (None, None)
    own = {**_called(file), "size": size, "mtime_ns": modified, "error": error}
    return row_of(own)


def look(hashed: bool, file: Input) -> Row:
    """Returns the row of a file without its state; all of the file is read if it is to be ``hashed``.

    What can't be applied has an error in its row, and everything else that is known of it.

    Raises:
        LoraError: The file is not there, or has changed meanwhile.
        OSError: The system does not let us read it.
    """
    if file.problem:
        raise LoraFileError(f"{file.path}: {file.problem}", expected="a folder", found=file.problem)
    identity = identify(file.path, file.name)
    entry = entry_of(identity)
    facts, glance = entry.facts, entry.glance
    values: dict[str, Value] = {
        **_called(file),
        "size": identity.size,
        "mtime_ns": identity.mtime_ns,
        **_plain(facts),
        "architectures": glance.architectures,
        "base": facts.base or glance.base,
        "tags": glance.tags,
        "preview": glance.has_cover or _has_preview(file),
    }
    if entry.head is not None and facts.error is None:
        values |= _inside(identity, entry.head, hashed)
    return row_of(values)


def path_of(file: Input) -> str:
    """Returns the path as a table has it: bytes that are no UTF-8 can be in none."""
    return os.fsencode(file.path).decode("utf-8", "replace")


def _called(file: Input) -> dict[str, Value]:
    path = path_of(file)
    return {"path": path, "name": os.path.basename(path)}  # noqa: PTH119


def _has_preview(file: Input) -> bool:
    return file.listed is not None and (file.listed.has_picture or bool(file.listed.video))


def _plain(facts: Facts) -> dict[str, Value]:
    least, most = facts.ranks or (None, None)
    told = facts.recommended
    return {
        "error": facts.error,
        "families": facts.families,
        "rank_min": least,
        "rank_max": most,
        "model_layers": facts.model_layers,
        "text_encoder_layers": facts.clip_layers,
        "text_encoder": facts.clip_layers > 0,
        "dialects": facts.dialects,
        "trainer": facts.trainer,
        "trigger_words": facts.stated_triggers,
        "trained_words": tuple(trigger.word for trigger in facts.triggers),
        "title": facts.title,
        "author": facts.author,
        "description": facts.description,
        "notes": facts.notes,
        "strength": told.strength if told else None,
        "strength_min": told.least if told else None,
        "strength_max": told.most if told else None,
        "civitai": facts.civitai and str(facts.civitai),
    }


def _inside(file: FileId, head: Head, hashed: bool) -> Mapping[str, Value]:
    """Returns what the tensors of a sound file show."""
    alphas = sorted(_alphas(file, head))
    values: dict[str, Value] = {
        "dtypes": tuple(sorted({str(entry["dtype"]) for entry in head.tensors.values()})),
        "alpha_min": alphas[0] if alphas else None,
        "alpha_max": alphas[-1] if alphas else None,
    }
    if hashed:
        digests = digests_of(file)
        values |= {"sha256": digests.sha256, "autov3": digests.autov3}
    return values


def _alphas(file: FileId, head: Head) -> Iterator[float]:
    """Yields the alphas that tensors hold, and those that a config states for layers without one."""
    modules, _ = KEYS.group(map(FileKey, head.tensors))
    tensors = [key for roles in modules.values() for key in roles.get(ALPHA, ())]
    yield from read_scalars(file, head, tensors)
    without = (name for name, roles in modules.items() if ALPHA not in roles)
    yield from _noted_alphas(FileConfig.read(head.metadata, read_config(Path(file.path))), without)


def _noted_alphas(config: FileConfig, names: Iterable[str]) -> Iterator[float]:
    if not config.configs:
        return
    for name in names:
        try:
            alpha = config.of(name).alpha
        except LoraError:  # a pattern that only matters to the layers that it is for
            continue
        if alpha is not None:
            yield alpha
