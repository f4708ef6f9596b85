"""Names in the host: first our tables, then its own key map.

So an architecture that is newer than the tables needs nothing from us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeAlias

import torch

from ...lora_core.naming import ModelNames, Part, Target

HostTarget: TypeAlias = "str | tuple[Any, ...]"
"""A weight's key, or (key, offset) or (key, offset, function) with offset (dim, start, length)."""


class HostNames:
    """Finds a file's names in our tables, then in the host's key map."""

    def __init__(
        self, key_map: Callable[[], Mapping[str, HostTarget]], part: Part, ours: ModelNames
    ) -> None:
        """Makes the key map only if a name is not in our tables: it takes as long as they do."""
        self._make_key_map = key_map
        self._part: Part = part
        self._ours = ours

    @cached_property
    def _key_map(self) -> Mapping[str, HostTarget]:
        return self._make_key_map()

    def find(self, name: str) -> Target | None:
        target = self._ours.find(name)
        if target is not None and target.part == self._part:
            return target
        entry = self._key_map.get(name)
        return None if entry is None else _target(entry, self._part)


def _target(entry: HostTarget, part: Part) -> Target | None:
    """Returns the host's target in our terms; None if we cannot express it, which is then reported."""
    if isinstance(entry, str):
        return Target(entry, part)
    key: str = entry[0]
    offset, function = (*entry[1:], None, None)[:2]
    if function is not None and not _swaps_halves(function):
        return None
    if offset is None:
        return Target(key, part, halves_swapped=function is not None)
    dim, start, length = offset
    if dim != 0:
        return None
    return Target(key, part, (start, length), halves_swapped=function is not None)


def _swaps_halves(function: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    probe = torch.arange(4)
    return torch.equal(function(probe), probe.roll(2))
