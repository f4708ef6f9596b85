"""LoRAs for one prompt only, beside the host's own hooks, which patch the weights between prompts."""

from __future__ import annotations

import time

import pytest
import torch

from harness.workflows import KINDS as EVERY
from harness.workflows import Graph, Link, combined, load, only_in
from tests.host.files import (
    apart,
    assert_nothing_is_left,
    base_hash,
    growth,
    latent,
    make_loras,
)
from tests.host.kinds import UNET
from tests.host.test_masks import loaded

KINDS = (UNET, "sd3", "flux", "wan")


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 2) for kind in ("sd15", "sd3", "flux", "wan")}


@pytest.fixture(scope="module", autouse=True)
def bases(host):
    before = {kind: base_hash(host, kind) for kind in ("sd15", "sd3", "flux", "wan")}
    yield
    for kind, base in before.items():
        assert_nothing_is_left(host, kind, base)


def prompt(graph: Graph, kind: str, seed: int) -> Link:
    return [graph.add("TKConditioning", seed=seed, **EVERY[kind].conditioning), 0]


def drawn(host, kind, make, *, steps=3, cfg=3.0, batch=1):
    """The latent of what ``make`` returns for (graph, model): a model and two prompts."""
    graph, entry = Graph(), EVERY[kind]
    model, positive, negative = make(graph, load(graph, kind).model)
    size = {"width": 64, "height": 64, "batch_size": batch, **dict(entry.latent_inputs)}
    sampler = graph.add(
        "KSampler",
        model=model,
        positive=positive,
        negative=negative,
        latent_image=[graph.add(entry.latent_node, **size), 0],
        seed=7,
        steps=steps,
        cfg=cfg,
        sampler_name="euler",
        scheduler="simple",
        denoise=1.0,
    )
    graph.add("TKSaveTensor", latent=[sampler, 0], name="prompts")
    return latent(host, graph.prompt, "prompts")


def regions(kind, *names):
    """Two prompts, left and right, each with its LoRA; the negative prompt has none."""

    def make(graph, model):
        sides = []
        for number, (name, side) in enumerate(zip(names, ("left", "right"), strict=True), start=1):
            own = prompt(graph, kind, number)
            if name is not None:
                inputs = {"lora": loaded(graph, name), "model": model, "positive": own}
                node = graph.add("ApplyToConditioning", **inputs)
                model, own = [node, 0], [node, 1]
            sides.append(only_in(graph, own, side))
        return model, combined(graph, *sides), prompt(graph, kind, 3)

    return make


def hooked(kind, *names):
    """The same with the host's hooks."""

    def make(graph, model):
        sides = []
        for number, (name, side) in enumerate(zip(names, ("left", "right"), strict=True), start=1):
            hook = graph.add("CreateHookLoraModelOnly", lora_name=name, strength_model=1.0)
            node = graph.add(
                "ConditioningSetProperties",
                cond_NEW=prompt(graph, kind, number),
                hooks=[hook, 0],
                strength=1.0,
                set_cond_area="default",
            )
            sides.append(only_in(graph, [node, 0], side))
        return model, combined(graph, *sides), prompt(graph, kind, 3)

    return make


def timed(run):
    begun = time.perf_counter()
    return run(), time.perf_counter() - begun


@pytest.mark.parametrize("kind", KINDS)
def test_each_prompt_has_its_lora_as_with_the_hosts_hooks(host, loras, kind, show):
    bare = drawn(host, kind, regions(kind, None, None))
    theirs, _ = (
        drawn(host, kind, hooked(kind, *loras[kind])),
        drawn(host, kind, hooked(kind, *loras[kind])),
    )
    before = host.counters()
    host.model_calls()
    ours = drawn(host, kind, regions(kind, *loras[kind]))
    calls, written = len(host.model_calls()), growth(before, host.counters())
    show(
        f"{kind}: {apart(ours, theirs):.1e} from the host's hooks, which change {apart(theirs, bare):.1e}; "
        f"{calls} model calls, {sum(written.values())} weights written"
    )
    assert apart(ours, theirs) < 1e-5
    assert apart(theirs, bare) > 1e-3
    assert calls == 3
    assert not any(written.values())


@pytest.mark.parametrize("kind", KINDS)
def test_for_all_prompts_it_is_the_plain_lora(host, loras, kind):
    name = loras[kind][0]

    def make(graph, model):
        inputs = {"lora": loaded(graph, name), "model": model}
        prompts = {"positive": prompt(graph, kind, 1), "negative": prompt(graph, kind, 2)}
        node = graph.add("ApplyToConditioning", **inputs, **prompts)
        return [node, 0], [node, 1], [node, 2]

    def plain(graph, model):
        node = graph.add("ApplyToModel", lora=loaded(graph, name), model=model, mode="live")
        return [node, 0], prompt(graph, kind, 1), prompt(graph, kind, 2)

    assert torch.equal(drawn(host, kind, make), drawn(host, kind, plain))


def test_the_same_lora_for_two_prompts_is_there_once(host, loras):
    kind, name = "flux", loras["flux"][0]

    def plain(graph, model):
        node = graph.add("ApplyToModel", lora=loaded(graph, name), model=model, mode="live")
        own = [only_in(graph, prompt(graph, kind, n), s) for n, s in ((1, "left"), (2, "right"))]
        return [node, 0], combined(graph, *own), prompt(graph, kind, 3)

    twice = drawn(host, kind, regions(kind, name, name), cfg=1.0)
    assert torch.equal(twice, drawn(host, kind, plain, cfg=1.0))


def test_without_its_prompt_it_changes_nothing_and_the_log_says_so(host, loras):
    kind, name = "flux", loras["flux"][0]

    def make(graph, model):
        own = prompt(graph, kind, 1)
        node = graph.add("ApplyToConditioning", lora=loaded(graph, name), model=model, positive=own)
        return [node, 0], own, prompt(graph, kind, 2)

    def bare(graph, model):
        return model, prompt(graph, kind, 1), prompt(graph, kind, 2)

    assert torch.equal(drawn(host, kind, make), drawn(host, kind, bare))
    assert "1 of the LoRAs for one prompt are not used" in host.log()
