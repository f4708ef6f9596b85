"""Splits a file's key: the module's name, then a suffix that says which of its tensors this is.

Suffixes do not depend on the names before them. Every family lists its own suffixes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NewType

FileKey = NewType("FileKey", str)
"""The name of one tensor in a file."""

Role = NewType("Role", str)
"""What a tensor is to its module: "up", "down", "alpha", …"""

PEFT_PREFIX: Final = "base_model.model."
"""What peft puts before every name."""


@dataclass(frozen=True, slots=True)
class PlainParameter:
    """A parameter under its plain name, which is part of an adapter only together with other
    tensors.

    Attributes:
        ending: The last part of its key: "weight" or "bias".
        role: The role that it then has.
        companion: The role that the module must have as well. None means any layer of a peft file,
            which keeps whole layers and biases that were trained together with the adapters.
    """

    ending: str
    role: str
    companion: str | None = None


class KeyGrammar:
    """Splits keys into the names of modules and the roles of their tensors.

    Attributes:
        spellings: A key's suffix → the role of its tensor. What comes before a "|" has to be there,
            and belongs to the name. At a "*" peft's own models have the name of the adapter: peft
            removes it when it saves, others do not.
    """

    def __init__(
        self,
        spellings: Mapping[str, str],
        words: Mapping[str, str],
        plain_parameters: Iterable[PlainParameter],
    ) -> None:
        """Prepares the tables that keys are looked up in.

        Args:
            spellings: See the attribute.
            words: How a part of a key begins, anywhere in the key → the role of its tensor. Used
                only if no suffix is known.
            plain_parameters: Tried last, in their order.
        """
        self.spellings = spellings
        self._words = words
        self._plain_parameters = tuple(plain_parameters)
        self._rows = _by_ending(spellings)
        self._shortest = len(next(iter(self._rows)))
        named = [each.split("*") for each in spellings if "*" in each]
        self._named_suffixes = tuple("".join(ends) for ends in named)
        self._after_names = frozenset(after for _, after in named if after)
        self._word = re.compile(rf"(?:^|\.)({'|'.join(map(re.escape, words))})")

    def split(self, key: str) -> tuple[str, Role] | None:
        """Splits a file's key into (module name, role); None if nothing in it is known.

        >>> grammar = KeyGrammar({".lora_A*.weight": "down", ".alpha": "alpha"}, {"hira_": "HiRA"}, ())
        >>> grammar.split("lora_unet_mid_block.alpha")
        ('lora_unet_mid_block', 'alpha')
        >>> grammar.split("blocks.0.q.lora_A.style.weight")
        ('blocks.0.q', 'down')
        >>> grammar.split("blocks.0.q.hira_A.style")
        ('blocks.0.q', 'HiRA')
        """
        plain = _unwrapped(key)
        return (
            self._by_suffix(self._without_adapter(plain))
            or self._by_suffix(plain)
            or self._by_word(plain)
        )

    def group(
        self, keys: Iterable[FileKey]
    ) -> tuple[dict[str, dict[Role, list[FileKey]]], list[FileKey]]:
        """Groups keys by module and role, and returns those of no known spelling separately.

        A role has more than one key if the file spells it twice.
        """
        modules: dict[str, dict[Role, list[FileKey]]] = {}
        rest: list[FileKey] = []
        for key in keys:
            split = self.split(key)
            if split is None:
                rest.append(key)
            else:
                name, role = split
                modules.setdefault(name, {}).setdefault(role, []).append(key)
        return modules, self._take_plain(modules, rest)

    def _by_suffix(self, key: str) -> tuple[str, Role] | None:
        for suffix, length, role in self._rows.get(key[-self._shortest :], ()):
            if key.endswith(suffix) and len(key) > len(suffix):
                return key[:-length], role
        return None

    def _without_adapter(self, key: str) -> str:
        """Returns the key without the adapter's name, if it is where peft puts it; "" otherwise."""
        path, dot, last = key.rpartition(".")
        after = dot + last
        if after in self._after_names:
            path = path.rpartition(".")[0]
        else:
            after = ""
        plain = path + after
        return plain if plain.endswith(self._named_suffixes) else ""

    def _by_word(self, key: str) -> tuple[str, Role] | None:
        found = self._word.search(key)
        return found and (key[: found.start()] or key, Role(self._words[found[1]]))

    def _take_plain(
        self, modules: dict[str, dict[Role, list[FileKey]]], rest: list[FileKey]
    ) -> list[FileKey]:
        """Takes plain parameters that have a meaning where they are, and returns the others."""
        of_peft = any(name.startswith(PEFT_PREFIX) for name in modules)
        unknown: list[FileKey] = []
        for key in rest:
            name, _, ending = _unwrapped(key).rpartition(".")
            in_peft = of_peft and name.startswith(PEFT_PREFIX)
            role = self._plain_role(ending, modules.get(name, {}), in_peft)
            if role is None:
                unknown.append(key)
            else:
                modules.setdefault(name, {}).setdefault(role, []).append(key)
        return unknown

    def _plain_role(
        self, ending: str, beside: Mapping[Role, list[FileKey]], in_peft: bool
    ) -> Role | None:
        for each in self._plain_parameters:
            there = in_peft if each.companion is None else each.companion in beside
            if each.ending == ending and there:
                return Role(each.role)
        return None


def _unwrapped(key: str) -> str:
    """Returns the key without the name that peft gives the layer inside its own."""
    return key.replace(".base_layer.", ".")


def _by_ending(spellings: Mapping[str, str]) -> dict[str, tuple[tuple[str, int, Role], ...]]:
    """Returns (suffix, how much of it is not part of the name, role), the longest suffix first.

    They are grouped by what a key can end with, so that a key is compared with few of them.
    """
    rows = [
        (_plain(each), len(each.replace("*", "").partition("|")[2] or _plain(each)), Role(role))
        for each, role in spellings.items()
    ]
    rows.sort(key=lambda row: len(row[0]), reverse=True)
    shortest = len(rows[-1][0])
    endings = {suffix[-shortest:] for suffix, *_ in rows}
    return {end: tuple(row for row in rows if row[0].endswith(end)) for end in endings}


def _plain(spelling: str) -> str:
    return spelling.replace("|", "").replace("*", "")
