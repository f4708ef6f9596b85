"""Live application: a whole stack next to the layers of a model, whose weights stay as they are.

The factors of all adapters of a layer are in one branch, so that the cost depends only on their
total rank. Strengths are only in the gate: a step of a schedule or another strength is another
gate, and a gate can have a row for each image of a batch.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch.utils.hooks import RemovableHandle

from ..algebra import FileId
from ..families import Delta, Dense, balanced_pair
from ..matching import LiveTerm
from ..naming import Rows, Shape
from .branches import Branch, Factor, PairBranch, VectorBranch

StrengthOf: TypeAlias = Callable[[FileId, str], Sequence[float]]
"""Returns the strength of a file's delta for a parameter of the model: one for each image, or one
for all."""

PlacesOf: TypeAlias = Callable[[str, torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""Returns (batch or 1, L or 1, P) for a parameter, its layer, and the layer's input and output."""


class Gate:
    """The strengths that the branches look up; while it is closed, they add nothing.

    Attributes:
        rows: (images or 1, R), strength · scale of every column of all branches; (batch, P, R) if
            there are P parts with places; None while the gate is closed.
        places: Says which factor each part has at each place; None if it is the same everywhere.
        elsewhere: Parameters that are changed by another route than their branch.
        reached: Collects the parameters whose layers run; None if nobody asks.
    """

    def __init__(self) -> None:
        self.rows: torch.Tensor | None = None
        self.places: PlacesOf | None = None
        self.elsewhere: frozenset[str] = frozenset()
        self.reached: set[str] | None = None

    def rows_when_closed(self) -> torch.Tensor | None:
        """Returns the rows to use if a layer is used while the gate is closed; None if there are
        none."""
        return None


class Stack(torch.nn.Module):
    """The branches of a whole recipe, without its strengths.

    Attributes:
        files: All files that it has deltas of.
        files_by_key: The files that change each parameter, one entry for each of their deltas, in the
            order of the branches.
    """

    def __init__(
        self,
        live_terms: Mapping[str, Sequence[LiveTerm]],
        shapes: Mapping[str, Shape],
        dtype: torch.dtype,
        factor: type[Factor] = Factor,
    ) -> None:
        """Joins the factors, in ``dtype``.

        Args:
            live_terms: The live terms by the name of a parameter.
            shapes: The shapes of these parameters.
            dtype: The type in which the layers compute.
            factor: Keeps a matrix until it is used.
        """
        super().__init__()
        self.files = tuple(
            sorted({live_term.file for own in live_terms.values() for live_term in own})
        )
        self.files_by_key = {
            key: tuple(live_term.file for live_term in own) for key, own in live_terms.items()
        }
        self.branches = torch.nn.ModuleList()
        self._owners: list[tuple[FileId, str]] = []
        ranks: list[int] = []
        scales: list[float] = []
        for key, own in live_terms.items():
            grouped = _by_rows(own)
            first = sum(ranks)
            for live_term in (live_term for some in grouped.values() for live_term in some):
                rank, scale = _columns(live_term.delta)
                self._owners.append((live_term.file, key))
                ranks.append(rank)
                scales += [scale] * rank
            self.branches.append(_branch(grouped, key, shapes[key], first, dtype, factor))
        self._columns = torch.arange(len(ranks)).repeat_interleave(
            torch.tensor(ranks, dtype=torch.long)
        )
        self._scales = torch.tensor(scales, dtype=torch.float64)

    @property
    def rank(self) -> int:
        """The number of columns of all branches together."""
        return len(self._scales)

    def gate_rows(self, strength: StrengthOf) -> torch.Tensor:
        """Returns (images or 1, R) in float32, from the strengths of each delta."""
        strengths = [strength(file, key) for file, key in self._owners]
        images = max(map(len, strengths), default=1)
        each = [[*values] * (images // len(values)) for values in strengths]
        table = torch.tensor(each, dtype=torch.float64).T
        return (table[:, self._columns] * self._scales).float()

    def branch(self, key: str) -> Branch:
        """Returns all that the stack does to one parameter."""
        return cast(Branch, self.branches[[*self.files_by_key].index(key)])

    def deltas(self, keys: Iterable[str]) -> Counter[FileId]:
        """Counts the deltas of each file for some of its parameters."""
        return Counter(file for key in keys for file in self.files_by_key[key])

    def attach(
        self, layer_of: Callable[[str], torch.nn.Module], gate: Gate
    ) -> list[RemovableHandle]:
        """Puts every branch next to its layer until its handle is removed.

        If one fails, none is left.
        """
        names = [key.rpartition(".")[0] for key in self.files_by_key]
        layers = [layer_of(name) for name in names]  # all, before the first one gets its branch
        handles: list[RemovableHandle] = []
        try:
            for layer, key, branch in zip(layers, self.files_by_key, self.branches, strict=True):
                hook = _hook(cast(Branch, branch), key, gate)
                handles.append(layer.register_forward_hook(hook, with_kwargs=True))
            return handles
        except BaseException:  # even an interrupt must not leave some of them behind
            for handle in handles:
                handle.remove()
            raise

    def twin(self) -> Stack:
        """Returns the same stack with factors of its own, without what a host has noted on this
        one."""
        twin = Stack({}, {}, torch.float32)
        twin.files, twin.files_by_key = self.files, self.files_by_key
        twin.branches = copy.deepcopy(self.branches)
        twin._owners = self._owners
        twin._columns, twin._scales = self._columns, self._scales
        return twin


def _by_rows(live_terms: Sequence[LiveTerm]) -> dict[Rows, list[LiveTerm]]:
    """Groups live terms by rows; products are turned into pairs, and pairs are balanced."""
    grouped: dict[Rows, list[LiveTerm]] = {}
    for live_term in live_terms:
        delta = live_term.delta
        if not isinstance(delta, Dense):
            delta = balanced_pair(delta.to_low_rank())
        grouped.setdefault(live_term.rows, []).append(
            LiveTerm(live_term.file, live_term.rows, delta)
        )
    return grouped


def _columns(delta: Delta) -> tuple[int, float]:
    """Returns how many columns of the gate a delta takes, and its scale."""
    return (
        (1, 1.0)
        if isinstance(delta, Dense)
        else (delta.to_low_rank().rank, delta.to_low_rank().scale)
    )


def _branch(
    grouped: Mapping[Rows, Sequence[LiveTerm]],
    key: str,
    shape: Shape,
    first: int,
    dtype: torch.dtype,
    factor: type[Factor],
) -> Branch:
    if len(shape) > 1:
        pairs = {
            rows: [live_term.delta.to_low_rank() for live_term in own]
            for rows, own in grouped.items()
        }
        return PairBranch(pairs, shape[1:], first, dtype, factor)
    vectors = {
        rows: [cast(Dense, live_term.delta).diff.flatten() for live_term in own]
        for rows, own in grouped.items()
    }
    return VectorBranch(vectors, first, dtype, factor, gain=key.endswith(".weight"))


def _hook(branch: Branch, key: str, gate: Gate) -> Callable[..., torch.Tensor]:
    def add(
        layer: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor
    ) -> torch.Tensor:
        if gate.reached is not None:
            gate.reached.add(key)
        rows = gate.rows_when_closed() if gate.rows is None else gate.rows
        if rows is None or key in gate.elsewhere:
            return output
        x = args[0] if args else next(iter(kwargs.values()))
        open_places = gate.places if rows.ndim > 2 else None
        return branch(layer, x, output, rows, open_places and open_places(key, layer, x, output))

    return add
