"""The report on the node: there when it is true, gone when it is not, and nowhere else."""

from __future__ import annotations

import json
import os
import time

import pytest

from harness.tiny_loras import write_lora

pytest.importorskip("playwright")

import torch
from playwright.sync_api import expect
from safetensors.torch import load_file, save_file

from harness.workflows import render, stacked_loras
from tests.web.interop import TOASTS, Interop
from tests.web.stage import lora_names, numbered, two_loras

FIRST, SECOND = lora_names("sd15")
SAYS = "11 of 11 layers at strength"
NARROW = 225


@pytest.fixture(autouse=True)
def workflow(page):
    """One that can run."""
    page.loadPrompt(two_loras("sd15"))
    page.fixSeeds()


@pytest.fixture
def apply_node(page, workflow):  # noqa: ARG001
    return page.only("ApplyToModel")


@pytest.fixture
def lora_node(page, workflow):  # noqa: ARG001
    return page.byType("LoadLoRA")[0]


def told(workflow):
    """Nodes in order (a click brings one to the front), without the size of the one that shows the
    picture: it grows when the picture comes, which may be long after the run."""
    nodes = sorted(workflow["nodes"], key=lambda node: node["id"])
    return [{**node, "size": None} if node["type"] == "SaveImage" else node for node in nodes]


def box(page):
    return page.report().bounding_box()


def test_there_is_no_box_before_a_run(page, apply_node):
    page.show([apply_node])
    page.expect_no_report()


@pytest.mark.every_page
def test_a_run_shows_it(page, apply_node, shoot):
    page.run()
    page.show([apply_node])
    page.turn_report(True)
    page.expect_report(f"{FIRST} (LoRA, rank 4, SD 1.5)", f"{SAYS} 0.5", SECOND, f"{SAYS} 1")
    shoot("report")


def test_it_is_one_line_until_somebody_wants_to_read_it(page, apply_node, shoot):
    page.run()
    page.show([apply_node])
    page.turn_report(False)
    expect(page.report_line()).to_have_text("2 LoRAs, 22 of 22 layers")
    assert box(page)["height"] < 40
    shoot("report_line")


def test_the_keyboard_opens_and_closes_it(page, apply_node):
    page.run()
    page.show([apply_node])
    page.turn_report(False)
    page.report_line().focus()
    page.browser_page.keyboard.press("Enter")
    expect(page.report_text()).to_be_visible()
    page.browser_page.keyboard.press("Space")
    expect(page.report_text()).not_to_be_visible()


@pytest.mark.every_page
def test_to_read_it_is_no_change_to_the_workflow_and_the_node_gives_the_room_back(page, apply_node):
    page.run()
    page.show([apply_node])
    page.turn_report(False)
    before, low = page.workflow(), page.size(apply_node)
    page.turn_report(True)
    page.wait(lambda: box(page)["height"] > 200)
    page.settle()
    assert told(page.workflow()) == told(before)
    page.turn_report(False)
    page.wait(lambda: page.size(apply_node) == low)


def test_it_stays_open_over_undo_and_the_next_run(page, apply_node, lora_node):
    page.run()
    page.show([apply_node])
    page.turn_report(True)
    page.set(lora_node, {"strength": 0.25})
    page.undo()
    expect(page.report_text()).to_be_visible()
    page.run()
    expect(page.report_text()).to_be_visible()


def test_an_output_of_an_older_version_is_shown_too(page, apply_node):
    page.run()
    page.show([apply_node])
    page.turn_report(False)
    page.pretendOutput(apply_node, {"text": ["a.safetensors (LoRA, rank 4)\n    names: kohya"]})
    expect(page.report_line()).to_have_text("1 LoRA")
    page.expect_report("names: kohya")


def test_warnings_are_counted_in_the_line_and_told_once(page, apply_node):
    page.run()
    page.show([apply_node])
    warned = {
        "name": FIRST,
        "applied": 11,
        "found": 11,
        "parts": [],
        "warnings": [{"code": f"made_up_{time.monotonic()}", "text": "Something is odd about it."}],
    }
    toasts = page.browser_page.locator(TOASTS).filter(has_text="Something is odd about it.")
    for _ in range(2):
        page.pretendOutput(apply_node, {"text": [FIRST], "loras": [warned]})
        expect(page.report_line()).to_have_text("1 LoRA, 11 of 11 layers; 1 warning")
        expect(toasts).to_have_count(1)


def test_it_keeps_its_lines_and_blanks(page):
    page.run()
    lines = page.report_text().text_content().splitlines()
    assert lines[:2] == [f"{FIRST} (LoRA, rank 4, SD 1.5)", f"    model: {SAYS} 0.5"]


@pytest.mark.every_page
def test_it_lies_within_its_node(page, apply_node, shoot):
    page.resize(apply_node, [NARROW, 100])
    page.run()
    page.show([apply_node])
    page.turn_report(True)
    page.settle()
    shoot("narrow")
    inner, outer = box(page), page.frame(apply_node)
    assert outer["left"] <= inner["x"]
    assert inner["x"] + inner["width"] <= outer["right"]
    assert outer["top"] < inner["y"]
    assert inner["y"] + inner["height"] <= outer["bottom"] + 1


def test_the_node_only_grows_in_height(page, apply_node):
    page.resize(apply_node, [400, 100])
    page.run()
    page.show([apply_node])
    page.turn_report(True)
    page.wait(lambda: box(page)["height"] > 200)
    page.settle()
    width, height = page.size(apply_node)
    assert width == 400
    page.run()
    assert page.size(apply_node) == [width, height]


def test_a_large_node_keeps_its_size_and_gives_it_to_the_report(page, apply_node, shoot):
    page.resize(apply_node, [500, 600])
    page.run()
    page.show([apply_node])
    page.turn_report(True)
    shoot("large")
    assert page.size(apply_node) == [500, 600]
    assert box(page)["height"] > 400


def test_the_wheel_scrolls_it_once_it_has_the_focus(page, apply_node):
    page.resize(apply_node, [NARROW, 100])
    page.run()
    page.show([apply_node])
    page.turn_report(True)
    page.report_text().click()
    scale = page.scale()
    page.wheel_over_report(60)
    page.wait(lambda: page.report_text().evaluate("box => box.scrollTop") > 0)
    assert page.scale() == scale


def test_its_text_can_be_selected(page, apply_node):
    page.run()
    page.show([apply_node])
    page.turn_report(True)
    page.report_text().click(click_count=3, position={"x": 40, "y": 12})
    assert FIRST in page.browser_page.evaluate("getSelection().toString()")


def test_neither_workflow_nor_prompt_holds_it(page, apply_node):
    before = page.prompt()
    page.run()
    page.expect_report()
    assert page.prompt() == before
    assert "layers" not in json.dumps(page.workflow())
    (saved,) = (node for node in page.workflow()["nodes"] if node["id"] == apply_node)
    assert saved["widgets_values"] == ["auto"]


def test_a_run_from_the_cache_shows_it_again(page):
    page.run()
    page.load(page.workflow())
    page.expect_no_report()
    page.run()
    page.expect_report(SAYS)


def test_after_the_page_was_reloaded_the_next_run_shows_it(page, apply_node):
    page.run()
    workflow = page.workflow()
    page.reload()
    page.load(workflow)
    page.run()
    page.show([apply_node])
    page.expect_report(SAYS)


@pytest.mark.every_page
def test_undo_and_redo_keep_it(page, apply_node, lora_node):
    page.run()
    page.set(lora_node, {"strength": 0.25})
    page.show([apply_node])
    page.undo()
    page.expect_report(f"{SAYS} 0.5")
    page.redo()
    page.expect_report(f"{SAYS} 0.5")
    page.run()
    page.expect_report(f"{SAYS} 0.25")


@pytest.mark.every_page
def test_another_tab_does_not_lose_it(page, apply_node):
    page.run()
    tab = page.tab()
    page.clear({"keepTabs": True})
    page.expect_no_report()
    page.openTab(tab)
    page.show([apply_node])
    page.expect_report(SAYS)


@pytest.mark.every_page
def test_inside_a_subgraph_it_is_shown_where_the_node_is(page, apply_node):
    outer = page.wrap([apply_node])
    page.run()
    page.expect_no_report()
    page.enter(outer)
    inner = page.only("ApplyToModel")
    page.show([inner])
    page.expect_report(SAYS)
    page.leave()
    page.expect_no_report()
    page.enter(outer)
    page.expect_report(SAYS)
    page.after_subgraph()


def test_a_collapsed_node_hides_it(page, apply_node):
    page.run()
    page.show([apply_node])
    page.collapse(apply_node)
    page.expect_hidden_report()
    page.collapse(apply_node)
    page.expect_report(SAYS)


@pytest.mark.every_page
def test_a_lora_that_does_not_fit_is_said_and_the_old_report_goes(
    page, apply_node, lora_node, shoot
):
    page.run()
    page.expect_report(SAYS)
    page.set(lora_node, {"lora_name": lora_names("flux")[0]})
    assert page.queue()["end"] == "execution_error"
    page.show([apply_node])
    page.expect_error(f'"{lora_names("flux")[0]}": 0 of 19 layers fit this model')
    page.expect_no_report()
    shoot("error")
    page.undo()
    page.expect_no_report()
    page.set(lora_node, {"lora_name": FIRST})
    page.run()
    page.expect_no_error()
    page.expect_report(SAYS)


@pytest.mark.every_page
def test_the_sentence_is_the_first_thing_an_error_says(page, lora_node):
    page.set(lora_node, {"lora_name": lora_names("flux")[0]})
    page.queue()
    page.expect_error("0 of 19 layers fit this model", before="custom_nodes")


def test_a_report_is_dimmed_until_the_run_renews_it(page, apply_node):
    page.run()
    page.show([apply_node])
    page.startOfAnotherRun()
    page.expect_dimmed_report()
    page.run()
    page.expect_report(SAYS)


@pytest.mark.skipif(os.name == "nt", reason="no such file names on Windows")
def test_a_file_name_is_text_whatever_it_says(page, host, apply_node, lora_node, shoot):
    name = "<img src=x onerror=alert(1)>.safetensors"
    write_lora(host.loras_dir / name, "sd15", seed=3)
    page.set(lora_node, {"lora_name": name})
    page.run()
    page.show([apply_node])
    page.expect_report(name)
    shoot("html")
    assert page.report_text().evaluate("box => box.childElementCount") == 0
    page.browser_page.wait_for_timeout(100)


@pytest.mark.parametrize("what", [{"curve": "linear"}, {"scale": (0.5, 1.0)}], ids=str)
def test_nothing_is_said_of_text_where_nobody_has_asked_for_it(page, what):
    """A LoRA without text layers, and no CLIP: most for Flux are used so."""
    prompt = render("flux", stacked_loras((lora_names("flux")[0], 1.0), **what))
    page.loadPrompt(numbered(prompt))
    page.fixSeeds()
    page.run()
    page.show([page.only("ApplyToModel")])
    expect(page.report_line()).to_have_text("1 LoRA, 19 of 19 layers")
    assert "warning" not in page.report_text().text_content()
    expect(page.browser_page.get_by_text("nothing for the text encoder")).to_have_count(0)


@pytest.mark.newest_page
def test_a_warning_is_the_same_sentence_in_the_line_the_text_and_the_toast(page, host, shoot):
    name = f"odd {time.monotonic()}.safetensors"
    content = load_file(host.loras_dir / FIRST) | {"who.knows": torch.ones(1)}
    save_file(content, host.loras_dir / name)
    page.loadPrompt(two_loras("sd15", name, SECOND))
    page.fixSeeds()
    page.run()
    page.show([page.only("ApplyToModel")])
    page.turn_report(True)
    expect(page.report_line()).to_have_text("2 LoRAs, 22 of 22 layers; 1 warning")
    said = "Unknown to the model, not applied: 1 (who.knows)"
    page.expect_report(f"    warning: {said}")
    expect(page.browser_page.get_by_text(said, exact=True)).to_have_count(1)  # the toast
    shoot("warning")
    Interop(page).close_toasts()
