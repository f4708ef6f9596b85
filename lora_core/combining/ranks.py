"""Rules for how much of a file is kept: a rank for each of its layers, from their singular values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Protocol

import torch

from ..errors import LoraInputError


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """What a rule has to know of one layer.

    Attributes:
        values: (k,) singular values of what it adds, the largest first.
        cost: How many numbers each rank takes in a file, m + n.
    """

    values: torch.Tensor
    cost: int


class RankRule(Protocol):
    """A way to choose ranks."""

    @property
    def fixed(self) -> int | None:
        """The same rank for every layer; None if it depends on the singular values."""
        ...

    def ranks(self, spectra: Sequence[Spectrum]) -> list[int]:
        """Returns a rank for each layer: 0 where nothing is worth keeping."""
        ...


@dataclass(frozen=True, slots=True)
class EachLayer:
    """A rule that looks at one layer at a time.

    Attributes:
        name: What people write for it.
        parameter: Its number.
        rank: Returns the rank for singular values that are not all 0, and the parameter.
    """

    name: str
    parameter: float
    rank: Callable[[torch.Tensor, float], int]

    @property
    def fixed(self) -> int | None:
        return int(self.parameter) if self.rank is _fixed else None

    def ranks(self, spectra: Sequence[Spectrum]) -> list[int]:
        return [self._rank(spectrum.values.cpu().double()) for spectrum in spectra]

    def _rank(self, values: torch.Tensor) -> int:
        most = len(values)
        return min(most, self.rank(values, self.parameter)) if most and values[0] > 0 else 0


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """The fewest numbers with which the whole file has a relative error of at most ``error``.

    The error is ‖kept − all‖ / ‖all‖ over all layers together. A component is worth σ² for
    m + n numbers, so the ones with the smallest σ² / (m + n) go first, whatever layer they are in.
    """

    error: float

    @property
    def fixed(self) -> int | None:
        return None

    def ranks(self, spectra: Sequence[Spectrum]) -> list[int]:
        squares = [spectrum.values.cpu().double().square() for spectrum in spectra]
        worth = [own / spectrum.cost for own, spectrum in zip(squares, spectra, strict=True)]
        if not worth:
            return []
        order = torch.cat(worth).argsort()
        spent = torch.cat(squares)[order].cumsum(0)
        gone = order[: int((spent <= self.error**2 * spent[-1]).sum())]
        kept = torch.ones(len(order), dtype=torch.bool, device=order.device)
        kept[gone] = False
        ends = list(accumulate(len(own) for own in squares))
        starts = [0, *ends[:-1]]
        return [int(kept[start:end].sum()) for start, end in zip(starts, ends, strict=True)]


def _fixed(values: torch.Tensor, rank: float) -> int:
    del values
    return int(rank)


def _above_ratio(values: torch.Tensor, ratio: float) -> int:
    return int((values >= values[0] / ratio).sum())


def _share_of_sum(values: torch.Tensor, share: float) -> int:
    return _first_at(values.cumsum(0), share)


def _share_of_norm(values: torch.Tensor, share: float) -> int:
    return _first_at(values.square().cumsum(0), share**2)


def _first_at(sums: torch.Tensor, share: float) -> int:
    return int((sums < share * sums[-1]).sum()) + 1


def _knee(values: torch.Tensor, least: float) -> int:
    """Returns where the curve of the singular values is farthest below the line between its ends
    (Satopää et al. 2011, "Finding a Kneedle in a Haystack")."""
    if len(values) < 3 or values[0] == values[-1]:
        return len(values)
    line = torch.linspace(1, 0, len(values), dtype=values.dtype, device=values.device)
    height = (values - values[-1]) / (values[0] - values[-1])
    return max(int(least), int((line - height).argmax()) + 1)


_NUMBER: Final = r"(\d+(?:\.\d*)?|\.\d+)"

_RULES: Final = {
    # name: (rule, its number if none is given, what the number may be)
    "sv_ratio": (_above_ratio, None, (1.0, math.inf)),
    "sv_cumulative": (_share_of_sum, None, (0.0, 1.0)),
    "sv_fro": (_share_of_norm, None, (0.0, 1.0)),
    "sv_knee": (_knee, 1.0, (1.0, math.inf)),
}

WORDS: Final = "exact, a rank such as 32, an error such as 1%, " + ", ".join(
    f"{name}{'' if default is not None else ' and a number'}"
    for name, (_, default, _) in _RULES.items()
)
"""What can be written for a rule."""


def read_rule(text: str) -> RankRule | None:
    """Reads a rule as people write it; None for "exact".

    "32" is the same rank for every layer, "1%" an error for the whole file. "sv_ratio 20" keeps
    what is at least a 20th of the largest singular value, "sv_cumulative 0.9" as many as have
    9/10 of their sum, "sv_fro 0.9" as many as have 9/10 of the norm, and "sv_knee" those before the
    curve gets flat.

    Raises:
        LoraInputError: It is none of these.
    """
    plain = text.strip().lower()
    if plain == "exact":
        return None
    if re.fullmatch(r"\d{1,6}", plain) and int(plain):
        return EachLayer("rank", int(plain), _fixed)
    percent = re.fullmatch(_NUMBER + r"\s*%", plain)
    if percent and 0 < float(percent[1]) < 100:
        return ErrorBudget(float(percent[1]) / 100)
    named = re.fullmatch(rf"([a-z_]+)(?:\s*[ =:]\s*{_NUMBER})?", plain)
    if named and named[1] in _RULES:
        rule, default, (least, most) = _RULES[named[1]]
        number = float(named[2]) if named[2] else default
        if number is not None and least <= number <= most and number:
            return EachLayer(named[1], number, rule)
    raise LoraInputError(
        f"{text.strip()[:40]!r} is not a rank. Write one of: {WORDS}.",
        key="rank",
        expected=WORDS,
        found=text.strip()[:40],
    )
