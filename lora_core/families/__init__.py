"""The families of adapters: the mathematics of what a file holds for one module.

To add a family: a module here with a function from tensors to deltas, and a row in ``FAMILIES``.
"""

from __future__ import annotations

from typing import Final

from . import full, lora
from .family import (
    Delta,
    Family,
    Pair,
    Replacement,
    Residue,
    Tensors,
    delta_text,
    entry_bound,
    fits,
    refuse,
    swap_halves,
)

FAMILIES: Final[tuple[Family, ...]] = (
    Family("LoRA", needs={"up", "down"}, takes={"mid", "alpha"}, read=lora.read),
    Family("full", needs={"diff"}, takes=set(), read=full.difference("diff")),
    Family("full", needs={"set_weight"}, takes=set(), read=full.replacement("set_weight")),
    Family("norm", needs={"w_norm"}, takes=set(), read=full.difference("w_norm")),
    Family("bias", needs={"diff_b"}, takes=set(), read=full.difference("diff_b", "bias")),
    Family("bias", needs={"b_norm"}, takes=set(), read=full.difference("b_norm", "bias")),
)

UNREAD: Final[dict[str, str]] = {
    "dora_scale": "DoRA",
    "reshape_weight": "a control LoRA that reshapes the model",
    "up_bias": "a LoRA with biases",
    "lora_E": "AdaLoRA",
    "hada_w": "LoHa",
    "hada_t": "LoHa",
    "lokr_": "LoKr",
    "glora_": "GLoRA",
    "oft_": "OFT",
    "boft_": "BOFT",
    "hra_u": "HRA",
    "ia3_l": "IA3",
    "on_input": "IA3",
    "vera_": "VeRA",
}
"""Families known by name only, by the start of a role; a row of FAMILIES takes one off this list."""

__all__ = [
    "Delta",
    "Pair",
    "Replacement",
    "Residue",
    "delta_text",
    "entry_bound",
    "fits",
    "read_module",
    "swap_halves",
]


def read_module(name: str, tensors: Tensors) -> tuple[list[str], list[Delta]]:
    """The families and deltas of one module.

    Args:
        name: The module's name in the file, for messages.
        tensors: Its tensors by role.

    Raises:
        LoraFileError: Half a pair, shapes that do not go together, or a family not read yet.
    """
    _refuse_unread(name, tensors)
    used: set[str] = set()
    families: list[str] = []
    deltas: list[Delta] = []
    for family in FAMILIES:
        if family.needs <= tensors.keys():
            used |= family.needs | family.takes
            families.append(family.name)
            deltas.append(family.read(name, tensors))
    _refuse_halves(name, tensors, used)
    return families, deltas


def _refuse_unread(name: str, tensors: Tensors) -> None:
    for role in tensors:
        for start, family in UNREAD.items():
            if role.startswith(start):
                raise refuse(
                    f"{name} is {family}, which this version does not read yet. "
                    "Applying part of it would give a wrong image, so none of it is applied.",
                    key=name,
                    expected="LoRA, LoCon or full differences",
                    found=family,
                )


def _refuse_halves(name: str, tensors: Tensors, used: set[str]) -> None:
    """A lone alpha changes nothing and is let be; half a pair is a damaged file."""
    left = tensors.keys() - used - {"alpha"}
    if not left:
        return
    partner = {"up": "down", "down": "up", "mid": "up and down"}
    role = min(left, key=list(partner).index)
    raise refuse(
        f"{name} has its {role} but not its {partner[role]}; the file is incomplete.",
        key=name,
        expected=partner[role],
        found=", ".join(sorted(tensors)),
    )
