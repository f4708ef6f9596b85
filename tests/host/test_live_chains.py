"""Live stacks on models that others have changed, or change afterwards."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

from harness import workflows
from harness.samples import pair, write
from harness.tiny_loras import KINDS
from harness.tiny_models import MODEL_FILES
from harness.workflows import (
    core_node,
    host_loras,
    in_turn,
    inspect,
    no_loras,
    render,
    stacked_loras,
)
from tests.host.files import (
    apart,
    assert_nothing_is_left,
    base_hash,
    loaded_as,
    make_loras,
    patched_weights,
    sampled,
)
from tests.host.kinds import QUICK, UNET

CLOSE = 5e-6


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 3) for kind in KINDS}


@pytest.fixture(scope="module", autouse=True)
def bases(host):
    """Whatever a test has done, the base is as it was and nothing is on it."""
    before = {kind: base_hash(host, kind) for kind in KINDS}
    yield
    for kind, base in before.items():
        assert_nothing_is_left(host, kind, base)


@pytest.mark.parametrize("kind", [UNET, "flux"])
@pytest.mark.parametrize(
    "modes",
    [("live", "live"), ("merge", "live"), ("live", "merge"), ("auto", "live"), ("live", "auto")],
    ids="+".join,
)
def test_apply_nodes_one_after_another_are_their_sum(host, loras, kind, modes):
    files = list(zip(loras[kind], (0.5, 0.3), strict=False))
    chain = in_turn(*(stacked_loras(f, mode=m) for f, m in zip(files, modes, strict=True)))
    expected = sampled(host, kind, stacked_loras(*files, mode="merge"))
    assert apart(sampled(host, kind, chain), expected) < CLOSE
    told = host.run(inspect(kind, "TKProbe", chain)).report("TKProbe")["model"]
    merged = modes != ("live", "live")
    assert told["entries_max"] == merged
    assert told["adapters"].keys() == ({"FusedAdapter"} if merged else set())


@pytest.mark.parametrize(
    "modes", [("live", "live"), ("live", "merge"), ("merge", "live")], ids="+".join
)
def test_there_and_back_is_the_base_bit_for_bit(host, loras, modes):
    name = loras["flux"][0]
    there, back = (
        stacked_loras((name, s), mode=m) for s, m in zip((0.7, -0.7), modes, strict=True)
    )
    plain = sampled(host, "flux", no_loras)
    found = sampled(host, "flux", in_turn(there, back))
    if modes == ("live", "live"):
        assert found.equal(plain)
    else:  # two roundings that need not meet
        assert apart(found, plain) < CLOSE


def test_a_schedule_is_taken_back_like_a_strength(host, loras):
    chain = in_turn(*(stacked_loras((loras["flux"][0], s), curve="linear") for s in (0.7, -0.7)))
    assert sampled(host, "flux", chain).equal(sampled(host, "flux", no_loras))
    told = host.run(inspect("flux", "TKGates", chain)).report("TKGates")
    assert (told["hooks"], told["injected"]) == (0, False)


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize(
    "modes", [("live", "live"), ("live", "merge"), ("merge", "live")], ids="+".join
)
def test_the_hosts_loader_between_two_of_ours(host, loras, kind, modes):
    files = [(name, 0.4) for name in loras[kind]]
    chain = in_turn(
        stacked_loras(files[0], mode=modes[0]),
        host_loras(files[1]),
        stacked_loras(files[2], mode=modes[1]),
    )
    expected = sampled(host, kind, stacked_loras(*files, mode="merge"))
    assert apart(sampled(host, kind, chain), expected) < CLOSE


def bypassed(name, strength):
    return core_node("LoraLoaderBypassModelOnly", lora_name=name, strength_model=strength)


@pytest.fixture(scope="module")
def unsliced(host, loras, tmp_path_factory):
    """Files for the host's bypass, which adds wrongly to layers that are fused of several."""
    folder = tmp_path_factory.mktemp("unsliced")
    layers = [f"diffusion_model.joint_blocks.{i}.x_block.attn" for i in range(2)]
    content = {}
    for seed, layer in enumerate(layers):
        content |= pair(f"{layer}.qkv", 384, 128, seed=seed) | pair(
            f"{layer}.proj", 128, 128, seed=seed
        )
    file = write(folder / "unsliced.safetensors", {key: 0.05 * v for key, v in content.items()})
    return {"sd15": loras["sd15"][1], "sd3": host.add_lora(file)}


@pytest.mark.every_host
@pytest.mark.parametrize("order", ["ours first", "theirs first", "on both sides"])
@pytest.mark.parametrize("kind", [UNET, "sd3"])
def test_the_hosts_own_bypass_beside_ours(host, loras, unsliced, kind, order, show):
    files = [(loras[kind][0], 0.4), (unsliced[kind], 0.4), (loras[kind][2], 0.4)]
    ours, more = (stacked_loras(file, mode="live") for file in (files[0], files[2]))
    theirs = bypassed(*files[1])
    chains = {
        "ours first": (ours, theirs),
        "theirs first": (theirs, ours),
        "on both sides": (ours, theirs, more),
    }
    count = len(chains[order])
    expected = sampled(host, kind, stacked_loras(*files[:count], mode="merge"))
    without = sampled(host, kind, in_turn(*(c for c in chains[order] if c is not theirs)))
    found = apart(sampled(host, kind, in_turn(*chains[order])), expected)
    show(f"{kind}: the host's bypass, {order}: against the merge of all {found:.1e}")
    assert found < CLOSE
    assert apart(without, expected) > 1e-3


BEHIND = {
    "ModelSamplingSD3": ("sd3", {"shift": 2.0}),
    "ModelSamplingFlux": (
        "flux",
        {"max_shift": 1.3, "base_shift": 0.4, "width": 512, "height": 512},
    ),
    "RescaleCFG": ("sd15", {"multiplier": 0.6}),
    "ModelComputeDtype": ("flux", {"dtype": "bf16"}),
}


@pytest.mark.every_host
@pytest.mark.parametrize("node", BEHIND)
@pytest.mark.parametrize("place", ["behind", "before"])
def test_other_nodes_behind_and_before_ours(host, loras, node, place, show):
    kind, inputs = BEHIND[node]
    files = list(zip(loras[kind], (0.5, 0.3), strict=False))
    other = core_node(node, **inputs)
    found, expected = (
        sampled(host, kind, in_turn(*((ours, other) if place == "behind" else (other, ours))))
        for ours in (stacked_loras(*files, mode=mode) for mode in ("live", "merge"))
    )
    error = apart(found, expected)
    show(f"{kind}: {node} {place} ours: live against merge {error:.1e}")
    assert error < (2e-2 if node == "ModelComputeDtype" else CLOSE)
    assert not expected.equal(sampled(host, kind, stacked_loras(*files, mode="merge")))


@pytest.mark.every_host
def test_a_clone_that_computes_in_another_type_leaves_no_mark(host, loras):
    """While it is loaded, the model itself says that it computes in bfloat16."""
    chain = stacked_loras((loras["flux"][0], 1.0), mode="live")
    expected = sampled(host, "flux", chain)
    host.free()
    sampled(host, "flux", core_node("ModelComputeDtype", dtype="bf16"))
    assert sampled(host, "flux", chain).equal(expected)


@pytest.mark.every_host
def test_a_schedule_follows_a_model_sampling_that_comes_later(host, loras):
    """Progress is told from the noise, by the sampling of the model as it is sampled."""
    chain = in_turn(
        stacked_loras((loras["sd3"][0], 1.0), curve="0:0, 1:1"),
        core_node("ModelSamplingSD3", shift=1.0),
    )
    host.model_calls()
    host.run(render("sd3", chain, steps=10))
    calls = host.model_calls()
    assert len(calls) == 10
    for index, call in enumerate(calls):
        assert call["stacks"][0][0] == pytest.approx(index / 10, abs=1e-4)


@pytest.mark.every_host
def test_a_model_merge_takes_what_is_merged_and_patched_only(host, loras):
    """Live is no patch: a node that joins weights sees the base's."""
    name = loras["flux"][0]

    def merged(graph, model, clip):
        live, _ = stacked_loras((name, 1.0), mode="live")(graph, model, clip)
        node = graph.add("ModelMergeSimple", model1=model, model2=live, ratio=0.0)
        return [node, 0], clip

    plain = patched_weights(host, "flux", stacked_loras((name, 1.0), mode="live"))
    assert plain == {}
    assert sampled(host, "flux", merged).equal(sampled(host, "flux", no_loras))


def guided(kind, chain, negative, name):
    """With another model for the negative prompt, as the host's DualModelGuider has it."""
    graph = workflows.Graph()
    loaded = workflows.load(graph, kind)
    model, _ = chain(graph, loaded.model, None)
    other, _ = negative(graph, loaded.model, None)
    sampler = workflows.sample(graph, kind, model, steps=4)[0]
    old = graph.prompt.pop(sampler)["inputs"]
    guider = graph.add(
        "DualModelGuider",
        **{key: old[key] for key in ("model", "positive", "negative")},
        model_negative=other,
        cfg=3.0,
    )
    sigmas = graph.add("BasicScheduler", model=model, scheduler="simple", steps=4, denoise=1.0)
    node = graph.add(
        "SamplerCustomAdvanced",
        noise=[graph.add("RandomNoise", noise_seed=7), 0],
        guider=[guider, 0],
        sampler=[graph.add("KSamplerSelect", sampler_name="euler"), 0],
        sigmas=[sigmas, 0],
        latent_image=old["latent_image"],
    )
    graph.add("TKSaveTensor", latent=[node, 0], name=name)
    graph.add("TKGates", model=other, after=[node, 0])
    return graph.prompt


def run_guided(host, kind, chain, negative, name):
    result = host.run(guided(kind, chain, negative, name))
    return load_file(host.output_dir / f"{name}.safetensors")["samples"], result.report("TKGates")


@pytest.mark.every_host
@pytest.mark.parametrize("other", ["another of the kind", "the same", "another kind"])
def test_a_model_for_the_negative_prompt_keeps_out_of_it(host, loras, other, show):
    """The host gives both models the wrappers of the first."""
    negative = {
        "another of the kind": loaded_as(MODEL_FILES["sd3"], "float32"),
        "the same": no_loras,
        "another kind": loaded_as(MODEL_FILES["flux"], "float32"),
    }[other]
    files = [(loras["sd3"][0], 1.0)]
    live, left = run_guided(host, "sd3", stacked_loras(*files, mode="live"), negative, "live")
    merged, _ = run_guided(host, "sd3", stacked_loras(*files, mode="merge"), negative, "merged")
    error = apart(live, merged)
    show(f"sd3 with {other} for the negative prompt: live against merge {error:.1e}")
    assert error < CLOSE
    assert (left["hooks"] == 0) == (other != "the same")  # that one is still loaded


def on_another(loras, mode, curve=None):
    """The chain of a second model with a LoRA, perhaps with a schedule."""

    def chain(graph, model, clip):
        other, clip = loaded_as(MODEL_FILES["sd3"], "float32")(graph, model, clip)
        lora = [graph.add("LoadLoRA", lora_name=loras["sd3"][0], strength=1.0), 0]
        if curve:
            window = {"start_percent": 0.0, "end_percent": 1.0}
            lora = [graph.add("ScheduleLoRA", lora=lora, curve=curve, **window), 0]
        return [graph.add("ApplyToModel", lora=lora, model=other, mode=mode), 0], clip

    return chain


@pytest.mark.every_host
def test_live_loras_of_a_model_for_the_negative_prompt_count(host, loras):
    """The host gives that model none of its own wrappers."""
    live, _ = run_guided(host, "sd3", no_loras, on_another(loras, "live"), "negative_live")
    merged, _ = run_guided(host, "sd3", no_loras, on_another(loras, "merge"), "negative")
    plain, _ = run_guided(host, "sd3", no_loras, loaded_as(MODEL_FILES["sd3"], "float32"), "plain")
    assert apart(live, merged) < CLOSE
    assert apart(merged, plain) > 100 * CLOSE


@pytest.mark.every_host
def test_a_schedule_that_nobody_follows_is_refused(host, loras):
    negative = on_another(loras, "live", "linear")
    refused = host.run(guided("sd3", no_loras, negative, "refused"), expect_error=True)
    assert "outside the steps of its sampler" in refused.error
