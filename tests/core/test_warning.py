"""Warnings are worded once, stand wherever they are counted, and speak only of what was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.samples import net, pair, write
from lora_core import apply, load
from lora_core.algebra.curve import Curve
from lora_core.algebra.file_id import FileId
from lora_core.algebra.recipe import Recipe
from lora_core.algebra.spread import parse_spread
from lora_core.algebra.term import Term
from lora_core.applying.apply import model_of
from lora_core.matching.plan import make_plan
from lora_core.matching.report_json import outcomes_of
from lora_core.reading.reader import FileCache
from lora_core.warning import SENTENCES, LoraWarning, few, united

TEXT = "lora_te1_text_model_encoder_layers_0_mlp_fc1"
LINEAR = pair("linear", 6, 8)
MOVED = LoraWarning.of("found_by_content", asked="old.safetensors", name="a.safetensors")


def denoiser():
    return replace(model_of(dict(net().named_parameters())), parts=frozenset(("model",)))


def text_encoder():
    weights = {"text_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(6, 8)}
    return replace(model_of(weights), parts=frozenset(("clip",)))


def reported(recipe, *models):
    """Beside a denoiser, the report of what varies live or is merged."""
    model = denoiser()
    model = replace(model, branches=frozenset(model.shapes))
    return make_plan(recipe, [model, *models], FileCache(), mode="auto").report


def codes(recipe, *models):
    return [w.code for lora in reported(recipe, *models).loras for w in lora.warnings]


@pytest.fixture
def flux(tmp_path):
    """A LoRA without anything for a text encoder, as most for Flux are."""
    return load(write(tmp_path / "a.safetensors", LINEAR))


UNASKED = {
    "as it comes": lambda lora: lora,
    "scheduled": lambda lora: lora.scheduled(Curve.parse("linear")),
    "scheduled by a constant": lambda lora: lora.scheduled(Curve.parse("0:0.5")),
    "spread": lambda lora: lora.spread(parse_spread("0, 0.5")),
    "with only the model's strength moved": lambda lora: lora.scaled(0.7, 1),
    "scaled as a whole": lambda lora: -0.7 * lora,
    "with no text strength": lambda lora: lora.scaled(1, 0),
    "all of it": lambda lora: (0.3 * lora).scaled(2, 1).scheduled(Curve.parse("linear")) + lora,
}


@pytest.mark.parametrize("what", UNASKED)
def test_nothing_is_said_of_text_where_nobody_has_asked_for_it(flux, what):
    recipe = UNASKED[what](flux)
    assert codes(recipe, text_encoder()) == []
    assert codes(recipe) == []


ASKED = {
    "scaled apart": lambda lora: lora.scaled(1, 0.5),
    "scaled apart, then all of it, then scheduled": lambda lora: (
        2 * lora.scaled(1, 0.5)
    ).scheduled(Curve.parse("linear")),
    "beside one that was not": lambda lora: lora + lora.scaled(1, 0.5),
    "written apart": lambda lora: Recipe(
        (Term.given(lora.terms[0].file, Fraction(1), Fraction(1, 2)),)
    ),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_text_strength_that_was_asked_for_is_told_only_where_there_is_a_clip(flux, what):
    recipe = ASKED[what](flux)
    assert codes(recipe, text_encoder()) == ["no_clip_layers"]
    assert codes(recipe) == []


def test_a_file_with_text_layers_is_told_of_only_without_a_clip(tmp_path):
    recipe = load(write(tmp_path / "a.safetensors", LINEAR | pair(TEXT, 6, 8)))
    assert codes(recipe) == ["clip_not_connected"]
    assert codes(recipe, text_encoder()) == []
    assert codes(recipe.scaled(1, 0)) == []  # which is what the user wants


numbers = st.integers(-20, 20).map(lambda n: n / 10)


@given(numbers, numbers, numbers)
def test_what_was_asked_for_is_no_part_of_the_value(model, clip, scale):
    """Neither of its identity, nor of what is saved."""
    file = FileId("ink", 1, 1, 1)
    exact = [Fraction(str(number)) for number in (model, clip)]
    given, made = Recipe((Term.given(file, *exact, (MOVED,)),)), Recipe((Term(file, *exact),))
    for one, other in [(given, made), (scale * given, scale * made), (given + given, 2 * made)]:
        assert one == other
        assert hash(one) == hash(other)
        assert one.fingerprint == other.fingerprint
        assert one.to_json() == other.to_json()
    assert not given - made


def test_what_is_said_of_a_term_stays_with_its_file_whatever_is_made_of_it(flux):
    (term,) = flux.terms
    warned = Recipe((replace(term, warnings=(MOVED,)),))
    for recipe in (
        warned,
        0.5 * warned,
        warned + flux,
        flux + warned + warned,
        warned.with_files(lambda f: f),
    ):
        assert codes(recipe) == ["found_by_content"]
    assert codes(warned.scheduled(Curve.parse("linear"))) == ["found_by_content"]


def every_warning(tmp_path):
    """The report of a file of which all that a match tells is odd, and of one that has moved."""
    content = pair("linear", 6, 8, alpha=0.0) | pair("other", 10, 6) | pair(TEXT, 6, 8)
    content |= {f"\x1b{n} who.knows": torch.ones(1) for n in range(5)}
    notes = {"lora_adapter_metadata": "[", "ss_base_model_version": "sdxl_base_v1-0"}
    file = load(write(tmp_path / "a.safetensors", content, notes)).terms[0]
    other = load(write(tmp_path / "b.safetensors", LINEAR)).scaled(1, 0.5)
    moved = replace(MOVED, code="found_by_basename")
    recipe = Recipe((replace(file, warnings=(MOVED, moved)), *other.terms))
    model = replace(denoiser(), base="SD 1.5")
    alone = make_plan(recipe, [model], FileCache()).report
    with_clip = make_plan(recipe, [model, text_encoder()], FileCache()).report
    return replace(alone, loras=(alone.loras[0], never_used(with_clip.loras[-1])))


def never_used(lora):
    """The report of a file whose one layer is live, and which the model makes no use of."""
    model, clip = lora.parts
    return replace(lora, parts=(replace(model, live=1), clip)).reaching(through=0, unused=1)


def test_a_layer_that_a_model_skips_is_told_of_without_a_warning(tmp_path):
    content = pair("linear", 6, 8) | pair("other", 10, 6)
    (lora,) = apply(net(), load(write(tmp_path / "a.safetensors", content))).loras
    model, clip = lora.parts
    live = replace(lora, parts=(replace(model, live=2), clip))
    assert not live.reaching(through=1, unused=1).warnings
    assert "live (1 through the weight, 1 not used by the model)" in str(live.reaching(1, 1))
    assert [w.code for w in live.reaching(through=0, unused=2).warnings] == ["not_used"]


def test_what_is_counted_is_written_in_the_report(tmp_path):
    report = every_warning(tmp_path)
    counted = [warning for lora in outcomes_of(report) for warning in lora["warnings"]]
    assert {warning["code"] for warning in counted} == SENTENCES.keys()
    assert [line for line in str(report).splitlines() if "    warning: " in line] == [
        f"    warning: {warning['text']}" for warning in counted
    ]


def test_the_page_gets_what_the_text_is_made_of(tmp_path):
    for lora in outcomes_of(every_warning(tmp_path)):
        for warning in json.loads(json.dumps(lora["warnings"], allow_nan=False)):
            assert warning.keys() == {"code", "text", "sentence", "fields"}
            assert warning["sentence"] == SENTENCES[warning["code"]]
            assert warning["text"] == warning["sentence"].format(**warning["fields"])
            assert "\x1b" not in warning["text"]


def test_a_program_finds_them_in_the_plain_report(tmp_path):
    plain = json.loads(json.dumps(every_warning(tmp_path).to_dict()))
    assert [w["code"] for w in plain["loras"][1]["warnings"]] == ["not_used", "no_clip_layers"]
    assert "said" not in plain["loras"][1]


def test_braces_in_names_are_text():
    warned = LoraWarning.of("unknown_layers", count=1, names=few(["{count.__class__}"]))
    assert warned.text == "Unknown to the model, not applied: 1 ({count.__class__})"


def test_of_many_names_the_first_are_said():
    assert few(["a", "b", "c"]) == "a, b, c"
    assert few(["a", "b", "c", "d"]) == "a, b, c, …"
    assert few(["x" * 500]).endswith("… (500 characters)")


def test_the_same_is_said_once():
    assert united((MOVED, MOVED, LoraWarning.of("scale_unread"), MOVED)) == (
        MOVED,
        LoraWarning.of("scale_unread"),
    )
