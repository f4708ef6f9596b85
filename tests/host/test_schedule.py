"""Strengths that follow a curve, in the samplers of the host."""

from __future__ import annotations

import time

import pytest

from harness import workflows
from harness.workflows import (
    in_turn,
    inspect,
    no_loras,
    render,
    sample_parts,
    stacked_loras,
)
from tests.host.files import (
    apart,
    assert_nothing_is_left,
    base_hash,
    growth,
    latent,
    make_loras,
    sampled,
)
from tests.host.kinds import UNET

KINDS = ("sd15", "flux")
STEPS = 20
FIRST_HALF = "0:1, 0.5:1, 0.5:0"


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 2) for kind in (*KINDS, "sd3", "wan")}


@pytest.fixture(scope="module", autouse=True)
def bases(host):
    before = {kind: base_hash(host, kind) for kind in KINDS}
    yield
    for kind, base in before.items():
        assert_nothing_is_left(host, kind, base)


def calls_of(host, prompt):
    host.model_calls()
    host.run(prompt)
    return host.model_calls()


SAMPLERS = {"euler": STEPS, "heun": 2 * STEPS - 1, "dpm_2": 2 * STEPS - 1, "dpmpp_2m_sde": STEPS}
"""And how often they ask the model."""


@pytest.mark.parametrize("denoise", [1.0, 0.5])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", [UNET, "flux"])
def test_the_strength_is_the_hosts_percent_at_every_call(host, loras, kind, sampler, denoise, show):
    """The curve is progress itself, so a strength says at which progress it was used."""
    chain = stacked_loras((loras[kind][0], 1.0), curve="0:0, 1:1")
    prompt = render(kind, chain, steps=STEPS, sampler=sampler, denoise=denoise, seed=31)
    before = host.counters()
    calls = calls_of(host, prompt)
    assert not any(growth(before, host.counters()).values())
    assert len(calls) == SAMPLERS[sampler]
    used = []
    for call in calls:
        (strengths,) = call["stacks"]
        assert len(set(strengths)) == 1  # of both halves of CFG
        assert call["chunks"] == (2 if kind == "sd15" else 1)
        assert len(strengths) in (1, call["images"])
        if strengths[0] > 0:  # at 0 the host's own answer is beyond any sampler
            assert call["sigma_at"][0] == pytest.approx(call["sigma"], rel=1e-4, abs=1e-4)
        else:
            assert call["sigma"] >= call["sigma_at"][0] * (1 - 1e-4)
        used.append(strengths[0])
    show(
        f"{kind}, {sampler}, denoise {denoise}: strengths "
        f"{' '.join(f'{s:.3f}' for s in used[:5])} … {used[-1]:.3f}"
    )
    assert used[0] == pytest.approx(1 - denoise, abs=0.03)
    assert used[-1] > 0.9
    if sampler in ("euler", "dpmpp_2m_sde"):
        assert used == sorted(used)


def test_calls_for_one_half_of_cfg_each_get_the_same_strength(host, loras):
    """Prompts of different lengths are evaluated one by one."""
    chain = stacked_loras((loras["sd15"][0], 1.0), curve="linear")
    prompt = render("sd15", chain, steps=6)
    prompt["TKConditioning_2"]["inputs"]["tokens"] = 77
    calls = calls_of(host, prompt)
    by_sigma = {}
    for call in calls:
        by_sigma.setdefault(call["sigma"], set()).update(call["stacks"][0])
    assert len(by_sigma) == 6
    assert all(len(strengths) == 1 for strengths in by_sigma.values())
    assert len(set.union(*by_sigma.values())) == 6


def in_parts(host, kind, chains_and_steps):
    graph = workflows.Graph()
    loaded = workflows.load(graph, kind)
    parts = [(c(graph, loaded.model, None)[0], a, b) for c, a, b in chains_and_steps]
    link = sample_parts(graph, kind, parts, steps=STEPS)
    graph.add("TKSaveTensor", latent=link, name="parts")
    return latent(host, graph.prompt, "parts")


@pytest.mark.parametrize("kind", [UNET, "flux"])
@pytest.mark.parametrize("curve", ["0:0, 0.3:1, 1:0.5 cosine", ("linear", 0.2, 0.7)])
def test_two_samplers_are_one_run(host, loras, kind, curve, show):
    chain = stacked_loras((loras[kind][0], 1.0), curve=curve)
    once = in_parts(host, kind, [(chain, 0, STEPS)])
    twice = in_parts(host, kind, [(chain, 0, 7), (chain, 7, STEPS)])
    error = apart(twice, once)
    show(f"{kind}: {curve}: split at step 7 of {STEPS} against one run: {error:.1e}")
    assert error < 1e-5
    assert apart(in_parts(host, kind, [(no_loras, 0, STEPS)]), once) > 1e-4


@pytest.mark.parametrize("kind", [UNET, "flux"])
def test_a_curve_that_ends_is_a_model_without_from_there_on(host, loras, kind, show):
    lora = (loras[kind][0], 1.0)
    whole = in_parts(host, kind, [(stacked_loras(lora, mode="merge"), 0, STEPS)])
    expected = in_parts(
        host,
        kind,
        [(stacked_loras(lora, mode="merge"), 0, STEPS // 2), (no_loras, STEPS // 2, STEPS)],
    )
    for curve in (FIRST_HALF, ("0:1", 0.0, 0.5), "0:0, 0.5:1, 1:0 constant"):
        found = in_parts(host, kind, [(stacked_loras(lora, curve=curve), 0, STEPS)])
        error = apart(found, expected)
        show(
            f"{kind}: {curve}: against the merged model, then the base {error:.1e}; where the second "
            f"half counts {apart(whole, expected):.1e}"
        )
        assert error < 1e-5
    assert apart(whole, expected) > 1e-4


def hooked(host, kind, name, **sampling):
    """The host's own way: hooks with keyframes, on both prompts."""
    graph = workflows.Graph()
    loaded = workflows.load(graph, kind)
    hook = graph.add("CreateHookLoraModelOnly", lora_name=name, strength_model=1.0)
    first = graph.add("CreateHookKeyframe", strength_mult=1.0, start_percent=0.0)
    last = graph.add(
        "CreateHookKeyframe", strength_mult=0.0, start_percent=0.5, prev_hook_kf=[first, 0]
    )
    hooks = graph.add("SetHookKeyframes", hooks=[hook, 0], hook_kf=[last, 0])
    link = workflows.sample(graph, kind, loaded.model, hooks=[hooks, 0], **sampling)
    graph.add("TKSaveTensor", latent=link, name="hooked")
    return latent(host, graph.prompt, "hooked")


def timed(work):
    start = time.perf_counter()
    return work(), time.perf_counter() - start


@pytest.mark.parametrize(
    "kind",
    ["flux", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("sd15", "sd3", "wan"))],
)
def test_the_hosts_hook_keyframes_agree(host, loras, kind, show):
    name = loras[kind][0]
    chain = stacked_loras((name, 1.0), curve=FIRST_HALF)
    plain = sampled(host, kind, no_loras, steps=STEPS)
    seconds = {"theirs": [], "ours": []}
    for seed in (7, 8, 9):
        theirs, took = timed(lambda seed=seed: hooked(host, kind, name, steps=STEPS, seed=seed))
        seconds["theirs"].append(took)
        ours, took = timed(lambda seed=seed: sampled(host, kind, chain, steps=STEPS, seed=seed))
        seconds["ours"].append(took)
        error = apart(ours, theirs)
        assert error < 1e-4
    change = apart(plain, sampled(host, kind, chain, steps=STEPS))
    ours, theirs = min(seconds["ours"]), min(seconds["theirs"])
    show(
        f"{kind}: step curve against the host's hook keyframes {error:.1e} (the LoRA changes "
        f"{change:.1e}); {STEPS} steps in {ours:.2f} s, theirs {theirs:.2f} s"
    )
    assert change > 1e-3


def probe(host, chain):
    return host.run(inspect("flux", "TKProbe", chain)).report("TKProbe")["model"]


@pytest.mark.parametrize("curve", ["constant", "0:1, 1:1", "0.3:1", "0:1 cosine"])
def test_a_constant_curve_is_no_schedule(host, loras, curve):
    lora = (loras["flux"][0], 0.5)
    found, plain = probe(host, stacked_loras(lora, curve=curve)), probe(host, stacked_loras(lora))
    for told in ("patches_uuid", "entries", "adapters", "base"):
        assert found[told] == plain[told]
    assert found["keys"] > 0
    assert sampled(host, "flux", stacked_loras(lora, curve=curve)).equal(
        sampled(host, "flux", stacked_loras(lora))
    )


def test_a_curve_of_zeros_is_the_model_itself(host, loras):
    graph = workflows.Graph()
    loaded = workflows.load(graph, "flux")
    chain = stacked_loras((loras["flux"][0], 1.0), curve="0:0, 1:0")
    graph.add("TKSame", model_a=loaded.model, model_b=chain(graph, loaded.model, None)[0])
    assert host.run(graph.prompt).report("TKSame")["model"] is True


def test_a_schedule_beside_a_merged_lora_is_their_sum(host, loras):
    a, b = loras["flux"]
    fixed, fading = stacked_loras((a, 0.6)), stacked_loras((b, 0.8), curve=FIRST_HALF)
    expected = in_parts(
        host,
        "flux",
        [(stacked_loras((a, 0.6), (b, 0.8)), 0, STEPS // 2), (fixed, STEPS // 2, STEPS)],
    )
    for chain in (in_turn(fixed, fading), in_turn(fading, fixed)):
        assert apart(in_parts(host, "flux", [(chain, 0, STEPS)]), expected) < 1e-5
        assert probe(host, chain)["keys"] > 0
