"""Lists all families, and collects what follows from them.

To add a family, add a module here that defines its ``Family``, and a row in ``FAMILIES``.
"""

from __future__ import annotations

from typing import Final

from ..formats import KeyGrammar
from . import unread
from .adalora import ADALORA
from .delora import DELORA
from .dora import DORA
from .family import Family
from .full import BIAS, FULL, NORM
from .glora import GLORA
from .hra import HRA
from .ia3 import IA3
from .loha import LOHA
from .lokr import LOKR
from .lora import LORA
from .miss import MISS
from .oft import BOFT, OFT
from .vera import VERA

FAMILIES: Final[tuple[Family, ...]] = (
    # before LoRA, since it has LoRA's tensors and more
    ADALORA,
    LORA,
    DORA,
    LOHA,
    LOKR,
    GLORA,
    IA3,
    OFT,
    BOFT,
    HRA,
    VERA,
    DELORA,
    MISS,
    # after the adapters: next to IA3's on_input, a plain weight belongs to IA3
    FULL,
    NORM,
    BIAS,
)
"""All families, in the order in which a module is tried, and in which reports and refusals name
them."""

FORMS: Final = tuple((family, form) for family in FAMILIES for form in family.forms)
"""All forms in the same order, each with its family."""

KEYS: Final = KeyGrammar(
    {suffix: role for family in FAMILIES for suffix, role in family.spellings.items()}
    | unread.unread_roles(unread.SUFFIXES),
    unread.unread_roles(unread.WORDS),
    [parameter for family in FAMILIES for parameter in family.plain_parameters],
)
"""How files spell the keys of all families."""

SCALARS: Final = {scalar.role: scalar for family in FAMILIES for scalar in family.scalars}
"""The scalars by their roles."""

SHARED: Final = {role: user for family in FAMILIES for role, user in family.shared.items()}
"""Roles of tensors that a file has once → the role by which a module uses them."""

PEFT_TYPES: Final = frozenset(kind for family in FAMILIES for kind in family.peft_types)
"""What peft's configs call the families that are supported."""
