"""Which families of adapters there are, and reading one module as what it is.

To add a family: a module here with a function from tensors to deltas, and a row in ``FAMILIES``.
"""

from __future__ import annotations

from typing import Final

from ..formats import UNREAD
from . import (
    delora,
    full,
    glora,
    hra,
    ia3,
    loha,
    lokr,
    lora,
    miss,
    oft,
    vera,
)
from .delta import Delta
from .dora import decomposed
from .source import Family, Source

MAGNITUDES: Final = frozenset(("dora_scale", "magnitude"))
"""What makes a DoRA of the family it stands beside."""

FAMILIES: Final[tuple[Family, ...]] = (
    Family("AdaLoRA", needs={"up", "down", "lora_E"}, takes={"alpha"}, read=lora.read_ada),
    Family(
        "LoRA",
        needs={"up", "down"},
        takes={"mid", "alpha", "up_bias", "reshape_weight"},
        read=lora.read,
        decomposes=True,
    ),
    Family(
        "LoRA",
        needs={"embedding_up", "embedding_down"},
        takes={"alpha"},
        read=lora.read_embedding,
        decomposes=True,
    ),
    Family(
        "LoHa",
        needs={"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"},
        takes={"hada_t1", "hada_t2", "alpha"},
        read=loha.read,
        decomposes=True,
    ),
    Family("LoKr", needs={"lokr_w1"}, takes=lokr.ROLES, read=lokr.read, decomposes=True),
    Family(
        "LoKr", needs={"lokr_w1_a", "lokr_w1_b"}, takes=lokr.ROLES, read=lokr.read, decomposes=True
    ),
    Family(
        "GLoRA",
        needs={"glora_a1", "glora_a2", "glora_b1", "glora_b2"},
        takes={"glora_bm", "alpha"},
        read=glora.read,
    ),
    Family("IA3", needs={"ia3_weight", "on_input"}, takes=set(), read=ia3.read_lycoris),
    Family("IA3", needs={"ia3_l"}, takes=set(), read=ia3.read_peft),
    Family(
        "BOFT",
        needs={"oft_blocks"},
        takes={"rescale", "alpha"},
        read=oft.read_blocks,
        when=oft.has_stages,
    ),
    Family("OFT", needs={"oft_blocks"}, takes={"rescale", "alpha"}, read=oft.read_blocks),
    Family("OFT", needs={"oft_R"}, takes={"scaled_oft"}, read=oft.read_triangles),
    Family("BOFT", needs={"boft_R"}, takes={"boft_s"}, read=oft.read_butterfly),
    Family("HRA", needs={"hra_u"}, takes=set(), read=hra.read),
    Family(
        "VeRA",
        needs={"vera_lambda_b", "vera_lambda_d"},
        takes={"vera_A", "vera_B"},
        read=vera.read,
    ),
    Family(
        "DeLoRA",
        needs={"delora_up", "delora_down", "delora_lambda", "delora_w_norm"},
        takes=set(),
        read=delora.read,
    ),
    Family("MiSS", needs={"miss_block"}, takes=set(), read=miss.read_miss),
    Family("full", needs={"diff"}, takes=set(), read=full.difference("diff")),
    Family("full", needs={"set_weight"}, takes=set(), read=full.replacement("set_weight")),
    Family("norm", needs={"w_norm"}, takes=set(), read=full.difference("w_norm")),
    Family("bias", needs={"diff_b"}, takes=set(), read=full.difference("diff_b", "bias")),
    Family("bias", needs={"b_norm"}, takes=set(), read=full.difference("b_norm", "bias")),
    Family("bias", needs={"set_bias"}, takes=set(), read=full.replacement("set_bias", "bias")),
)


def read_module(source: Source) -> tuple[list[str], list[Delta]]:
    """The families and deltas of one module.

    Raises:
        LoraFileError: Half a pair, shapes that do not go together, or a family not read yet.
    """
    _refuse_unread(source)
    used: set[str] = set()
    families: list[str] = []
    deltas: list[Delta] = []
    for family in FAMILIES:
        # a family with fewer needs may be the beginning of one that has been found
        if family.needs <= source.tensors.keys() - used and family.when(source):
            used |= family.needs | family.takes
            own = family.read(source)
            if family.decomposes:
                own = [decomposed(source, delta) for delta in own]
            if family.decomposes and MAGNITUDES & source.tensors.keys():
                used |= MAGNITUDES
                families.append("DoRA" if family.name == "LoRA" else f"DoRA of {family.name}")
            else:
                families.append(family.name)
            deltas += own
    _refuse_halves(source, used, families)
    return families, deltas


def _refuse_unread(source: Source) -> None:
    for role in source.tensors:
        if role.startswith(UNREAD):
            family = role.removeprefix(UNREAD)
            raise source.refuse(
                f" is {family}, which this version does not read. "
                "Applying part of it would give a wrong image, so none of it is applied.",
                expected="one of the families in the README",
                found=family,
            )


def _refuse_halves(source: Source, used: set[str], families: list[str]) -> None:
    """A lone alpha changes nothing and is let be; half of anything else is a damaged file."""
    left = sorted(source.tensors.keys() - used - {"alpha"})
    if not left:
        return
    role, *_ = left
    found = ", ".join(sorted(source.tensors))
    family, wanted = _rest_of_family(role)
    if families:
        whole = " and ".join(families)
        raise source.refuse(
            f" has a {role}, as a {family} has, beside its {whole}, of which it is no part.",
            expected=f"what belongs to {whole}",
            found=found,
        )
    raise source.refuse(
        f" has its {role} but not its {wanted}; the {family} in the file is incomplete.",
        expected=wanted,
        found=found,
    )


def _rest_of_family(role: str) -> tuple[str, str]:
    """The first family that knows a role, and what it needs besides."""
    for family in sorted(FAMILIES, key=lambda each: (role not in each.needs, len(each.needs))):
        if role in family.needs | family.takes:
            return family.name, " and ".join(sorted(family.needs - {role}))
    return "DoRA", "layer"
