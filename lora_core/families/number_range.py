"""What a number type can hold of a weight and what is added to it.

What a delta makes of a weight depends on the weight, which no plan looks at. So half of a type's
range is reserved for the weight: rows of a length up to half the root of the largest number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import torch

from ..errors import LoraFileError
from .delta import Delta

LARGEST_SUM: Final = torch.finfo(torch.float32).max
"""The largest sum: sums are formed in float32; for float64 weights in more, but the host patches
them in float32."""


@dataclass(frozen=True, slots=True)
class Room:
    """How large the numbers of a type may be.

    Attributes:
        most: Its largest number.
        row: The length that rows of a weight of this type have at most, as assumed.
    """

    most: float
    row: float

    def taken(self, delta: Delta, size: float, strength: float) -> float:
        """Returns the most that ``delta`` adds to an entry.

        Args:
            delta: Any delta.
            size: Its bound or its largest entry, times ``strength``.
            strength: Its strength, without the sign.
        """
        taken = size * self.row if delta.follows else size
        return taken + strength * self.row if delta.removes else taken


@cache
def room_of(dtype: torch.dtype) -> Room:
    """Returns what a weight of a type can hold."""
    most = min(torch.finfo(dtype).max, LARGEST_SUM)
    return Room(most, math.sqrt(most) / 2)


def check_delta(name: str, delta: Delta, max_abs_bound: float) -> None:
    """Refuses a delta of a file that float32 cannot hold at strength 1, or whose parts it cannot
    hold.

    Args:
        name: The module's name, for the message.
        delta: Any delta.
        max_abs_bound: Its bound.

    Raises:
        LoraFileError: Its numbers add up to more.
    """
    room = room_of(torch.float32)
    if room.taken(delta, max_abs_bound, 1.0) <= room.most:
        return
    largest = delta.max_abs() if delta.made_wide else max_abs_bound
    if not room.taken(delta, largest, 1.0) <= room.most:
        raise LoraFileError(
            f"{name} holds numbers that add up to {largest:.3g}, which float32 cannot hold: its training "
            "went wrong, or the file is damaged.",
            key=name,
            expected=f"at most {room.most / room.row if delta.follows else room.most:.3g}",
            found=f"{largest:.3g}",
        )
