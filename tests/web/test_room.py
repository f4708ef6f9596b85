"""How nodes look after edits and runs: as high as they must be, their lines whole, their files in order."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import Rows, row
from tests.web.stage import SHELF, applied_rows, lora_names

FIRST, SECOND = lora_names("sd15")


@pytest.fixture
def rows(page):
    made = Rows(page, page.add("LoRARows"))
    made.show()
    expect(made.root).to_be_visible()
    return made


def height(rows):
    rows.page.settle()
    return rows.page.size(rows.node_id)[1]


def drawn(page, node):
    frame = page.frame(node)
    return frame["bottom"] - frame["top"]


@pytest.mark.every_page
def test_when_rows_go_the_node_gives_their_room_back(page, rows):
    low = height(rows)
    rows.enter([row(name) for name in SHELF])
    expect(rows.items()).to_have_count(len(SHELF))
    page.wait(lambda: height(rows) > low + 100)
    rows.menu(0, "Remove")
    expect(rows.items()).to_have_count(len(SHELF) - 1)
    page.breathe()
    rows.tool("Clear").click()
    expect(rows.items()).to_have_count(0)
    page.wait(lambda: abs(height(rows) - low) < 2, lambda: f"{height(rows)} and not {low}")
    page.undo()
    page.wait(lambda: height(rows) > low + 100)


@pytest.mark.every_page
def test_a_height_that_the_user_has_given_stays(page, rows):
    rows.enter([row(name) for name in SHELF[:3]])
    expect(rows.items()).to_have_count(3)
    page.resize(rows.node_id, [400, 700])
    rows.menu(0, "Remove")
    expect(rows.items()).to_have_count(2)
    page.wait(lambda: height(rows) == 700)


@pytest.mark.every_page
def test_two_strengths_stay_on_the_line_in_a_new_node(rows, shoot):
    rows.enter(
        [row(SHELF[3], 0.85, strength_clip=-0.5), row("gone.safetensors", 1, strength_clip=0.5)]
    )
    for index in range(2):
        boxes = [
            each.bounding_box()
            for each in (rows.file(index), rows.strength(index), rows.text_strength(index))
        ]
        middles = [box["y"] + box["height"] / 2 for box in boxes]
        assert max(middles) - min(middles) < 2
        assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    shoot("room_strengths")


FOOTER = 40
"""Pixels below a node that has failed, where Nodes 2.0 has its button for the error."""


@pytest.mark.every_page
def test_a_node_whose_run_has_failed_gives_back_the_room_of_its_report(page):
    page.loadPrompt(applied_rows("sd15", [row(FIRST), row(SECOND)]))
    page.fixSeeds()
    apply, rows = page.only("ApplyToModel"), page.only("LoRARows")
    page.show([apply])
    before = page.size(apply)
    low = drawn(page, apply)
    page.run()
    page.turn_report(True)
    page.wait(lambda: drawn(page, apply) > low + 100)
    page.set(rows, {"rows": {"version": 1, "rows": [row("flux_1.safetensors")]}})
    assert page.queue()["end"] == "execution_error"
    page.expect_no_report()
    most = before[1] + (FOOTER if page.renderer == "nodes2" else 0)
    page.wait(lambda: page.size(apply)[1] <= most, lambda: f"{page.size(apply)} and not {before}")


@pytest.mark.every_page
def test_a_report_has_its_files_in_the_order_of_the_rows(page):
    names = [SECOND, SHELF[0], FIRST]
    page.loadPrompt(applied_rows("sd15", [row(name) for name in names]))
    page.fixSeeds()
    page.run()
    page.show([page.only("ApplyToModel")])
    page.turn_report(True)
    text = page.report_text().text_content()
    assert sorted(names, key=text.index) == names
