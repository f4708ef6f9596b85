"""The drawing on Schedule LoRA: of the values that the node has, whatever way they came, and nowhere else."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

RAMP = "0 at 0 %, 0.25 at 25 %, 0.5 at 50 %, 0.75 at 75 %, 1 at 100 %"
FADE = "1 at 0 %, 0.75 at 25 %, 0.5 at 50 %, 0.25 at 75 %, 0 at 100 %"
NARROW = 225
KEYS = ["curve", "start_percent", "end_percent"]


@pytest.fixture
def node(page):
    added = page.add("ScheduleLoRA")
    page.show([added])
    return added


def corners(page):
    """Those of the line, in its unit square, downwards."""
    text = page.schedule().locator("polyline").get_attribute("points")
    return [tuple(map(float, corner.split(","))) for corner in text.split()]


def labels(page):
    return page.schedule().locator(".plot span").all_text_contents()


@pytest.mark.usefixtures("node")
def test_a_new_node_shows_its_curve(page, shoot):
    page.expect_schedule("drawn", RAMP)
    assert page.schedule().get_attribute("role") == "group"
    assert (corners(page)[0], corners(page)[-1]) == ((0, 1), (1, 0))
    assert labels(page) == ["1", "0"]
    shoot("schedule")


@pytest.mark.every_page
def test_it_follows_typing(page, node):
    page.type_into(node, "curve", "0:1, 1:0")
    page.expect_schedule("drawn", FADE)
    page.type_into(node, "curve", "0:1, 1:-3 ease-in")
    page.expect_schedule("drawn", "1 at 0 %, 0.75 at 25 %, 0 at 50 %, -1.25 at 75 %, -3 at 100 %")
    assert labels(page) == ["1", "-3"]


def test_it_follows_the_window(page, node, shoot):
    page.set(node, {"curve": "constant", "start_percent": 0.2, "end_percent": 0.6})
    page.expect_schedule("drawn", "0 at 0 %, 1 at 25 %, 1 at 50 %, 0 at 75 %, 0 at 100 %")
    up, down = (0.2, 1), (0.6, 0)
    assert {up, (0.2, 0), down, (0.6, 1)} <= set(corners(page))
    shoot("schedule_window")


def test_it_says_what_is_wrong_until_it_is_mended(page, node, shoot):
    page.type_into(node, "curve", "0:0, 0.5:1, 0.2:0")
    says = "Point 3 is at 0.2, before the point at 0.5. Points go from left to right."
    page.expect_schedule("refused", says)
    assert page.schedule().locator(".note").inner_text().strip() == says
    assert not page.schedule().locator(".plot").is_visible()
    shoot("schedule_refused")
    page.type_into(node, "curve", "linear")
    page.expect_schedule("drawn", RAMP)
    assert page.schedule().locator(".plot").is_visible()


def test_it_says_that_a_window_is_none(page, node):
    page.set(node, {"start_percent": 0.8, "end_percent": 0.25})
    page.expect_schedule("refused", "It goes from 0.8 to 0.25.")


def test_a_text_is_text_whatever_it_says(page, node):
    page.set(node, {"curve": "<b onclick=alert(1)>"})
    page.expect_schedule("refused", '"<b onclick=alert(1)>"')
    assert page.schedule().locator("b").count() == 0


def test_values_that_are_none_are_refused_like_others(page, node):
    page.set(node, dict.fromkeys(KEYS))
    page.expect_schedule("refused", "It goes from 0 to 0.")
    page.set(node, {"curve": None, "end_percent": "1"})
    page.expect_schedule("refused", "There is nothing in it.")
    page.set(node, {"curve": "0:1, 1:0"})
    page.expect_schedule("drawn", FADE)


def test_neither_workflow_nor_prompt_holds_it(page, node):
    page.expect_schedule("drawn", RAMP)
    (saved,) = page.workflow()["nodes"]
    assert saved["widgets_values"] == ["linear", 0, 1]
    assert "lora_algebra_schedule" not in json.dumps(page.workflow())
    page.connect(node, 0, page.add("ApplyToModel"), "lora")
    page.connect(page.only("ApplyToModel"), 2, page.add("PreviewAny"), "source")
    assert sorted(page.prompt()[str(node)]["inputs"]) == sorted(KEYS)


def test_it_comes_back_with_a_saved_workflow(page, node):
    page.set(node, {"curve": "0:1, 1:0"})
    workflow = page.workflow()
    page.clear()
    assert page.schedule().count() == 0
    page.load(workflow)
    page.expect_schedule("drawn", FADE)
    page.reload()
    page.load(workflow)
    page.expect_schedule("drawn", FADE)


@pytest.mark.every_page
def test_it_follows_undo_and_redo_and_still_follows_typing(page, node):
    page.set(node, {"curve": "0:1, 1:0"})
    page.expect_schedule("drawn", FADE)
    page.undo()
    page.expect_schedule("drawn", RAMP)
    page.redo()
    page.expect_schedule("drawn", FADE)
    page.undo()
    page.type_into(node, "curve", "0:0.5")
    page.expect_schedule("drawn", "0.5 at 0 %, 0.5 at 25 %")


@pytest.mark.every_page
def test_a_pasted_copy_has_its_own(page, node):
    page.set(node, {"curve": "0:1, 1:0"})
    page.pasteCopiesOf([node])
    copy = page.only("ScheduleLoRA")
    page.show([copy])
    page.expect_schedule("drawn", FADE)
    page.set(copy, {"curve": "linear"})
    page.expect_schedule("drawn", RAMP)


def test_it_says_that_a_value_comes_by_a_link(page, node, shoot):
    page.set(node, {"curve": "0:1, 1:0"})
    source = page.add("PrimitiveString", "text", [60, 400])
    page.connect(source, 0, node, "curve")
    page.expect_schedule("linked", f"{FADE}; by link: curve; here the last value")
    shoot("schedule_linked")
    page.set(node, {"curve": "not what will count"})
    page.expect_schedule("refused", "by link: curve")
    page.undo()
    page.undo()
    page.expect_schedule("drawn", FADE)


@pytest.mark.every_page
def test_inside_a_subgraph_it_is_shown_where_the_node_is(page, node):
    outer = page.wrap([node])
    page.enter(outer)
    inner = page.only("ScheduleLoRA")
    page.show([inner])
    page.expect_schedule("drawn", RAMP)
    page.set(inner, {"curve": "0:1, 1:0"})
    page.expect_schedule("drawn", FADE)
    page.leave()
    assert page.schedule().count() == 0
    page.after_subgraph()


@pytest.mark.every_page
def test_it_lies_within_a_narrow_node(page, node, shoot):
    page.resize(node, [NARROW, 100])
    page.set(node, {"curve": "0:-0.123456, 0.5:1000"})
    page.show([node])
    page.expect_schedule("drawn", "-0.123 at 0 %")
    shoot("schedule_narrow")
    inner, outer = page.schedule().bounding_box(), page.frame(node)
    assert outer["left"] <= inner["x"]
    assert inner["x"] + inner["width"] <= outer["right"]
    assert outer["top"] < inner["y"]
    assert inner["y"] + inner["height"] <= outer["bottom"] + 1
    assert page.size(node)[0] == NARROW


@pytest.mark.every_page
def test_its_line_has_a_colour(page, node):
    page.show([node])
    line = page.schedule().locator("polyline")
    assert line.evaluate("line => getComputedStyle(line).stroke") not in {"none", "rgb(0, 0, 0)"}


def test_a_collapsed_node_hides_it(page, node):
    page.collapse(node)
    page.wait(lambda: page.schedule().count() == 0)
    page.collapse(node)
    page.expect_schedule("drawn", RAMP)


def test_other_nodes_have_none(page):
    page.add("ScaleLoRA")
    assert page.schedule().count() == 0
