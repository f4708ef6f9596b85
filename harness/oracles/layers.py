"""Small layers to adapt, and what a layer's forward says its weight and bias are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer to be adapted, given by its sizes.

    Attributes:
        out: Rows of the weight.
        inner: Columns of the weight, channels of a convolution.
        kernel: Empty for a linear layer.
        norm: "layer" or "group" for a normalisation over ``out`` channels.
        lookup: Whether it is an embedding of ``out`` tokens.
    """

    out: int
    inner: int = 0
    kernel: tuple[int, ...] = ()
    norm: str = ""
    lookup: bool = False

    @property
    def kind(self) -> str:
        if self.lookup:
            return "embedding"
        if self.norm:
            return f"{self.norm} norm"
        name = f"conv{len(self.kernel)}d " + "x".join(map(str, self.kernel))
        square = " square" if self.out == self.inner else ""
        return (name if self.kernel else "linear") + square

    def module(self) -> nn.Module:
        if self.lookup:
            return nn.Embedding(self.out, self.inner)
        if self.norm == "layer":
            return nn.LayerNorm(self.out)
        if self.norm == "group":
            return nn.GroupNorm(2, self.out)
        if self.kernel:
            return CONVS[len(self.kernel)](self.inner, self.out, self.kernel)
        return nn.Linear(self.inner, self.out)


LINEAR = Layer(14, 15)
SQUARE = Layer(12, 12)
CONV1 = Layer(6, 10, (3,))
CONV1_POINT = Layer(6, 10, (1,))
CONV2 = Layer(6, 10, (3, 2))
CONV2_SQUARE = Layer(6, 6, (3, 3))
CONV2_POINT = Layer(6, 10, (1, 1))
CONV3 = Layer(6, 4, (2, 3, 1))
LAYER_NORM = Layer(12, norm="layer")
GROUP_NORM = Layer(12, norm="group")
EMBEDDING = Layer(11, 6, lookup=True)


def net(dtype: torch.dtype, **layers: Layer) -> nn.Module:
    """Makes a module with these layers, always with the same numbers for the same layers.

    It is a container that is never run as a whole; peft and LyCORIS only look for its layers.
    """
    made = nn.Module()
    for seed, (name, layer) in enumerate(layers.items()):
        module = layer.module()
        generator = torch.Generator().manual_seed(seed)
        for parameter in module.parameters():
            numbers = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data = numbers.to(dtype)
        made.add_module(name, module)
    made.forward = _never_run
    return made


def _never_run(*_: object, **__: object) -> None:
    raise AssertionError("only its layers are run")


def weights_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """Returns a copy of every weight and bias, by path."""
    return {key: value.detach().clone() for key, value in module.named_parameters()}


@torch.no_grad()
def effective(forward: nn.Module, layer: Layer, *, one_patch: bool = False) -> dict:
    """Returns the weight and bias that ``forward`` acts like, in float64.

    Args:
        forward: A float64 module that takes the place of ``layer``.
        layer: What it stands for.
        one_patch: The oracle's convolution is only one where the kernel has a single place.
    """
    if layer.norm:
        return _norm(forward, layer)
    if layer.lookup:
        return {"weight": forward(torch.arange(layer.out))}
    inputs = _impulses(layer)
    bias = forward(torch.zeros_like(inputs[:1]))[0].reshape(-1)
    columns = forward(inputs).reshape(len(inputs), -1) - bias
    weight = columns.T.reshape(layer.out, layer.inner, *layer.kernel)
    if layer.kernel and not one_patch:
        _check_everywhere(forward, layer, weight, bias)
    return {"weight": weight, "bias": bias}


def _impulses(layer: Layer) -> torch.Tensor:
    """Returns a one at each place that a kernel sees; its output is that column of the weight."""
    count = layer.inner * math.prod(layer.kernel)
    return torch.eye(count, dtype=torch.float64).reshape(count, layer.inner, *layer.kernel)


def _check_everywhere(
    forward: nn.Module, layer: Layer, weight: torch.Tensor, bias: torch.Tensor
) -> None:
    """Checks that it is a convolution with this weight, not only if the kernel has a single place."""
    generator = torch.Generator().manual_seed(0)
    larger = [size + 3 for size in layer.kernel]
    inputs = torch.randn(2, layer.inner, *larger, generator=generator, dtype=torch.float64)
    convolve = getattr(nn.functional, f"conv{len(layer.kernel)}d")
    torch.testing.assert_close(
        forward(inputs), convolve(inputs, weight, bias), rtol=1e-12, atol=1e-11
    )


def _norm(forward: nn.Module, layer: Layer) -> dict:
    """Measures a normalisation, which is odd except for its bias: f(x) ± f(−x) separates the two."""
    shape = (1, layer.out) if layer.norm == "layer" else (1, layer.out, 2)
    inputs = torch.arange(1.0, 1 + math.prod(shape), dtype=torch.float64).reshape(shape)
    inputs = inputs * torch.where(inputs % 4 < 2, 1.0, -1.0)
    plain = layer.module().double()
    plain.weight.data.fill_(1.0)
    plain.bias.data.zero_()
    scale = (forward(inputs) - forward(-inputs)) / (2 * plain(inputs))
    shift = (forward(inputs) + forward(-inputs)) / 2
    across = tuple(range(2, len(shape)))
    mean = (scale[0].mean(dim=1), shift[0].mean(dim=1)) if across else (scale[0], shift[0])
    return {"weight": mean[0], "bias": mean[1]}
