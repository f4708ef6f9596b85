"""LoRAs for one part of the picture, in the host's own samplers."""

from __future__ import annotations

import pytest
import torch

from harness.workflows import Graph, Link, apply_lora, load, sample, stack_loras
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
SIZE = 64


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


def half(graph: Graph, side: str) -> Link:
    """A mask that is white on one side."""
    outside, operation = (0.0, "add") if side == "left" else (1.0, "multiply")
    whole = graph.add("SolidMask", value=outside, width=SIZE, height=SIZE)
    part = graph.add("SolidMask", value=1.0 - outside, width=SIZE // 2, height=SIZE)
    node = graph.add(
        "MaskComposite",
        destination=[whole, 0],
        source=[part, 0],
        x=0,
        y=0,
        operation=operation,
    )
    return [node, 0]


def loaded(graph: Graph, name: str) -> Link:
    return [graph.add("LoadLoRA", lora_name=name, strength=1.0), 0]


def masked(graph: Graph, lora: Link, side: str, elsewhere: float = 0.0) -> Link:
    node = graph.add("MaskLoRA", lora=lora, mask=half(graph, side), elsewhere=elsewhere)
    return [node, 0]


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
        own = [masked(graph, loaded(graph, name), side, rest) for side, rest in sides.items()]
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
        return masked(graph, masked(graph, loaded(graph, name), "left"), "right")

    assert torch.equal(drawn(host, kind, black), base)
    one = drawn(host, kind, lambda graph: masked(graph, loaded(graph, name), "left"))
    show(f"{kind}: left {apart(one, base):.1e} from the base, {apart(one, whole):.1e} from all")
    assert apart(one, base) > 1e-3
    assert apart(one, whole) > 1e-3
