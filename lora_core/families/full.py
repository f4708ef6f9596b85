"""Full differences (LyCORIS' "full" and "norm", extraction tools): as large as what they change."""

from __future__ import annotations

from collections.abc import Sequence

from .delta import Delta, Replacement, Residue, Slot
from .source import Reader, Source


def difference(role: str, slot: Slot = "weight") -> Reader:
    """W + diff, with the diff stored as ``role``."""

    def read(source: Source) -> Sequence[Delta]:
        return (Residue(source[role], slot),)

    return read


def replacement(role: str, slot: Slot = "weight") -> Reader:
    """W + (value - W), with the value stored as ``role``: at strength 1 the value itself."""

    def read(source: Source) -> Sequence[Delta]:
        return (Replacement(source[role], slot),)

    return read
