"""The laws of the algebra, on the value itself."""

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core import LoraInputError, Recipe
from lora_core.algebra.curve import Curve
from lora_core.algebra.file_id import FileId

FILES = [FileId(f"/loras/{name}", 1, 2, 3, name) for name in ("ink", "light", "snow")]

strengths = st.decimals(-10, 10, places=2).map(float)
leaves = st.builds(Recipe.of, st.sampled_from(FILES), strengths)
recipes = st.lists(leaves, max_size=6).map(Recipe.sum)


@given(recipes, recipes, recipes)
def test_a_sum_has_no_order(a, b, c):
    assert len({x + y + z for x, y, z in itertools.permutations((a, b, c))}) == 1
    assert a + (b + c) == (a + b) + c


@given(strengths, recipes, recipes)
def test_strength_distributes(s, a, b):
    assert s * (a + b) == s * a + s * b


@given(strengths, strengths, recipes)
def test_strengths_multiply(s, t, a):
    assert s * (t * a) == t * (s * a)
    assert s * a + t * a == (Recipe.sum([s * a, t * a]))


@given(recipes)
def test_cancelling_leaves_nothing(a):
    assert not a - a
    assert not 0 * a
    assert a + -a == Recipe()
    assert 1 * a == a * 1.0 == a


def test_it_prints_as_the_sum_that_it_is():
    ink, light = (Recipe.of(FileId(f"/loras/{n}.safetensors", 1, 1, 1)) for n in ("ink", "light"))
    assert str(0.5 * ink + light) == "0.5·ink + 1·light"
    assert str(light.scaled(1, 0.25) - 0.5 * ink) == "-0.5·ink + 1·light (text 0.25)"
    assert str(ink.scheduled(Curve.parse("0:0, 1:1"))) == "1·ink (scheduled 0:0, 1:1 linear)"
    assert str(Recipe()) == "0"


def test_strengths_are_the_decimals_a_person_typed():
    a = Recipe.of(FILES[0])
    assert not 0.1 * a + 0.2 * a - 0.3 * a
    assert (0.1 * a).terms[0].strength_model == Fraction(1, 10)


def test_the_same_file_twice_adds_up():
    a = Recipe.of(FILES[0])
    assert a + a == 2 * a
    assert len((a + a).terms) == 1


def test_parts_scale_apart():
    (term,) = Recipe.of(FILES[0], 0.5).scaled(2, 0).terms
    assert (term.strength_model, term.strength_clip) == (1, 0)


def test_numbers_of_numpy_are_numbers():
    assert np.float32(0.5) * Recipe.of(FILES[0]) == Recipe.of(FILES[0]) * np.float64(0.5)


def test_the_builtin_sum_works():
    a, b = (Recipe.of(file) for file in FILES[:2])
    assert sum([a, b]) == a + b


@given(recipes)
def test_json_gives_the_same_recipe_back(a):
    assert Recipe.from_json(a.to_json()) == a


def test_json_keeps_strengths_no_float_can_say():
    a = Recipe.of(FILES[0], 0.1).scaled(1.1234567890123, 1) * 0.1234567890123
    assert Recipe.from_json(a.to_json()) == a
    assert Recipe.from_json(a.to_json()).terms[0].file.name == "ink"


@given(recipes, recipes)
def test_the_fingerprint_tells_recipes_apart(a, b):
    assert (a.fingerprint == b.fingerprint) == (a == b)


def test_the_fingerprint_is_the_same_in_every_process():
    a = 0.5 * Recipe.of(FILES[0]) + Recipe.of(FILES[1])
    assert a.fingerprint == "820c42319c446b040b71f035ab71b29fbe24876f2d60df7e82da126a4b52c478"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "0.5", None, True, 10**400, 1j])
def test_only_finite_numbers_are_strengths(bad):
    with pytest.raises(LoraInputError) as refused:
        Recipe.of(FILES[0], bad)
    assert refused.value.key == "strength"


def test_a_product_beyond_reason_is_refused():
    for strength in (1e20, 10**400):
        with pytest.raises(LoraInputError, match="at most 1e\\+30"):
            strength * (1e20 * Recipe.of(FILES[0]))


def test_a_thousand_scalings_neither_grow_nor_break_anything():
    a = Recipe.of(FILES[0])
    for _ in range(3000):
        a = 0.99 * a
    assert a.terms[0].strength_model == pytest.approx(0.99**3000)
    assert Recipe.from_json(a.to_json()) == a
    assert len(a.fingerprint) == 64


def test_many_long_fractions_are_added_in_bounded_time():
    terms = [
        json.loads(document(term={"model": f"1/{10**900 + n}"}))["terms"][0] for n in range(200)
    ]
    a = Recipe.from_json(document(terms=terms))
    assert float(a.terms[0].strength_model) == 0.0


def test_files_can_be_looked_up_anew():
    a = 0.5 * Recipe.of(FILES[0]) + Recipe.of(FILES[1])
    assert a.with_files(lambda file: FILES[2]) == 1.5 * Recipe.of(FILES[2])


def test_a_recipe_times_something_else_is_a_type_error():
    with pytest.raises(TypeError):
        Recipe.of(FILES[0]) * "2"
    with pytest.raises(TypeError):
        Recipe.of(FILES[0]) + 1


def document(**changes) -> str:
    term = {"path": "/a", "name": "a", "mtime_ns": 1, "size": 1, "inode": 1, "model": 1, "clip": 1}
    terms = [{**term, **changes.pop("term", {})}]
    return json.dumps({"format": "lora-algebra recipe", "version": 1, "terms": terms, **changes})


def test_a_newer_recipe_is_refused_with_both_versions():
    with pytest.raises(LoraInputError) as refused:
        Recipe.from_json(document(version=7))
    assert "version 7" in str(refused.value)
    assert "up to version 6" in str(refused.value)
    assert (refused.value.expected, refused.value.found) == ("at most 6", "7")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 200_000,
        '{"format": "lora-algebra recipe", "version": 1, "terms": ' + "[" * 100_000,
        document(format="other"),
        document(version=0),
        document(version=True),
        document(version="1"),
        document(terms=7),
        document(terms=[7]),
        document(terms=[{}]),
        document(term={"path": 5}),
        document(term={"size": "1"}),
        document(term={"size": True}),
        document(term={"model": None}),
        document(term={"model": "1e999999999"}),
        document(term={"model": "1/0"}),
        document(term={"model": "9" * 3000 + "/1"}),
        document(term={"model": "9" * 1000 + "/1"}),
        document(term={"model": 1e300}),
        document(term={"model": float("nan")}),
        document().replace('"model": 1', '"model": 1e999'),
        document().replace('"model": 1', '"model": ' + "1" * 5000),
        document().replace('"model": 1', '"model": 1, "model": 2'),
        document(note="x" * 1_000_001),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_recipe_is_refused(text):
    with pytest.raises(LoraInputError):
        Recipe.from_json(text)


def test_the_document_the_refusals_start_from_is_good():
    assert Recipe.from_json(document())
