"""Strengths that vary obey the laws of those that do not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core.curve import Curve
from lora_core.errors import LoraInputError
from lora_core.recipe import FileId, Recipe
from lora_core.spread import parse_spread

INK, LIGHT = (Recipe.of(FileId(name, 1, 1, 1), 1.0) for name in ("ink", "light"))

curves = st.sampled_from(["linear", "0:1, 1:0", "step", "0:0.5", "cosine", "0:0, .5:0, .5:1"]).map(
    Curve.parse
)
spreads = st.sampled_from(["0, 1, 2", "0..1 x 3", "-1, 0.3, 0.3"]).map(parse_spread)
numbers = st.integers(-20, 20).map(lambda n: n / 10)
recipes = st.lists(
    st.builds(
        lambda file, s, curve, spread: (
            (s * file).scheduled(curve).spread(spread) if spread else (s * file).scheduled(curve)
        ),
        st.sampled_from([INK, LIGHT]),
        numbers,
        curves,
        st.none() | spreads,
    ),
    max_size=4,
).map(Recipe.sum)


@given(recipes, recipes, curves, spreads, numbers)
def test_schedules_and_spreads_distribute_over_sums(a, b, curve, spread, s):
    assert (a + b).scheduled(curve) == a.scheduled(curve) + b.scheduled(curve)
    assert (a + b).spread(spread) == a.spread(spread) + b.spread(spread)
    assert (s * a).scheduled(curve) == s * a.scheduled(curve)
    assert a.scheduled(curve).spread(spread) == a.spread(spread).scheduled(curve)


@given(recipes)
def test_what_varies_cancels(a):
    assert not (a - a)
    assert 0.1 * a + 0.2 * a == 0.3 * a


@given(recipes)
def test_a_recipe_that_varies_goes_into_json_and_back(a):
    again = Recipe.from_json(a.to_json())
    assert again == a
    assert again.fingerprint == a.fingerprint


@given(recipes, curves, spreads, st.floats(0, 1))
def test_strengths_multiply_at_every_step_for_every_image(a, curve, spread, progress):
    changed = {t.file: t.at(progress) for t in a.scheduled(curve).spread(spread).terms}
    for term in a.terms:
        before = [*term.at(progress)] * (3 // len(term.at(progress)))
        expected = [s * curve.at(progress) * float(v) for s, v in zip(before, spread, strict=True)]
        found = changed.get(term.file, [0.0])
        assert [*found] * (3 // len(found)) == pytest.approx(expected, abs=1e-12)


def test_text_encoders_know_neither_steps_nor_images():
    (term,) = (0.5 * INK).scheduled(Curve.parse("linear")).spread(parse_spread("0, 1")).terms
    assert (term.model, term.clip) == (0, 0.5)


def test_a_constant_schedule_is_a_number():
    assert INK.scheduled(Curve.parse("constant")) == INK
    assert INK.scheduled(Curve.parse("0:0.5")) == INK.scaled(0.5, 1)
    assert INK.scheduled(Curve.parse("0:0")) == INK.scaled(0, 1)


def test_only_what_varies_is_written_in_the_newer_form():
    assert json.loads(INK.to_json())["version"] == 1
    assert "varying" not in INK.to_json()
    assert json.loads(INK.scheduled(Curve.parse("linear")).to_json())["version"] == 2


def test_fingerprints_of_before_schedules_still_hold():
    expected = "e6d29ded9e7e66c96dc1589e2b025848633a2597490d941689d8eb0bf27f4607"
    assert Recipe.of(FileId("ink", 1, 2, 3), 0.5).fingerprint == expected


def test_fingerprints_tell_courses_apart():
    values = [
        INK,
        INK.scheduled(Curve.parse("linear")),
        INK.scheduled(Curve.parse("linear", 0.1)),
        INK.scheduled(Curve.parse("cosine")),
        INK.spread(parse_spread("0, 1")),
        INK.spread(parse_spread("1, 0")),
    ]
    assert len({value.fingerprint for value in values}) == len(values)


def test_batches_of_two_sizes_are_refused_with_both():
    with pytest.raises(LoraInputError) as refused:
        _ = INK.spread(parse_spread("0, 1")) + LIGHT.spread(parse_spread("0..1 x 5"))
    assert (refused.value.expected, refused.value.found) == ("2 values", "5 values")
    with pytest.raises(LoraInputError):
        INK.spread(parse_spread("0, 1")).spread(parse_spread("0, 1, 2"))


@pytest.mark.parametrize(
    "varying",
    [
        5,
        [5],
        [{"curves": [], "spread": []}],
        [{"strength": 1, "curves": 5}],
        [{"strength": 1, "curves": [5]}],
        [{"strength": 1, "curves": [{"curve": "wobbly", "start": 0, "end": 1}]}],
        [{"strength": 1, "curves": [{"curve": "linear", "start": 1, "end": 0}]}],
        [{"strength": 1, "curves": [{"curve": "linear"}]}],
        [{"strength": 1, "spread": ["x"]}],
    ],
)
def test_json_that_makes_no_sense_is_refused(varying):
    document = json.loads(INK.to_json())
    document["terms"][0]["varying"] = varying
    with pytest.raises(LoraInputError):
        Recipe.from_json(json.dumps(document))


def read(varying):
    document = json.loads(INK.to_json())
    document["terms"][0] |= {"varying": varying, "model": 1, "clip": 1}
    return Recipe.from_json(json.dumps(document))


def test_what_is_written_in_a_roundabout_way_is_read_in_normal_form():
    assert read([{"strength": 1}]) == INK.scaled(2, 1)
    constant = {"curve": "0:0.5", "start": 0, "end": 1}
    assert read([{"strength": 1, "curves": [constant]}]) == INK.scaled(1.5, 1)
    linear = {"curve": "linear", "start": 0, "end": 1}
    both = read([{"strength": 1, "curves": [constant, linear]}])
    assert both == INK + INK.scaled(0.5, 0).scheduled(Curve.parse("linear"))


def test_digits_of_spreads_have_an_end():
    tiny = parse_spread("1e-300, 1e-300")
    recipe = INK
    for _ in range(9):
        recipe = recipe.spread(tiny)
    assert Recipe.from_json(recipe.to_json()) == recipe
    huge = {"strength": 1, "spread": ["1" + "0" * 900 + "/1"]}
    with pytest.raises(LoraInputError):
        read([huge])
