"""LoRA Rows with a model in the page: in the wires by one key, and its report on the node."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from harness.workflows import no_loras, render
from tests.web.rows import Rows, row
from tests.web.stage import lora_names, numbered

FIRST, SECOND = lora_names("sd15")
SAYS = "at strength 1"


@pytest.fixture
def plain(page):
    """A workflow without LoRAs; its loader and its sampler."""
    prompt = render("sd15", no_loras, png="rows_apply")
    del prompt["TKHash"]
    loader = prompt[prompt["KSampler"]["inputs"]["model"][0]]["class_type"]
    page.loadPrompt(numbered(prompt))
    page.fixSeeds()
    return page.only(loader)


def add_rows(page, node_id):
    page.show([node_id])
    page.select(node_id)
    page.browser_page.keyboard.press("Alt+a")
    page.wait(lambda: page.byType("LoRARows"))
    return page.only("LoRARows")


@pytest.mark.every_page
def test_a_key_puts_it_behind_the_loader_and_it_applies(page, plain, shoot):
    before = page.prompt()
    node = add_rows(page, plain)
    prompt = page.prompt()
    page.breathe()
    page.undo()
    assert page.prompt() == before
    page.breathe()
    page.redo()
    page.wait(lambda: page.prompt() == prompt)
    inputs = prompt[str(node)]["inputs"]
    assert inputs["model"] == [str(plain), 0]
    (sampler,) = (id for id, each in prompt.items() if each["class_type"] == "KSampler")
    assert prompt[sampler]["inputs"]["model"] == [str(node), 3]
    rows = Rows(page, node)
    rows.fill([row(FIRST, 0.5), row(SECOND)])
    page.layOut({node: (0, -600, 420, 330)})  # nothing lies over its report
    page.run()
    page.show([node])
    expect(page.report_line()).to_have_text("2 LoRAs, 22 of 22 layers")
    page.turn_report(True)
    page.expect_report(FIRST.partition(".")[0], "at strength 0.5")
    shoot("rows_apply_report")
    page.turn_report(False)
    shoot("rows_apply")


@pytest.mark.every_page
def test_taken_apart_it_is_the_same_prompt_with_apply(page, interop, plain):
    node = add_rows(page, plain)
    Rows(page, node).fill([row(FIRST, 0.5), row(SECOND)])
    assert interop.expand(node)
    (apply,) = page.byType("ApplyToModel")
    prompt = page.prompt()
    assert prompt[str(apply)]["inputs"]["model"] == [str(plain), 0]
    (sampler,) = (each for each in prompt.values() if each["class_type"] == "KSampler")
    assert sampler["inputs"]["model"] == [str(apply), 0]
    assert not page.byType("LoRARows")
    page.run()


def test_in_front_of_a_sampler_it_goes_into_its_wire(page, plain):
    sampler = page.only("KSampler")
    node = add_rows(page, sampler)
    prompt = page.prompt()
    assert prompt[str(node)]["inputs"]["model"] == [str(plain), 0]
    assert prompt[str(sampler)]["inputs"]["model"] == [str(node), 3]


def test_with_nothing_selected_it_stands_alone(page, plain):  # noqa: ARG001
    page.browser_page.keyboard.press("Alt+a")
    page.wait(lambda: page.byType("LoRARows"))
    assert "model" not in page.prompt()[str(page.only("LoRARows"))]["inputs"]


def test_beside_rows_that_apply_nothing_it_stands_alone(page, plain):  # noqa: ARG001
    for count in (1, 2):
        page.browser_page.keyboard.press("Alt+a")  # the first one is selected then
        page.wait(lambda: len(page.byType("LoRARows")) == count)  # noqa: B023
    prompt = page.prompt()
    assert all("model" not in prompt[str(node)]["inputs"] for node in page.byType("LoRARows"))


def test_its_report_goes_with_its_model(page, plain):
    node = add_rows(page, plain)
    Rows(page, node).fill([row(FIRST)])
    page.run()
    page.show([node])
    page.expect_report(SAYS)
    page.connect(plain, 0, page.only("KSampler"), "model")
    code = "(id) => { const node = app.canvas.graph.getNodeById(id); for (const name of ['model', 'clip']) node.disconnectInput(node.findInputSlot(name)); }"
    page.browser_page.evaluate(f"(id) => void ({code})(id)", node)
    for seed in (91, 92):
        page.set(page.only("KSampler"), {"seed": seed})
        page.run()
    page.show([node])
    page.expect_no_report()


@pytest.mark.every_page
def test_tags_in_a_prompt_become_rows_of_the_page(page):
    prompt = {
        "1": {
            "class_type": "LoRARows",
            "inputs": {"rows": f"<lora:{FIRST[:-12]}:0.5> <lora:gone:1:0>"},
        }
    }
    page.loadPrompt(prompt)
    rows = Rows(page, page.only("LoRARows"))
    assert [
        (each["name"].removesuffix(".safetensors"), each["strength"]) for each in rows.saved()
    ] == [
        (FIRST[:-12], 0.5),
        ("gone", 1),
    ]
    assert rows.saved()[1]["strength_clip"] == 0


@pytest.mark.every_page
def test_a_workflow_of_before_there_was_a_low_model_keeps_its_links(page, plain):
    node = add_rows(page, plain)
    Rows(page, node).fill([row(FIRST, 0.5)])
    before, saved = page.prompt(), page.workflow()
    assert {"model", "clip"} <= before[str(node)]["inputs"].keys()
    older = without_low(saved, node)
    page.load(older)
    assert page.prompt() == before


def without_low(workflow, node_id):
    """The workflow as a page has saved it whose node had no ``model_low``."""
    workflow = json.loads(json.dumps(workflow))
    (node,) = (each for each in workflow["nodes"] if each["id"] == node_id)
    names = [each["name"] for each in node["inputs"]]
    gone = names.index("model_low")
    del node["inputs"][gone]
    node["outputs"] = node["outputs"][:6]
    for link in workflow["links"]:
        if link[3] == node_id and link[4] > gone:
            link[4] -= 1
    return workflow
