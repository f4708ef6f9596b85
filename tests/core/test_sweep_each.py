"""What a sweep goes through besides strengths: files, single LoRAs, seeds; all of it or one."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core.algebra.file_id import FileId
from lora_core.algebra.recipe import Recipe
from lora_core.errors import LoraInputError
from lora_core.library import Found, resolve
from lora_core.lists.block_sweep import parse_blocks
from lora_core.lists.sweep import MOST_ITEMS, Sweep, columns_of, headers, parse_values
from lora_core.lists.sweep_each import (
    LARGEST_SEED,
    MOST_SEEDS,
    PICKS,
    check_pick,
    each_alone,
    named_files,
    natural,
    parse_seeds,
    picked,
)

NAMES = (
    "epochs/ink-000010.safetensors",
    "epochs/ink-000002.safetensors",
    "epochs/ink-000001.safetensors",
    "epochs/old/ink-000003.safetensors",
    "epochs/light [v2].safetensors",
    "styles\\Night Ink.safetensors",
    "styles\\deep\\Émail.safetensors",
    "ink.safetensors",
    "runs/e10.safetensors",
    "runs/e9.safetensors",
)
FIRST = "epochs/ink-000001.safetensors"


def found(text):
    """The listed names that a text means, and what it asked for them."""
    asked = {}

    def resolved(each):
        meant = resolve(each, NAMES, lambda _: None, lambda _: None)
        asked[each.name] = meant.name
        return meant

    return [asked.get(each.name, each.name) for each in named_files(text, NAMES, resolved)]


MEANT = {
    "a file": ("ink.safetensors", ["ink.safetensors"]),
    "a word": ("  night ink ", ["styles\\Night Ink.safetensors"]),
    "a folder": (
        "Styles/",
        ["styles\\deep\\Émail.safetensors", "styles\\Night Ink.safetensors"],
    ),
    "a folder, as Windows writes it": ("styles\\deep\\", ["styles\\deep\\Émail.safetensors"]),
    "a pattern": (
        "epochs/ink-*.safetensors",
        [f"epochs/ink-0000{n}.safetensors" for n in ("01", "02", "10")],
    ),
    "a pattern without suffix": ("epochs/ink-00000?", [FIRST, NAMES[1]]),
    "a pattern in any folder": ("INK-*3", ["epochs/old/ink-000003.safetensors"]),
    "a pattern of folders": ("*/old/*", ["epochs/old/ink-000003.safetensors"]),
    "numbers without zeros": ("runs/", ["runs/e9.safetensors", "runs/e10.safetensors"]),
    "brackets": ("epochs/*[v2]*", ["epochs/light [v2].safetensors"]),
    "an accent": ("e\u0301mail", ["styles\\deep\\Émail.safetensors"]),
    "lines in their order": (
        "styles/deep/\n\n ink\r\nepochs/ink-*2",
        [NAMES[6], NAMES[7], NAMES[1]],
    ),
    "one of them twice": (f"{NAMES[1]}\nepochs/ink-*", [NAMES[1], FIRST, NAMES[0]]),
    "nothing": (" \n\n", []),
}


@pytest.mark.parametrize("what", MEANT)
def test_a_line_means_files(what):
    text, expected = MEANT[what]
    assert found(text) == expected


WRONG = {
    "no such file": ("ink\nno such", 2, "there is no such file"),
    "no such folder": ("\n\nnowhere/", 3, 'no file in the folder "nowhere/"'),
    "no such pattern": ("sepia-*", 1, 'no file like "sepia-*"'),
    "a path out of the folder": ("../ink", 1, "not a name in the loras folder"),
    "a pattern out of the folder": ("../*", 1, "no file like"),
    "a word of several": ("ink-00000", 1, "there is no such file"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_line_without_a_file_is_refused_by_its_number(what):
    text, line, words = WRONG[what]
    with pytest.raises(LoraInputError) as refused:
        found(text)
    assert refused.value.key == "files"
    assert refused.value.message.startswith(f"files, line {line}: ")
    assert words in refused.value.message
    assert refused.value.expected
    assert refused.value.found


def test_a_name_with_a_star_is_the_file_of_that_name():
    names = ("a*.safetensors", "ab.safetensors")
    (asked,) = named_files(names[0], names, lambda each: Found(each.name, "path"))
    assert asked.name == names[0]


def test_a_pattern_of_many_stars_comes_to_an_end():
    names = ("i" * 200 + ".safetensors",)
    with pytest.raises(LoraInputError):
        named_files("*i" * 60 + "*k", names, lambda each: Found(each.name, "path"))


@given(st.lists(st.integers(0, 10**9), unique=True))
def test_numbers_in_names_are_sorted_as_numbers(numbers):
    names = [f"Ink-{number}.safetensors" for number in numbers]
    assert sorted(names, key=natural) == [f"Ink-{n}.safetensors" for n in sorted(numbers)]


@given(st.lists(st.text()))
def test_any_names_can_be_sorted(names):
    assert len(sorted(names, key=natural)) == len(names)


SEEDS = {
    "": (),
    " 7 ": (7,),
    "1, 2;3\n4": (1, 2, 3, 4),
    "1..4": (1, 2, 3, 4),
    "3..1": (3, 2, 1),
    "5..5": (5,),
    "0..100 x 3": (0, 50, 100),
    "100..0 x 3, 7": (100, 50, 0, 7),
    str(LARGEST_SEED): (LARGEST_SEED,),
}


@pytest.mark.parametrize("text", SEEDS)
def test_seeds_are_numbers_and_ranges(text):
    assert parse_seeds(text) == SEEDS[text]


NO_SEEDS = ("x", "-1", "0.5", "1..", "0..1 x 3", "0..9 x 1", str(LARGEST_SEED + 1))
TOO_MANY = (f"1..{MOST_SEEDS + 1}", f"1..{LARGEST_SEED}", f"1..{MOST_SEEDS}, 1")


@pytest.mark.parametrize("text", NO_SEEDS + TOO_MANY)
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(LoraInputError) as refused:
        parse_seeds(text)
    assert refused.value.key == "seeds"
    assert refused.value.message.startswith("seeds: found ")
    assert refused.value.expected


def named(name: str, strength: float = 1.0) -> Recipe:
    return Recipe.of(FileId(f"/loras/{name}", 1, 1, 1, name), strength)


INK, OLD, LIGHT = named("ink-10.safetensors"), named("ink-2.safetensors"), named("light", 0.8)
HALF, ONE = Fraction(1, 2), Fraction(1)


def labels(sweep):
    return [item.label for item in sweep.items()]


def test_each_lora_of_a_stack_is_tried_alone_in_the_order_of_names():
    assert each_alone(LIGHT + INK + OLD) == (OLD, INK, LIGHT)
    assert each_alone(Recipe()) == ()


def test_several_loras_at_one_strength_are_the_columns():
    plot = Sweep((OLD, LIGHT), (HALF,), seeds=(3, 4))
    assert headers(labels(plot), plot.columns) == (["ink-2 0.5", "light 0.4"], ["seed 3", "seed 4"])
    assert [item.seed for item in plot.items()] == [3, 3, 4, 4]


def test_several_loras_at_several_strengths_are_the_rows():
    plot = Sweep((OLD, LIGHT, OLD + LIGHT, Recipe()), (HALF, ONE))
    rows = ["ink-2", "light 0.8", "ink-2 + light", "no LoRA"]
    assert headers(labels(plot), 2) == (["strength 0.5", "strength 1"], rows)
    assert columns_of(labels(plot)) == plot.columns == 2
    assert [item.recipe for item in plot.items()] == [
        value * lora for lora in plot.loras for value in plot.values
    ]


def test_everything_multiplies_and_each_label_is_of_one_item():
    rows = parse_blocks("ALL\nonly early")
    plot = Sweep((INK, OLD), (HALF, ONE), blocks=rows, seeds=(1, 2, 3))
    items = plot.items()
    assert plot.counts == (2, 2, 2, 3)
    assert len(items) == len({item.label for item in items}) == 24
    assert items[-1].label == "strength 1, ink-2, only early, seed 3"
    assert items[-1].recipe == OLD.blocks(rows[1].lines)
    assert columns_of([item.label for item in items]) == 2


def test_the_kinds_of_too_many_are_named():
    with pytest.raises(LoraInputError, match="makes 2 x 200 = 400 images") as refused:
        Sweep((INK, OLD), seeds=range(200)).items()
    assert refused.value.expected == f"at most {MOST_ITEMS} items"


LORAS, VALUES, TWO_SEEDS = (INK, OLD, LIGHT), parse_values("0.5, 1"), (1, 2)


def pick(kind, number):
    """The recipe and the seed of what is picked, as the node does it: from a sweep of one LoRA."""
    lora, combination = picked(kind, number, len(VALUES), len(LORAS))
    item = Sweep((LORAS[lora],), VALUES, seeds=TWO_SEEDS).item(combination)
    return item.recipe, item.seed


PLOT = [(item.recipe, item.seed) for item in Sweep(LORAS, VALUES, seeds=TWO_SEEDS).items()]


def test_in_turn_a_queue_goes_through_all_and_begins_again():
    assert [pick("in turn", number) for number in range(24)] == [*PLOT, *PLOT]


def test_at_random_a_number_is_always_the_same_item_and_all_are_found():
    chance = random.Random(1)
    numbers = [chance.randrange(LARGEST_SEED) for _ in range(200)]
    once, again = ([pick("random", n) for n in numbers] for _ in range(2))
    assert once == again
    assert {*once} == {*PLOT}
    assert [PLOT.index(pick("random", n)) for n in range(8)] == FIXED


FIXED = [9, 3, 9, 2, 6, 1, 7, 5]
"""Which items the first numbers are: a queue made again is the same pictures, whatever the version."""


def test_a_pick_that_is_none_is_refused():
    for pick in PICKS:
        check_pick(pick)
    for wrong in ("All", "randon", ""):
        with pytest.raises(LoraInputError, match="expected one of all, in turn, random"):
            check_pick(wrong)


def test_columns_are_the_values_or_the_loras_or_the_seeds():
    seeds, rows = range(4), parse_blocks("ALL\nonly early")
    assert Sweep((INK,), VALUES, seeds=seeds).columns == 2
    assert Sweep((INK, OLD, LIGHT), blocks=rows, seeds=seeds).columns == 3
    assert Sweep((INK,), seeds=seeds).columns == 4
    for crossed in (
        Sweep((INK,), (ONE,), LIGHT, VALUES),
        Sweep((INK,), blocks=rows),
        Sweep((INK,), blocks=rows, seeds=seeds),
    ):
        assert crossed.columns == 1


def test_one_of_more_than_can_be_made_at_once_can_be_picked():
    seeds = range(10 * MOST_ITEMS)
    lora, combination = picked("in turn", 2 * MOST_ITEMS, 1, 1)
    item = Sweep((INK,), seeds=seeds).item(combination)
    assert (lora, item.label, item.seed) == (0, "ink-10 1, seed 512", 512)
    with pytest.raises(LoraInputError):
        Sweep((INK,), seeds=seeds).items()
