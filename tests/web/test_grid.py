"""An XY plot in the page: the example, and one that runs."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from PIL import Image
from playwright.sync_api import expect

from harness.workflows import Graph, apply_lora, load, sample
from tests.web.stage import lora_names, numbered


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
