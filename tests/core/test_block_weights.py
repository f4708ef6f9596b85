"""Block weights as a value: the text, the laws, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core import LoraInputError
from lora_core.algebra.block_layers import factors_of
from lora_core.algebra.block_text import read_lines
from lora_core.algebra.block_weights import BlockWeights, read_blocks
from lora_core.algebra.curve import Curve
from lora_core.algebra.file_id import FileId
from lora_core.algebra.modifier import Moment
from lora_core.algebra.recipe import Recipe
from lora_core.algebra.spread import parse_spread
from lora_core.algebra.term import strength_of
from lora_core.naming import KINDS, PARTS, Layers, ModelNames
from tools.fidelity.layouts import layouts

INK, LIGHT = (Recipe.of(FileId(name, 1, 1, 1), 1.0) for name in ("ink", "light"))


def model_of(name: str) -> Layers:
    """The layers of a small model of an architecture."""
    shapes = layouts()[name].shapes
    return Layers(shapes, ModelNames(shapes).architecture)


def made(base: str, **counts: int) -> Layers:
    """A model with as many blocks of each path as ``counts`` says, of one layer each."""
    keys = [f"{path}.{n}.attn.to_q.weight" for path, count in counts.items() for n in range(count)]
    return Layers(dict.fromkeys(("img_in.weight", *keys), (8, 8)), base)


FLUX = made("Flux", double_blocks=19, single_blocks=38)


def weights(text: str, model: Layers = FLUX) -> dict[str, Fraction]:
    """The factor of every weight, by its path."""
    factors = factors_of(read_lines(text), model)
    return {model[key].path.removesuffix(".attn.to_q"): factor for key, factor in factors.items()}


def not_one(text: str, model: Layers = FLUX) -> dict[str, float]:
    return {key: float(factor) for key, factor in weights(text, model).items() if factor != 1}


# --- what lines mean ------------------------------------------------------------------------------


def test_a_line_names_blocks_by_number():
    assert not_one("double 0-1: 0; single 37: 0.5") == {
        "double_blocks.0": 0,
        "double_blocks.1": 0,
        "single_blocks.37": 0.5,
    }
    assert not_one("double 17-: 0") == {"double_blocks.17": 0, "double_blocks.18": 0}
    assert not_one("double 3, 5,7-8: 2") == dict.fromkeys(
        (f"double_blocks.{n}" for n in (3, 5, 7, 8)), 2
    )


def test_words_can_be_in_the_plural_and_in_capitals_and_short():
    for text in ("double 3: 0", "DOUBLES 3:0", "double blocks 3: .0", "D03: 0", "double3: 0 # off"):
        assert not_one(text) == {"double_blocks.3": 0}, text
    assert BlockWeights("Doubles 3 : .50\n\n# nothing\n") == BlockWeights("double 3: 0.5")


def test_later_lines_win_and_other_is_what_no_line_names():
    found = weights("double: 0.5; other: 0; double 2-3: 1; double 3: 0.25")
    assert found["double_blocks.1"] == Fraction(1, 2)
    assert found["double_blocks.2"] == 1
    assert found["double_blocks.3"] == Fraction(1, 4)
    assert found["single_blocks.0"] == found["img_in"] == 0


def test_a_range_goes_evenly_from_the_first_block_to_the_last():
    found = weights("double 0-4: 0.2..1")
    assert [found[f"double_blocks.{n}"] for n in range(6)] == [
        *(Fraction(n, 5) for n in range(1, 6)),
        1,
    ]
    assert weights("single 5: 0..0.75")["single_blocks.5"] == Fraction(3, 4)
    through = weights("attn: 0..1")
    assert through["double_blocks.0"] == 0
    assert through["single_blocks.37"] == 1
    assert through["single_blocks.0"] == Fraction(19, 56)
    assert through["img_in"] == 1


def test_factors_are_exact_decimals():
    assert weights("double 0: 0.1")["double_blocks.0"] == Fraction(1, 10)
    assert weights("double 0-3: 0.1..0.4")["double_blocks.1"] == Fraction(2, 10)


def test_kinds_parts_and_products():
    model = model_of("flux")
    factors = factors_of(read_lines("attn: 0.5; img ff: 0.25; double 1 txt attn norm: 2"), model)
    for key, factor in factors.items():
        layer = model[key]
        if (
            layer.block == "double"
            and layer.index == 1
            and {"attn", "norm"} <= layer.kinds
            and layer.parts == {"txt"}
        ):
            assert factor == 2
        elif "ff" in layer.kinds and layer.parts == {"img"}:
            assert factor == Fraction(1, 4)
        else:
            assert factor == (Fraction(1, 2) if "attn" in layer.kinds else 1)


def test_a_fused_layer_is_only_reached_by_its_block_its_name_or_a_pattern():
    model = model_of("flux")
    (key,) = (key for key in model if key.endswith("single_blocks.0.linear1.weight"))
    for text in ("attn: 0", "ff: 0", "attn: 0; ff: 0"):
        assert factors_of(read_lines(text), model)[key] == 1
    for text in ("fused: 0", "single: 0", "single 0 fused: 0", "*.linear1.weight: 0"):
        assert factors_of(read_lines(text), model)[key] == 0


def test_patterns_are_for_the_whole_name_with_or_without_what_is_before_it():
    model = model_of("flux")
    key = "diffusion_model.double_blocks.1.img_attn.qkv.weight"
    for pattern in (key, key.partition(".")[2], "double_blocks.1.img_attn.qkv", "*.img_attn.*"):
        factors = factors_of(read_lines(f"{pattern}: 0"), model)
        assert factors[key] == 0, pattern
        assert factors[key.replace("img_attn", "txt_attn")] == 1
    both = factors_of(read_lines("double 0 *_attn.qkv*: 0"), model)
    assert sum(factor == 0 for factor in both.values()) == 4  # img and txt, weight and bias


def test_thirds_and_halves_are_found_in_the_model():
    for model, count in (
        (FLUX, 57),
        (made("Wan", blocks=40), 40),
        (made("Qwen-Image", transformer_blocks=60), 60),
    ):
        thirds = [{*not_one(f"{name}: 0", model)} for name in ("early", "middle", "late")]
        assert sum(map(len, thirds)) == len(set.union(*thirds)) == count
        assert max(map(len, thirds)) - min(map(len, thirds)) <= 1
    assert {*not_one("late: 0")} == {f"single_blocks.{n}" for n in range(19, 38)}
    assert not_one("mid: 0") == not_one("middle: 0")
    assert {*not_one("double evens: 0")} == {f"double_blocks.{n}" for n in range(0, 19, 2)}
    assert not_one("late odds attn: 0").keys() == {f"single_blocks.{n}" for n in range(19, 38, 2)}


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, (0, 1, 0)), (2, (1, 0, 1)), (4, (1, 2, 1)), (5, (2, 1, 2))]
)
def test_thirds_of_few_blocks_are_even_on_both_sides(count, sizes):
    model = made("Wan", blocks=count)
    thirds = (not_one(f"{name}: 0", model) for name in ("early", "middle", "late"))
    assert tuple(map(len, thirds)) == sizes
    with pytest.raises(LoraInputError):
        weights("late: 0", made("Wan"))


def test_mid_is_the_block_of_that_name_if_the_model_has_one():
    unet = model_of("sdxl")
    factors = factors_of(read_lines("mid: 0; in 4: 0.5; IN05: 0.25; M00 attn: 2"), unet)
    for key, factor in factors.items():
        layer = unet[key]
        expected = {("in", 4): 0.5, ("in", 5): 0.25}.get((layer.block, layer.index), 1)
        if layer.block == "mid":
            expected = 2 if "attn" in layer.kinds else 0
        assert factor == expected


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "double 0-6",
        "double 0-6: much",
        ": 1",
        "3: 1",
        "double 6-0: 1",
        "double 0: 1001",
        "double 0: nan",
        "other: 0..1",
        "double $: 1",
        "double 0: 1; x",
        "double 0 : 0..",
        "x" * 50_001,
    ],
)
def test_text_that_cannot_be_read_is_refused_at_once(text):
    with pytest.raises(LoraInputError) as refused:
        INK.blocks(text)
    assert (refused.value.key, bool(refused.value.expected), bool(refused.value.found)) == (
        "weights",
        True,
        True,
    )


def test_the_text_encoders_are_no_block():
    with pytest.raises(LoraInputError):
        BlockWeights("text: 0")
    with pytest.raises(LoraInputError):
        INK.blocks("text: 0..1")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dobule 0-6: 0", "dobule 0-6"),
        ("double 0-19: 0", "double 0-19"),
        ("double 19-: 0", "double 19-"),
        ("double 3,25-: 0", "double 3,25-"),
        ("single 0: 1; layer 3: 0", "layer 3"),
        ("attn 3: 0", "attn 3"),
        ("double single: 0", "double single"),
        ("double single 3: 0", "double single 3"),
        ("conv: 0", "conv"),
        ("audio: 0", "audio"),
        ("*.nothing*: 0", "*.nothing*"),
        ("*img_in*: 0..1", "*img_in*"),
    ],
)
def test_a_name_that_the_model_does_not_have_is_refused_with_those_that_it_has(text, found):
    with pytest.raises(LoraInputError) as refused:
        BlockWeights(text).check(FLUX)
    assert refused.value.key == "weights"
    assert refused.value.found == found
    assert "double 0-18, single 0-37, attn" in str(refused.value.expected)
    assert "Flux" in str(refused.value)


# --- the value ------------------------------------------------------------------------------------

_numbers = st.integers(0, 18).map(str) | st.tuples(st.integers(0, 9), st.integers(9, 18)).map(
    lambda both: f"{both[0]}-{both[1]}"
)
_places = st.just("") | _numbers | _numbers.map(lambda text: f"{text},17")
_blocks = st.builds(
    lambda name, numbers, more: " ".join(filter(None, (name, numbers, more))),
    st.sampled_from(["double", "single", "Doubles", "single blocks"]),
    _places,
    st.sampled_from(["", "attn", "*to_q*"]),
)
_selectors = _blocks | st.sampled_from(["attn", "late", "odds", "double evens", "*.to_q"])
_decimals = st.integers(-3000, 3000).map(lambda n: f"{n / 1000}")
_factors = _decimals | st.tuples(_decimals, _decimals).map("..".join)
_lines = st.tuples(_selectors, _factors) | st.tuples(
    st.sampled_from(["other", "img_in*"]), _decimals
)
texts = st.lists(_lines.map(": ".join), max_size=6).flatmap(
    lambda lines: st.sampled_from(["\n", " ; ", "\n\n# more\n"]).map(lambda gap: gap.join(lines))
)


@given(texts)
def test_the_text_of_a_value_is_read_as_that_value(text):
    value = BlockWeights(text)
    assert BlockWeights(value.text) == value
    assert BlockWeights(value.text).lines == value.lines
    assert weights(value.text) == weights(text)
    assert [*BlockWeights.from_json({**value.to_json()})] == [value]


@given(texts)
def test_the_largest_factor_is_a_bound(text):
    value = BlockWeights(text)
    every = [value.factors(Moment(), layer)[0] for layer in FLUX.values()]
    assert max(map(abs, every)) <= value.max_abs() + 1e-12
    assert all(
        abs(f) == value.max_abs(layer) for f, layer in zip(every, FLUX.values(), strict=True)
    )
    if value.constant is not None:
        assert {*every} == {float(value.constant)}


curves = st.sampled_from(["linear", "0:1, 1:0"]).map(Curve.parse)
spreads = st.sampled_from(["0, 1, 2", "0..1"]).map(parse_spread)
numbers = st.integers(-20, 20).map(lambda n: n / 10)


@given(texts, texts, curves, spreads, numbers)
def test_modifiers_commute_and_distribute(one, other, curve, spread, s):
    a, b = INK.blocks(one), LIGHT.scheduled(curve)
    orders = [
        INK.blocks(one).scheduled(curve).spread(spread).blocks(other),
        INK.spread(spread).blocks(other).blocks(one).scheduled(curve),
        INK.scheduled(curve).blocks(other).spread(spread).blocks(one),
    ]
    assert len({*orders}) == len({order.fingerprint for order in orders}) == 1
    assert (a + b).blocks(other) == a.blocks(other) + b.blocks(other)
    assert (s * a).blocks(other) == s * a.blocks(other)
    assert not (a - a)
    assert Recipe.from_json(orders[0].to_json()) == orders[0]
    assert Recipe.from_json(orders[0].to_json()).fingerprint == orders[0].fingerprint


@given(texts, texts)
def test_factors_of_two_block_weights_multiply(one, other):
    recipe = INK.blocks(one).blocks(other)
    for layer in FLUX.values():
        first, second = (BlockWeights(text).factors(Moment(), layer)[0] for text in (one, other))
        found = strength_of(recipe.terms[0], Moment(), layer) if recipe else (0.0,)
        assert found == pytest.approx((first * second,), abs=1e-12)


@pytest.mark.parametrize(
    "text", ["", "other: 1", "double: 1; other: 1", "# nothing", "single 0: 1"]
)
def test_ones_are_nothing(text):
    assert INK.blocks(text) == INK
    assert json.loads(INK.blocks(text).to_json())["version"] == 1


def test_the_same_factor_everywhere_is_a_number():
    assert INK.blocks("other: 0.5") == INK.scaled(0.5, 1)
    assert INK.blocks("single: 0.5; other: 0.5") == INK.scaled(0.5, 1)
    assert INK.blocks("other: 0; text: 0") == Recipe()


def test_text_encoders_stay_unless_named():
    (term,) = (0.5 * INK).blocks("other: 0; double: 1").terms
    assert term.strength_clip == Fraction(1, 2)
    (term,) = (0.5 * INK).blocks("double: 0.5; text: 0.1").terms
    assert term.strength_clip == Fraction(1, 20)
    assert read_blocks("text: 2; double 0: 0; TEXT: 3") == (BlockWeights("double 0: 0"), 3)


def test_it_can_be_merged_and_is_written_in_version_4_only_where_it_is():
    weighted = INK.blocks("double 0: 0")
    assert weighted.axes == {"layer"}
    assert not weighted.needs_live
    assert json.loads(weighted.to_json())["version"] == 4
    assert json.loads(INK.scheduled(Curve.parse("linear")).to_json())["version"] == 2
    assert "blocks" not in INK.scheduled(Curve.parse("linear")).to_json()
    assert len({r.fingerprint for r in (INK, weighted, INK.blocks("double 1: 0"))}) == 3


def test_it_is_said_in_words():
    text = "double 0-6: 0; double 7-18 attn: 0.5..1; late: 2; other: 0"
    expected = (
        "weighted by block: double 0-6 at 0, double 7-18 attn at 0.5..1, late at 2 and 1 more"
    )
    assert BlockWeights(text).words == expected
    assert str(INK.blocks("mid: 0").terms[0]) == "1·ink (weighted by block: mid at 0)"


@pytest.mark.parametrize("blocks", [5, [5], ["double 0"], ["text: 0"], [None]])
def test_json_that_makes_no_sense_is_refused(blocks):
    document = json.loads(INK.to_json())
    document["terms"][0]["varying"] = [{"strength": 1, "blocks": blocks}]
    with pytest.raises(LoraInputError):
        Recipe.from_json(json.dumps(document))


@pytest.mark.parametrize("layout", layouts())
def test_every_architecture_has_the_names_that_it_says_it_has(layout):
    model = model_of(layout)
    names = [*model.numbers]
    names += [kind for kind in KINDS if any(kind in own.kinds for own in model.values())]
    names += [part for part in PARTS if any(part in own.parts for own in model.values())]
    for name in names:
        BlockWeights(f"{name}: 0; {name.replace('_', ' ')}: 0").check(model)
    for name, own in model.numbers.items():
        BlockWeights(f"{name} {own[0]}-{own[-1]}: 0..1").check(model)


def test_a_model_is_asked_once_for_equal_weights():
    asked: list[str] = []
    model = made("Wan", blocks=3)
    for text in ("block 0: 0", "block 0: 0.0", "block 1: 0"):
        value = BlockWeights(text)
        model.answer(value, lambda text=text: asked.append(text) or {})
    assert asked == ["block 0: 0", "block 1: 0"]
