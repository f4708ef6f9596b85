"""Full differences (LyCORIS' "full" and "norm", extraction tools): as large as what they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..formats import PlainParameter
from .delta import Delta, Replacement, Residue, Slot
from .family import Family, Form, Reader
from .source import Source


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


FULL: Final = Family(
    "full",
    spellings={
        # LyCORIS, the extraction tools
        ".diff": "diff",
        ".set_weight": "set_weight",
        # Black Forest Labs' control LoRAs replace norms
        "_norm|.scale": "set_weight",
    },
    forms=(
        Form(needs={"diff"}, takes=set(), read=difference("diff")),
        Form(needs={"set_weight"}, takes=set(), read=replacement("set_weight")),
    ),
    plain_parameters=(PlainParameter("weight", "set_weight"),),
)

NORM: Final = Family(
    "norm",
    spellings={".w_norm": "w_norm"},
    forms=(Form(needs={"w_norm"}, takes=set(), read=difference("w_norm")),),
)

BIAS: Final = Family(
    "bias",
    spellings={".diff_b": "diff_b", ".b_norm": "b_norm", ".set_bias": "set_bias"},
    forms=(
        Form(needs={"diff_b"}, takes=set(), read=difference("diff_b", "bias")),
        Form(needs={"b_norm"}, takes=set(), read=difference("b_norm", "bias")),
        Form(needs={"set_bias"}, takes=set(), read=replacement("set_bias", "bias")),
    ),
    plain_parameters=(PlainParameter("bias", "set_bias"),),
)
