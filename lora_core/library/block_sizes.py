"""How much a file changes in each block of the model that it was made for, without that model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..families import Delta
from ..naming import BlockNames
from ..reading import LoraFile, base_of_file

DIGITS: Final = 4
"""How many digits of a size are told: it is only drawn."""


@dataclass(frozen=True, slots=True)
class BlockSizes:
    """What a file changes in one list of blocks.

    Attributes:
        name: The list's name, such as "double".
        sizes: For each block from the first on, the Frobenius norm of the change; 0 where the file
            changes nothing, None where only the model could tell.
    """

    name: str
    sizes: tuple[float | None, ...]

    def to_dict(self) -> dict[str, object]:
        """Returns the same as plain values, ready for JSON."""
        return {"name": self.name, "blocks": [[*block] for block in enumerate(self.sizes)]}


def block_sizes(file: LoraFile) -> tuple[BlockSizes, ...]:
    """Returns the sizes of the blocks that ``file`` was made for, up to the last that it changes;
    () if its architecture is not known."""
    names = BlockNames(base_of_file(file))
    deltas: defaultdict[tuple[str, int], list[Delta]] = defaultdict(list)
    for name, module in file.modules.items():
        block = names.find(name)
        if block is not None:
            deltas[block] += module.deltas
    if not deltas:
        return ()
    found: list[BlockSizes] = []
    for own in names.lists:
        numbers = [number for name, number in deltas if name == own.name]
        count = max([own.count or 0, *(number + 1 for number in numbers)])
        sizes = tuple(_size(deltas.get((own.name, number), ())) for number in range(count))
        found += [BlockSizes(own.name, sizes)] if sizes else []
    return tuple(found)


def _size(deltas: Iterable[Delta]) -> float | None:
    """Returns the norm of several deltas together."""
    squares = 0.0
    for delta in deltas:
        norm = delta.norm()
        if norm is None:
            return None
        squares += norm * norm
    return float(f"{math.sqrt(squares):.{DIGITS}g}") if math.isfinite(squares) else None
