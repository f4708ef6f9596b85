"""How a file writes a key: the module's name, then a suffix that says which tensor of it this is.

Suffixes are orthogonal to the names in front of them. Which there are, every family says for itself.
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
"""peft puts this in front of every name."""


@dataclass(frozen=True, slots=True)
class PlainParameter:
    """A parameter under its plain name, which is part of an adapter only beside other tensors.

    Attributes:
        ending: The last part of its key: "weight" or "bias".
        role: What it is then.
        beside: The role that has to stand beside it. None: any layer of a file of peft's, which
            keeps whole layers and biases that were trained beside the adapters.
    """

    ending: str
    role: str
    companion: str | None = None


class KeyGrammar:
    """Splits keys into the names of modules and the roles of their tensors.

    Attributes:
        spellings: A key's suffix → the role of its tensor. What stands before a "|" has to be there,
            and belongs to the name all the same. At a "*", peft has the name of the adapter in its
            own models: it strips it when it saves, others do not.
    """

    def __init__(
        self,
        spellings: Mapping[str, str],
        words: Mapping[str, str],
        plain_parameters: Iterable[PlainParameter],
    ) -> None:
        """Prepares the tables that keys are looked up in.

        Args:
            spellings: As above.
            words: How a part of a key begins, wherever in the key it stands → the role of its tensor.
                Asked only where no suffix is known.
            plain_parameters: Asked last, the first one first.
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
        """Groups keys by module and role, and gives those of no known spelling apart.

        A role holds more than one key when the file spells it twice.
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
        """The key without the adapter's name, if there is one where peft puts it; "" else."""
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
        """Takes plain parameters that mean something where they stand, and gives the others."""
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
    """The key without the name that peft gives the layer inside its own."""
    return key.replace(".base_layer.", ".")


def _by_ending(spellings: Mapping[str, str]) -> dict[str, tuple[tuple[str, int, Role], ...]]:
    """(suffix, how much of it is no part of the name, role), the longest suffix first.

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
