"""Full differences: as large as what they change, as LyCORIS' "full" and "norm" (Yeh et al. 2023,
arXiv:2309.14859) and extraction tools write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..formats import PlainParameter
from .delta import Delta, Dense, Replacement, Slot
from .family import Family, Form, Reader
from .source import Source


def difference(role: str, slot: Slot = "weight") -> Reader:
    """Makes a reader of W + diff, with the diff stored as ``role`` in the shape of what it changes."""

    def read(source: Source) -> Sequence[Delta]:
        return (Dense(source[role], slot),)

    return read


def replacement(role: str, slot: Slot = "weight") -> Reader:
    """Makes a reader of W + (value - W), with the value stored as ``role``: at strength 1 the value."""

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
        Form(needs={"diff"}, read=difference("diff")),
        Form(needs={"set_weight"}, read=replacement("set_weight")),
    ),
    plain_parameters=(PlainParameter("weight", "set_weight"),),
)

NORM: Final = Family(
    "norm",
    spellings={".w_norm": "w_norm"},
    forms=(Form(needs={"w_norm"}, read=difference("w_norm")),),
)

BIAS: Final = Family(
    "bias",
    spellings={".diff_b": "diff_b", ".b_norm": "b_norm", ".set_bias": "set_bias"},
    forms=(
        Form(needs={"diff_b"}, read=difference("diff_b", "bias")),
        Form(needs={"b_norm"}, read=difference("b_norm", "bias")),
        Form(needs={"set_bias"}, read=replacement("set_bias", "bias")),
    ),
    plain_parameters=(PlainParameter("bias", "set_bias"),),
)
