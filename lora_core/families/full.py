"""Full differences (LyCORIS' "full" and "norm", extraction tools): as large as what they change."""

from __future__ import annotations

from .family import Reader, Replacement, Residue, Slot, Tensors


def difference(role: str, slot: Slot = "weight") -> Reader:
    """W + diff, with the diff stored as ``role``."""

    def read(_name: str, tensors: Tensors) -> Residue:
        return Residue(tensors[role], slot)

    return read


def replacement(role: str) -> Reader:
    """W + (value - W), with the value stored as ``role``: at strength 1 the value itself."""

    def read(_name: str, tensors: Tensors) -> Replacement:
        return Replacement(tensors[role])

    return read
