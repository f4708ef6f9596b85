"""Curves and spreads as text: the page reads the same vectors, tests/web/curve.test.mjs."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core.algebra.curve import SHAPES, Curve
from lora_core.algebra.progress import progress_at
from lora_core.algebra.spread import Range, Spread, parse_list, parse_spread
from lora_core.errors import LoraInputError
from lora_core.lists.sweep import parse_values

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "curves.json").read_text("utf-8"))


def called(vector):
    return f"{vector['text'][:30]!r} {vector['start']}-{vector['end']}"


@pytest.mark.parametrize("vector", VECTORS["good"], ids=called)
def test_curves_have_the_values_that_the_page_draws(vector):
    curve = Curve.parse(vector["text"], vector["start"], vector["end"])
    for progress, value in vector["at"]:
        assert curve.at(progress) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=called)
def test_what_the_page_refuses_is_refused(vector):
    with pytest.raises(LoraInputError) as refused:
        Curve.parse(vector["text"], vector["start"], vector["end"])
    assert refused.value.key in ("curve", "start_percent")
    assert refused.value.expected and refused.value.found


places = st.lists(st.decimals(0, 1, places=3), min_size=1, max_size=6, unique=True).map(sorted)


@given(places, st.lists(st.decimals(-2, 2, places=2), min_size=6), st.sampled_from([*SHAPES]))
def test_a_curve_is_written_as_it_is_read(xs, ys, shape):
    text = ", ".join(f"{x}:{y}" for x, y in zip(xs, ys, strict=False)) + " " + shape
    curve = Curve.parse(text)
    assert Curve.parse(str(curve)) == curve
    for x, y in zip(xs, ys, strict=False):
        if shape != "constant" or x == xs[-1]:
            assert curve.at(float(x)) == pytest.approx(float(y))


@pytest.mark.parametrize(
    ("text", "value"),
    [("constant", 1), ("0:0.5", 0.5), ("0:2, 1:2 cosine", 2), ("0:5, 0.5:1, 1:1 constant", 1)],
)
def test_a_curve_of_one_value_is_known_as_such(text, value):
    curve = Curve.parse(text)
    assert curve.constant == Fraction(str(value))
    assert {curve.at(x / 50) for x in range(51)} == {value}


@pytest.mark.parametrize("text", ["linear", "0:1, 1:0.5", "step", "0.5:0, 1:1 constant"])
def test_other_curves_are_not(text):
    assert Curve.parse(text).constant is None


def test_a_window_makes_even_a_constant_vary():
    assert Curve.parse("constant", 0.2, 0.8).constant is None
    assert Curve.parse("0:0, 1:0", 0.2, 0.8).constant == 0


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0, 0.25, 1", ["0", "1/4", "1"]),
        ("0..1 x 5", ["0", "1/4", "1/2", "3/4", "1"]),
        ("1 .. -1 × 3", ["1", "0", "-1"]),
        ("0..1 x 4; 2\n-3", ["0", "1/3", "2/3", "1", "2", "-3"]),
        (".5,", ["1/2"]),
    ],
)
def test_values_for_images(text, values):
    assert parse_spread(text) == Spread(tuple(map(Fraction, values)))


@pytest.mark.parametrize(
    ("text", "ends"),
    [("0..1", ("0", "1")), (" 1 .. -1\n", ("1", "-1")), ("0.5..0.5", ("1/2", "1/2"))],
)
def test_a_range_over_all_images(text, ends):
    assert parse_spread(text) == Spread(ranges=(Range(*map(Fraction, ends)),))


@pytest.mark.parametrize(("images", "values"), [(1, "1"), (2, "0 1"), (5, "0 1/4 1/2 3/4 1")])
def test_a_range_takes_its_number_from_the_batch(images, values):
    over = parse_spread("0..1").over(images)
    assert over == tuple(map(Fraction, values.split()))
    if images > 1:
        assert over == parse_list(f"0..1 x {images}")


def test_a_range_without_a_number_is_told_what_is_missing():
    for parse in (parse_list, parse_values):
        with pytest.raises(LoraInputError, match=r"expected a count, like '0\.\.1 x 5'"):
            parse("0..1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "a",
        "0, 0..1",
        "0..1;",
        "0..1 x 1",
        "0..1 x 0",
        "0..1 x 99999",
        "1001",
        "nan",
        "0 1",
        "1e999",
    ],
)
def test_what_are_no_values_is_refused(text):
    with pytest.raises(LoraInputError) as refused:
        parse_spread(text)
    assert refused.value.key == "values"


def test_a_batch_has_an_end():
    with pytest.raises(LoraInputError, match="4096"):
        parse_spread(", ".join(["0..1 x 2000"] * 3))


@given(st.floats(0.01, 0.99), st.floats(0.5, 12))
def test_progress_is_where_the_noise_level_is_reached(progress, shift):
    def level(p):
        left = 1 - p
        return shift * left / (1 + (shift - 1) * left)

    assert progress_at(level(progress), level) == pytest.approx(progress, abs=1e-5)


def test_progress_has_ends():
    def level(p):
        return 1e9 if p <= 0 else 14.6 * (1 - p)

    assert progress_at(14.6, level) == 0
    assert progress_at(99.0, level) == 0
    assert progress_at(0.0, level) == 1
    assert progress_at(level(0.5), level) == 0.5


@pytest.mark.parametrize("text", ["1" * 200_000, "0:0 " + "1" * 200_000, "." * 200_000, "1" * 5000])
def test_no_text_keeps_the_matcher_busy(text):
    for parse in (Curve.parse, parse_spread):
        with pytest.raises(LoraInputError):
            parse(text)
