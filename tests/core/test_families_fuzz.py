"""What has been read and fits can be added, whatever a file holds: nothing raises behind the plan.

The host swallows what is raised while it patches, and goes on with a wrong image.
"""

import random

import pytest
import torch

from lora_core.errors import LoraFileError
from lora_core.families import FAMILIES, MAGNITUDES, Source, read_module
from lora_core.fuse import fuse
from lora_core.match import Addend
from lora_core.merge import merge_
from lora_core.settings import Settings
from lora_core.targets import Target

SIZES = (1, 2, 3, 4, 6, 12)
WEIGHTS = [
    (6, 4),
    (4, 4),
    (12, 6),
    (6, 4, 3),
    (4, 6, 1, 1),
    (6, 6, 2, 2),
    (4, 2, 1, 2, 1),
    (6,),
    (1,),
]
VALUES = (0.0, 1.0, -1.0, 1e-30, 1e30, 3e4)
ROUNDS = 6000


def tensor(dice: random.Random) -> torch.Tensor:
    shape = dice.choices(SIZES, k=dice.choice((0, 1, 1, 2, 2, 2, 3, 4, 5)))
    if dice.random() < 0.1:
        return torch.full(shape, dice.choice(VALUES))
    return torch.randn(shape, generator=torch.Generator().manual_seed(dice.randrange(9)))


def likely(dice: random.Random, family, found: dict[str, torch.Tensor]) -> None:
    """Shapes that go together, mostly: by chance alone hardly anything would be read."""
    out, inner, *kernels = dice.choice([shape for shape in WEIGHTS if len(shape) > 1])
    rank = dice.choice(SIZES)
    ones = [1] * len(kernels)
    blocks = dice.choice([n for n in SIZES if out % n == 0])
    shapes = {
        "up": [out, rank, *ones],
        "down": [rank, inner, *kernels],
        "lora_E": [rank, 1],
        "embedding_up": [inner, rank],
        "embedding_down": [rank, out],
        "hada_w1_a": [out, rank],
        "hada_w1_b": [rank, inner],
        "hada_w2_a": [out, rank],
        "hada_w2_b": [rank, inner],
        "lokr_w1": [dice.choice((1, 2)), dice.choice((1, 2))],
        "lokr_w1_a": [2, rank],
        "lokr_w1_b": [rank, 2],
        "lokr_w2": [out, inner, *kernels],
        "lokr_w2_a": [out, rank],
        "lokr_w2_b": [rank, inner],
        "glora_a1": [inner, rank],
        "glora_a2": [rank, inner],
        "glora_b1": [out, rank],
        "glora_b2": [rank, inner, *kernels],
        "ia3_l": dice.choice(([out, 1], [1, inner], [1, out, *ones])),
        "oft_blocks": dice.choice(([blocks, out // blocks, out // blocks], [2, blocks, 2, 2])),
        "oft_R": [blocks, dice.choice((1, 3, 6))],
        "boft_R": dice.choice(([1, blocks, 2, 2], [2, blocks, 2, 2])),
        "rescale": [out, *[1] * dice.randrange(3)],
        "boft_s": [out, 1],
        "hra_u": [inner, rank],
        "vera_lambda_b": [out],
        "vera_lambda_d": [rank],
        "vera_A": [rank, 12],
        "vera_B": [12, rank],
        "delora_up": [out, rank],
        "delora_down": [rank, inner],
        "delora_lambda": [1],
        "delora_w_norm": [inner],
        "miss_block": dice.choice(([rank, out], [blocks, out // blocks, out // blocks])),
        "dora_scale": dice.choice(([out, 1], [1, inner], [out])),
        "magnitude": [out],
        "alpha": [],
        "on_input": [],
    }
    roles = [*family.needs, *(role for role in family.takes if dice.random() < 0.5)]
    if dice.random() < 0.3:
        roles.append(dice.choice(sorted(MAGNITUDES)))
    for side in ("lokr_w1", "lokr_w2"):
        if side in roles and dice.random() < 0.95:  # else both are there, and refused
            roles = [r for r in roles if r not in (f"{side}_a", f"{side}_b", f"lokr_t{side[-1]}")]
    generator = torch.Generator().manual_seed(dice.randrange(9))
    for role in roles:
        if role in shapes and dice.random() < 0.97:
            found[role] = torch.randn(shapes[role], generator=generator)
        else:
            found[role] = tensor(dice)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f"{f.name} {'+'.join(sorted(f.needs))}")
def test_what_fits_can_be_added(family):
    dice = random.Random(str(sorted(family.needs)))
    added = 0
    for _ in range(ROUNDS // len(FAMILIES)):
        tensors: dict[str, torch.Tensor] = {}
        likely(dice, family, tensors)
        settings = Settings(alpha=dice.choice((None, 2.0)), one_trainer=dice.random() < 0.2)
        try:
            _, deltas = read_module(Source("layer", tensors, settings))
        except LoraFileError:
            continue
        for shape in WEIGHTS:
            fitting = [delta for delta in deltas if delta.fits(shape)]
            turned = [delta.turned() for delta in fitting]
            for dtype in (torch.float32, torch.float16):
                weight = torch.ones(shape, dtype=dtype)
                every = [Addend(Target("w"), d, 0.5, 0.0, "file") for d in fitting + turned]
                merge_(weight, fuse(every))
                assert weight.shape == shape
            added += len(fitting)
    assert added > 10
