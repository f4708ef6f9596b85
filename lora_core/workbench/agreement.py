"""Whether files call the layers of a model alike, so that they can be told without the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

from ..errors import LoraInputError
from ..naming import BlockNames
from ..reading import LoraFile, base_of_file

_WITH_TO: Final = re.compile(r"(^|[._])to_(q|k|v|out)([._]|$)")
_WITHOUT_TO: Final = re.compile(r"(?<!to)[._](q|k|v|o|qkv)([._]|$)")
"""How attention is spelled: by diffusers, and by most makers of models."""


def check_agreement(files: Sequence[LoraFile]) -> None:
    """Refuses files of which some names cannot be of the same model's layers, or spell them
    differently (LoraInputError)."""
    for one, other in combinations(files, 2):
        apart = not _prefixes(one.modules) & _prefixes(other.modules)
        if apart or _spelled_apart(one, other):
            raise LoraInputError(
                f"{one.id.name} and {other.id.name} call the layers differently. Say which model "
                "they are for, so that they can be told.",
                key="model",
                expected=next(iter(one.modules), ""),
                found=next(iter(other.modules), ""),
            )


def _prefixes(names: Iterable[str]) -> set[str]:
    """Returns how names begin, as far as it says whose they are."""
    return {name.split(".")[0] if "." in name else name[:10] for name in names}


def _spelled_apart(one: LoraFile, other: LoraFile) -> bool:
    names = BlockNames(base_of_file(one) or base_of_file(other))
    first, second = (_words(names, file.modules) for file in (one, other))
    lists = first.keys() & second.keys()
    if any(not first[name] & second[name] for name in lists):
        return True
    ways = [_ways(file.modules) for file in (one, other)]
    return ways in ([(True, False), (False, True)], [(False, True), (True, False)])


def _words(names: BlockNames, modules: Iterable[str]) -> dict[str, set[str]]:
    """Returns the first words of the paths in each list of blocks, such as "down_blocks"."""
    found: dict[str, set[str]] = {}
    for module in modules:
        place = names.spelled(module)
        if place is not None:
            found.setdefault(place[0], set()).add(place[1])
    return found


def _ways(modules: Iterable[str]) -> tuple[bool, bool]:
    text = "\n".join(modules)
    return _WITH_TO.search(text) is not None, _WITHOUT_TO.search(text) is not None
