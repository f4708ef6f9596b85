"""What the page is sent beside the report: what became of each file, and what was refused."""

from __future__ import annotations

import http.client
import json
from contextlib import closing

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.samples import pair, write
from harness.workflows import Graph, render, stacked_loras
from tests.host.files import make_loras

pytestmark = pytest.mark.every_host


@pytest.fixture(scope="module")
def good(host, tmp_path_factory):
    """The name of a LoRA that fits tiny Flux."""
    return make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 1)[0]


@pytest.fixture(scope="module")
def overflowing(host, good):
    """The name of one that no weight can hold."""
    content = {k: v.float() * 1e20 for k, v in load_file(host.loras_dir / good).items()}
    save_file(content, host.loras_dir / "overflowing.safetensors")
    return "overflowing.safetensors"


def outcomes(host, prompt):
    return host.run(prompt).outputs["ApplyToModel"]["loras"]


def test_the_outcome_of_every_file(host, good):
    mixed = load_file(host.loras_dir / good)
    mixed |= pair("lora_te1_text_model_encoder_layers_0_mlp_fc1", 4, 4)
    mixed["who.knows"] = torch.ones(1)
    write(host.loras_dir / "mixed.safetensors", mixed)
    chain = stacked_loras((good, 0.5), ("mixed.safetensors", -1.0))
    whole, part = outcomes(host, render("flux", chain, seed=61))
    assert (whole["name"], whole["state"], whole["warnings"]) == (good, "applied", [])
    assert whole["applied"] == whole["found"] > 0
    assert (whole["base"], whole["model"]) == ("Flux", "Flux")
    assert [(p["part"], p["strength"], p["connected"]) for p in whole["parts"]] == [
        ("model", 0.5, True),
        ("clip", 0.5, False),
    ]
    assert (part["name"], part["state"]) == ("mixed.safetensors", "partial")
    assert (part["unknown"], part["first_unknown"]) == (1, ["who.knows"])
    assert [w["code"] for w in part["warnings"]] == ["unknown_layers", "clip_not_connected"]


UNASKED = {
    "a schedule": {"curve": "linear"},
    "another strength of the model": {"scale": (0.5, 1.0)},
    "another strength of all of it": {"scale": 0.5},
}


@pytest.mark.parametrize("what", UNASKED)
def test_nothing_is_said_of_text_where_nobody_has_asked_for_it(host, good, what):
    prompt = render("flux", stacked_loras((good, 0.5), **UNASKED[what]), seed=65)
    told = host.run(prompt).outputs["ApplyToModel"]
    assert told["loras"][0]["warnings"] == []
    assert "warning" not in told["text"][0]


@pytest.mark.usefixtures("clip_models_dir")
@pytest.mark.parametrize("what", [*UNASKED, "a text strength"])
def test_with_a_clip_a_text_strength_that_nothing_follows_is_told(host, tmp_path, what):
    (name,) = make_loras(host, tmp_path, "sd15", 1)
    chain = UNASKED.get(what, {"scale": (1.0, 0.5)})
    told = host.run(render("sd15clip", stacked_loras((name, 1.0), **chain))).outputs["ApplyToModel"]
    said = told["loras"][0]["warnings"]
    assert [each["code"] for each in said] == ["no_clip_layers"] * (what not in UNASKED)
    assert all(f"    warning: {each['text']}" in told["text"][0] for each in said)


def test_it_comes_again_when_nothing_has_to_run(host, good):
    prompt = render("flux", stacked_loras((good, 0.5)), seed=62)
    first = outcomes(host, prompt)
    again = host.run(prompt)
    assert "ApplyToModel" in again.cached
    assert again.outputs["ApplyToModel"]["loras"] == first != []


def test_how_many_are_live_is_told(host, good):
    (told,) = outcomes(host, render("flux", stacked_loras((good, 0.5), mode="live")))
    assert told["parts"][0]["live"] == told["applied"] > 0


def test_a_refusal_is_told_to_who_has_queued(host, good, overflowing):
    host.told()
    chain = stacked_loras((good, 0.5), (overflowing, 1.0))
    result = host.run(render("flux", chain), expect_error=True)
    ((event, told, client),) = host.told()
    assert event == "lora_algebra.refused"
    assert client is not None
    assert told.keys() == {"node", "file", "message", "expected", "found"}
    assert (told["node"], told["file"]) == ("ApplyToModel", overflowing)
    assert told["message"] == result.error.strip()
    assert told["expected"]
    assert told["found"]


def test_a_damaged_file_is_told_by_the_rows_that_name_it(host, good):
    damaged = host.loras_dir / "damaged.safetensors"
    damaged.write_bytes((host.loras_dir / good).read_bytes()[:-1])
    graph = Graph()
    rows = graph.add("LoRARows", rows={"rows": [{"name": good}, {"name": damaged.name}]})
    graph.add("TKValue", value=[rows, 0])
    host.told()
    result = host.run(graph.prompt, expect_error=True)
    ((event, told, _),) = host.told()
    assert event == "lora_algebra.refused"
    assert (told["node"], told["file"]) == (rows, damaged.name)
    assert told["message"] == result.error.strip()


def test_nothing_is_told_where_nothing_is_refused(host, good):
    host.told()
    host.run(render("flux", stacked_loras((good, 0.5)), seed=63))
    assert host.told() == []


def test_a_refusal_is_not_told_to_all_where_nobody_in_particular_has_queued(host, overflowing):
    host.told()
    prompt = render("flux", stacked_loras((overflowing, 1.0)), seed=64)
    with closing(http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)) as connection:
        body = json.dumps({"prompt": prompt})
        connection.request("POST", "/prompt", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
    host.run(render("flux", stacked_loras((overflowing, 2.0))), expect_error=True)  # is behind it
    ((_, _, client),) = host.told()
    assert client is not None
