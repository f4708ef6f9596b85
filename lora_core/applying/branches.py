"""Branches next to layers: what is added to a layer's output instead of its weight.

y = layer(x)  ->  y + up · (gate ∘ (down · x))        a low-rank change of a matrix
                  y + gate · vectors                  a change of a bias
                  y + normed(x) ∘ (gate · vectors)    a change of a norm's weight

A model that computes with the weight directly gets the changed weight instead (``reach.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias, cast

import torch
from torch.nn import functional

from ..errors import LoraInputError
from ..families import LowRank
from ..fusing import Patch, merge_
from ..naming import Rows, Shape

Place: TypeAlias = "tuple[Rows, slice]"
"""Some outputs of a layer, and the columns of the gate that they use."""

CONVOLUTIONS: Final = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
NORMS: Final = (torch.nn.LayerNorm, torch.nn.GroupNorm, torch.nn.RMSNorm)


class Factor(torch.nn.Module):
    """A matrix that a function uses together with an activation.

    A host subclasses it to decide where the matrix is kept until it is used.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight, requires_grad=False)

    def __deepcopy__(self, memo: dict[int, object]) -> Factor:
        return type(self)(self.weight.detach().clone())

    def used(
        self, x: torch.Tensor, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Returns ``function(x, matrix)``, with the matrix on the device of ``x`` and of its type."""
        return function(x, self.weight.to(device=x.device, dtype=x.dtype))


class Branch(torch.nn.Module):
    """What is added to the output of one layer.

    Attributes:
        columns: The part of the gate that belongs to this branch.
    """

    columns: slice

    def forward(
        self,
        layer: torch.nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        gate: torch.Tensor,
        places: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Returns ``y`` with the branch added, in place if nothing else can need it.

        Args:
            layer: The layer whose output is ``y``.
            x: (batch, …), the layer's input.
            y: (batch, …), the layer's output.
            gate: (images or 1, R), or with places (batch, P, R). The entries of the batch that belong
                to one image are next to each other.
            places: (batch or 1, L or 1, P), the factor of each of P parts at each of L places; None if
                it is the same everywhere.

        Raises:
            LoraInputError: The batch does not divide into so many images.
        """
        if y.requires_grad:
            y = y.clone()
        elif not isinstance(layer, CONVOLUTIONS):  # convolutions may keep their channels last
            y = y.contiguous()
        own = gate[..., self.columns].to(x.device)
        self.add(layer, x, y, own if places is None else _at_places(own, places))
        return y

    def add(
        self, layer: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, gate: torch.Tensor
    ) -> None:
        """Adds the branch to ``y``; the gate has only the branch's own columns, and perhaps a row for
        each place: (batch, L, r)."""
        raise NotImplementedError

    def merged(self, weight: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Returns the parameter with its change, for a layer that is computed without its
        ``forward``.

        Args:
            weight: The parameter; nothing is written to it.
            gate: (1, R): a parameter is the same for all images.
        """
        own = gate[0, self.columns].to(weight.device)
        moved = weight.clone(memory_format=torch.contiguous_format)
        for patch in self.patches(weight, own):
            merge_(moved, (patch,))
        return moved

    def patches(self, weight: torch.Tensor, gate: torch.Tensor) -> Iterator[Patch]:
        """Yields what the branch adds to a parameter, on its device and in its type; the gate has
        only its own columns."""
        raise NotImplementedError


class PairBranch(Branch):
    """All that a stack adds to a matrix, with one narrow multiplication in and one out.

    Attributes:
        down: (R, in[, kernel…]), the downs of all adapters stacked on top of each other.
        ups: For each set of rows (length, own R): the ups of its adapters side by side.
    """

    def __init__(
        self,
        pairs: Mapping[Rows, Sequence[LowRank]],
        inputs: Shape,
        first: int,
        dtype: torch.dtype,
        factor: type[Factor],
    ) -> None:
        super().__init__()
        down = _joined([pair.down for own in pairs.values() for pair in own], 0, dtype)
        self.columns = slice(first, first + len(down))
        self.down = factor(down.view(len(down), *inputs))
        ups = [_joined([pair.up for pair in own], 1, dtype) for own in pairs.values()]
        self.ups = torch.nn.ModuleList(map(factor, ups))
        self.places = _places(pairs, [up.shape[1] for up in ups])

    def add(
        self, layer: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, gate: torch.Tensor
    ) -> None:
        if self.down.weight.ndim > 2:
            hidden = self.down.used(x, lambda x, down: _convolved(layer, x, down))
            self._add_channels(y, _gated(hidden, gate, 1).flatten(2).to(y.dtype))
        else:
            hidden = self.down.used(x, functional.linear)
            self._add_features(y, _gated(hidden, gate, -1).flatten(0, -2).to(y.dtype))

    def patches(self, weight: torch.Tensor, gate: torch.Tensor) -> Iterator[Patch]:
        down = self.down.used(weight, _copied).flatten(1)
        for up, (rows, columns) in zip(self.ups, self.places, strict=True):
            own = cast(Factor, up).used(weight, _copied)
            yield Patch(rows, ups=(own,), gate=gate[columns], downs=(down[columns],))

    def _add_features(self, y: torch.Tensor, hidden: torch.Tensor) -> None:
        outputs = y.view(-1, y.shape[-1])
        for up, (rows, columns) in zip(self.ups, self.places, strict=True):
            part = _cut(outputs, rows, 1)
            cast(Factor, up).used(hidden[:, columns], lambda h, up, part=part: part.addmm_(h, up.T))

    def _add_channels(self, y: torch.Tensor, hidden: torch.Tensor) -> None:
        for up, (rows, columns) in zip(self.ups, self.places, strict=True):
            part = _cut(y, rows, 1)
            change = cast(Factor, up).used(hidden[:, columns], lambda h, up: up @ h)
            part.add_(change.view(part.shape))


class VectorBranch(Branch):
    """All that a stack adds to a bias, or to the weight of a norm.

    Attributes:
        vectors: For each set of rows (adapters, length).
        gain: Whether the parameter is a norm's weight.
    """

    def __init__(
        self,
        vectors: Mapping[Rows, Sequence[torch.Tensor]],
        first: int,
        dtype: torch.dtype,
        factor: type[Factor],
        *,
        gain: bool,
    ) -> None:
        super().__init__()
        tables = [torch.stack([v.to(dtype) for v in own]) for own in vectors.values()]
        self.columns = slice(first, first + sum(map(len, tables)))
        self.vectors = torch.nn.ModuleList(map(factor, tables))
        self.places = _places(vectors, [len(table) for table in tables])
        self.gain = gain

    def add(
        self, layer: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, gate: torch.Tensor
    ) -> None:
        dim = 1 if isinstance(layer, (*CONVOLUTIONS, torch.nn.GroupNorm)) else y.ndim - 1
        normed = _normed(layer, x) if self.gain else None
        for table, (rows, columns) in zip(self.vectors, self.places, strict=True):
            own = gate[..., columns]
            values = cast(Factor, table).used(
                x, lambda _, table, own=own: own @ table.to(own.dtype)
            )
            change = _per_image(values, y, dim)
            if normed is not None:
                change = change * _cut(normed, rows, dim)
            _cut(y, rows, dim).add_(change)

    def patches(self, weight: torch.Tensor, gate: torch.Tensor) -> Iterator[Patch]:
        for table, (rows, columns) in zip(self.vectors, self.places, strict=True):
            vectors = cast(Factor, table).used(weight, _copied)
            yield Patch(rows, dense=(gate[columns] @ vectors.to(gate.dtype))[:, None])


def takes_branch(layer: torch.nn.Module, name: str, shape: Shape) -> bool:
    """Tells whether a branch next to ``layer`` does what a change of its parameter ``name`` would
    do."""
    if name == "bias":
        return len(shape) == 1 and (_is_matrix(layer) or isinstance(layer, NORMS))
    if isinstance(layer, NORMS):
        return len(shape) == 1
    return _is_matrix(layer) and shape == _shape_of_matrix(layer)


def _is_matrix(layer: torch.nn.Module) -> bool:
    if isinstance(layer, torch.nn.modules.linear.NonDynamicallyQuantizableLinear):
        return False  # attention uses its weight and never calls it
    if isinstance(layer, CONVOLUTIONS):
        return layer.groups == 1
    return hasattr(layer, "in_features") and hasattr(layer, "out_features")


def _shape_of_matrix(layer: Any) -> Shape:
    if isinstance(layer, CONVOLUTIONS):
        return (layer.out_channels, layer.in_channels, *layer.kernel_size)
    return (layer.out_features, layer.in_features)


def _places(rows: Iterable[Rows], widths: Sequence[int]) -> list[Place]:
    """Assigns columns to places, one after the other."""
    ends = [*accumulate(widths)]
    starts = [0, *ends]
    return [(own, slice(a, b)) for own, a, b in zip(rows, starts, ends, strict=False)]


def _copied(_: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Copies a matrix, since a host can take back what it brought to the device."""
    return factor.clone()


def _joined(tensors: Sequence[torch.Tensor], dim: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.cat([tensor.to(dtype) for tensor in tensors], dim)


def _cut(tensor: torch.Tensor, rows: Rows, dim: int) -> torch.Tensor:
    return tensor if rows is None else tensor.narrow(dim, *rows)


def _convolved(layer: torch.nn.Module, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Convolves with the layer's own stride and padding, even if a pack has changed how it pads."""
    return cast(Any, layer)._conv_forward(x, kernel, None)


def _normed(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Returns what a norm multiplies with its weight."""
    if isinstance(layer, torch.nn.GroupNorm):
        return functional.group_norm(x, layer.num_groups, None, None, layer.eps)
    if isinstance(layer, torch.nn.LayerNorm):
        return functional.layer_norm(x, [*layer.normalized_shape], None, None, layer.eps)
    norm = cast(torch.nn.RMSNorm, layer)
    return functional.rms_norm(x, [*norm.normalized_shape], None, norm.eps)


def _gated(hidden: torch.Tensor, gate: torch.Tensor, dim: int) -> torch.Tensor:
    """Multiplies channels, along ``dim``, by the gate: in the gate's type, rounded once."""
    return hidden.mul(_per_image(gate, hidden, dim)).to(hidden.dtype)


def _at_places(gate: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Returns (batch, L, r), or (batch, r) if all places are alike, from (batch, P, r)."""
    own = places.to(gate.device) @ gate
    return own[:, 0] if places.shape[1] == 1 else own


def _per_image(values: torch.Tensor, like: torch.Tensor, dim: int) -> torch.Tensor:
    """Turns values (images or 1, n), or (batch, L, n), into factors for a tensor (batch, …, n along
    ``dim``, …)."""
    if values.ndim == 3:
        if dim % like.ndim == like.ndim - 1:
            return values.view(*like.shape[:-1], -1)
        return values.transpose(1, 2).reshape(len(values), -1, *like.shape[2:])
    batch, images = len(like), len(values)
    if images > 1:
        # vectors may be repeated in any order, but tokens and pixels stay with their image
        if batch % images or (like.ndim == 2 and batch != images):
            raise LoraInputError(
                f"a layer of this model sees {batch} inputs for {images} images, so each image "
                "cannot have its own strength. Use one strength for all images.",
                key="values",
                expected=f"a multiple of {images} inputs",
                found=str(batch),
            )
        values = values.repeat_interleave(batch // images, 0)
    shape = [1] * like.ndim
    shape[0], shape[dim] = values.shape
    return values.view(shape)
