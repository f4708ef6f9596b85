"""An XY plot in the page: the example, and one that runs."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

from PIL import Image
from playwright.sync_api import expect

from harness.workflows import Graph, apply_lora, load, sample
from tests.web.stage import EXAMPLES, lora_names, numbered, unfolded


def xy_plot():
    graph = Graph()
    first, second = (
        [graph.add("LoadLoRA", lora_name=name, strength=1.0), 0] for name in lora_names("sd15")
    )
    texts = {"values": "0.5, 1, 2", "across_values": "-1, 1"}
    sweep = graph.add("SweepLoRA", lora=first, across=second, **texts)
    parts = load(graph, "sd15")
    model, _ = apply_lora(graph, [sweep, 0], parts.model, mode="auto")
    images = graph.add("VAEDecode", samples=sample(graph, "sd15", model), vae=parts.vae)
    look = {"columns": 0, "text_size": 0, "gap": 8, "background": "black"}
    grid = graph.add("LoRAGrid", images=[images, 0], **look, labels=[sweep, 1])
    graph.add("SaveImage", images=[grid, 0], filename_prefix="xy_plot")
    return numbered(graph.prompt)


@pytest.mark.every_page
def test_an_xy_plot_is_one_run_of_the_page(page, host, shoot):
    page.loadPrompt(xy_plot())
    page.fixSeeds()
    before = set(host.output_dir.glob("xy_plot*"))
    page.set(page.only("KSampler"), {"seed": len(before)})
    page.run()
    (picture,) = set(host.output_dir.glob("xy_plot*")) - before
    with Image.open(picture) as image:
        assert image.width > 3 * 64 + 4 * 8
        assert image.height > 2 * 64 + 3 * 8
        assert image.getpixel((1, 1)) == (0, 0, 0)
    page.show([page.only("ApplyToModel")])
    expect(page.report_line()).to_have_text("2 LoRAs, 22 of 22 layers")
    page.show([page.only("SweepLoRA"), page.only("LoRAGrid"), page.only("SaveImage")])
    shoot("xy_plot")


@pytest.mark.every_page
def test_the_example_opens_without_an_error_and_means_what_it_shows(page, shoot):
    example = json.loads((EXAMPLES / "lora_grid.json").read_text(encoding="utf-8"))
    page.load(example)
    shoot("example_grid")
    page.expect_no_error()
    assert len(page.workflow()["links"]) == len(example["links"])
    prompt = page.prompt()
    (save,) = (id for id, node in prompt.items() if node["class_type"] == "SaveImage")
    grid = unfolded(prompt, save)["inputs"]["images"][0]
    sampler = grid["inputs"]["images"][0]["inputs"]["samples"][0]
    sweep, output = grid["inputs"]["labels"]
    assert grid["class_type"] == "LoRAGrid"
    assert (sweep["class_type"], output) == ("SweepLoRA", 1)
    assert sampler["inputs"]["model"][0]["inputs"]["lora"] == [sweep, 0]
    assert sweep["inputs"]["lora"][0]["class_type"] == "LoadLoRA"
    assert sweep["inputs"]["across"][0]["class_type"] == "LoadLoRA"
