"""Finds the base model a file was made for: what it says itself, else what its names and shapes
show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ..algebra import FileId
from ..errors import LoraFileError
from ..families import KEYS
from ..formats import FileKey, Role
from ..naming import ARCHITECTURES, possible_architectures
from .header import Head
from .provenance import stated_base
from .reader import LoraFile, outline_of

UNET: Final = re.compile(r"^unet\.|(down|up|mid|input|output|middle)_blocks?[._]")
CROSS_ATTENTION: Final = re.compile(r"attn2[._](processor\.)?to_[kv]")
"""The cross attention of a UNet; other models have layers with this name, too."""


def base_of_file(file: LoraFile) -> str | None:
    """Returns the base model ``file`` was made for, or None if nothing shows it."""
    return base_by_names(file.metadata, file.modules) or _by_width(file)


def base_by_names(metadata: Mapping[str, str], names: Iterable[str]) -> str | None:
    """Returns the base model that ``metadata`` states, or the only one with layers of these
    ``names``."""
    return stated_base(metadata) or _named(names)


@dataclass(frozen=True, slots=True)
class MadeFor:
    """What a file was made for.

    Attributes:
        base: The base model, as messages call it; None if nothing shows it.
        architectures: The architectures that the file can be for; none if nothing shows any.
    """

    base: str | None
    architectures: tuple[str, ...]


def made_for(file: FileId, head: Head) -> MadeFor:
    """Returns what ``file`` was made for, as far as its ``head`` shows it.

    Only the layers that show it are read, so that thousands of files can be looked at.
    """
    modules, _ = KEYS.group(map(FileKey, head.tensors))
    base, found = base_by_names(head.metadata, modules), possible_architectures(modules)
    if not found:
        read = _reader_in(file, head, modules)
        base, found = base or read, () if read is None else (read,)
    stated = stated_base(head.metadata)
    if stated is None:
        return MadeFor(base, found)
    return MadeFor(base, (stated,) if stated in found else (*found, stated))


def _reader_in(
    file: FileId, head: Head, modules: Mapping[str, Mapping[Role, list[FileKey]]]
) -> str | None:
    """Does what ``_by_width`` does, and reads no more of the file than it takes."""
    name = next(filter(_reads_text, modules), None)
    if name is None:
        return None
    own = {key: head.tensors[key] for keys in modules[name].values() for key in keys}
    try:
        return _by_width(outline_of(file, replace(head, tensors=own)))
    except LoraFileError:
        return None


def _named(names: Iterable[str]) -> str | None:
    text = "\n".join(names)
    clues = ((known, clue) for known in ARCHITECTURES for clue in known.clues)
    found = (clue.means or known.name for known, clue in clues if clue.pattern.search(text))
    return next(found, None)


def _by_width(file: LoraFile) -> str | None:
    """Tells SD 1.5, SD 2 and SDXL apart: they name their layers alike, but read text of different
    widths."""
    for name, module in file.modules.items():
        if _reads_text(name):
            for delta in module.deltas:
                if delta.inputs is not None:
                    return _reader_of(delta.inputs)
    return None


def _reader_of(text_width: int) -> str | None:
    readers = (known.name for known in ARCHITECTURES if known.text_width == text_width)
    return next(readers, None)


def _reads_text(name: str) -> bool:
    """Searches twice, since one search for both parts takes quadratic time in a long name."""
    unet = UNET.search(name)
    return unet is not None and CROSS_ATTENTION.search(name, unet.end()) is not None
