"""A transformer with random weights, as large as a part of Flux, and LoRAs on it: no ComfyUI, no file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, reduce
from operator import add

import torch
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from lora_core.algebra import FileId, Moment, Recipe, strength_of
from lora_core.applying import Gate, Stack
from lora_core.families import LowRank
from lora_core.fusing import Patch, fuse
from lora_core.matching import LiveTerm, WeightTerm
from lora_core.naming import Target

from .gpu_readings import Setting
from .loras import Lora, Sizes, random_lora
from .timing import Action, Contender

STRENGTH = 0.7


@dataclass(frozen=True)
class Size:
    """How large a model is, and what it sees.

    Attributes:
        width: The width of its tokens.
        heads: The heads of its attention.
        blocks: The number of its blocks.
        grids: How many tokens a picture is high, and as many wide; a small and a large one.
        text: The tokens of the text in front of the picture.
    """

    width: int
    heads: int
    blocks: int
    grids: tuple[int, int]
    text: int


FULL = Size(3072, 24, 8, (32, 64), 512)
"""Flux's width and heads, and the tokens of pictures of 512 × 512 and 1024 × 1024."""

QUICK = Size(64, 4, 2, (4, 6), 3)


def size_of(setting: Setting) -> Size:
    return QUICK if setting.quick else FULL


class Block(torch.nn.Module):
    """Attention, and two layers of four times the width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = torch.nn.Linear(width, 3 * width, bias=False)
        self.proj = torch.nn.Linear(width, width, bias=False)
        self.mlp_in = torch.nn.Linear(width, 4 * width, bias=False)
        self.mlp_out = torch.nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape as ``x``, (images, tokens, width)."""
        normed = functional.layer_norm(x, x.shape[-1:])
        parts = self.qkv(normed).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*parts)
        x = x + self.proj(seen.transpose(1, 2).flatten(2))
        normed = functional.layer_norm(x, x.shape[-1:])
        return x + self.mlp_out(functional.gelu(self.mlp_in(normed)))


class Model(torch.nn.Module):
    """Blocks in a row."""

    def __init__(self, size: Size, blocks: int) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(Block(size.width, size.heads) for _ in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape as ``x``, (images, tokens, width)."""
        for block in self.blocks:
            x = block(x)
        return x


def model(setting: Setting, blocks: int | None = None) -> Model:
    """Returns the model on its device, in the type in which it computes there."""
    size = size_of(setting)
    with torch.device("meta"):
        made = Model(size, blocks or size.blocks)
    made = made.to(dtype_on(setting.device)).to_empty(device=setting.device).requires_grad_(False)
    for weight in made.parameters():
        weight.normal_(std=weight.shape[1] ** -0.5)
    return made


def dtype_on(device: str) -> torch.dtype:
    """Returns the type in which models compute on a device."""
    return torch.bfloat16 if device == "cuda" else torch.float32


def weights_of(made: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: weight.detach() for key, weight in made.named_parameters()}


def sizes_of(made: torch.nn.Module) -> Sizes:
    """Returns the size of each weight, by its key."""
    return {key: (len(own), own.shape[1]) for key, own in weights_of(made).items()}


def seen(setting: Setting, grid: int, images: int = 1) -> torch.Tensor:
    """Returns what the model gets: the tokens of a text, and behind them those of pictures."""
    size = size_of(setting)
    tokens = size.text + grid * grid
    shape = (images, tokens, size.width)
    return torch.randn(shape, device=setting.device, dtype=dtype_on(setting.device))


# --- LoRAs ----------------------------------------------------------------------------------------


def fused(loras: Sequence[Lora], key: str) -> tuple[Patch, ...]:
    """Returns all that ``loras`` add to one weight, each at a strength of its own."""
    terms = [
        WeightTerm(Target(key), _pair(lora, key), STRENGTH / (1 + number), 0.0, "")
        for number, lora in enumerate(loras)
    ]
    return fuse(terms)


def _pair(lora: Lora, key: str) -> LowRank:
    return LowRank(lora[key].up, lora[key].down, 1.0)


@dataclass(frozen=True)
class Live:
    """A stack next to the layers of a model, with a gate of its own.

    Attributes:
        files: The LoRAs of the stack.
    """

    model: Model
    stack: Stack
    files: tuple[FileId, ...]
    gate: Gate = field(default_factory=Gate)

    @classmethod
    def of(cls, made: Model, loras: Sequence[Lora], setting: Setting) -> Live:
        files = tuple(FileId(f"{n}.safetensors", 0, 0, n) for n in range(len(loras)))
        shapes = {key: tuple(weight.shape) for key, weight in weights_of(made).items()}
        terms = {
            key: [LiveTerm(f, None, _pair(own, key)) for f, own in zip(files, loras, strict=True)]
            for key in shapes
        }
        stack = Stack(terms, shapes, dtype_on(setting.device)).to(setting.device)
        return cls(made, stack, files)

    def twin(self) -> Live:
        """Returns the same stack with another gate."""
        return Live(self.model, self.stack, self.files)

    def recipe(self) -> Recipe:
        return reduce(add, (Recipe.of(file, STRENGTH) for file in self.files))

    def rows(self, recipe: Recipe, moment: Moment | None = None) -> torch.Tensor:
        """Returns the gate of a recipe of the stack's files, as the nodes make it for a step."""
        terms, at = {term.file: term for term in recipe.terms}, moment or Moment()

        @cache
        def strength(file: FileId) -> tuple[float, ...]:
            return strength_of(terms[file], at) if file in terms else (0.0,)

        rows = self.stack.gate_rows(lambda file, _: strength(file))
        return rows.to(next(self.stack.parameters()).device)

    def opened(self, recipe: Recipe | None = None) -> Live:
        """Opens the gate for good, and returns itself."""
        self.gate.rows = self.rows(recipe or self.recipe())
        return self

    def attached(self) -> Callable[[], None]:
        """Puts the stack next to the layers, and returns what takes it away."""
        handles: list[RemovableHandle] = self.stack.attach(self.model.get_submodule, self.gate)

        def detach() -> None:
            for handle in handles:
                handle.remove()

        return detach

    def contender(self, run: Action) -> Contender:
        """Times ``run`` while the stack is attached."""
        placed = ExitStack()
        return Contender(run, before=lambda: placed.callback(self.attached()), after=placed.close)


def random_loras(made: torch.nn.Module, count: int, rank: int, setting: Setting) -> list[Lora]:
    """Returns LoRAs for all weights, in half precision and on the device."""
    return [random_lora(sizes_of(made), rank, setting.device) for _ in range(count)]


def apart(found: torch.Tensor, right: torch.Tensor) -> float:
    """Returns the largest difference, relative to the largest entry."""
    return float((found.float() - right.float()).abs().max() / right.float().abs().max())
