"""Queued prompts: what is computed once stays computed, and nothing is left behind."""

from __future__ import annotations

from itertools import pairwise

import pytest

from harness import workflows
from harness.workflows import inspect, render, stacked_loras
from tests.host.files import make_loras

RECIPES = (
    ((0, 0.5), (1, 1.0)),
    ((0, 1.0),),
    ((1, -0.5), (2, 0.25)),
    ((0, 0.5), (1, 1.0), (2, -1.0)),
    (),
)


MODES = {
    "default": (),
    "classic": ("--cache-classic",),
    "lru": ("--cache-lru", "100"),
    "none": ("--cache-none",),
}
"""How the host keeps the results of nodes."""


@pytest.fixture
def in_mode(shared_host, request):
    """A server with one of these caches."""
    return shared_host(*MODES[request.param])


def modes(*names):
    return pytest.mark.parametrize("in_mode", names, indirect=True)


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 3)


def chain_of(loras, recipe):
    if not recipe:
        return workflows.no_loras
    return stacked_loras(*((loras[index], strength) for index, strength in recipe))


@pytest.mark.slow
def test_two_hundred_prompts_leave_nothing_behind(start_host, tmp_path, show):
    with start_host() as host:  # the host's own default cache
        loras = make_loras(host, tmp_path, "flux", 3)
        base = host.run(inspect("flux", "TKBase")).report("TKBase")["sha256"]
        hashes: dict[int, set[str]] = {index: set() for index in range(len(RECIPES))}
        readings = {}
        for turn in range(200):
            index = turn % len(RECIPES)
            result = host.run(render("flux", chain_of(loras, RECIPES[index])))
            hashes[index].add(result.report("TKHash")["sha256"])
            if turn + 1 in (50, 100, 150, 200):
                readings[turn + 1] = host.run(counters()).report("TKCounters")
        after = host.run(inspect("flux", "TKBase")).report("TKBase")["sha256"]
    assert all(len(found) == 1 for found in hashes.values())
    assert len(set.union(*hashes.values())) == len(RECIPES)
    assert after == base
    first, last = readings[50], readings[200]
    grown = last["gc_objects"] - first["gc_objects"]
    rss = (last["rss"] - first["rss"]) / 2**20
    show(
        f"200 prompts, 5 recipes in turn: every recipe always the same latent; base sha256 "
        f"{after[:12]} = {base[:12]}; from prompt 50 to 200: objects {first['gc_objects']:,} -> "
        f"{last['gc_objects']:,}, RSS {rss:+.1f} MiB, live patchers {first['live_patchers']} -> "
        f"{last['live_patchers']}"
    )
    assert last["live_patchers"] <= first["live_patchers"]
    assert grown < 150  # not one object for each prompt
    assert rss < 25


def counters():
    graph = workflows.Graph()
    graph.add("TKCounters")
    return graph.prompt


def renamed(prompt, suffix):
    """The same workflow as another person's page would send it: with other node ids."""
    return {
        node_id + suffix: {
            "class_type": node["class_type"],
            "inputs": {
                key: [value[0] + suffix, value[1]] if isinstance(value, list) else value
                for key, value in node["inputs"].items()
            },
        }
        for node_id, node in prompt.items()
    }


@modes("default", "classic", "lru")
def test_an_equal_recipe_under_other_node_ids_patches_nothing_again(
    in_mode, tmp_path, show, request
):
    first, second = make_loras(in_mode, tmp_path, "flux", 2)
    prompt = render("flux", stacked_loras((first, 0.5), (second, 1.0)), seed=12)
    swapped = render("flux", stacked_loras((second, 1.0), (first, 0.5)), seed=12)
    counts = [in_mode.counters()]
    results = []
    for each in (prompt, renamed(prompt, "-b"), renamed(swapped, "-c")):
        results.append(in_mode.run(each))
        counts.append(in_mode.counters())
    patched = [b["patched_weights"] - a["patched_weights"] for a, b in pairwise(counts)]
    latents = {
        output["text"][0] for r in results for node, output in r.outputs.items() if "Hash" in node
    }
    show(
        f"{request.node.callspec.params['in_mode']} cache: weights patched by a prompt, its twin under other ids, its twin in another order: {patched}"
    )
    assert patched == [9, 0, 0]
    assert len(latents) == 1


def test_a_strength_and_back_gives_the_same_bits(host, loras):
    for kind_strengths in ([1.0, 0.3, -0.7, 1.0, 0.0],):
        seen: dict[float, set[str]] = {}
        for _ in range(5):
            for strength in kind_strengths:
                result = host.run(render("flux", stacked_loras((loras[0], strength)), seed=3))
                seen.setdefault(strength, set()).add(result.report("TKHash")["sha256"])
        assert all(len(hashes) == 1 for hashes in seen.values())
        assert len(set.union(*seen.values())) == len(seen)


@modes("default", "classic", "none")
def test_every_cache_mode_gives_the_same_latent(in_mode, host, tmp_path):
    names = make_loras(in_mode, tmp_path, "flux", 2)
    make_loras(host, tmp_path, "flux", 2)
    # Of other strengths than in the test above, which counts what it patches first.
    prompt = render("flux", stacked_loras((names[0], 0.25), (names[1], 1.0)), seed=13)
    found = [in_mode.run(prompt).report("TKHash")["sha256"] for _ in range(3)]
    assert {*found} == {host.run(prompt).report("TKHash")["sha256"]}


@pytest.mark.parametrize("call", [1, 5, 9])
def test_a_failure_in_the_middle_of_patching_leaves_no_trace(host, loras, call):
    base = host.run(inspect("flux", "TKBase")).report("TKBase")["sha256"]
    prompt = render("flux", stacked_loras((loras[0], 0.5), (loras[1], 1.0)), seed=40 + call)
    other = render("flux", stacked_loras((loras[2], 1.0)), seed=40 + call)
    expected = [host.run(each).report("TKHash")["sha256"] for each in (prompt, other)]
    host.free()
    host.fail_at("calculate_weight", call)
    assert "made calculate_weight fail" in host.run(prompt, expect_error=True).error
    found = [host.run(each).report("TKHash")["sha256"] for each in (other, prompt)]
    assert found == expected[::-1]
    assert host.run(inspect("flux", "TKBase")).report("TKBase")["sha256"] == base


def test_what_the_host_frees_is_free(host, tmp_path):
    """After /free no file of ours is held: its tensors are gone with the models."""
    host.free()
    names = make_loras(host, tmp_path, "flux", 2)
    host.run(render("flux", stacked_loras((names[0], 0.5), (names[1], 1.0))))
    assert held_files(host) == 2
    host.free()
    assert held_files(host) == 0


def held_files(host):
    return host.run(counters()).report("TKCounters")["lora_files"]


def test_a_file_trained_anew_under_its_old_name_is_read_anew(host, tmp_path):
    (name,) = make_loras(host, tmp_path, "flux", 1)
    prompt = render("flux", stacked_loras((name, 1.0)), seed=5)
    before = host.run(prompt).report("TKHash")["sha256"]
    (host.loras_dir / name).unlink()
    make_loras(host, tmp_path, "flux", 2)
    (host.loras_dir / "flux_2.safetensors").replace(host.loras_dir / name)
    assert host.run(prompt).report("TKHash")["sha256"] != before
