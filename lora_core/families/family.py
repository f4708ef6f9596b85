"""All that is known about a family of adapters, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeAlias

from ..formats import PlainParameter
from .delta import Delta
from .source import Source

Reader: TypeAlias = Callable[[Source], Sequence[Delta]]
"""Reads the deltas of one module; LoraFileError if its tensors make no sense."""


def _always(_source: Source) -> bool:
    return True


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Form:
    """One way in which a family is stored: a set of tensors, and how they are read.

    Attributes:
        needs: The roles that have to be there.
        read: Makes the deltas.
        takes: Further roles that it reads if they are there.
        when: A further condition.
        name: What reports call a module of this form, if not by the family's name.
    """

    needs: Set[str]
    read: Reader
    takes: Set[str] = frozenset()
    when: Callable[[Source], bool] = _always
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A tensor of one or a few numbers that says something about the others, in any type of number.

    Attributes:
        role: What it is to its module.
        typed: Whether its type has a meaning as well, so that it stays as it is in the file.
        alone: Whether a module may have only this: it then changes nothing.
    """

    role: str
    typed: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A family of adapters: all that this package knows about it.

    A role belongs to the family that spells it. Others may need or take it too, as LyCORIS'
    families take LoRA's alpha.

    Attributes:
        name: What reports call it.
        spellings: A key's suffix → the role of its tensor, with "*" and "|" as in ``KeyGrammar``.
        forms: The sets of tensors that it is stored as, in the order to try. None if it only
            changes another family, as DoRA does.
        peft_types: What peft's config calls it.
        scalars: Its roles that are not factors.
        shared: Its roles that a file has once for all modules → the role by which a module uses
            them.
        plain_parameters: Its tensors that have no suffix of their own.
        decomposes: Whether magnitudes next to it make it a DoRA.
    """

    name: str
    spellings: Mapping[str, str]
    forms: tuple[Form, ...]
    peft_types: Set[str] = frozenset()
    scalars: tuple[Scalar, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict[str, str])
    plain_parameters: tuple[PlainParameter, ...] = ()
    decomposes: bool = False

    def name_of(self, form: Form) -> str:
        """Returns what reports call a module of one of its forms."""
        return form.name or self.name
