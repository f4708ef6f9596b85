"""Keeping LoRAs in the page: what the nodes say, what they show, and that a workflow with them stays."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect
from safetensors import safe_open

from harness.workflows import Graph, load, stack_loras
from tests.web.stage import lora_names, numbered

FIRST, SECOND = lora_names("sd15")


def two(graph):
    names = ((FIRST, 0.5), (SECOND, 1.0))
    return [[graph.add("LoadLoRA", lora_name=name, strength=s), 0] for name, s in names]


def keeping(*what):
    """ties of two LoRAs is saved; their plain sum is analysed."""
    graph = Graph()
    parts, loras = load(graph, "sd15"), two(graph)
    if "save" in what:
        slots = {f"loras.lora_{index}": lora for index, lora in enumerate(loras)}
        made = graph.add("CombineLoRAs", method="ties", density=0.5, seed=0, **slots)
        how = {"rank": "1%", "dtype": "float32", "names": "kohya"}
        inputs = {"lora": [made, 0], "model": parts.model, "filename_prefix": "loras/page"}
        graph.add("SaveLoRAFile", **inputs, **how)
    if "analyse" in what:
        graph.add("AnalyseLoRA", lora=stack_loras(graph, *loras), model=parts.model)
    return numbered(graph.prompt)


@pytest.mark.every_page
def test_a_run_saves_and_says_so(page, host, shoot):
    page.loadPrompt(keeping("save"))
    before = set(host.output_dir.glob("loras/page_*"))
    combine = page.only("CombineLoRAs")
    assert page.prompt()[str(combine)]["inputs"]["seed"] == 0
    page.set(combine, {"seed": len(before)})
    page.run()
    assert page.prompt()[str(combine)]["inputs"]["seed"] == len(before)
    (file,) = set(host.output_dir.glob("loras/page_*")) - before
    page.show([page.only("SaveLoRAFile")])
    page.turn_report(False)
    expect(page.report_line()).to_contain_text(f"saved: {file.name}, 11 layers")
    page.turn_report(True)
    page.expect_report("of the whole; at most", "ties(")
    shoot("save_lora")
    with safe_open(file, "pt") as made:
        assert made.metadata()["modelspec.merged_from"] == f"{FIRST}, {SECOND}".replace(
            ".safetensors", ""
        )


@pytest.mark.every_page
def test_an_analysis_is_shown_on_the_node(page, shoot):
    page.loadPrompt(keeping("analyse"))
    page.run()
    node = page.only("AnalyseLoRA")
    page.show([node])
    page.turn_report(False)
    expect(page.report_line()).to_contain_text("changes")
    page.wait(lambda: page.picturesOn(node) == 1)
    assert page.size(node)[0] >= 440
    shoot("analyse")
    page.turn_report(True)
    page.expect_report("all together:", "cosine")
    shoot("analyse_report")


@pytest.mark.every_page
def test_a_workflow_with_them_is_saved_and_means_the_same(page):
    page.loadPrompt(keeping("save", "analyse"))
    prompt, workflow = page.prompt(), page.workflow()
    kinds = {node["class_type"] for node in prompt.values()}
    assert kinds >= {"CombineLoRAs", "SaveLoRAFile", "AnalyseLoRA"}
    page.load(json.loads(json.dumps(workflow)))
    page.expect_no_error()
    assert page.prompt() == prompt
    assert sorted(page.workflow()["links"]) == sorted(workflow["links"])


@pytest.mark.newest_page
def test_combine_grows_a_socket_for_each_lora(page):
    page.loadPrompt(numbered(loads()))
    combine = page.add("CombineLoRAs", "combine", [460, 60])
    for index, loader in enumerate(page.byType("LoadLoRA")):
        page.connect(loader, 0, combine, f"loras.lora_{index}")
    inputs = page.prompt()[str(combine)]["inputs"]
    assert [name for name in inputs if name.startswith("loras.")] == [
        "loras.lora_0",
        "loras.lora_1",
    ]
    assert inputs["method"] == "sum"


def loads():
    graph = Graph()
    two(graph)
    return graph.prompt
