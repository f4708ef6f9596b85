"""A file of every LyCORIS family, through the nodes, on the weights of the models in the host."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import permutations

import pytest
import torch

from harness import workflows
from harness.workflows import one_after_another, stacked_loras
from tests.host.files import apart, largest_error, patched_weights, sampled, saved
from tests.host.kinds import UNET, slow_but
from tests.support.trained import ALGORITHMS, train

pytest.importorskip("lycoris")


@dataclass(frozen=True)
class Place:
    """A layer as LyCORIS names it, and where ComfyUI keeps it."""

    path: str
    weight: str
    rows: tuple[int, int] | None = None


def native(path: str) -> Place:
    return Place(path, f"diffusion_model.{path}.weight")


PLACES = {
    "sd15": [
        native("input_blocks.0.0"),
        native("input_blocks.1.1.proj_in"),
        native("input_blocks.1.1.transformer_blocks.0.attn2.to_k"),
    ],
    "sd3": [
        Place(
            "transformer_blocks.0.attn.to_k",
            "diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",
            (128, 128),
        ),
        native("joint_blocks.1.x_block.attn.proj"),
    ],
    "flux": [
        Place(
            "transformer_blocks.0.attn.to_v",
            "diffusion_model.double_blocks.0.img_attn.qkv.weight",
            (256, 128),
        ),
        Place("proj_out", "diffusion_model.final_layer.linear.weight"),
        native("double_blocks.0.img_mlp.0"),
    ],
    "wan": [native("blocks.0.self_attn.q"), native("blocks.1.ffn.0")],
}
TEXT_ENCODER = [
    Place(f"text_model.{layer}", f"clip_l.transformer.text_model.{layer}.weight")
    for layer in ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.mlp.fc2")
]

KEPT = 1e-6
"""Of the change, in weights that are stored in float32."""

ONE_ROUNDING = 0.51
"""Steps of the stored type between the exact weight and its nearest neighbour, and a little for the sum."""


def rows_of(weights, place):
    start, count = place.rows or (0, len(weights[place.weight]))
    return weights[place.weight][start : start + count]


def trained(host, algorithm, places, base, file):
    """The name of a file in the host, and the weights that its trainer would make of them."""
    own = {place.path: rows_of(base, place).float() for place in places}
    deltas = train(ALGORITHMS[algorithm], own, file)
    return host.add_lora(file), {place.path: deltas[place.path] for place in places}


def error(places, base, found, deltas, strength):
    """The largest relative error of a change."""
    worst = 0.0
    for place in places:
        change = rows_of(found, place).double() - rows_of(base, place).double()
        exact = strength * deltas[place.path]
        worst = max(worst, float((change - exact).norm() / exact.norm()))
    return worst


def steps_off(place, base, found, deltas, strength):
    """How many steps of the stored type the furthest entry is from the exact one, what a sum in
    float32 may lose set aside."""
    weight, before = (rows_of(each, place).double() for each in (found, base))
    change = strength * deltas[place.path]
    exact = before + change
    kind = torch.finfo(rows_of(found, place).dtype)
    step = torch.exp2(exact.abs().clamp(min=kind.tiny).log2().floor()) * kind.eps
    lost = (before.abs().max() + change.abs().max()) * 4 * torch.finfo(torch.float32).eps
    return float((((weight - exact).abs() - lost) / step).max())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", slow_but(("sd15", "flux"), PLACES))
def test_a_file_of_every_family(host, tmp_path, show, kind, algorithm):
    places = PLACES[kind]
    keys = json.dumps(sorted({place.weight for place in places}))
    base = saved(host, workflows.inspect(kind, "TKWeights", keys=keys, name="base"))
    file = tmp_path / f"{kind} {algorithm}.safetensors"
    name, deltas = trained(host, algorithm, places, base, file)
    errors = []
    for strength in (1.0, -0.5):
        found = patched_weights(host, kind, stacked_loras((name, strength)))
        assert base.keys() <= found.keys()
        errors.append(error(places, base, found, deltas, strength))
    show(f"{kind}: {algorithm}: weights against LyCORIS' forward, relative error {max(errors):.1e}")
    assert max(errors) < KEPT


GOES_LIVE = {"LoRA", "LoRA, Tucker", "LoHa", "LoKr"}
"""What is a pair, or becomes one; the others depend on the weight, or have its rank."""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", [UNET, "flux"])
def test_live_is_what_merge_is_for_every_family(host, tmp_path, show, kind, algorithm):
    places = PLACES[kind]
    keys = json.dumps(sorted({place.weight for place in places}))
    base = saved(host, workflows.inspect(kind, "TKWeights", keys=keys, name="base"))
    file = tmp_path / f"live {kind} {algorithm}.safetensors"
    name, _ = trained(host, algorithm, places, base, file)
    plain = sampled(host, kind, workflows.no_loras)
    live, merged = (
        sampled(host, kind, stacked_loras((name, 0.8), mode=mode)) for mode in ("live", "merge")
    )
    probe = workflows.inspect(kind, "TKProbe", stacked_loras((name, 0.8), mode="live"))
    patched = host.run(probe).report("TKProbe")["model"]["keys"]
    error, change = apart(live, merged), apart(plain, merged)
    show(
        f"{kind}: {algorithm}: {len(base) - patched} of {len(base)} layers live, against merge "
        f"{error:.1e}, where it changes {change:.1e}"
    )
    assert error < min(2e-5, change / 100)
    assert patched == (0 if algorithm in GOES_LIVE else len(base))


MIXED = {"DoRA": 0.75, "OFT": -0.5, "LoKr, full": 1.25, "LoRA": 0.3}


@pytest.mark.parametrize("kind", slow_but(("flux",), PLACES))
def test_applied_one_after_another_in_any_order(host, tmp_path, show, kind):
    """Every ApplyToModel adds to what the ones before have made of the model: its sum all the same."""
    places = PLACES[kind]
    keys = json.dumps(sorted({place.weight for place in places}))
    base = saved(host, workflows.inspect(kind, "TKWeights", keys=keys, name="base"))
    named, exact = [], {key: weight.double() for key, weight in base.items()}
    for algorithm, strength in MIXED.items():
        file = tmp_path / f"{kind} {algorithm}.safetensors"
        name, deltas = trained(host, algorithm, places, base, file)
        named.append((name, strength))
        for place in places:
            rows_of(exact, place).add_(deltas[place.path], alpha=strength)
    worst = apart = 0.0
    first = patched_weights(host, kind, stacked_loras(*named))
    for order in permutations(named):
        found = patched_weights(host, kind, one_after_another(*order))
        worst = max(worst, largest_error(found, exact))
        apart = max(apart, *(float((found[key] - first[key]).abs().max()) for key in exact))
    show(
        f"{kind}: {' + '.join(MIXED)} in 24 orders of Apply nodes: at most {apart:.1e} apart, "
        f"{worst:.1e} from float64"
    )
    assert worst < 1e-6


def text_encoder_weights(host, chain, name, keys="[]"):
    graph = workflows.Graph()
    loaded = workflows.load(graph, "sd15clip")
    _, clip = chain(graph, loaded.model, loaded.clip)
    link = [graph.add("TKTextEncoder", clip=clip), 0]
    graph.add("TKWeights", model=link, keys=keys, name=name)
    return saved(host, graph.prompt)


@pytest.mark.usefixtures("clip_models_dir")
@pytest.mark.parametrize("algorithm", slow_but(("LoRA", "DoRA", "OFT"), ALGORITHMS))
def test_a_file_of_every_family_for_a_text_encoder(host, tmp_path, show, algorithm):
    keys = json.dumps([place.weight for place in TEXT_ENCODER])
    base = text_encoder_weights(host, workflows.no_loras, "base", keys)
    file = tmp_path / f"clip {algorithm}.safetensors"
    name, deltas = trained(host, algorithm, TEXT_ENCODER, base, file)
    found = text_encoder_weights(host, stacked_loras((name, 0.5)), "patched")
    steps = max(steps_off(place, base, found, deltas, 0.5) for place in TEXT_ENCODER)
    show(
        f"sd15clip: {algorithm}: text encoder, stored in float16, against LyCORIS' forward: "
        f"{steps:.2f} steps of float16"
    )
    assert steps <= ONE_ROUNDING
