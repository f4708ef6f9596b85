"""Strengths that come to rows by links: an input for each row that asks for one, kept wherever the row goes."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import Rows, row
from tests.web.stage import SHELF
from tests.web.test_rows_saved import fingerprint

pytestmark = pytest.mark.newest_page

INK, LIGHT = SHELF[:2]
BY_LINK, OWN = "Strength by link", "Strength of its own"


@pytest.fixture
def rows(page):
    """Two rows of a node whose recipe can be looked at."""
    shown = Rows(page, page.add("LoRARows", "rows", [460, 60]))
    page.connect(shown.node_id, 0, page.add("TKRecipe", "recipe", [960, 60]), "lora")
    shown.fill([row(INK, 0.5), row(LIGHT)])
    shown.show()
    return shown


@pytest.fixture
def number(rows):
    """A node whose number is the strength of the first row."""
    made = rows.page.add("PrimitiveFloat", "number", [60, 60])
    rows.page.set(made, {"value": 0.75})
    rows.menu(0, BY_LINK)
    rows.page.wait(lambda: "strength_1" in rows.page.sockets(rows.node_id))
    rows.page.connect(made, 0, rows.node_id, "strength_1")
    expect_driven(rows, 0)
    return made


def expect_driven(rows, index):
    expect(rows.strength(index)).to_have_attribute("aria-readonly", "true")
    expect(rows.strength(index)).to_have_text("by link")


def links(page):
    """What the prompt gives to inputs for strengths."""
    (inputs,) = (
        node["inputs"] for node in page.prompt().values() if node["class_type"] == "LoRARows"
    )
    return {name: value for name, value in inputs.items() if name.startswith("strength_")}


@pytest.mark.every_page
def test_a_link_gives_the_strength_and_is_saved(rows, number, page, host, shoot):
    assert links(page) == {"strength_1": [str(number), 0]}
    assert "ink" in page.labels(rows.node_id)[0]
    shoot("rows_links")
    driven = fingerprint(page, host)
    saved = page.workflow()
    page.load(saved)
    rows.show()
    expect_driven(rows, 0)
    assert links(page) == {"strength_1": [str(number), 0]}
    sockets = [
        next(node["inputs"] for node in each["nodes"] if node["type"] == "LoRARows")
        for each in (saved, page.workflow())
    ]
    assert sockets[0] == sockets[1]
    rows.strength(0).focus()
    rows.press("ArrowUp", "Enter")
    assert rows.saved()[0] == row(INK, 0.5, link="strength_1")
    rows.menu(0, OWN)
    page.wait(lambda: not links(page))
    assert "strength_1" not in page.sockets(rows.node_id)
    rows.expect(row(INK, 0.5), row(LIGHT))
    assert fingerprint(page, host) != driven
    rows.fill([row(INK, 0.75), row(LIGHT)])
    assert fingerprint(page, host) == driven


@pytest.mark.every_page
def test_what_takes_the_input_away_is_one_step_of_undo(rows, number, page):
    given = {"strength_1": [str(number), 0]}
    for take in (lambda: rows.menu(0, OWN), lambda: rows.menu(0, "Remove")):
        page.breathe()
        take()
        page.wait(lambda: not links(page))
        page.breathe()
        page.undo()
        page.wait(lambda: links(page) == given)
        expect_driven(rows, 0)
        page.redo()
        page.wait(lambda: not links(page))
        page.undo()
        page.wait(lambda: links(page) == given)


def test_to_ask_for_a_link_is_one_step_and_without_one_the_row_has_its_own(rows, page):
    rows.one_undo_step(lambda: rows.menu(1, BY_LINK))
    rows.expect(row(INK, 0.5), row(LIGHT, link="strength_1"))
    assert "strength_1" in page.sockets(rows.node_id)
    rows.menu(0, BY_LINK)
    rows.expect(row(INK, 0.5, link="strength_2"), row(LIGHT, link="strength_1"))
    rows.strength(0).focus()
    rows.press("ArrowUp")
    rows.expect(row(INK, 0.55, link="strength_2"), row(LIGHT, link="strength_1"))
    assert links(page) == {}


def test_the_link_stays_with_its_row_and_a_copy_has_none(rows, number, page):
    rows.grip(0).focus()
    rows.press("ArrowDown")
    page.wait(lambda: rows.names() == [LIGHT, INK])
    expect_driven(rows, 1)
    assert links(page) == {"strength_1": [str(number), 0]}
    rows.menu(1, "Duplicate")
    page.wait(lambda: len(rows.names()) == 3)
    assert [each.get("link") for each in rows.saved()] == [None, "strength_1", None]
    rows.menu(1, "Remove")
    page.wait(lambda: not links(page))


def test_in_a_subgraph_the_link_comes_through(rows, number, page, host):
    before = fingerprint(page, host)
    outer = page.wrap([rows.node_id])
    assert fingerprint(page, host) == before
    page.unwrap(outer)
    assert fingerprint(page, host) == before
    assert [value[0] for value in links(page).values()] == [str(number)]
    page.after_subgraph()


def test_a_prompt_of_a_script_opens_with_its_link(page):
    rows = {"version": 1, "rows": [row(INK, link="strength_3")]}
    lora = {"class_type": "LoRARows", "inputs": {"rows": rows, "strength_3": ["1", 0]}}
    page.loadPrompt({"1": {"class_type": "PrimitiveFloat", "inputs": {"value": 0.5}}, "2": lora})
    assert links(page) == {"strength_3": [str(page.only("PrimitiveFloat")), 0]}
