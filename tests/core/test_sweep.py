"""A sweep is arithmetic with labels, and its labels say what table it is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_core.algebra.curve import Curve
from lora_core.algebra.file_id import FileId
from lora_core.algebra.recipe import Recipe
from lora_core.errors import LoraInputError
from lora_core.lists.block_sweep import parse_blocks
from lora_core.lists.sweep import (
    MOST_ITEMS,
    ONE,
    Sweep,
    check_count,
    columns_of,
    headers,
    parse_values,
)


def named(name: str, strength: float = 1.0) -> Recipe:
    return Recipe.of(FileId(f"/loras/{name}", 1, 1, 1, name), strength)


INK, LIGHT = named("style/ink.safetensors"), named("light.safetensors")
NAMES = ("ink", "light", "a, b", "a", "b 0, a 0", "0", "x.y")

values = st.lists(st.integers(-20, 20).map(lambda n: Fraction(n, 10)), min_size=1, max_size=5)
recipes = st.lists(st.builds(named, st.sampled_from(NAMES)), max_size=3).map(Recipe.sum)


def sweep(lora, values, across=None, across_values=ONE, blocks=()):
    return Sweep((lora,), values, across, across_values, blocks).items()


def labels(*args):
    return [item.label for item in sweep(*args)]


@settings(deadline=None)
@given(recipes, values)
def test_each_item_is_the_lora_times_a_value(lora, factors):
    assert [item.recipe for item in sweep(lora, tuple(factors))] == [s * lora for s in factors]


@settings(deadline=None)
@given(recipes, values, recipes, values)
def test_a_cross_is_all_sums_row_by_row(lora, factors, across, others):
    items = sweep(lora, tuple(factors), across, tuple(others))
    assert [item.recipe for item in items] == [
        s * lora + t * across for t in others for s in factors
    ]


@settings(deadline=None)
@given(
    recipes,
    st.lists(st.integers(-9, 9).map(Fraction), min_size=2, max_size=5, unique=True),
    recipes,
    st.lists(st.integers(-9, 9).map(Fraction), min_size=2, max_size=5, unique=True),
)
def test_the_labels_of_a_cross_say_what_table_it_is(lora, factors, across, others):
    said = labels(lora, tuple(factors), across, tuple(others))
    top, left = labels(lora, tuple(factors)), labels(across, tuple(others))
    assert headers(said, len(factors)) == (top, left)
    assert columns_of(said) == (len(factors) if across else None)  # else all rows are the same


@settings(deadline=None)
@given(recipes, values)
def test_the_labels_of_a_row_say_nothing_of_a_table(lora, factors):
    said = labels(lora, tuple(factors))
    assert columns_of(said) is None
    assert headers(said, len(said)) is None


LABELS = {
    "one at full strength": (INK, "1", ["ink 1"]),
    "what is typed": (INK, "-1, .25, 1e1", ["ink -1", "ink 0.25", "ink 10"]),
    "a third": (INK, "0..1 x 4", ["ink 0", "ink 0.3333", "ink 0.6667", "ink 1"]),
    "the strength that it has": (0.8 * INK, "0.5", ["ink 0.4"]),
    "another for the text": (INK.scaled(1, 0.5), "0.5", ["0.5 (ink)"]),
    "a curve": (INK.scheduled(Curve.parse("linear")), "0.5", ["0.5 (ink)"]),
    "a stack": (INK + 0.5 * LIGHT, "0, 2", ["0 (light + ink)", "2 (light + ink)"]),
    "many": (Recipe.sum(map(named, "abcde")), "1", ["1 (a + b + c + 2 more)"]),
    "nothing": (Recipe(), "0, 1", ["no LoRA", "no LoRA"]),
    "what cancels": (INK - INK, "1", ["no LoRA"]),
    "a name with our comma": (named("a, b.safetensors"), "1", ["a,b 1"]),
}


@pytest.mark.parametrize("what", LABELS)
def test_a_label_is_a_name_and_a_strength(what):
    lora, text, expected = LABELS[what]
    assert labels(lora, parse_values(text)) == expected


def test_twins_in_both_halves_keep_their_folders():
    ada, bob = named("ada/look.safetensors"), named("bob/look.safetensors")
    assert labels(ada, (Fraction(1),), bob, (Fraction(2),)) == ["ada/look 1, bob/look 2"]


def test_the_same_lora_on_both_sides_adds_up():
    (item,) = sweep(INK, (Fraction(1),), INK, (Fraction(-1),))
    assert not item.recipe
    assert item.label == "ink 1, ink -1"


@pytest.mark.parametrize("name", ["values", "across_values"])
@pytest.mark.parametrize("text", ["", "x", "0..1 x 1", "1001"])
def test_what_is_no_value_is_refused_by_the_name_of_its_input(name, text):
    with pytest.raises(LoraInputError) as refused:
        parse_values(text, name)
    assert refused.value.key == name
    assert refused.value.message.startswith(f"{name}: found ")
    assert refused.value.found
    assert refused.value.expected


def many(count):
    return parse_values(f"0..1 x {count}")


@pytest.mark.parametrize("sizes", [(MOST_ITEMS,), (16, 16), (1, MOST_ITEMS), (2, 128)])
def test_so_many_are_made(sizes):
    check_count(*sizes)


@pytest.mark.parametrize("sizes", [(MOST_ITEMS + 1,), (16, 17), (4096, 4096)])
def test_more_are_refused_before_any_is_made(sizes):
    def swept(columns, rows=1):
        return sweep(INK, many(columns), *((LIGHT, many(rows)) if rows > 1 else ()))

    for refuses in (check_count, swept):
        with pytest.raises(LoraInputError) as refused:
            refuses(*sizes)
        product = 1
        for size in sizes:
            product *= size
        assert refused.value.found == f"{product} items"
        assert refused.value.expected == f"at most {MOST_ITEMS} items"


NO_TABLES = {
    "nothing": [],
    "one": ["a, b"],
    "a row": ["a, x", "b, x", "c, x"],
    "a column": ["a, x", "a, y", "a, z"],
    "a hole": ["a, x", "b, x", "a, y"],
    "an exchange": ["a, x", "b, x", "b, y", "a, y"],
    "no halves": ["a", "b", "c", "d"],
    "blanks": ["", "", "", ""],
}


@pytest.mark.parametrize("what", NO_TABLES)
def test_other_labels_are_of_no_table(what):
    assert columns_of(NO_TABLES[what]) is None
    assert not [c for c in range(6) if headers(NO_TABLES[what], c)]


def test_a_table_may_repeat_itself():
    said = ["a, x", "a, x", "a, y", "a, y"]
    assert columns_of(said) == 2
    assert headers(said, 2) == (["a", "a"], ["x", "y"])


BLOCKS = """
only double 0-2
without single 7   # one block less
MIDD
late: 0; cross attn: 0.5
"""


def test_each_line_of_blocks_is_a_row_of_the_plot():
    rows = parse_blocks(BLOCKS)
    labels = [own.label for own in rows]
    assert labels[:4] == ["only double 0", "only double 1", "only double 2", "without single 7"]
    assert labels[4:] == ["MIDD", "late: 0; cross attn: 0.5"]
    assert rows[1].lines == "other: 0\ndouble 1: 1"
    assert rows[3].lines == "single 7: 0"
    items = sweep(INK, parse_values("0.5, 1"), blocks=rows)
    assert [item.recipe for item in items[:2]] == [
        value * INK.blocks(rows[0].lines) for value in (0.5, 1)
    ]
    top, left = headers([item.label for item in items], 2)
    assert (top, left) == (["ink 0.5", "ink 1"], labels)


@pytest.mark.parametrize("text", ["only double 3-1", "MIDD0.7", "double 0", "1,0,0"])
def test_blocks_that_cannot_be_read_are_refused(text):
    with pytest.raises(LoraInputError):
        parse_blocks(text)


def test_a_second_lora_and_blocks_are_not_both_rows():
    with pytest.raises(LoraInputError, match="both are rows"):
        sweep(INK, many(2), LIGHT, many(2), parse_blocks("MIDD"))
