"""Strengths that vary obey the laws of those that do not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core.algebra.curve import Curve
from lora_core.algebra.file_id import FileId
from lora_core.algebra.modifier import Moment
from lora_core.algebra.recipe import Recipe
from lora_core.algebra.spread import parse_spread
from lora_core.algebra.term import strength_of
from lora_core.errors import LoraInputError

INK, LIGHT = (Recipe.of(FileId(name, 1, 1, 1), 1.0) for name in ("ink", "light"))

curves = st.sampled_from(["linear", "0:1, 1:0", "step", "0:0.5", "cosine", "0:0, .5:0, .5:1"]).map(
    Curve.parse
)
spreads = st.sampled_from(
    ["0, 1, 2", "0..1 x 3", "-1, 0.3, 0.3", "0..1", "1.5..-0.5", "0.5..0.5"]
).map(parse_spread)
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


def over(term, progress):
    """The strength for each of three images."""
    found = strength_of(term, Moment(progress, 3)) if term else [0.0]
    return [*found] * (3 // len(found))


@given(recipes, curves, spreads, st.floats(0, 1))
def test_strengths_multiply_at_every_step_for_every_image(a, curve, spread, progress):
    changed = {t.file: t for t in a.scheduled(curve).spread(spread).terms}
    values = spread.over(3)
    for term in a.terms:
        expected = [
            s * curve.at(progress) * float(v)
            for s, v in zip(over(term, progress), values, strict=True)
        ]
        assert over(changed.get(term.file), progress) == pytest.approx(expected, abs=1e-12)


@given(recipes, recipes, st.floats(0, 1))
def test_strengths_add_up_at_every_step_for_every_image(a, b, progress):
    one, other, both = ({t.file: t for t in r.terms} for r in (a, b, a + b))
    for file in {*one, *other}:
        parts = (over(each.get(file), progress) for each in (one, other))
        expected = [x + y for x, y in zip(*parts, strict=True)]
        assert over(both.get(file), progress) == pytest.approx(expected, abs=1e-12)


@given(recipes, spreads, spreads, spreads)
def test_spreads_multiply_in_any_order(a, one, two, three):
    assert a.spread(one).spread(two) == a.spread(two).spread(one)
    assert a.spread(one).spread(two).spread(three) == a.spread(three).spread(two).spread(one)


def test_a_range_has_the_number_of_images_that_a_spread_says():
    fixed, open_ = parse_spread("1, 2, 4"), parse_spread("0..1")
    assert INK.spread(open_).images is None
    assert INK.spread(open_).counts_images
    both = INK.spread(open_).spread(fixed)
    assert both == INK.spread(parse_spread("0, 1, 4"))
    assert not both.counts_images
    beside = INK.spread(open_) + LIGHT.spread(fixed)
    assert beside.images == 3
    assert [strength_of(term, Moment(0.0, 3)) for term in beside.terms] == [(0, 0.5, 1), (1, 2, 4)]
    (same,) = (INK.spread(open_) + INK.spread(fixed)).terms
    assert strength_of(same, Moment()) == (1, 2.5, 5)


@pytest.mark.parametrize(
    ("images", "values"), [(1, [1]), (3, [0, 0.25, 1]), (5, [0, 1 / 16, 0.25, 9 / 16, 1])]
)
def test_two_ranges_multiply_whatever_the_batch(images, values):
    open_ = parse_spread("0..1")
    (term,) = INK.spread(open_).spread(open_).terms
    assert strength_of(term, Moment(0.0, images)) == pytest.approx(values)


def test_a_constant_range_is_a_number():
    assert INK.spread(parse_spread("1..1")) == INK
    assert INK.spread(parse_spread("0.5..0.5")) == INK.scaled(0.5, 1)


def test_a_range_is_said_in_words():
    (term,) = INK.spread(parse_spread("0..1")).scheduled(Curve.parse("linear")).terms
    assert str(term.modulated[0][0]) == "scheduled 0:0, 1:1 linear, spread over all images, 0 to 1"


def test_text_encoders_know_neither_steps_nor_images():
    (term,) = (0.5 * INK).scheduled(Curve.parse("linear")).spread(parse_spread("0, 1")).terms
    assert (term.strength_model, term.strength_clip) == (0, 0.5)


def test_a_constant_schedule_is_a_number():
    assert INK.scheduled(Curve.parse("constant")) == INK
    assert INK.scheduled(Curve.parse("0:0.5")) == INK.scaled(0.5, 1)
    assert INK.scheduled(Curve.parse("0:0")) == INK.scaled(0, 1)


def test_only_what_varies_is_written_in_the_newer_form():
    assert json.loads(INK.to_json())["version"] == 1
    assert "varying" not in INK.to_json()
    curve, fixed, open_ = Curve.parse("linear"), parse_spread("0, 1"), parse_spread("0..1")
    for recipe in (INK.scheduled(curve), INK.spread(fixed), INK.spread(open_).spread(fixed)):
        assert json.loads(recipe.to_json())["version"] == 2
        assert "ranges" not in recipe.to_json()
    assert json.loads(INK.spread(open_).to_json())["version"] == 3


def test_what_was_written_before_ranges_is_written_so_still():
    recipe = (0.5 * INK).scheduled(Curve.parse("0:0, 1:1", 0.1)).spread(parse_spread("0, 0.5"))
    assert recipe.to_json() == (
        '{"format": "lora-algebra recipe", "version": 2, "terms": [{"path": "ink", "mtime_ns": 1, '
        '"size": 1, "inode": 1, "name": "", "beside": 0, "model": 0.0, "clip": 0.5, "varying": '
        '[{"strength": 0.5, "curves": [{"curve": "0:0, 1:1 linear", "start": 0.1, "end": 1.0}], '
        '"spread": [0.0, 0.5]}]}]}'
    )
    assert recipe.fingerprint == (
        "486afebd18cc4a5ab64e48c58c72677ed204416257b584bdffa613a30c52d937"
    )


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
        INK.spread(parse_spread("0..1")),
        INK.spread(parse_spread("0..1")).spread(parse_spread("0..1")),
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
        [{"strength": 1, "ranges": 5}],
        [{"strength": 1, "ranges": [5]}],
        [{"strength": 1, "ranges": [{"first": 0}]}],
        [{"strength": 1, "ranges": [{"first": 0, "last": "x"}]}],
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
    half, open_ = {"first": 0.5, "last": 0.5}, {"first": 0, "last": 1}
    assert read([{"strength": 1, "ranges": [half]}]) == INK.scaled(1.5, 1)
    ranges = read([{"strength": 1, "ranges": [open_, half], "spread": [2, 4]}])
    assert ranges == INK + INK.scaled(0.5, 0).spread(parse_spread("0, 4"))


def test_digits_of_spreads_have_an_end():
    tiny = parse_spread("1e-300, 1e-300")
    recipe = INK
    for _ in range(9):
        recipe = recipe.spread(tiny)
    assert Recipe.from_json(recipe.to_json()) == recipe
    huge = {"strength": 1, "spread": ["1" + "0" * 900 + "/1"]}
    with pytest.raises(LoraInputError):
        read([huge])
