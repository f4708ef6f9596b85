"""Sweeps in the host's own list execution, and the grids of their images."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from harness.samples import pair, write
from harness.workflows import Graph, apply_lora, load, sample, stack_loras
from tests.host.files import assert_nothing_is_left, base_hash, make_loras
from tests.host.kinds import UNET
from tests.support.pixels import places

KINDS = ("flux", "sd15")
VALUES, ACROSS = (0, 0.5, 1), (-1, 0.8)
STEPS = 2


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 2) for kind in (*KINDS, "wan")}


@pytest.fixture(scope="module", autouse=True)
def bases(host):
    before = {kind: base_hash(host, kind) for kind in KINDS}
    yield
    for kind, base in before.items():
        assert_nothing_is_left(host, kind, base)


def loaded(graph, name, strength=1.0):
    return [graph.add("LoadLoRA", lora_name=name, strength=strength), 0]


def cross(graph, names, values="0, 0.5, 1", across_values="-1, 0.8"):
    first, second = (loaded(graph, name) for name in names)
    texts = {"values": values, "across_values": across_values}
    return graph.add("SweepLoRA", lora=first, across=second, **texts)


def row(graph, name=None, values="0, 0.5, 1"):
    lora = {"lora": loaded(graph, name)} if name else {}
    return graph.add("SweepLoRA", **lora, values=values, across_values="0, 1")


def images_of(graph, kind, lora):
    parts = load(graph, kind)
    model, clip = apply_lora(graph, lora, parts.model, parts.clip)
    latent = sample(graph, kind, model, clip, steps=STEPS)
    return [graph.add("VAEDecode", samples=latent, vae=parts.vae), 0]


def grid(graph, images, **others):
    looks = {"columns": 0, "text_size": 0, "gap": 8, "background": "white"} | others
    return [graph.add("LoRAGrid", images=images, **looks), 0]


def pixels(host, graph, images, name="pixels"):
    """All images that reach a node, as the batches that they come in; and the run."""
    node = graph.add("TKPixels", images=images, name=name)
    result = host.run(graph.prompt)
    tensors = load_file(host.output_dir / f"{name}.safetensors")
    count = result.report(node)["count"]
    assert len(tensors) == count
    return [tensors[str(index)] for index in range(count)], result


def reports(result, node):
    """What a testkit node has reported, run by run."""
    return [json.loads(text) for text in result.outputs[node]["text"]]


def alone(host, kind, names, strengths):
    """The image of one combination, made without a sweep."""
    graph = Graph()
    both = [loaded(graph, *each) for each in zip(names, strengths, strict=True)]
    (image,), _ = pixels(host, graph, images_of(graph, kind, stack_loras(graph, *both)), "alone")
    return image[0]


@pytest.mark.parametrize("kind", ["flux", UNET])
def test_an_xy_plot_is_one_prompt_and_each_cell_is_a_render_of_its_own(host, loras, kind, show):
    graph = Graph()
    sweep = cross(graph, loras[kind])
    images = images_of(graph, kind, [sweep, 0])
    host.free()
    before = host.counters()
    ((whole,),), result = pixels(host, graph, grid(graph, images, labels=[sweep, 1]), "grid")
    after = host.counters()
    assert after["_apply_model"] - before["_apply_model"] == 6 * STEPS
    assert [n for n in result.executed if n != "TKPixels"].count("KSampler") == 1

    corners = []
    for index, strengths in enumerate((v, a) for a in ACROSS for v in VALUES):
        image = alone(host, kind, loras[kind], strengths)
        (corner,) = places(whole, image)
        corners.append(corner)
        assert corner[0] == corners[index % 3][0]
        assert corner[1] == corners[index // 3 * 3][1]
    assert [y for _, y in corners] == sorted(y for _, y in corners)
    assert corners[0][0] < corners[1][0] < corners[2][0]
    ink = whole.mean(-1) < 0.5
    left, top = corners[0]
    for x, y in corners:
        assert ink[:top, x : x + 64].any()
        assert ink[y : y + 64, :left].any()
    assert not ink[:top, :left].any()
    show(
        f"{kind}: 3 x 2 in one prompt: 6 images, {len(whole[0])}x{len(whole)}, cells bit-identical"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("clip_models_dir")
def test_the_text_encoder_goes_along(host, loras, tmp_path):
    """Each cell is a render of its own, and not the one of the text encoder as it was."""
    text = pair("lora_te_text_model_encoder_layers_0_mlp_fc1", 3072, 768)
    file = write(tmp_path / "text.safetensors", {key: 0.05 * v for key, v in text.items()})
    names = loras["sd15"][0], host.add_lora(file)
    graph = Graph()
    sweep = cross(graph, names, "0, 1", "0, 1")
    images, _ = pixels(host, graph, images_of(graph, "sd15clip", [sweep, 0]))
    for image, strengths in zip(images, ((v, a) for a in (0, 1) for v in (0, 1)), strict=True):
        assert torch.equal(image[0], alone(host, "sd15clip", names, strengths))
    assert not any(torch.equal(images[i], images[j]) for i in range(4) for j in range(i))


def test_the_same_plot_again_costs_nothing_and_another_value_is_another(host, loras):
    def run(values):
        graph = Graph()
        sweep = cross(graph, loras["flux"], values)
        images = images_of(graph, "flux", [sweep, 0])
        return pixels(host, graph, grid(graph, images, labels=[sweep, 1]))

    first, _ = run("0, 0.5, 1")
    before = host.counters()
    again, result = run("0, 0.5, 1")
    assert host.counters()["_apply_model"] == before["_apply_model"]
    assert result.executed == ["TKPixels"]
    assert torch.equal(first[0], again[0])
    other, _ = run("0, 0.5, 1.5")
    assert host.counters()["_apply_model"] > before["_apply_model"]
    assert not torch.equal(first[0], other[0])


def test_recipes_labels_and_columns_of_a_cross(host, loras):
    a, b = loras["flux"]
    graph = Graph()
    sweep = cross(graph, (a, b))
    recipes, labels, columns = (graph.add("TKValue", value=[sweep, i]) for i in range(3))
    result = host.run(graph.prompt)
    combinations = [(v, s) for s in ACROSS for v in VALUES]
    assert reports(result, labels) == [f"flux_1 {v}, flux_2 {s}" for v, s in combinations]
    assert reports(result, columns) == [3]
    for found, strengths in zip(reports(result, recipes), combinations, strict=True):
        graph = Graph()
        both = [loaded(graph, *each) for each in zip((a, b), strengths, strict=True)]
        shown = graph.add("TKValue", value=stack_loras(graph, *both))
        assert host.run(graph.prompt).report(shown) == found


def test_equal_recipes_are_one_model_to_the_host(host, loras):
    def uuids(lora_of):
        graph = Graph()
        model, _ = apply_lora(graph, lora_of(graph), load(graph, "flux").model)
        probe = graph.add("TKProbe", model=model)
        return [each["model"]["patches_uuid"] for each in reports(host.run(graph.prompt), probe)]

    name = loras["flux"][0]
    half, again, whole = uuids(lambda graph: [row(graph, name, "0.5, 0.5, 1"), 0])
    assert half == again != whole
    assert uuids(lambda graph: loaded(graph, name, 0.5)) == [half]


def test_without_across_its_values_count_for_nothing(host, loras):
    graph = Graph()
    lora = loaded(graph, loras["flux"][0], 0.8)
    sweep = graph.add("SweepLoRA", lora=lora, values="0..1 x 3", across_values="no number")
    shown = [graph.add("TKValue", value=[sweep, index]) for index in (1, 2)]
    result = host.run(graph.prompt)
    assert reports(result, shown[0]) == ["flux_1 0", "flux_1 0.4", "flux_1 0.8"]
    assert reports(result, shown[1]) == [3]


def test_a_sweep_of_nothing_is_the_model_as_often_as_there_are_values(host):
    graph = Graph()
    sweep = row(graph)
    model = load(graph, "flux").model
    applied, _ = apply_lora(graph, [sweep, 0], model)
    same = graph.add("TKSame", model_a=model, model_b=applied)
    labels = graph.add("TKValue", value=[sweep, 1])
    result = host.run(graph.prompt)
    assert [each["model"] for each in reports(result, same)] == [True] * 3
    assert reports(result, labels) == ["no LoRA"] * 3


REFUSED = {
    "no numbers": ({"values": "a lot"}, "values: found ‘a lot’; expected numbers"),
    "nothing": ({"values": ""}, "values: found nothing; expected values like"),
    "too many": ({"values": "0..1 x 129"}, "makes 129 x 2 ＝ 258 images; at most 256"),
    "a cross of too many": (
        {"values": "0..1 x 20", "across_values": "0..1 x 20"},
        "makes 20 x 20 ＝ 400 images; at most 256",
    ),
    "no numbers across": ({"across_values": "x"}, "across_values: found ‘x’; expected numbers"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_values_that_make_no_sense_are_refused_before_anything_runs(host, loras, what, show):
    texts, words = REFUSED[what]
    graph = Graph()
    node = cross(graph, loras["flux"], **texts)
    graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt, expect_error=True)
    assert result.status == "invalid"
    assert words in result.validation_errors(node)[0]
    show(f"sweep, {what}: {result.validation_errors(node)[0]}")


def test_values_that_are_linked_are_refused_when_they_come(host):
    graph = Graph()
    text = [graph.add("TKText", text="0..1 x 300"), 0]
    node = graph.add("SweepLoRA", values=text, across_values="0")
    graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt, expect_error=True)
    assert (result.status, result.error_node) == ("error", node)
    assert "makes 300 images; at most 256" in result.error


def test_a_batch_gets_the_labels_that_are_typed(host):
    """The blank one is blank."""
    graph = Graph()
    made = [graph.add("TKImages", batches="3"), 0]
    ((cells,), _), graph = pixels(host, graph, made, "cells"), Graph()
    made = [graph.add("TKImages", batches="3"), 0]
    ((whole,),), _ = pixels(host, graph, grid(graph, made, labels="base\n\nink 1"), "grid")
    corners = [places(whole, cell)[0] for cell in cells]
    assert len({y for _, y in corners}) == 1
    above = [bool((whole[: y - 1, x : x + 48] < 0.5).any()) for x, y in corners]
    assert above == [True, False, True]


def test_columns_come_from_a_wire_or_a_number_and_the_look_from_its_inputs(host, loras):
    graph = Graph()
    sweep = row(graph, loras["flux"][0], "0..1 x 2")
    made = [graph.add("TKImages", batches="1 1 1 1"), 0]
    linked = grid(graph, made, columns=[sweep, 2], gap=0)
    typed = grid(graph, made, columns=3, gap=5, background="black")
    ((first,),), _ = pixels(host, graph, linked, "linked")
    ((second,),), _ = pixels(host, graph, typed, "typed")
    assert first.shape == (2 * 32, 2 * 48, 3)
    assert second.shape == (2 * 37 + 5, 3 * 53 + 5, 3)
    assert not second[0, 0].any()


def test_videos_of_a_sweep_are_a_video_of_grids(host, loras):
    graph = Graph()
    sweep = row(graph, loras["wan"][0], "0, 1")
    images = images_of(graph, "wan", [sweep, 0])
    videos, _ = pixels(host, graph, images, "videos")
    (whole,), _ = pixels(host, graph, grid(graph, images, labels=[sweep, 1]), "grid")
    assert len(videos) == 2
    assert len(whole) == len(videos[0]) == 5
    for number, frame in enumerate(whole):
        left, right = (places(frame, video[number]) for video in videos)
        assert left
        assert right
    assert not torch.equal(*videos)


def test_lists_of_batches_of_several_sizes_lie_side_by_side(host):
    graph = Graph()
    made = [graph.add("TKImages", batches="1 2"), 0]
    ((whole,),), _ = pixels(host, graph, grid(graph, made, gap=0), "grid")
    assert whole.shape == (32, 3 * 48, 3)


def test_no_images_are_refused_with_a_sentence(host):
    graph = Graph()
    made = [graph.add("TKImages", batches="0"), 0]
    node, _ = grid(graph, made)
    graph.add("TKPixels", images=[node, 0], name="grid")
    result = host.run(graph.prompt, expect_error=True)
    assert result.error_node == node
    assert "needs at least one image" in result.error
