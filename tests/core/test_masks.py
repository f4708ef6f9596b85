"""Masks and prompts as modifiers: the laws, what is refused, and the JSON form."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
import torch

from lora_core.algebra.curve import Curve
from lora_core.algebra.file_id import FileId
from lora_core.algebra.mask import Mask
from lora_core.algebra.prompt import Prompt
from lora_core.algebra.recipe import Recipe
from lora_core.algebra.region import Region, regions_of
from lora_core.algebra.spread import parse_spread
from lora_core.errors import LoraInputError
from lora_core.naming import Layers

INK = Recipe.of(FileId("ink", 1, 1, 1), 0.8)
LIGHT = Recipe.of(FileId("light", 1, 1, 2), 0.5)


def left(size: int = 4) -> torch.Tensor:
    mask = torch.zeros(1, size, size)
    mask[..., : size // 2] = 1
    return mask


LEFT, RIGHT = Mask.of(left()), Mask.of(1 - left())
CURVE, SPREAD = Curve.parse("0:0, 1:1"), parse_spread("0, 1")

MODIFIED = [
    lambda recipe: recipe.masked(LEFT),
    lambda recipe: recipe.masked(Mask.of(left(), 0.25)),
    lambda recipe: recipe.scheduled(CURVE),
    lambda recipe: recipe.spread(SPREAD),
    lambda recipe: recipe.blocks("double 0: 0.5"),
    lambda recipe: recipe.modulated(Prompt("a")),
]


@pytest.mark.parametrize("one", MODIFIED)
@pytest.mark.parametrize("other", MODIFIED)
def test_modifiers_commute(one, other):
    assert one(other(INK)) == other(one(INK))
    assert one(other(INK)).fingerprint == other(one(INK)).fingerprint


@pytest.mark.parametrize("modify", MODIFIED)
def test_they_distribute_over_sums_and_scales(modify):
    assert modify(0.5 * INK + LIGHT) == 0.5 * modify(INK) + modify(LIGHT)
    assert not modify(INK) - modify(INK)


@pytest.mark.parametrize("modify", MODIFIED)
def test_json_keeps_them(modify):
    recipe = modify(modify(INK) + LIGHT)
    read = Recipe.from_json(recipe.to_json())
    assert read == recipe
    assert read.fingerprint == recipe.fingerprint


def test_json_keeps_every_value_of_a_mask():
    values = torch.rand(2, 3, 5)
    (term,) = Recipe.from_json(INK.masked(Mask.of(values, 0.25)).to_json()).terms
    ((modulation, _),) = term.modulated
    (mask,) = modulation.modifiers
    assert torch.equal(mask.values, values)
    assert mask.elsewhere == Fraction(1, 4)


def test_a_mask_needs_version_5_and_nothing_else_does():
    assert json.loads(INK.masked(LEFT).to_json())["version"] == 5
    assert json.loads(INK.modulated(Prompt("a")).to_json())["version"] == 5
    assert json.loads(INK.blocks("double 0: 0").to_json())["version"] == 4


@pytest.mark.parametrize(("value", "factor"), [(1.0, 1), (0.0, 0), (0.5, Fraction(1, 2))])
def test_a_mask_that_is_the_same_everywhere_is_a_number(value, factor):
    assert INK.masked(Mask.of(torch.full((2, 3), value), value)) == INK.scaled(factor, 1)


def test_white_with_nothing_elsewhere_is_no_number():
    assert INK.masked(Mask.of(torch.ones(2, 3))).needs_live


def test_masks_with_the_same_pixels_are_one():
    assert Mask.of(left()) == Mask.of(left().clone())
    assert Mask.of(left()) != Mask.of(left(8))
    assert Mask.of(left()[0]) == Mask.of(left())
    assert Mask.of(left()) != Mask.of(left(), 0.5)
    assert Mask.of(torch.ones(1, 2, 3)) != Mask.of(torch.ones(1, 3, 2))


def test_the_text_encoder_keeps_its_strength():
    (term,) = INK.masked(LEFT).terms
    assert term.strength_clip == Fraction(4, 5)
    assert str(INK.masked(Mask.of(left(), 0.25))) == (
        "0.8·ink (masked (4×4, 50 % of the picture, 0.25 elsewhere))"
    )


WRONG = {
    "infinite": torch.full((1, 2, 2), torch.inf),
    "not a number": torch.full((1, 2, 2), torch.nan),
    "too large": torch.full((1, 2, 2), 1e6),
    "no pixels": torch.zeros(1, 0, 2),
    "channels": torch.zeros(1, 3, 2, 2),
    "a line": torch.zeros(3),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_mask_is_refused(what):
    with pytest.raises(LoraInputError, match="Mask LoRA needs"):
        Mask.of(WRONG[what])


DAMAGED = {
    "a shape of two": {"shape": [4, 4]},
    "a shape of nothing": {"shape": [0, 4, 4]},
    "a shape of text": {"shape": ["1", 4, 4]},
    "a huge shape": {"shape": [10**6, 10**6, 10**6]},
    "another shape": {"shape": [1, 4, 5]},
    "no text": {"values": 3},
    "no base64": {"values": "%%%"},
    "not packed": {"values": "AAAA"},
    "elsewhere": {"elsewhere": "x"},
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_mask_is_refused(what):
    document = json.loads(INK.masked(LEFT).to_json())
    document["terms"][0]["varying"][0]["masks"][0] |= DAMAGED[what]
    with pytest.raises(LoraInputError):
        Recipe.from_json(json.dumps(document))


def test_regions_add_up():
    recipe = INK.masked(LEFT) + INK.masked(RIGHT).scheduled(CURVE) + LIGHT
    tied = recipe + INK.modulated(Prompt("a")).modulated(Prompt("b"))
    assert regions_of(tied) == {
        Region((LEFT,)): Recipe((INK.scaled(1, 0)).terms),
        Region((RIGHT,)): INK.scaled(1, 0).scheduled(CURVE),
        Region(): LIGHT.scaled(1, 0),
        Region((), frozenset("ab")): INK.scaled(1, 0),
    }


def test_the_same_prompt_twice_is_once():
    assert INK.modulated(Prompt("a")).modulated(Prompt("a")) == INK.modulated(Prompt("a"))


def test_a_model_whose_tokens_nobody_knows_is_refused_by_name():
    with pytest.raises(LoraInputError) as refused:
        LEFT.check(Layers({"blocks.0.weight": (4, 4)}, "Mochi"))
    assert "Anima" in refused.value.expected
    assert refused.value.found == "Mochi"
