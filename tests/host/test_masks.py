"""LoRAs for one part of the picture, in the host's own samplers."""

from __future__ import annotations

import pytest
import torch

from harness.workflows import Graph, Link, apply_lora, load, mask_lora, sample, stack_loras
from tests.host.files import (
    apart,
    assert_nothing_is_left,
    base_hash,
    growth,
    latent,
    make_loras,
)
from tests.host.kinds import UNET

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


def loaded(graph: Graph, name: str) -> Link:
    return [graph.add("LoadLoRA", lora_name=name, strength=1.0), 0]


def drawn(host, kind, make, name="masked", **sampling):
    """The latent of a LoRA that ``make`` adds to a graph; None for none at all."""
    graph = Graph()
    parts = load(graph, kind)
    lora = make(graph)
    model = parts.model if lora is None else apply_lora(graph, lora, parts.model, mode="live")[0]
    out = sample(graph, kind, model, None, **sampling)
    graph.add("TKSaveTensor", latent=out, name=name)
    return latent(host, graph.prompt, name)


def plain(host, kind, name, **sampling):
    return drawn(host, kind, lambda graph: loaded(graph, name), **sampling)


@pytest.mark.parametrize("kind", KINDS)
def test_left_and_right_together_are_the_plain_lora(host, loras, kind):
    name = loras[kind][0]

    def both(graph):
        sides = {"left": 1.0, "right": 0.0}
        own = [mask_lora(graph, loaded(graph, name), side, rest) for side, rest in sides.items()]
        return stack_loras(graph, *own)

    before = host.counters()
    found = drawn(host, kind, both)
    assert not any(growth(before, host.counters()).values())
    assert torch.equal(found, plain(host, kind, name))


@pytest.mark.parametrize("kind", KINDS)
def test_masks_that_do_not_meet_are_the_base_and_one_is_neither(host, loras, kind, show):
    name = loras[kind][0]
    base, whole = drawn(host, kind, lambda _: None), plain(host, kind, name)

    def black(graph):
        return mask_lora(graph, mask_lora(graph, loaded(graph, name), "left"), "right")

    assert torch.equal(drawn(host, kind, black), base)
    one = drawn(host, kind, lambda graph: mask_lora(graph, loaded(graph, name), "left"))
    show(f"{kind}: left {apart(one, base):.1e} from the base, {apart(one, whole):.1e} from all")
    assert apart(one, base) > 1e-3
    assert apart(one, whole) > 1e-3
