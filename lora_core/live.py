"""Live application: a gated low-rank branch beside each layer, whose weight stays as it is.

    y = layer(x)  ->  y + up · (gate ∘ (down · x))

One branch holds the factors of a whole stack, so its cost depends on their total rank only. Strength
lives in the gate alone: a step of a schedule or another strength is another gate, and a gate may
have a row for each image of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import torch
from torch.utils.hooks import RemovableHandle

from .errors import LoraInputError
from .families import Delta, Pair
from .targets import Shape
from .term import FileId

Rows: TypeAlias = "tuple[int, int] | None"

HIGHEST_RANK: Final = 512
"""Of a product that is made into a pair for a branch; beyond it, it costs more than the layer."""

CONVOLUTIONS: Final = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
Convolution: TypeAlias = "torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d"


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """What one file adds to some rows of one layer.

    Attributes:
        file: Whose strength counts.
        rows: (start, length) of the layer's outputs; None for all of them.
        delta: One that is a low-rank pair.
    """

    file: FileId
    rows: Rows
    delta: Delta


class Gate:
    """Where the branches look up their strengths; closed, they add nothing.

    Attributes:
        rows: (images or 1, R), strength · scale of every column of all branches; None while closed.
    """

    def __init__(self) -> None:
        self.rows: torch.Tensor | None = None


class Factor(torch.nn.Module):
    """A matrix that some function uses together with an activation.

    A host derives its own from it, to keep the matrix where it wants until it is used.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight, requires_grad=False)

    def used(
        self, x: torch.Tensor, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """``function(x, matrix)``, with the matrix where ``x`` is and of its type."""
        return function(x, self.weight.to(device=x.device, dtype=x.dtype))


class Branch(torch.nn.Module):
    """All that a stack adds to one layer.

    Attributes:
        columns: Which part of the gate is its own.
        down: (R, in[, kernel…]), those of all adapters on top of each other.
        ups: For each set of rows (length, own R), those of its adapters side by side.
    """

    def __init__(
        self,
        lanes: Mapping[Rows, Sequence[Pair]],
        inputs: Shape,
        first: int,
        dtype: torch.dtype,
        factor: type[Factor],
    ) -> None:
        super().__init__()
        pairs = [pair for own in lanes.values() for pair in own]
        down = _joined([pair.down for pair in pairs], 0, dtype)
        self.down = factor(down.view(len(down), *inputs))
        self.columns = slice(first, first + len(down))
        self.ups = torch.nn.ModuleList()
        self.places: list[tuple[Rows, slice]] = []
        start = 0
        for rows, own in lanes.items():
            up = _joined([pair.up for pair in own], 1, dtype)
            self.ups.append(factor(up))
            self.places.append((rows, slice(start, start + up.shape[1])))
            start += up.shape[1]

    def forward(
        self, layer: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, gate: torch.Tensor
    ) -> torch.Tensor:
        """``y`` with the branch of ``x`` added, in place where nothing else can need it."""
        y = y.clone() if y.requires_grad else y.contiguous()
        own = gate[:, self.columns].to(x.device)
        if self.down.weight.ndim > 2:
            hidden = self.down.used(x, lambda x, down: _convolved(layer, x, down))
            self._add_channels(y, _gated(hidden, own, 1))
        else:
            hidden = self.down.used(x, torch.nn.functional.linear)
            self._add_features(y, _gated(hidden, own, -1))
        return y

    def _add_features(self, y: torch.Tensor, hidden: torch.Tensor) -> None:
        outputs, hidden = y.view(-1, y.shape[-1]), hidden.flatten(0, -2).to(y.dtype)
        for up, (rows, columns) in zip(self.ups, self.places, strict=True):
            part = outputs if rows is None else outputs.narrow(1, *rows)
            cast(Factor, up).used(hidden[:, columns], lambda h, up, y=part: y.addmm_(h, up.T))

    def _add_channels(self, y: torch.Tensor, hidden: torch.Tensor) -> None:
        hidden = hidden.flatten(2).to(y.dtype)
        for up, (rows, columns) in zip(self.ups, self.places, strict=True):
            part = y if rows is None else y.narrow(1, *rows)
            change = cast(Factor, up).used(hidden[:, columns], lambda h, up: up @ h)
            part.add_(change.view(part.shape))


class Stack(torch.nn.Module):
    """The branches of a whole recipe, without its strengths.

    Attributes:
        files: In the order in which strengths are given.
        layers: Names of the layers, in the order of the branches.
    """

    def __init__(
        self,
        lanes: Mapping[str, Sequence[Lane]],
        shapes: Mapping[str, Shape],
        dtype: torch.dtype,
        factor: type[Factor] = Factor,
    ) -> None:
        """Joins the factors, in ``dtype``.

        Args:
            lanes: By the name of a layer.
            shapes: Of its weight.
            dtype: In which the layers compute.
            factor: Keeps a matrix until it is used.
        """
        super().__init__()
        self.files = tuple(sorted({lane.file for own in lanes.values() for lane in own}))
        self.layers = tuple(lanes)
        self.branches = torch.nn.ModuleList()
        owners: list[int] = []
        scales: list[float] = []
        for layer, own in lanes.items():
            grouped = _by_rows(own)
            pairs = {rows: [pair for _, pair in some] for rows, some in grouped.items()}
            inputs = shapes[layer][1:]
            self.branches.append(Branch(pairs, inputs, len(owners), dtype, factor))
            for file, pair in (item for some in grouped.values() for item in some):
                owners += [self.files.index(file)] * len(pair.down)
                scales += [pair.scale] * len(pair.down)
        self._owners = torch.tensor(owners)
        self._scales = torch.tensor(scales, dtype=torch.float64)

    @property
    def rank(self) -> int:
        """The columns of all branches together."""
        return len(self._owners)

    def gate_rows(self, strengths: Sequence[Sequence[float]]) -> torch.Tensor:
        """(images or 1, R) in float32, from the strengths of each file for each image or for all."""
        images = max((len(values) for values in strengths), default=1)
        each = [[*values] * (images // len(values)) for values in strengths]
        table = torch.tensor(each, dtype=torch.float64).T
        return (table[:, self._owners] * self._scales).float()

    def attach(
        self, layer_of: Callable[[str], torch.nn.Module], gate: Gate
    ) -> list[RemovableHandle]:
        """Puts every branch beside its layer, for as long as its handle is not removed."""
        return [
            layer_of(name).register_forward_hook(
                _hook(cast(Branch, branch), gate), with_kwargs=True
            )
            for name, branch in zip(self.layers, self.branches, strict=True)
        ]


def takes_branch(layer: torch.nn.Module, weight: Shape) -> bool:
    """Whether a branch beside a layer is the same as a change of its weight."""
    if isinstance(layer, CONVOLUTIONS):
        return layer.groups == 1 and len(weight) == 2 + len(layer.kernel_size)
    if isinstance(layer, torch.nn.modules.linear.NonDynamicallyQuantizableLinear):
        return False  # attention uses its weight and never calls it
    sizes = getattr(layer, "out_features", None), getattr(layer, "in_features", None)
    return sizes == weight


def _by_rows(lanes: Iterable[Lane]) -> dict[Rows, list[tuple[FileId, Pair]]]:
    grouped: dict[Rows, list[tuple[FileId, Pair]]] = {}
    for lane in lanes:
        grouped.setdefault(lane.rows, []).append((lane.file, lane.delta.paired()))
    return grouped


def _joined(tensors: Sequence[torch.Tensor], dim: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.cat([tensor.to(dtype) for tensor in tensors], dim)


def _hook(branch: Branch, gate: Gate) -> Callable[..., torch.Tensor]:
    def add(
        layer: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor
    ) -> torch.Tensor:
        if gate.rows is None:
            return output
        x = args[0] if args else next(iter(kwargs.values()))
        return branch(layer, x, output, gate.rows)

    return add


def _convolved(layer: torch.nn.Module, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """With the layer's own stride and padding, also where a pack has changed how it pads."""
    return cast(Any, layer)._conv_forward(x, kernel, None)


def _gated(hidden: torch.Tensor, gate: torch.Tensor, dim: int) -> torch.Tensor:
    """Every image's channels, along ``dim``, times its own row of the gate."""
    batch, images = len(hidden), len(gate)
    if images > 1:
        if batch % images:
            raise LoraInputError(
                f"a layer of this model sees {batch} inputs for {images} images, so that they cannot "
                "have a strength each. Use one strength for all of them.",
                key="values",
                expected=f"a multiple of {images} inputs",
                found=str(batch),
            )
        gate = gate.repeat_interleave(batch // images, 0)
    shape = [1] * hidden.ndim
    shape[0], shape[dim] = gate.shape
    return hidden.mul(gate.view(shape)).to(hidden.dtype)
