"""LoRA files as trainers write them, drawn by dice: every family, every spelling of a key."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import torch

from lora_core.families.dora import MAGNITUDES
from lora_core.families.family import Family, Form
from lora_core.families.registry import FORMS, KEYS

from .model import NAMES, PREFIXES, shape_of

RANKS = (1, 2, 3, 4)

FOR_VECTORS = frozenset(("full", "norm", "bias", "IA3"))
FOR_MATRICES = frozenset(("VeRA", "DeLoRA", "MiSS"))
"""Families that fit no other layers."""

ADAPTERS = ("", ".default")
"""What may stand where peft puts an adapter's name."""

SUFFIXES = {
    role: sorted(
        {
            suffix.replace("*", adapter)
            for suffix, known in KEYS.spellings.items()
            for adapter in ADAPTERS
            if known == role and "|" not in suffix
        }
    )
    for role in set(KEYS.spellings.values())
} | {"ia3_weight": [".weight"], "set_bias": [".bias"]}
"""How a role may be written, whatever the name in front of it."""

STORED = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F64",
    torch.float8_e5m2: "F8_E5M2",
}
DTYPES = (*[torch.float32] * 4, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2)

Shape = tuple[int, ...]


@dataclass
class Part:
    """What a file holds for one layer: the families' own words."""

    name: str
    family: str
    roles: dict[str, torch.Tensor]
    magnitude: str | None = None


@dataclass
class Draft:
    """A file in the making.

    Attributes:
        tensors: By key.
        parts: What they mean.
        metadata: The file's own notes.
        config: The text of a config beside it, None without one.
        sound: Whether it still means what ``parts`` say.
        damage: What is done to its bytes in the end.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    config: str | None = None
    sound: bool = True
    damage: list[Callable[[bytes], bytes]] = field(default_factory=list)


def draw(dice: Random) -> Draft:
    """A sound file of one to three layers."""
    draft = Draft()
    prefix = dice.choice(PREFIXES)
    dtype = dice.choice(DTYPES)
    generator = torch.Generator().manual_seed(dice.getrandbits(32))
    for name in dice.sample(NAMES, dice.choice((1, 1, 1, 2, 3))):
        family, form = _family(dice, len(shape_of(name)))
        part = _part(dice, name, family, form, generator, dtype)
        draft.parts.append(part)
        for role, tensor in part.roles.items():
            shared = role in ("vera_A", "vera_B")
            owner = "base_model" if shared else prefix + name
            draft.tensors[owner + dice.choice(SUFFIXES[role])] = tensor
    # what has to stand alone, and what is only read beside names of peft's
    lone = len(draft.parts) > 1 and any("vera_A" in part.roles for part in draft.parts)
    peft = prefix == "base_model.model." or not any("set_bias" in p.roles for p in draft.parts)
    draft.sound = not lone and peft
    return draft


def _family(dice: Random, dimensions: int) -> tuple[Family, Form]:
    """One that fits a weight of so many dimensions, mostly."""
    fitting = [
        (family, form)
        for family, form in FORMS
        if (dimensions > 1 or family.name in FOR_VECTORS)
        and (dimensions == 2 or family.name not in FOR_MATRICES)
        and (dimensions == 1 or family.name != "norm")
    ]
    return dice.choice(fitting if dice.random() < 0.95 else FORMS)


def _part(
    dice: Random,
    name: str,
    family: Family,
    form: Form,
    generator: torch.Generator,
    dtype: torch.dtype,
) -> Part:
    shape = shape_of(name)
    shapes = shapes_of(dice, shape)
    roles = [
        *form.needs,
        *(r for r in sorted(form.takes) if dice.random() < 0.2 and r in shapes),
    ]
    if family.name == "VeRA":
        roles = sorted(form.needs | form.takes)
    if family.name == "LoKr":
        roles = _of_kronecker(dice, roles)
    magnitude = None
    if family.decomposes and dice.random() < 0.2:
        magnitude = dice.choice(sorted(MAGNITUDES))
        roles.append(magnitude)
    drawn = {role: _numbers(role, shapes[role], generator).to(dtype) for role in sorted(roles)}
    return Part(name, family.name_of(form), drawn, magnitude)


def _of_kronecker(dice: Random, roles: list[str]) -> list[str]:
    """Each side whole or in factors."""
    first = ["lokr_w1"] if "lokr_w1" in roles else ["lokr_w1_a", "lokr_w1_b"]
    second = dice.choice((["lokr_w2"], ["lokr_w2_a", "lokr_w2_b"]))
    return [*first, *second, *(["alpha"] if "alpha" in roles else [])]


def _numbers(role: str, shape: Shape, generator: torch.Generator) -> torch.Tensor:
    if role == "on_input":
        return torch.zeros(shape)
    if role in ("dora_scale", "magnitude", "rescale", "boft_s", "delora_w_norm"):
        return 0.5 + torch.rand(shape, generator=generator)
    if role == "alpha":
        return torch.full(shape, 2.0)
    return 0.5 * torch.randn(shape, generator=generator)


def shapes_of(dice: Random, weight: Shape) -> dict[str, Shape]:
    """Of every role, for a weight; a vector's are those of a layer of one input."""
    out, inner, *kernel = weight if len(weight) > 1 else (*weight, 1)
    rank = dice.choice(RANKS)
    ones = [1] * len(kernel)
    width = inner * math.prod(kernel)
    split = _divisor(dice, out), _divisor(dice, inner)
    blocks = _divisor(dice, out)
    size = dice.choice([n for n in (2, 3, 4, 6, 8, 12) if width % n == 0] or [2])
    stages = dice.choice((1, 1, 2)) if (width // size) % 2 == 0 and size % 2 == 0 else 1
    square = dice.choice([n for n in (1, 2, 3, 4) if out % n == 0 and inner % n == 0])
    found = {
        "up": (out, rank, *ones),
        "down": (rank, inner, *kernel),
        "lora_E": (rank, 1),
        "up_bias": (out,),
        "embedding_up": (inner, rank),
        "embedding_down": (rank, out),
        "hada_w1_a": (out, rank),
        "hada_w1_b": (rank, width),
        "hada_w2_a": (out, rank),
        "hada_w2_b": (rank, width),
        "lokr_w1": split,
        "lokr_w1_a": (split[0], rank),
        "lokr_w1_b": (rank, split[1]),
        "lokr_w2": (out // split[0], inner // split[1], *kernel),
        "lokr_w2_a": (out // split[0], rank),
        "lokr_w2_b": (rank, width // split[1]),
        "glora_a1": (inner, rank),
        "glora_a2": (rank, inner),
        "glora_b1": (out, rank),
        "glora_b2": (rank, inner, *kernel),
        "ia3_weight": (out, 1),
        "ia3_l": dice.choice(((out, 1), (1, inner))) if not kernel else (1, out, *ones),
        "oft_blocks": dice.choice(((blocks, out // blocks, out // blocks), (1, 1, out, out))),
        "oft_R": (dice.choice((width // size, 1)), size * (size - 1) // 2),
        "boft_R": (stages, width // size, size, size),
        "rescale": (out, 1),
        "boft_s": (out, 1),
        "hra_u": (dice.choice((inner, width)), rank),
        "vera_lambda_b": (out,),
        "vera_lambda_d": (rank,),
        "vera_A": (rank, inner + dice.choice((0, 3))),
        "vera_B": (out + dice.choice((0, 3)), rank),
        "delora_up": (out, rank),
        "delora_down": (rank, inner),
        "delora_lambda": (1,),
        "delora_w_norm": (inner,),
        "miss_block": dice.choice(((rank, out), (out // square, square, square))),
        "diff": weight,
        "set_weight": weight,
        "w_norm": weight,
        "diff_b": (out,),
        "b_norm": (out,),
        "set_bias": (out,),
        "dora_scale": dice.choice(((out, *[1] * (len(weight) - 1)), (1, inner, *ones))),
        "magnitude": (out,),
        "alpha": (),
        "on_input": (),
    }
    if kernel and dice.random() < 0.3:
        found |= {"down": (rank, inner, *ones), "mid": (rank, rank, *kernel)}
    return found


def _divisor(dice: Random, number: int) -> int:
    return dice.choice([n for n in range(1, number + 1) if number % n == 0])
