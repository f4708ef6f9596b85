"""A stack is a sum: neither the order of its files nor that of their terms can matter."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
import torch

from harness.oracles import CASES, Case, Made
from lora_core import Recipe, applied, load
from lora_core.applying.apply import model_of
from lora_core.families.base_weight import sum_type
from lora_core.fusing.fuse import fuse
from lora_core.fusing.merge import merge_
from lora_core.matching.plan import make_plan
from lora_core.reading.reader import FileCache

pytest.importorskip("peft")
pytest.importorskip("lycoris")

pytestmark = pytest.mark.thorough

KEY = "layer.weight"
STRENGTHS = (0.75, -0.5, 1.25, 0.3)
DTYPES = (
    torch.float32,
    torch.bfloat16,
    *(pytest.param(dtype, marks=pytest.mark.slow) for dtype in (torch.float64, torch.float16)),
)

STACKS = {
    "linear": (
        "LyCORIS-DoRA-linear square-out axis",
        "LyCORIS-OFT-linear square",
        "LyCORIS-LoKr-linear square-full",
        "LyCORIS-LoRA-linear square",
    ),
    "convolution": (
        "LyCORIS-DoRA-conv2d 3x2-in axis",
        "LyCORIS-OFT-conv2d 3x2-rescale",
        "LyCORIS-LoKr-conv2d 3x2-factored",
        "LyCORIS-LoRA-conv2d 3x2",
    ),
    "two of a kind": (
        "LyCORIS-DoRA-linear square-in axis",
        "peft-DoRA-linear square",
        "peft-HRA-linear square",
        "LyCORIS-OFT-linear square-rescale",
    ),
    "peft": (
        "peft-DoRA-linear square",
        "peft-OFT-linear square-coft",
        "peft-LoKr-linear square-full, alpha",
        "LyCORIS-GLoRA-linear square",
    ),
}


def cases(stack: str) -> list[Case]:
    named = {str(case): case for case in CASES}
    return [named[name] for name in STACKS[stack]]


def make(stack: str, folder: Path, dtype: torch.dtype) -> list[Made]:
    """The files of a stack, all made for the same weight."""
    made = []
    for place, case in enumerate(cases(stack)):
        (home := folder / str(place)).mkdir()
        made.append(case.build(home, place, dtype))
    assert all(torch.equal(one.weights[KEY], made[0].weights[KEY]) for one in made)
    return made


def stacked(files: Sequence[Path]) -> Recipe:
    terms = [strength * load(file) for strength, file in zip(STRENGTHS, files, strict=True)]
    return sum(terms[1:], terms[0])


def result(weight: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    weights = {KEY: weight.clone()}
    with applied(weights, recipe):
        return weights[KEY].clone()


def roundings(one: torch.Tensor, other: torch.Tensor, size: torch.Tensor) -> float:
    """How far apart they are, in roundings of what was added up.

    Half-precision weights are rounded once, at the end: each entry by itself is at most one step
    off. Others are rounded on the way, too, by what the largest number on it takes.
    """
    steps = torch.maximum(size, one.double().abs()) if one.dtype.itemsize < 4 else size.max()
    return float(((one.double() - other.double()).abs() / steps).max()) / torch.finfo(one.dtype).eps


def summands(made: Sequence[Made]) -> torch.Tensor:
    """|W| and all that is added to it, entry by entry."""
    parts = [s * one.delta[KEY] for s, one in zip(STRENGTHS, made, strict=True)]
    return made[0].weights[KEY].double().abs() + sum(part.abs() for part in parts)


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_the_sum_of_its_files(tmp_path, stack):
    made = make(stack, tmp_path, torch.float64)
    base = made[0].weights[KEY]
    total = sum(s * one.delta[KEY] for s, one in zip(STRENGTHS, made, strict=True))
    ours = result(base, stacked([one.file for one in made])) - base
    assert float((ours - total).norm() / total.norm()) <= 1e-12


@pytest.mark.parametrize("stack", STACKS)
def test_every_order_of_files_gives_the_same_weights(tmp_path, stack):
    """Recipes are sorted by path, so every order gets paths of its own."""
    made = make(stack, tmp_path, torch.float32)
    base, size = made[0].weights[KEY], summands(made)
    first = result(base, stacked([one.file for one in made]))
    for order in permutations(range(len(made))):
        results = result(base, stacked(copies(made, order, tmp_path)))
        assert roundings(results, first, size) <= 1, order


def copies(made: Sequence[Made], order: Sequence[int], folder: Path) -> list[Path]:
    """The files under names that sort in this order, each with what lies beside it."""
    home = folder / "-".join(map(str, order))
    return [
        shutil.copytree(one.file.parent, home / str(place)) / one.file.name
        for place, one in zip(order, made, strict=True)
    ]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("stack", STACKS)
def test_every_order_of_terms_gives_the_same_weights(tmp_path, show, stack, dtype):
    made = make(stack, tmp_path, torch.float32)
    base, size = made[0].weights[KEY].to(dtype), summands(made)
    recipe = stacked([one.file for one in made])
    plan = make_plan(recipe, [model_of({KEY: base})], FileCache())
    by_weight = plan.models[0].merged
    first = result(base, recipe)
    worst = 0.0
    for order in permutations(by_weight[KEY]):
        weight = base.clone()
        merge_(weight, fuse(order, sum_type(dtype)))
        worst = max(worst, roundings(weight, first, size))
    names = " + ".join(case.family for case in cases(stack))
    show(f"{names} ({stack}, {dtype}), 24 orders: at most {worst:.2f} roundings apart")
    assert worst <= 1


def test_the_order_of_adding_recipes_is_no_order_at_all(tmp_path):
    files = [one.file for one in make("linear", tmp_path, torch.float32)]
    terms = [s * load(file) for s, file in zip(STRENGTHS, files, strict=True)]
    recipes = {sum(order[1:], order[0]) for order in permutations(terms)}
    assert len(recipes) == 1
