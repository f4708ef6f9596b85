"""Reads one module as the families that it belongs to."""

from __future__ import annotations

from functools import lru_cache

from .delta import Delta
from .dora import DORA, MAGNITUDES, decomposed
from .family import Family, Form
from .lora import LORA
from .registry import FORMS
from .source import Source
from .unread import unread_family


def read_module(source: Source) -> tuple[list[str], list[Delta]]:
    """Returns the families and the deltas of one module.

    Raises:
        LoraFileError: Half a pair, shapes that do not fit together, or an unsupported family.
    """
    _refuse_unread(source)
    used: set[str] = set()
    families: list[str] = []
    deltas: list[Delta] = []
    for family, form in _possible(frozenset(source.tensors)):
        # a form with fewer needs may be part of one that was already found
        if form.needs <= source.tensors.keys() - used and form.when(source):
            used |= form.needs | form.takes
            own, name = form.read(source), family.name_of(form)
            if family.decomposes:
                own = [decomposed(source, delta) for delta in own]
            if family.decomposes and MAGNITUDES & source.tensors.keys():
                used |= MAGNITUDES
                name = DORA.name if family is LORA else f"{DORA.name} of {name}"
            families.append(name)
            deltas += own
    _refuse_halves(source, used, families)
    return families, deltas


@lru_cache(maxsize=256)  # a file has thousands of modules, and a few sets of roles
def _possible(roles: frozenset[str]) -> tuple[tuple[Family, Form], ...]:
    """Returns the forms that some tensors may be, in the order to try."""
    return tuple((family, form) for family, form in FORMS if form.needs <= roles)


def _refuse_unread(source: Source) -> None:
    for role in source.tensors:
        family = unread_family(role)
        if family is not None:
            raise source.refuse(
                f" is {family}, which this version does not read. "
                "Applying part of it would give a wrong image, so none of it is applied.",
                expected="one of the families in docs/fidelity.md",
                found=family,
            )


def _refuse_halves(source: Source, used: set[str], families: list[str]) -> None:
    """Refuses tensors that no family has read, except a lone alpha, which changes nothing."""
    left = sorted(source.tensors.keys() - used - {"alpha"})
    if not left:
        return
    role, *_ = left
    found = ", ".join(sorted(source.tensors))
    family, wanted = _rest_of_family(role)
    if families:
        whole = " and ".join(families)
        raise source.refuse(
            f" has a {role}, which belongs to {family} and is not part of its {whole}.",
            expected=f"what belongs to {whole}",
            found=found,
        )
    raise source.refuse(
        f" has its {role} but not its {wanted}; the {family} in the file is incomplete.",
        expected=wanted,
        found=found,
    )


def _rest_of_family(role: str) -> tuple[str, str]:
    """Returns the first family that knows a role, and what it needs besides."""
    for family, form in sorted(
        FORMS, key=lambda row: (role not in row[1].needs, len(row[1].needs))
    ):
        if role in form.needs | form.takes:
            return family.name_of(form), " and ".join(sorted(form.needs - {role}))
    return DORA.name, "layer"
