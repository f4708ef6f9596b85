"""What is merged and what goes live: by mode, by file, by layer."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from harness.samples import net, pair, write
from lora_core import LoraInputError, LoraMismatchError, apply, load
from lora_core.algebra.curve import Curve
from lora_core.algebra.recipe import Recipe
from lora_core.algebra.spread import Spread, parse_spread
from lora_core.applying.apply import model_of
from lora_core.matching.assign import MergeLiveSplit, split_recipe
from lora_core.matching.plan import make_plan
from lora_core.reading.reader import FileCache

LINEAR = pair("linear", 6, 8)
CURVE = Curve.parse("linear")


@pytest.fixture
def model():
    """One whose layers all take branches, as the host tells it."""
    weights = dict(net().named_parameters())
    return replace(model_of(weights), branches=frozenset(weights))


@pytest.fixture
def plain(tmp_path):
    return load(write(tmp_path / "plain.safetensors", LINEAR))


@pytest.fixture
def mixed(tmp_path):
    content = {
        **pair("other", 10, 6),
        "other.diff_b": torch.ones(10),
        "norm.diff": torch.ones(8),
        **LINEAR,
        "linear.dora_scale": torch.ones(6, 1),
    }
    return load(write(tmp_path / "mixed.safetensors", content))


def plan_of(parts, model):
    return make_plan(Recipe(), [model], FileCache(), earlier=[parts])


def test_auto_merges_what_is_constant_and_takes_live_what_varies(plain, mixed):
    both = plain + mixed.scheduled(CURVE)
    assert split_recipe(both, "auto", quantised=False) == MergeLiveSplit(
        plain, mixed.scheduled(CURVE)
    )
    assert split_recipe(both, "auto", quantised=True) == MergeLiveSplit(live=both)
    assert split_recipe(both, "live", quantised=False) == MergeLiveSplit(live=both)
    assert split_recipe(plain, "merge", quantised=True) == MergeLiveSplit(plain)


@pytest.mark.parametrize("vary", ["schedule", "spread"])
def test_a_merged_weight_cannot_vary(plain, vary):
    changed = plain.scheduled(CURVE) if vary == "schedule" else plain.spread(parse_spread("0, 1"))
    with pytest.raises(LoraInputError, match=r"plain\.safetensors is s") as refused:
        split_recipe(changed, "merge", quantised=False)
    assert (refused.value.expected, refused.value.found) == ("auto or live", "merge")
    with pytest.raises(LoraInputError):
        apply(net(), changed)


def test_pairs_biases_and_norms_go_live_and_the_rest_is_merged(mixed, model):
    plan = plan_of(MergeLiveSplit(live=0.5 * mixed), model)
    assert set(plan.models[0].live) == {"other.weight", "other.bias", "norm.weight"}
    assert set(plan.models[0].merged) == {"linear.weight"}
    assert [weight_term.strength for weight_term in plan.models[0].merged["linear.weight"]] == [0.5]
    (report,) = plan.report.loras
    assert "model: 4 of 4 layers at strength 0.5, 3 live and 1 merged" in str(report)


def test_a_layer_that_takes_no_branch_is_merged(plain, model):
    plan = plan_of(MergeLiveSplit(live=plain), replace(model, branches=frozenset()))
    assert not plan.models[0].live
    assert set(plan.models[0].merged) == {"linear.weight"}
    assert "live" not in str(plan.report)


def test_what_varies_and_cannot_go_live_is_refused_with_its_name(mixed, model):
    with pytest.raises(LoraMismatchError) as refused:
        plan_of(split_recipe(mixed.scheduled(CURVE), "auto", quantised=False), model)
    assert refused.value.file == "mixed.safetensors"
    assert refused.value.key == "linear"
    assert "1 of its layers cannot vary" in str(refused.value)


def test_a_file_may_be_merged_and_live_at_once(plain, model):
    plan = plan_of(MergeLiveSplit(0.5 * plain, 0.25 * plain.scheduled(CURVE)), model)
    assert [weight_term.strength for weight_term in plan.models[0].merged["linear.weight"]] == [0.5]
    assert len(plan.models[0].live["linear.weight"]) == 1
    assert "at strength 0.5 + 0.25 scheduled 0:0, 1:1 linear" in str(plan.report)


def test_reports_say_how_a_strength_varies(plain, model):
    window = Curve.parse("constant", 0.2, 0.8)
    recipe = plain.scheduled(window).spread(parse_spread("0..1 x 3"))
    (report,) = plan_of(MergeLiveSplit(live=recipe), model).report.loras
    assert report.parts[0].modulations == (
        "1 scheduled 0:0, 1:1 constant from 0.2 to 0.8, spread over 3 images, 0 to 1",
    )
    assert report.parts[0].live == 1


def test_live_terms_for_the_text_encoder_only_leave_the_model_alone(plain, model):
    plan = plan_of(MergeLiveSplit(live=plain.scaled(0, 1)), model)
    assert not plan.models[0].live
    assert not plan.models[0].merged


def test_what_is_live_does_not_have_to_fit_into_the_weights_type(tmp_path, model):
    loud = load(write(tmp_path / "loud.safetensors", {k: 12 * v for k, v in LINEAR.items()}))
    few = replace(model, dtypes=dict.fromkeys(model.dtypes, torch.float8_e4m3fn))
    with pytest.raises(LoraMismatchError, match="float8_e4m3fn cannot hold"):
        plan_of(MergeLiveSplit(loud), few)
    assert plan_of(MergeLiveSplit(live=loud), few).models[0].live


def test_what_is_live_has_to_fit_into_the_type_that_the_layer_computes_in(tmp_path, model):
    """At its greatest strength, whenever that is."""
    loud = load(write(tmp_path / "loud.safetensors", {k: 1e2 * v for k, v in LINEAR.items()}))
    half = replace(model, dtypes=dict.fromkeys(model.dtypes, torch.float16))
    few = replace(model, dtypes=dict.fromkeys(model.dtypes, torch.float8_e4m3fn))
    low, high = (0.01 * loud.scheduled(Curve.parse(f"0:0, 0.5:{n}, 1:0")) for n in (1, 100))
    for narrow in half, few:
        assert plan_of(MergeLiveSplit(live=low), narrow).models[0].live
        for much in (loud, high, 0.01 * loud.spread(Spread((Fraction(1), Fraction(-100))))):
            with pytest.raises(LoraMismatchError, match="float16 cannot hold"):
                plan_of(MergeLiveSplit(live=much), narrow)
    assert plan_of(MergeLiveSplit(live=loud), model).models[0].live


def test_a_branch_has_to_hold_what_is_between_its_factors(tmp_path, model):
    """Tiny factors at a strength that makes up for both: their product is ordinary, half of it is not."""
    tiny = load(write(tmp_path / "tiny.safetensors", {k: 1e-5 * v for k, v in LINEAR.items()}))
    half = replace(model, dtypes=dict.fromkeys(model.dtypes, torch.float16))
    assert plan_of(MergeLiveSplit(1e10 * tiny), half).models[0].merged
    assert plan_of(MergeLiveSplit(live=1e10 * tiny), model).models[0].live
    with pytest.raises(LoraMismatchError, match="float16 cannot hold"):
        plan_of(MergeLiveSplit(live=1e10 * tiny), half)
