"""Rows inside of a subgraph, and on the node that stands for it."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from tests.web.conftest import OWN
from tests.web.rows import Rows, row
from tests.web.stage import SHELF
from tests.web.test_rows_saved import exported, fingerprint

INK, LIGHT, ADA = SHELF[0], SHELF[1], SHELF[3]
THREE = [row(INK), row(LIGHT, 0.5), row(ADA, -0.25)]


@pytest.fixture
def rows(page):
    """Of a node whose recipe can be looked at."""
    node = page.add("LoRARows", "rows", [60, 60])
    page.connect(node, 0, page.add("TKRecipe", "recipe", [560, 60]), "lora")
    shown = Rows(page, node)
    shown.show()
    shown.enter(THREE)
    yield shown
    page.after_subgraph()


@pytest.mark.every_page
def test_they_are_edited_inside_a_subgraph_and_kept_outside(rows, host):
    page = rows.page
    before = fingerprint(page, host)
    outer = page.wrap([rows.node_id])
    assert fingerprint(page, host) == before
    page.enter(outer)
    inner = Rows(page, page.only("LoRARows"))
    inner.show()
    inner.expect(*THREE)
    inner.switch(1).click()
    inner.expect(THREE[0], row(LIGHT, 0.5, on=False), THREE[2])
    page.leave()
    changed = fingerprint(page, host)
    assert changed != before
    page.unwrap(outer)
    assert fingerprint(page, host) == changed
    assert [each["on"] for each in exported(page)["rows"]] == [True, False, True]


def test_a_list_that_a_subgraph_shows_is_edited_there_also_after_undo(rows, stand):
    if stand.served != OWN:
        pytest.skip("pages from 1.49 on show no list outside of its subgraph, and keep it inside")
    page = rows.page
    outer = page.wrap([rows.node_id])
    page.load(showing_inside(page.workflow(), outer))
    page.show([outer])
    shown = Rows(page, outer)
    shown.expect_shown(*THREE)
    shown.switch(1).click()
    shown.expect_shown(THREE[0], row(LIGHT, 0.5, on=False), THREE[2])
    page.breathe()
    page.undo()
    shown.expect_shown(*THREE)
    shown.switch(0).click()
    shown.expect_shown(row(INK, on=False), *THREE[1:])
    assert [each["on"] for each in exported(page)["rows"]] == [False, True, True]


def showing_inside(workflow, outer):
    """The same workflow, in which the node of a subgraph shows the rows that are inside."""
    (node,) = (each for each in workflow["nodes"] if each["id"] == outer)
    (graph,) = workflow["definitions"]["subgraphs"]
    (inner,) = (each["id"] for each in graph["nodes"] if each["type"] == "LoRARows")
    node["properties"] = node.get("properties", {}) | {"proxyWidgets": [[str(inner), "rows"]]}
    return workflow


@pytest.mark.every_page
def test_undo_leaves_no_old_lists_behind(rows):
    page = rows.page
    outer = page.wrap([rows.node_id])
    for _ in range(3):
        page.layOut({outer: (100, 100, 300, 200)})
        page.undo()
    page.settle()
    assert page.listsAlive() == 1
