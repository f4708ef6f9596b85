"""A batch of strengths in one pass."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

from harness.tiny_loras import KINDS
from harness.workflows import (
    Graph,
    core_node,
    in_turn,
    inspect,
    load,
    render,
    sample,
    stack_loras,
    stacked_loras,
)
from tests.host.files import (
    apart,
    assert_nothing_is_left,
    base_hash,
    growth,
    make_loras,
    sampled,
)
from tests.host.kinds import QUICK, UNET

EIGHT = "0..1.4 x 8"
UNEVEN = "0.9, -0.3, 0, 1.2, 0.05"


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    names = {kind: make_loras(host, folder, kind, 2) for kind in KINDS}
    return {**names, "sd15clip": names["sd15"]}


@pytest.fixture(scope="module", autouse=True)
def bases(host):
    before = {kind: base_hash(host, kind) for kind in KINDS}
    yield
    for kind, base in before.items():
        assert_nothing_is_left(host, kind, base)


def worst(batch, singles):
    assert len(batch) == len(singles)
    return max(apart(batch[index : index + 1], single) for index, single in enumerate(singles))


@pytest.mark.usefixtures("clip_models_dir")
@pytest.mark.parametrize("kind", [*QUICK, pytest.param("sd15clip", marks=pytest.mark.slow)])
def test_eight_strengths_in_one_pass_are_eight_runs(host, loras, kind, show):
    files = [(loras[kind][0], 0.7), (loras[kind][1], 0.4)]
    sampled(host, kind, stacked_loras(*files, values=EIGHT), batch=8, seed=1)
    before = host.counters()
    batch = sampled(host, kind, stacked_loras(*files, values=EIGHT), batch=8)
    written = growth(before, host.counters())
    modes = ("live", "merge") if kind != "sd15clip" else ("live",)  # which is slow
    runs = {
        mode: [
            sampled(host, kind, stacked_loras(*files, scale=round(0.2 * index, 1), mode=mode))
            for index in range(8)
        ]
        for mode in modes
    }
    errors = {mode: worst(batch, singles) for mode, singles in runs.items()}
    change = apart(runs["live"][0], runs["live"][7])
    told = ", ".join(f"8 {mode} runs {error:.1e}" for mode, error in errors.items())
    show(
        f"{kind}: 8 strengths in one pass against {told}; the first and the last are {change:.1e} apart"
    )
    assert max(errors.values()) < 1e-5
    assert change > 5e-3
    assert not any(written.values())


@pytest.mark.parametrize("kind", [UNET, "flux"])
def test_uneven_values_on_one_of_two_loras(host, loras, kind):
    """The other LoRA is the same for all, merged (auto) or live."""
    values = [0.9, -0.3, 0.0, 1.2, 0.05]
    spread = stacked_loras((loras[kind][0], 1.0), values=UNEVEN)
    singles = [
        sampled(host, kind, stacked_loras((loras[kind][0], v), (loras[kind][1], 0.5), mode="merge"))
        for v in values
    ]
    for mode in ("merge", "live"):
        chain = in_turn(stacked_loras((loras[kind][1], 0.5), mode=mode), spread)
        assert worst(sampled(host, kind, chain, batch=5), singles) < 1e-5


@pytest.mark.parametrize("kind", QUICK)
def test_a_spread_of_a_schedule(host, loras, kind, show):
    lora, curve = (loras[kind][0], 1.0), "0:0.2, 0.5:1.5, 1:0"
    chain = stacked_loras(lora, curve=curve, values="1, 0.5, -1")
    batch = sampled(host, kind, chain, batch=3, steps=6)
    singles = [
        sampled(host, kind, stacked_loras((lora[0], s), curve=curve), steps=6)
        for s in (1.0, 0.5, -1.0)
    ]
    error = worst(batch, singles)
    show(f"{kind}: a spread of a schedule against single runs: {error:.1e}")
    assert error < 1e-5
    assert apart(singles[0], singles[2]) > 1e-3
    host.model_calls()
    host.run(render(kind, chain, batch=3, steps=6, seed=41))
    calls = host.model_calls()
    assert len(calls) == 6
    for call in calls:
        ((first, half, mirror), *more) = _by_chunk(call["stacks"][0], 3)
        assert half == pytest.approx(first / 2)
        assert mirror == pytest.approx(-first)
        assert more == [[first, half, mirror]] * (call["chunks"] - 1)


def _by_chunk(rows, images):
    return [rows[start : start + images] for start in range(0, len(rows), images)]


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("kind", [UNET, "flux"])
def test_another_number_of_images_is_refused_before_anything_is_loaded(
    host, loras, kind, batch, show
):
    good = stacked_loras((loras[kind][1], 0.5), mode="merge")
    expected = sampled(host, kind, good)
    host.free()
    before = host.counters()
    chain = stacked_loras((loras[kind][0], 1.0), values="0, 0.25, 0.75, 1")
    result = host.run(render(kind, chain, batch=batch), expect_error=True)
    after = host.counters()
    show(f"{kind}: 4 values for {batch} images: {result.error.strip()}")
    assert result.error_node == "KSampler"
    assert "has 4 values" in result.error
    assert f"the batch has {batch} images" in result.error
    assert not any(growth(before, after).values())
    assert (after["load"], after["_apply_model"]) == (before["load"], before["_apply_model"])
    assert sampled(host, kind, good).equal(expected)


def test_two_spreads_of_different_lengths_are_refused(host, loras, show):
    a, b = loras["flux"]

    def chain(graph, model, clip):
        spread = []
        for name, values in ((a, "0, 1"), (b, "0, 0.5, 1")):
            lora = [graph.add("LoadLoRA", lora_name=name, strength=1.0), 0]
            spread.append([graph.add("SpreadLoRA", lora=lora, values=values), 0])
        node = graph.add("ApplyToModel", lora=stack_loras(graph, *spread), model=model)
        return [node, 0], clip

    result = host.run(render("flux", chain, batch=2), expect_error=True)
    show(f"two spreads: {result.error.strip()}")
    assert result.error_node == "StackLoRAs"
    for words in ("2 values", "another 3"):
        assert words in result.error


def test_two_spreads_of_different_lengths_in_two_apply_nodes_are_refused(host, loras):
    a, b = loras["flux"]
    chain = in_turn(
        stacked_loras((a, 1.0), values="0, 1"), stacked_loras((b, 1.0), values="0, 0.5, 1")
    )
    result = host.run(render("flux", chain, batch=2), expect_error=True)
    assert result.error_node == "ApplyToModel_2"
    assert "2 values" in result.error
    assert "3" in result.error


def test_two_spreads_of_one_length_add_up(host, loras):
    a, b = loras["flux"]
    chain = in_turn(
        stacked_loras((a, 1.0), values="0, 1"), stacked_loras((b, 1.0), values="0.5, 0.25")
    )
    singles = [
        sampled(host, "flux", stacked_loras((b, 0.5), mode="live")),
        sampled(host, "flux", stacked_loras((a, 1.0), (b, 0.25), mode="live")),
    ]
    assert worst(sampled(host, "flux", chain, batch=2), singles) < 1e-5


def test_a_spread_leaves_the_identity_of_the_weights(host, loras):
    plain = host.run(inspect("flux", "TKProbe")).report("TKProbe")["model"]
    chain = stacked_loras((loras["flux"][0], 1.0), values="0, 1")
    found = host.run(inspect("flux", "TKProbe", chain)).report("TKProbe")["model"]
    assert found["patches_uuid"] == plain["patches_uuid"]


SIZES = (5, 1, 3)


def saved(host, name):
    return load_file(host.output_dir / f"{name}.safetensors")["samples"]


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("curve", [None, "0:0.2, 0.5:1.5, 1:0"])
def test_a_range_takes_its_number_from_the_batch(host, loras, kind, curve, show):
    """Of each of the samplers behind one and the same model."""
    lora, range_ = (loras[kind][0], 1.0), "0.1..1"
    graph = Graph()
    loaded = load(graph, kind)
    model, clip = stacked_loras(lora, curve=curve, values=range_)(graph, loaded.model, loaded.clip)
    for images in SIZES:
        batch = sample(graph, kind, model, clip, batch=images)
        graph.add("TKSaveTensor", latent=batch, name=f"range_{images}")
    host.run(graph.prompt)
    for images in SIZES:
        found = saved(host, f"range_{images}")
        fixed = f"{range_} x {images}" if images > 1 else "1"
        chain = stacked_loras(lora, curve=curve, values=fixed)
        assert found.equal(sampled(host, kind, chain, batch=images))
    (alone,) = saved(host, "range_1")
    (plain,) = sampled(host, kind, stacked_loras(lora, curve=curve, mode="live"))
    show(f"{kind}: a range on one image against the plain LoRA: {apart(alone, plain):.1e}")
    assert alone.equal(plain)
    assert apart(saved(host, "range_5")[0], saved(host, "range_5")[4]) > 5e-4


def test_as_shipped_it_runs_on_one_image(host, loras):
    """With what a new node holds, behind the sampler's own default."""
    _, options = host.object_info("SpreadLoRA")["SpreadLoRA"]["input"]["required"]["values"]
    lora = (loras["flux"][0], 1.0)
    plain = sampled(host, "flux", stacked_loras(lora, mode="live"))
    assert sampled(host, "flux", stacked_loras(lora, values=options["default"])).equal(plain)


def test_a_range_beside_a_spread_is_over_as_many_images(host, loras):
    a, b = loras["flux"]
    chain = in_turn(
        stacked_loras((a, 1.0), values="0..1"), stacked_loras((b, 1.0), values="1, 0, 2")
    )
    fixed = in_turn(
        stacked_loras((a, 1.0), values="0, 0.5, 1"), stacked_loras((b, 1.0), values="1, 0, 2")
    )
    assert sampled(host, "flux", chain, batch=3).equal(sampled(host, "flux", fixed, batch=3))
    result = host.run(render("flux", chain, batch=2), expect_error=True)
    assert "has 3 values" in result.error


def test_a_range_is_refused_where_a_node_divides_the_batch(host, loras, show):
    """Each part of it would have the whole range."""
    windows = core_node(
        "ContextWindowsManual",
        context_length=2,
        context_overlap=0,
        context_schedule="standard_static",
        context_stride=1,
        closed_loop=False,
        fuse_method="flat",
        dim=0,
        freenoise=False,
        cond_retain_index_list="",
        split_conds_to_windows=False,
        latent_retain_index_list="",
        causal_window_fix=False,
    )
    chain = in_turn(stacked_loras((loras["flux"][0], 1.0), values="0..1"), windows)
    result = host.run(render("flux", chain, batch=4), expect_error=True)
    show(f"context windows over the batch: {result.error.strip()}")
    assert "a range over 4 images" in result.error
    assert "gets 2 at a time" in result.error
