"""The tensors of a new file: the canonical spelling of every layer, in one type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch

from ..combining import Product
from ..errors import LoraInputError
from ..families import UNBALANCED
from ..naming import NameStyle
from .unit import Unit

_PAIR: Final[Mapping[NameStyle, tuple[str, str]]] = {
    "ComfyUI": (".lora_up.weight", ".lora_down.weight"),
    "kohya": (".lora_up.weight", ".lora_down.weight"),
    "diffusers": (".lora_B.weight", ".lora_A.weight"),
}
_ALPHA: Final = ".alpha"
_DIFF: Final = {"weight": ".diff", "bias": ".diff_b"}


def tensors_of(unit: Unit, style: NameStyle, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Returns the tensors of one layer.

    A pair is (alpha / rank) · up · down. The factor is in alpha where the style has one, so that
    the factors keep their bits; else it is in the up.

    Args:
        unit: What the file holds for the layer.
        style: How it spells its keys.
        dtype: The type of its factors.

    Raises:
        LoraInputError: A number is too large for the type.
    """
    if isinstance(unit.matrix, Product):
        return _pair(unit, unit.matrix, style, dtype)
    matrix = unit.matrix.reshape(unit.shape)
    return {unit.name + _DIFF[unit.slot]: _in_type(unit.name, matrix, dtype)}


def _pair(
    unit: Unit, product: Product, style: NameStyle, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    own = _balanced(product)
    if style == "diffusers":
        own = Product(own.up * own.scale, own.down)
    height, width, *kernel = unit.shape
    up = own.up.reshape(height, own.rank, *[1] * len(kernel))
    down = own.down.reshape(own.rank, width, *kernel)
    keys = (unit.name + suffix for suffix in _PAIR[style])
    pair = {
        key: _in_type(unit.name, factor, dtype)
        for key, factor in zip(keys, (up, down), strict=True)
    }
    if style == "diffusers":
        return pair
    return {**pair, unit.name + _ALPHA: torch.tensor(own.scale * own.rank, dtype=torch.float32)}


def _balanced(product: Product) -> Product:
    """Returns the same product, with a similar size of both sides of every rank.

    Only powers of two move from one side to the other, so no digit is lost; half precision has few
    of them for small numbers.
    """
    up, down = (_exponents(side) for side in (product.up.T, product.down))
    far = (up - down).abs() >= UNBALANCED
    if not far.any():
        return product
    moved = torch.where(far, (down - up) // 2, torch.zeros_like(up))
    return replace(
        product,
        up=torch.ldexp(product.up, moved),
        down=torch.ldexp(product.down, -moved[:, None]),
    )


def _exponents(rows: torch.Tensor) -> torch.Tensor:
    return torch.frexp(rows.abs().amax(1)).exponent


def _in_type(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    written = tensor.to(dtype)
    if not written.isfinite().all():
        largest = float(tensor.abs().max())
        word = str(dtype).removeprefix("torch.")
        raise LoraInputError(
            f"{name} would hold {largest:.3g}, more than {word} can. Choose another type.",
            key="dtype",
            expected=f"at most {torch.finfo(dtype).max:.3g}",
            found=f"{largest:.3g}" if math.isfinite(largest) else "infinity",
        )
    return written.contiguous().clone()
