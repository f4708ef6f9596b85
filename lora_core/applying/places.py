"""Which factor each token of a layer's input gets, for the masks of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..errors import LoraInputError
from ..naming import Layer, Shape, Tokens
from .branches import CONVOLUTIONS
from .latent_masks import on_tokens


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a model sees in one evaluation, and where masks are in it.

    Attributes:
        tokens: Where the picture is in what the layers read.
        masks: (P, B, [frames,] h, w), the factor of each of P parts for each cell of the latent
            image that each of B inputs sees.
        elsewhere: (P,), the factor of each part for what has no place.
        before, after: How many tokens of references stand in front of the picture and behind it.
        level: Returns the (rows, columns) that the model has now, for models with several sizes.
    """

    tokens: Tokens
    masks: torch.Tensor
    elsewhere: torch.Tensor
    before: int = 0
    after: int = 0
    level: Callable[[], Shape] | None = None

    @property
    def size(self) -> Shape:
        """([frames,] h, w) of the latent image."""
        return tuple(self.masks.shape[2:])

    @property
    def grid(self) -> Shape:
        """([frames,] rows, columns) of the picture's tokens, for models with one size."""
        patch = self.tokens.patch or ()
        size = self.size[-len(patch) :]
        own = patch[-len(size) :]
        return tuple(-(-cells // each) for cells, each in zip(size, own, strict=True))


class Places:
    """The factors of all parts for the tokens of each layer, found once for a scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._known: dict[tuple[Shape, int, int], torch.Tensor] = {}
        self._nowhere = scene.elsewhere[None, None]

    def of(
        self, layer: Layer, module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor
    ) -> torch.Tensor:
        """Returns (B or 1, L or 1, P): the factor of each part for each token of a layer.

        Args:
            layer: What the layer is in its model.
            module: The layer.
            x: (B, …), its input.
            y: (B, …), its output.

        Raises:
            LoraInputError: The tokens are not those of the picture that the model sees.
        """
        if x.ndim == 2 or self.scene.tokens.apart.search(layer.path):
            return self._nowhere
        if isinstance(module, (*CONVOLUTIONS, torch.nn.GroupNorm)):
            return self._cells(layer, x, tuple(y.shape[2:]))
        if self.scene.tokens.patch is None:
            return self._level(layer, x)
        return self._sequence(layer, x)

    def _cells(self, layer: Layer, x: torch.Tensor, grid: Shape) -> torch.Tensor:
        if self.scene.tokens.patch is not None and grid[-len(self.scene.grid) :] != self.scene.grid:
            return self._nowhere  # a convolution of a reference
        self._check(layer, len(x) == self.scene.masks.shape[1], f"{len(x)} images")
        return self._table(grid, 0, math.prod(grid))

    def _level(self, layer: Layer, x: torch.Tensor) -> torch.Tensor:
        grid = self.scene.level() if self.scene.level else ()
        length = math.prod(x.shape[1:-1])
        fits = length == math.prod(grid) and len(x) == self.scene.masks.shape[1]
        self._check(layer, fits, f"{len(x)} times {length} tokens")
        return self._table(grid, 0, length)

    def _sequence(self, layer: Layer, x: torch.Tensor) -> torch.Tensor:
        scene, grid = self.scene, self.scene.grid
        picture, length = math.prod(grid), math.prod(x.shape[1:-1])
        filled = -picture % scene.tokens.multiple
        if scene.tokens.joined and scene.tokens.joined.search(layer.path):
            start = length - picture - scene.after - filled
            fits = start >= scene.before
        else:
            # behind the last block, the references are cut off
            start = 0 if length == picture else scene.before
            fits = length - picture - start - scene.after in (0, filled) or length == picture
        in_order = x.ndim == 3 or tuple(x.shape[1:-1]) == (1,) * (x.ndim - 2 - len(grid)) + grid
        flat = all(frames == 1 for frames in scene.size[: -len(grid)])
        fits = fits and in_order and flat and len(x) == scene.masks.shape[1]
        self._check(layer, fits, f"{len(x)} times {length} tokens")
        return self._table(grid, start, length)

    def _check(self, layer: Layer, fits: bool, found: str) -> None:
        if fits:
            return
        inputs, size = self.scene.masks.shape[1], " × ".join(map(str, self.scene.size))
        raise LoraInputError(
            f"the layer {layer.path} sees {found}, which are not those of {inputs} pictures of {size}. "
            "Something in this workflow joins, cuts or adds tokens, so a mask has no place there. Take it "
            "out, or use the LoRA without a mask.",
            key="mask",
            expected=f"the tokens of {inputs} pictures of {size}",
            found=found,
        )

    def _table(self, grid: Shape, start: int, length: int) -> torch.Tensor:
        known = self._known.get((grid, start, length))
        if known is None:
            known = self._known[grid, start, length] = self._made(grid, start, length)
        return known

    def _made(self, grid: Shape, start: int, length: int) -> torch.Tensor:
        masks = self.scene.masks
        parts, inputs = masks.shape[:2]
        own = on_tokens(masks.flatten(0, 1), grid).view(parts, inputs, -1).permute(1, 2, 0)
        table = self.scene.elsewhere.expand(inputs, length, -1).clone()
        table[:, start : start + own.shape[1]] = own
        return table
