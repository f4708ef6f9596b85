"""Interrupts, failures, freed memory and copies for other devices."""

from __future__ import annotations

import pytest

from harness import workflows
from harness.tiny_loras import KINDS
from harness.workflows import core_node, in_turn, inspect, no_loras, render, stacked_loras
from tests.host.files import (
    apart,
    assert_nothing_is_left,
    base_hash,
    latent,
    make_loras,
    sampled,
)
from tests.host.kinds import UNET


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 2) for kind in KINDS}


HOW = {
    "live": {"mode": "live"},
    "schedule": {"curve": "0:1, 1:0"},
    "spread": {"values": "0.5, 1"},
}


@pytest.mark.parametrize("how", HOW)
def test_an_interrupt_in_the_middle_leaves_no_trace(host, loras, how):
    base = base_hash(host, "flux")
    chain = stacked_loras((loras["flux"][0], 1.0), **HOW[how])
    batch = 2 if how == "spread" else 1
    live, plain = (sampled(host, "flux", each, batch=batch) for each in (chain, no_loras))
    long = render("flux", chain, steps=2000, batch=batch)
    result = host.interrupt(long, after=5)
    assert "execution_interrupted" in dict(result.messages)
    left = host.run(gates()).report("TKGates")
    assert left["open"] == 0
    assert sampled(host, "flux", no_loras, batch=batch).equal(plain)
    assert sampled(host, "flux", chain, batch=batch).equal(live)
    host.interrupt(long, after=1)
    assert_nothing_is_left(host, "flux", base)


def gates():
    graph = workflows.Graph()
    graph.add("TKGates")
    return graph.prompt


@pytest.mark.parametrize("kind", [UNET, "flux"])
def test_a_failure_in_the_middle_of_sampling_closes_the_gate(host, loras, kind):
    base = base_hash(host, kind)
    chain = stacked_loras((loras[kind][0], 1.0), curve="0:1, 1:0")
    expected = [sampled(host, kind, each) for each in (no_loras, chain)]
    host.fail_at("_apply_model", 3)
    failed = host.run(render(kind, chain, steps=9), expect_error=True)
    assert "made _apply_model fail" in failed.error
    assert host.run(gates()).report("TKGates")["open"] == 0
    for each, right in zip((no_loras, chain), expected, strict=True):
        assert sampled(host, kind, each).equal(right)
    assert_nothing_is_left(host, kind, base)


@pytest.mark.parametrize("call", [1, 5, 9])
def test_a_failure_in_the_middle_of_a_merge_beside_a_schedule(host, loras, call):
    a, b = loras["flux"]
    base = base_hash(host, "flux")
    chain = in_turn(stacked_loras((a, 0.5)), stacked_loras((b, 1.0), curve="0:1, 1:0"))
    expected = [sampled(host, "flux", each) for each in (no_loras, chain)]
    host.free()
    host.fail_at("calculate_weight", call)
    failed = host.run(render("flux", chain), expect_error=True)
    assert "made calculate_weight fail" in failed.error
    assert host.run(gates()).report("TKGates")["open"] == 0
    for each, right in zip((no_loras, chain), expected, strict=True):
        assert sampled(host, "flux", each).equal(right)
    assert_nothing_is_left(host, "flux", base)


def counted(host):
    graph = workflows.Graph()
    graph.add("TKCounters")
    return host.run(graph.prompt).report("TKCounters")


def test_the_host_knows_the_factors_and_frees_them(host, tmp_path, show):
    host.free()
    a, b = make_loras(host, tmp_path, "flux", 2)
    chain = stacked_loras((a, 0.5), (b, 1.0), mode="live")
    first = sampled(host, "flux", chain)
    held = host.run(gates()).report("TKGates")
    assert sorted(held["loaded"]) == ["Flux", "Stack"]
    assert counted(host)["lora_files"] == 2
    host.free(free_memory=False)
    unloaded = host.run(gates()).report("TKGates")
    assert unloaded["loaded"] == []
    assert sampled(host, "flux", chain, seed=8).isfinite().all()
    assert sampled(host, "flux", chain).equal(first)
    host.free()
    freed, counters = host.run(gates()).report("TKGates"), counted(host)
    show(f"live model: the host's loaded models {held['loaded']}, after /free {freed['alive']}")
    assert counters["lora_files"] == 0
    assert freed["loaded"] == []
    for thing in ("Stack", "PairBranch", "HostFactor", "Gate", "Live"):
        assert thing not in freed["alive"]
    assert sampled(host, "flux", chain).equal(first)


@pytest.mark.slow
def test_many_live_prompts_leave_nothing_behind(start_host, tmp_path, show):
    with start_host() as host:
        a, b, c = make_loras(host, tmp_path, "flux", 3)
        base = base_hash(host, "flux")
        chains = [
            stacked_loras((a, 0.5), (b, 1.0), mode="live"),
            stacked_loras((c, 1.0), curve="linear"),
            in_turn(stacked_loras((a, 0.4)), stacked_loras((b, 0.3), curve="cosine")),
            no_loras,
            stacked_loras((b, 0.7), mode="live"),
        ]
        hashes, readings = [set() for _ in chains], {}
        for turn in range(120):
            result = host.run(render("flux", chains[turn % 5]))
            hashes[turn % 5].add(result.report("TKHash")["sha256"])
            if turn in (19, 59, 119):  # the first reading makes objects of its own
                readings[turn] = counted(host) | host.run(gates()).report("TKGates")["alive"]
        assert_nothing_is_left(host, "flux", base)
    first, last = readings[59], readings[119]
    rss = (last["rss"] - first["rss"]) / 2**20
    show(
        f"120 live prompts, 5 recipes in turn: from prompt 60 to 120 objects "
        f"{first['gc_objects']:,} -> {last['gc_objects']:,}, RSS {rss:+.1f} MiB"
    )
    assert [len(each) for each in hashes] == [1] * 5
    assert last["live_patchers"] <= first["live_patchers"]
    assert "Stack" not in last  # the cache has dropped the model, and ours with it
    assert last["gc_objects"] - first["gc_objects"] < 150  # not one for each layer of a stack
    assert rss < 25


@pytest.mark.parametrize("how", [*HOW, "mixed"])
@pytest.mark.parametrize("kind", ["flux", UNET])
def test_a_copy_for_another_device_computes_the_same(host, loras, kind, how):
    base = base_hash(host, kind)
    a, b = loras[kind]
    batch = 2 if how == "spread" else 1
    chain = (
        in_turn(stacked_loras((a, 0.5)), stacked_loras((b, 1.0), curve="0:1, 1:0"))
        if how == "mixed"
        else stacked_loras((a, 0.5), (b, 1.0), **HOW[how])
    )
    copied = in_turn(chain, core_node("TKDeepClone"))
    expected = sampled(host, kind, chain, batch=batch)
    assert apart(sampled(host, kind, copied, batch=batch), expected) < 1e-6
    assert sampled(host, kind, chain, batch=batch).equal(expected)
    assert_nothing_is_left(host, kind, base)


def test_a_copy_and_its_original_in_one_prompt_do_not_meet(host, loras):
    """Both at once: each has a gate and factors of its own."""
    chain = stacked_loras((loras["flux"][0], 1.0), curve="0:1, 1:0")
    expected = sampled(host, "flux", chain, seed=61)
    graph = workflows.Graph()
    loaded = workflows.load(graph, "flux")
    model, _ = chain(graph, loaded.model, None)
    copy = [graph.add("TKDeepClone", model=model), 0]
    for name, each in (("one", copy), ("two", model), ("three", copy)):
        link = workflows.sample(graph, "flux", each, seed=61)
        graph.add("TKSaveTensor", latent=link, name=name)
        graph.add("TKGates", model=each, after=link)
    found = [latent(host, graph.prompt, name) for name in ("one", "two", "three")]
    assert all(apart(each, expected) < 1e-6 for each in found)


@pytest.mark.parametrize("kind", [UNET, "flux"])
def test_gates_are_open_only_while_the_model_computes(host, loras, kind):
    """Between two calls another clone of the same model may compute, which knows nothing of ours."""
    chain = stacked_loras((loras[kind][0], 0.75), mode="live")
    host.model_calls()
    host.run(render(kind, chain, steps=3, seed=62))
    calls = host.model_calls()
    assert [call["stacks"] for call in calls] == [[[0.75]]] * 3
    assert not any(call["open_before"] for call in calls)
    host.run(render(kind, no_loras, seed=62))
    assert all(not any(call["stacks"]) for call in host.model_calls())
    told = host.run(inspect(kind, "TKGates", chain)).report("TKGates")
    assert told["alive"]["Stack"] >= 1
