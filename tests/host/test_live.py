"""Live application: what a merge gives, without touching a weight."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from safetensors.torch import load_file

from harness import workflows
from harness.samples import pair, write
from harness.tiny_loras import KINDS, write_lora
from harness.tiny_models import MODEL_FILES
from harness.workflows import in_turn, inspect, no_loras, render, stacked_loras
from tests.host.files import (
    apart,
    assert_nothing_is_left,
    base_hash,
    growth,
    loaded_as,
    make_loras,
    sampled,
    saved,
)

NOTHING = {"patched_weights": 0, "calculate_weight": 0, "set_attr_param": 0, "copy_to_param": 0}


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    """Three LoRAs for every tiny model, by name."""
    folder = tmp_path_factory.mktemp("loras")
    names = {kind: make_loras(host, folder, kind, 3) for kind in KINDS}
    return {**names, "sd15clip": names["sd15"]}


@pytest.fixture(scope="module")
def clip_lora(host, tmp_path_factory):
    """A file for both parts of SD 1.5."""
    file = tmp_path_factory.mktemp("clip") / "live both.safetensors"
    write_lora(file, "sd15", seed=1)
    text = pair("lora_te_text_model_encoder_layers_0_mlp_fc1", 3072, 768)
    write(file, {**load_file(file), **{key: 0.05 * value for key, value in text.items()}})
    return host.add_lora(file)


def two(loras, kind, **how):
    return stacked_loras((loras[kind][0], 0.7), (loras[kind][1], 0.4), **how)


ROUNDED = {"float32": 5e-6, "float16": 5e-4, "bfloat16": 5e-3}
"""The merge rounds the sum to the stored type once, live nothing."""


@pytest.mark.parametrize("dtype", ROUNDED)
@pytest.mark.parametrize("kind", KINDS)
def test_live_is_what_merge_is(host, loras, kind, dtype, show):
    fresh = loaded_as(MODEL_FILES[kind], dtype)
    plain = sampled(host, kind, fresh)
    merged = sampled(host, kind, in_turn(fresh, two(loras, kind, mode="merge")))
    live = sampled(host, kind, in_turn(fresh, two(loras, kind, mode="live")))
    error, change = apart(live, merged), apart(plain, merged)
    show(f"{kind} in {dtype}: live against merge {error:.1e}, where the LoRAs change {change:.1e}")
    assert error < ROUNDED[dtype]
    assert error < change / 2


@pytest.mark.every_host
@pytest.mark.usefixtures("clip_models_dir")
@pytest.mark.parametrize("kind", [*KINDS, pytest.param("sd15clip", marks=pytest.mark.slow)])
def test_live_is_what_merge_is_in_the_models_as_they_are(host, loras, kind, show):
    base = base_hash(host, kind)
    merged = sampled(host, kind, two(loras, kind, mode="merge"))
    live = sampled(host, kind, two(loras, kind, mode="live"))
    plain = sampled(host, kind, no_loras)
    error, change = apart(live, merged), apart(plain, merged)
    show(f"{kind} as it is: live against merge {error:.1e}, where the LoRAs change {change:.1e}")
    assert error < (5e-6 if kind != "sd15clip" else 2e-5)
    assert change > 5e-3
    assert_nothing_is_left(host, kind, base)


def test_the_report_says_which_layers_are_live(host, loras):
    result = host.run(render("flux", two(loras, "flux", mode="live"), seed=71))
    assert "live" in result.outputs["ApplyToModel"]["text"][0]
    result = host.run(render("flux", two(loras, "flux"), seed=71))
    assert "live" not in result.outputs["ApplyToModel"]["text"][0]


def probe(host, kind, chain):
    return host.run(inspect(kind, "TKProbe", chain)).report("TKProbe")["model"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pure_live_recipe_leaves_the_identity_of_the_weights(host, loras, kind):
    plain = probe(host, kind, no_loras)
    live = probe(host, kind, two(loras, kind, mode="live"))
    assert (live["patches_uuid"], live["keys"]) == (plain["patches_uuid"], 0)
    assert live["patcher"] != plain["patcher"]


def test_equal_recipes_are_the_same_bits(host, loras):
    a, b = loras["flux"][:2]
    chains = [
        stacked_loras((a, 0.7), (b, 0.4), mode="live"),
        stacked_loras((b, 0.4), (a, 0.7), mode="live"),
        stacked_loras((a, 1.4), (b, 0.8), scale=0.5, mode="live"),
        stacked_loras((a, 0.3), (b, 0.4), (a, 0.4), mode="live"),
        in_turn(stacked_loras((a, 0.7), mode="live"), stacked_loras((b, 0.4), mode="live")),
    ]
    hashes = {host.run(render("flux", c, seed=72)).report("TKHash")["sha256"] for c in chains}
    assert len(hashes) == 1
    assert len({probe(host, "flux", chain)["patches_uuid"] for chain in chains}) == 1


@pytest.mark.every_host
@pytest.mark.parametrize(
    ("kind", "cache"),
    [
        pytest.param("sd15", (), marks=pytest.mark.slow),
        pytest.param("flux", (), marks=pytest.mark.slow),
        ("flux", ("--cache-lru", "100")),
    ],
)
def test_another_strength_writes_no_weight(shared_host, tmp_path, kind, cache, show):
    """Nor do another file, or none: the base stays loaded as it is."""
    host = shared_host(*cache)
    a, b, c = make_loras(host, tmp_path, kind, 3)
    recipes = {
        "first": stacked_loras((a, 1.0), (b, 1.0), scale=1.0, mode="live"),
        "slider": stacked_loras((a, 1.0), (b, 1.0), scale=0.8, mode="live"),
        "slider again": stacked_loras((a, 1.0), (b, 1.0), scale=0.3, mode="live"),
        "other files": stacked_loras((c, 1.0), mode="live"),
        "back": stacked_loras((a, 1.0), (b, 1.0), scale=1.0, mode="live"),
        "other files again": stacked_loras((c, 1.0), mode="live"),
        "none": no_loras,
        "and back": stacked_loras((a, 1.0), (b, 1.0), scale=1.0, mode="live"),
    }
    host.run(render(kind, no_loras))
    readings, hashes = [host.counters()], {}
    for name, chain in recipes.items():
        hashes[name] = host.run(render(kind, chain)).report("TKHash")["sha256"]
        readings.append(host.counters())
    host.run(render(kind, stacked_loras((a, 1.0), mode="merge")))
    merged = growth(readings[-1], host.counters())
    written = {n: growth(*pair) for n, pair in zip(recipes, pairwise(readings), strict=True)}
    show(
        f"{kind}, {' '.join(cache) or 'default cache'}: live, {', '.join(recipes)}: weights written "
        f"{[sum(each.values()) for each in written.values()]}; a merge: {sum(merged.values())}"
    )
    assert all(each == NOTHING for each in written.values()), written
    assert merged["patched_weights"] > 0
    assert merged["set_attr_param"] + merged["copy_to_param"] > 0
    assert hashes["first"] == hashes["back"] == hashes["and back"]
    assert hashes["other files"] == hashes["other files again"]
    assert len(set(hashes.values())) == 5


@pytest.mark.every_host
def test_the_factors_stay_where_they_are_when_a_strength_changes(shared_host, tmp_path):
    host = shared_host()
    a, b = make_loras(host, tmp_path, "flux", 2)
    alive = []
    for scale in (1.0, 0.5, 0.25):
        chain = stacked_loras((a, 1.0), (b, 1.0), scale=scale, mode="live")
        host.run(render("flux", chain))
        alive.append(host.run(inspect("flux", "TKGates", chain)).report("TKGates"))
    assert [each["alive"]["Stack"] for each in alive] == [1, 1, 1]
    (stack,) = {tuple(each["beside"]) for each in alive}
    assert len(stack) == 1
    assert alive[-1]["open"] == 0


def test_a_prompt_saved_before_there_were_modes_runs_as_it_did(host, loras):
    assert "mode" not in render("flux", two(loras, "flux"))["ApplyToModel"]["inputs"]
    assert (
        probe(host, "flux", two(loras, "flux"))["patches_uuid"]
        == (probe(host, "flux", two(loras, "flux", mode="merge"))["patches_uuid"])
    )
    old, new = (
        host.run(render("flux", two(loras, "flux", **how), seed=73)).report("TKHash")["sha256"]
        for how in ({}, {"mode": "auto"})
    )
    assert old == new


def test_an_unknown_mode_is_refused(host, loras):
    result = host.run(render("flux", two(loras, "flux", mode="lively")), expect_error=True)
    assert result.status == "invalid"


@pytest.mark.usefixtures("clip_models_dir")
def test_the_text_encoder_is_merged_whatever_the_mode(host, clip_lora):
    chain = stacked_loras((clip_lora, 0.5), mode="live")
    told = host.run(inspect("sd15clip", "TKProbe", chain)).report("TKProbe")
    assert (told["clip"]["keys"], told["model"]["keys"]) == (1, 0)
    graph = workflows.Graph()
    loaded = workflows.load(graph, "sd15clip")
    _, clip = chain(graph, loaded.model, loaded.clip)
    link = [graph.add("TKTextEncoder", clip=clip), 0]
    key = "clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
    graph.add("TKWeights", model=link, keys=json.dumps([key]), name="clip")
    assert list(saved(host, graph.prompt)) == [key]
    live, merged = (
        sampled(host, "sd15clip", stacked_loras((clip_lora, 0.5), mode=m))
        for m in ("live", "merge")
    )
    assert apart(live, merged) < 2e-5
