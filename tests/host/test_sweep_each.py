"""Sweeps over files, single LoRAs of a stack and seeds, in the host's own list execution."""

from __future__ import annotations

import pytest
import torch

from harness.tiny_loras import write_lora
from harness.workflows import Graph, apply_lora, load, sample, stack_loras
from tests.host.test_sweep import grid, loaded, pixels, reports
from tests.support.pixels import places

PATTERN = "epochs/ink-*.safetensors"
EPOCHS = ("ink-2", "ink-10")
STRENGTHS, SEEDS = (0.5, 1), (7, 8)


@pytest.fixture(scope="module")
def epochs(host, tmp_path_factory):
    """Files of one training, by their names in the order of the training."""
    folder = tmp_path_factory.mktemp("epochs")
    return [add_epoch(host, folder, name, seed) for seed, name in enumerate(EPOCHS, 1)]


def add_epoch(host, folder, name, seed):
    file = folder / f"{name}.safetensors"
    write_lora(file, "flux", seed=seed)
    return host.add_lora(file, f"epochs/{file.name}")


def swept(graph, **inputs):
    return graph.add("SweepLoRA", **{"values": "1", "across_values": "0"} | inputs)


def sampled(graph, lora, seed):
    parts = load(graph, "flux")
    model, _ = apply_lora(graph, lora, parts.model)
    latent = sample(graph, "flux", model, seed=seed)
    return [graph.add("VAEDecode", samples=latent, vae=parts.vae), 0]


def given(host, **inputs):
    """Recipes, labels, columns and seeds of a sweep."""
    graph = Graph()
    lora = inputs.pop("stack", ())
    if lora:
        inputs["lora"] = stack_loras(graph, *(loaded(graph, *each) for each in lora))
    sweep = swept(graph, **inputs)
    shown = [graph.add("TKValue", value=[sweep, index]) for index in range(4)]
    result = host.run(graph.prompt)
    return [reports(result, node) for node in shown]


def refusal(host, **inputs):
    graph = Graph()
    node = swept(graph, **inputs)
    graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt, expect_error=True)
    assert result.status == "invalid"
    return result.validation_errors(node)[0]


def files_of(recipes):
    return [[name for name, _, _ in recipe["terms"]] for recipe in recipes]


@pytest.mark.every_host
def test_epochs_x_strengths_x_seeds_are_one_prompt_and_one_grid(host, epochs, show):
    graph = Graph()
    sweep = swept(graph, files=PATTERN, values="0.5, 1", seeds="7, 8")
    images = sampled(graph, [sweep, 0], [sweep, 3])
    ((whole,),), result = pixels(host, graph, grid(graph, images, labels=[sweep, 1]), "grid")
    assert [each for each in result.executed if each == "KSampler"] == ["KSampler"]

    corners = []
    for seed in SEEDS:
        for name in epochs:
            for strength in STRENGTHS:
                graph = Graph()
                made = sampled(graph, loaded(graph, name, strength), seed)
                (image,), _ = pixels(host, graph, made, "alone")
                corners += places(whole, image[0])
    columns, rows = ({corner[axis] for corner in corners} for axis in (0, 1))
    assert (len(corners), len(columns), len(rows)) == (8, 2, 4)
    assert corners == sorted(corners, key=lambda corner: (corner[1], corner[0]))
    show(f"2 epochs x 2 strengths x 2 seeds: {len(whole[0])}x{len(whole)}, cells bit-identical")


def test_labels_columns_and_seeds_say_what_is_what(host, epochs):
    recipes, labels, columns, seeds = given(host, files=PATTERN, values="0.5, 1", seeds="7, 8")
    assert labels[:3] == [
        "strength 0.5, ink-2, seed 7",
        "strength 1, ink-2, seed 7",
        "strength 0.5, ink-10, seed 7",
    ]
    assert columns == [2]
    assert seeds == [7] * 4 + [8] * 4
    assert files_of(recipes) == [[name] for _ in SEEDS for name in epochs for _ in STRENGTHS]


def test_a_connected_stack_comes_first_together_or_one_by_one(host, epochs):
    stack = [(epochs[1], 0.8), (epochs[0], 0.5)]
    recipes, labels, columns, seeds = given(host, stack=stack, files="ink-10")
    assert files_of(recipes) == [[epochs[1], epochs[0]], [epochs[1]]]
    assert (len(labels), columns, seeds) == (2, [2], [0, 0])
    recipes, labels, columns, _ = given(host, stack=stack, one_by_one=True)
    assert files_of(recipes) == [[epochs[0]], [epochs[1]]]
    assert (labels, columns) == (["ink-2 0.5", "ink-10 0.8"], [2])


@pytest.mark.every_host
@pytest.mark.usefixtures("epochs")
def test_a_queue_goes_through_all_of_them(host):
    inputs = {"files": PATTERN, "values": "0.5, 1", "seeds": "7, 8"}
    recipes, _, _, seeds = given(host, **inputs)
    all_of_them = [*zip(recipes, seeds, strict=True)]
    queue = [given(host, **inputs, pick="in turn", number=number) for number in range(12)]
    made = [(recipe, seed) for (recipe,), _, _, (seed,) in queue]
    assert made == [*all_of_them, *all_of_them[:4]]
    whole = [label for _, (label,), _, _ in queue[:8]]
    assert whole[0] == "ink-2 0.5, seed 7"  # for a file name: one item has no table
    assert all(columns == [1] for _, _, columns, _ in queue)
    chance = [given(host, **inputs, pick="random", number=number) for number in range(12)]
    assert chance[:3] == [given(host, **inputs, pick="random", number=n) for n in range(3)]
    drawn = [label for _, (label,), _, _ in chance]
    assert set(drawn) <= set(whole)
    assert drawn != [label for _, (label,), _, _ in queue]
    assert len(set(drawn)) > 4


@pytest.mark.usefixtures("epochs")
def test_another_number_changes_nothing_if_all_are_made(host):
    assert given(host, files=PATTERN, number=1) == given(host, files=PATTERN, number=2)


@pytest.mark.every_host
def test_a_new_or_changed_file_of_a_pattern_is_found(host, tmp_path):
    def run():
        graph = Graph()
        sweep = swept(graph, files="growing/*")
        return pixels(host, graph, sampled(graph, [sweep, 0], 7), "growing")

    write_lora(tmp_path / "a.safetensors", "flux", seed=1)
    host.add_lora(tmp_path / "a.safetensors", "growing/a-1.safetensors")
    (first,), _ = run()
    assert run()[1].executed == ["TKPixels"]
    write_lora(tmp_path / "b.safetensors", "flux", seed=2)
    host.add_lora(tmp_path / "b.safetensors", "growing/a-2.safetensors")
    (again, second), _ = run()
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    host.add_lora(tmp_path / "b.safetensors", "growing/a-1.safetensors")
    (changed, _), _ = run()
    assert torch.equal(changed, second)


REFUSED = {
    "no such file": (
        {"files": PATTERN + "\nno such"},
        "files, line 2: LoRA “no such”: there is no",
    ),
    "no such pattern": ({"files": "sepia-*"}, "files, line 1: there is no file like “sepia-*”"),
    "no such folder": ({"files": "nowhere/"}, "line 1: there is no file in the folder"),
    "no seeds": ({"seeds": "0.5"}, "seeds: found ‘0.5’; expected whole numbers"),
    "too many": (
        {"files": PATTERN, "values": "0..1 x 2", "seeds": "1..100"},
        "makes 2 x 2 x 100 ＝ 400 images; at most 256",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.usefixtures("epochs")
def test_what_makes_no_sense_is_refused_before_anything_runs(host, what, show):
    inputs, words = REFUSED[what]
    said = refusal(host, **inputs)
    assert words in said
    show(f"sweep, {what}: {said}")


@pytest.mark.usefixtures("epochs")
def test_files_that_are_linked_are_found_when_they_come(host):
    graph = Graph()
    sweep = swept(graph, files=[graph.add("TKText", text=PATTERN), 0])
    labels = graph.add("TKValue", value=[sweep, 1])
    assert reports(host.run(graph.prompt), labels) == ["ink-2 1", "ink-10 1"]
    graph = Graph()
    node = swept(graph, files=[graph.add("TKText", text="nothing-*"), 0])
    graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt, expect_error=True)
    assert (result.status, result.error_node) == ("error", node)
    assert "files, line 1: there is no file like" in result.error
