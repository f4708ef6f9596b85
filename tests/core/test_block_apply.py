"""Weights by block: what is merged and what goes live, against float64 and the trainers' forwards."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.oracles import CASES
from harness.samples import write
from lora_core import LoraInputError, applied, apply, load
from lora_core.algebra import Moment, strength_of
from lora_core.algebra.curve import Curve
from lora_core.applying.apply import model_of
from lora_core.applying.live import Stack
from lora_core.matching import ModelPlan, ModelView, make_plan
from lora_core.matching.assign import MergeLiveSplit
from lora_core.naming import Layers
from lora_core.naming.architectures import architecture_named
from lora_core.reading import FileCache
from tools.fidelity.layouts import layouts

Weights = dict[str, torch.Tensor]

RANK, ALPHA = 2, 1.0


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def smaller(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a matrix with at most 24 rows and columns: some are as large as in real models."""
    return shape if len(shape) < 2 else tuple(min(size, 24) for size in shape)


def lora_of(name: str, folder: Path) -> tuple[Path, Weights, Weights]:
    """A LoRA of every layer of an architecture, weights of the model, and its change in float64."""
    layout = layouts()[name]
    shapes = {key: smaller(shape) for key, shape in layout.shapes.items()}
    content: Weights = {}
    changes: Weights = {}
    weights = {key: drawn(1, *shape).double() for key, shape in shapes.items()}
    for seed, layer in enumerate(layout.layers):
        out, into, *kernel = shapes[f"{layer}.weight"]
        up, down = drawn(seed, out, RANK, *[1] * len(kernel)), drawn(-seed - 1, RANK, into, *kernel)
        content |= {
            f"{layer}.lora_up.weight": up,
            f"{layer}.lora_down.weight": down,
            f"{layer}.alpha": torch.tensor(ALPHA),
        }
        product = up.double().flatten(1) @ down.double().flatten(1)
        changes[f"{layer}.weight"] = product.reshape(out, into, *kernel) * (ALPHA / RANK)
    return write(folder / f"{name}.safetensors", content), weights, changes


def factor_of(key: str, text: str, base: str | None) -> float:
    """The factor of a weight, from the text and the rows' paths alone: one line for each block."""
    factors = dict(line.rsplit(": ", 1) for line in text.splitlines())
    path = re.sub(r"^(model\.)?diffusion_model\.", "", key)
    for own in architecture_named(base).blocks:
        for start in own.paths:
            found = re.match(re.escape(start) + r"(\d+)\.", path)
            if found:
                return float(factors[f"{own.name} {int(found[1])}"])
        for start, number in own.places.items():
            if path.startswith(start) and own.paths:
                return float(factors[f"{own.name} {number}"])
            if path.startswith(start):
                return float(factors[own.name])
    return float(factors["other"])


def random_blocks(model: Layers, seed: int) -> str:
    """A factor for every block, about a third of them 0."""
    dice = random.Random(seed)
    lines = [
        f"{name if name == 'mid' else f'{name} {number}'}: {dice.choice([0, dice.randint(-200, 200) / 100, 1])}"
        for name, numbers in model.numbers.items()
        for number in numbers
    ]
    return "\n".join([*lines, f"other: {dice.choice([0, 0.75])}"])


KNOWN = [name for name in layouts() if name not in ("sd20", "sdxl_refiner")]


@pytest.mark.parametrize("name", KNOWN)
def test_every_layer_of_every_architecture_changes_by_its_factor(name: str, tmp_path: Path) -> None:
    file, weights, changes = lora_of(name, tmp_path)
    model = model_of(weights)
    text = random_blocks(model.layers, seed=len(name))
    after = {key: weight.clone() for key, weight in weights.items()}
    report = apply(after, (0.5 * load(file)).blocks(text))
    untouched = 0
    for key, weight in weights.items():
        factor = 0.5 * factor_of(key, text, model.base)
        if key in changes and factor:
            expected = weight + factor * changes[key]
            torch.testing.assert_close(after[key], expected, rtol=1e-12, atol=1e-12)
        else:
            untouched += key in changes
            assert torch.equal(after[key], weight), key
    (lora,) = report.loras
    assert lora.parts[0].untouched == untouched
    assert lora.parts[0].applied == len(changes)
    assert "weighted by block: " in str(report)


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_0_is_in_no_patch(name: str, tmp_path: Path) -> None:
    file, weights, changes = lora_of(name, tmp_path)
    model = model_of(weights)
    text = random_blocks(model.layers, seed=len(name))
    on = {key for key in changes if factor_of(key, text, model.base)}
    plan = make_plan(load(file).blocks(text), [model], FileCache())
    assert plan.models[0].merged.keys() == on
    live = plan_live(file, weights, text)
    assert live.merged.keys() | live.live.keys() == on


def with_branches(weights: Weights) -> ModelView:
    """The view of a model in which every layer can have a branch."""
    return replace(model_of(weights), branches=frozenset(weights))


def plan_live(file: Path, weights: Weights, text: str) -> ModelPlan:
    recipe = load(file).blocks(text)
    return make_plan(recipe, [with_branches(weights)], FileCache(), mode="live").models[0]


def test_a_gate_has_the_factor_of_each_layer_and_of_each_step(tmp_path: Path) -> None:
    file, weights, changes = lora_of("flux", tmp_path)
    text = "double 0: 0; double 1 img: 0.25; single: 0.5..2; other: 0"
    recipe = (0.5 * load(file)).blocks(text).scheduled(Curve.parse("0:0, 1:1"))
    view = with_branches(weights)
    (own,) = make_plan(recipe, [view], FileCache(), mode="auto").models
    assert not own.merged
    assert len(own.live) < len(changes)
    stack = Stack(own.live, view.shapes, torch.float32)
    (term,) = own.split.live.terms
    for progress in (0.0, 0.25, 1.0):
        rows = stack.gate_rows(
            lambda file, key, at=progress: strength_of(term, Moment(at), view.layers[key])
        )
        expected = [
            0.5 * progress * factor * ALPHA / RANK
            for key in own.live
            for factor in [view_factor(key)] * RANK
        ]
        torch.testing.assert_close(rows, torch.tensor([expected]), rtol=1e-6, atol=1e-7)


def view_factor(key: str) -> float:
    if "double_blocks.1.img" in key:
        return 0.25
    return {"single_blocks.0": 0.5, "single_blocks.1": 2.0}.get(".".join(key.split(".")[1:3]), 1.0)


@pytest.mark.parametrize("case", {case.family: case for case in CASES}.values(), ids=str)
def test_a_factor_is_that_many_times_the_change_for_every_family(case, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    pytest.importorskip("lycoris")
    made = case.build(tmp_path, 0, torch.float64)
    dice = random.Random(str(case))
    factors = {key: dice.choice([0.0, -0.75, 0.4, 1.5]) for key in made.delta}
    text = "\n".join(f"{key}: {factor}" for key, factor in factors.items())
    after = {key: weight.clone() for key, weight in made.weights.items()}
    apply(after, load(made.file).blocks(text))
    whole = {key: weight.clone() for key, weight in made.weights.items()}
    apply(whole, load(made.file))
    for key, weight in made.weights.items():
        if key in factors:
            expected = weight + factors[key] * made.delta[key]
            bound = 4 * (whole[key] - weight - made.delta[key]).abs().max() + 1e-12
            assert (after[key] - expected).abs().max() <= bound, key
        if not factors.get(key, 1):
            assert torch.equal(after[key], weight), key


def test_unknown_names_are_refused_before_anything_is_read_or_touched(tmp_path: Path) -> None:
    file, weights, _ = lora_of("wan_t2v", tmp_path)
    before = {key: weight.clone() for key, weight in weights.items()}
    recipe = load(file).blocks("double 0: 0")
    file.unlink()
    with pytest.raises(LoraInputError) as refused:
        apply(weights, recipe)
    assert refused.value.found == "double 0"
    assert "block 0-1" in str(refused.value.expected)
    assert all(torch.equal(weights[key], before[key]) for key in weights)


def test_it_is_undone_bit_for_bit(tmp_path: Path) -> None:
    file, weights, _ = lora_of("qwen_image", tmp_path)
    before = {key: weight.clone() for key, weight in weights.items()}
    with applied(weights, load(file).blocks("block 1 txt: 0.5; img: 0")):
        changed = {key for key in weights if not torch.equal(weights[key], before[key])}
    assert changed
    assert not any("img_m" in key for key in changed)
    assert all(torch.equal(weights[key], before[key]) for key in weights)


def test_recipes_of_blocks_add_up_on_a_model(tmp_path: Path) -> None:
    file, weights, changes = lora_of("sd3", tmp_path)
    parts = load(file).blocks("joint 0: 1; other: 0") + load(file).blocks("joint 0: 0; other: 1")
    after = {key: weight.clone() for key, weight in weights.items()}
    apply(after, parts)
    for key, change in changes.items():
        torch.testing.assert_close(after[key], weights[key] + change, rtol=1e-12, atol=1e-12)


def test_earlier_blocks_and_later_ones_are_one_sum(tmp_path: Path) -> None:
    file, weights, _ = lora_of("sd3", tmp_path)
    view, cache = model_of(weights), FileCache()
    one, two = (
        load(file).blocks("joint 0: 0.5; other: 0"),
        load(file).blocks("joint 1: 0.25; other: 0"),
    )
    at_once = make_plan(one + two, [view], cache).models[0].merged
    later = make_plan(two, [view], cache, earlier=[MergeLiveSplit(one)]).models[0].merged
    assert {k: [t.strength for t in own] for k, own in at_once.items()} == {
        k: [t.strength for t in own] for k, own in later.items()
    }
