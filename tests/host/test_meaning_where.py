"""What LoRAs for a part of the picture do to it, in the real host, with the model of examples/tiny.

Ink takes the colour out of a picture, and light adds some. The share of a LoRA's whole change that
is found on a side of the picture says how much of it acts there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from examples.tiny import in_host
from examples.tiny.in_host import Prompts, as_asked, loaded
from examples.tiny.measure import SCENE, saturation
from harness.workflows import (
    Graph,
    Link,
    apply_lora,
    combined,
    mask_lora,
    no_loras,
    only_in,
    stack_loras,
)

SEED, IMAGES = 1, 8
"""One batch: each image starts from noise of its own."""

SIDES = {"left": slice(0, 24), "right": slice(40, 64)}
"""Away from the border between them."""

OWN = {"left": "ink", "right": "light"}


BLEEDING = {"mask": 0.1, "mask, strength 1.5": 0.1, "prompt": 0.3, "prompt, negative too": 0.3}
"""How much of a LoRA's change may be outside of its side. A prompt draws the halves apart: it's below 0."""


@dataclass(frozen=True)
class Drawn:
    """The images of one way to use the LoRAs, each (64, 64, 3) in bytes."""

    images: list[np.ndarray]

    def saturation(self, side: str) -> float:
        return float(np.mean([saturation(image[:, SIDES[side]]) for image in self.images]))


@pytest.fixture(scope="module")
def draw(host_install, tmp_path_factory):
    """The images with LoRAs on the model, or on the prompts."""
    with in_host.start(host_install, tmp_path_factory.mktemp("host")) as host:

        def drawn(chain=no_loras, asking=as_asked) -> Drawn:
            sampling = {"asking": asking, "batch": IMAGES, "same_noise": False}
            return Drawn(in_host.images(host, in_host.prompt(SCENE, SEED, chain, **sampling)))

        yield drawn


@pytest.fixture(scope="module")
def share(draw):
    """How much of the whole change of a LoRA is found on a side of images."""
    plain = draw()
    whole = {
        name: draw(on_model(lambda graph, name=name: loaded(graph, name))) for name in OWN.values()
    }

    def of(name: str, side: str, drawn: Drawn) -> float:
        none = plain.saturation(side)
        return (drawn.saturation(side) - none) / (whole[name].saturation(side) - none)

    return of


def on_model(lora: Callable[[Graph], Link]):
    """Applies a LORA to the model."""
    return lambda graph, model, clip: apply_lora(graph, lora(graph), model, clip)


def by_mask(side: str, strength: float = 1.0, elsewhere: float = 0.0):
    """The LoRA of a side, masked."""
    return lambda graph: mask_lora(graph, loaded(graph, OWN[side], strength), side, elsewhere)


def both_by_masks(graph: Graph) -> Link:
    return stack_loras(graph, *(by_mask(side)(graph) for side in OWN))


def by_prompts(*sides: str, negative: bool = False):
    """A prompt for each half of the picture; those of ``sides`` have their LoRA."""

    def asking(graph: Graph, prompts: Prompts) -> Prompts:
        model, *whole = prompts
        halves = []
        for side in OWN:
            own = whole
            if side in sides:
                model, *own = tied(graph, OWN[side], model, own, negative)
            halves.append([only_in(graph, each, side) for each in own])
        return model, *(combined(graph, *pair) for pair in zip(*halves, strict=True))

    return asking


def tied(graph: Graph, name: str, model: Link, own: list[Link], negative: bool) -> Prompts:
    """Puts a LoRA on a prompt, and on its negative prompt if that is asked for."""
    inputs = {"lora": loaded(graph, name), "model": model, "positive": own[0]}
    node = graph.add("ApplyToConditioning", **inputs, **({"negative": own[1]} if negative else {}))
    return [node, 0], [node, 1], [node, 2] if negative else own[1]


def ways(side: str) -> dict[str, dict]:
    """The ways to have a LoRA on its side only."""
    return {
        "mask": {"chain": on_model(by_mask(side))},
        "mask, strength 1.5": {"chain": on_model(by_mask(side, 1.5))},
        "mask, elsewhere 0.5": {"chain": on_model(by_mask(side, 1.0, 0.5))},
        "mask, elsewhere 1": {"chain": on_model(by_mask(side, 1.0, 1.0))},
        "prompt": {"asking": by_prompts(side)},
        "prompt, negative too": {"asking": by_prompts(side, negative=True)},
    }


@pytest.mark.parametrize("side", SIDES)
def test_a_lora_on_one_side_is_not_on_the_other(draw, share, show, side):
    name, (other,) = OWN[side], SIDES.keys() - {side}
    found = {}
    for way, how in ways(side).items():
        drawn = draw(**how)
        found[way] = share(name, side, drawn), share(name, other, drawn)
        inside, outside = found[way]
        show(f"{name} {side}, by {way}: {inside:.0%} of its change inside, {outside:.0%} outside")
    for way, most in BLEEDING.items():
        inside, outside = found[way]
        assert inside > 0.5
        assert abs(outside) < most
    assert found["mask"][0] < found["mask, elsewhere 0.5"][0]
    assert found["mask"][1] < found["mask, elsewhere 0.5"][1] < found["mask, elsewhere 1"][1]


@pytest.mark.parametrize(
    ("way", "how"),
    [
        ("masks", {"chain": on_model(both_by_masks)}),
        ("prompts", {"asking": by_prompts("left", "right")}),
    ],
)
def test_two_loras_each_have_their_half(draw, share, show, way, how):
    drawn = draw(**how)
    ink, light = (share(OWN[side], side, drawn) for side in OWN)
    show(f"ink left and light right by {way}: {ink:.0%} of ink, {light:.0%} of light")
    assert min(ink, light) > 0.4
