"""Workflows, nodes of other packs and a browser's store that mean harm: the page stays what it is."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

from tests.web.interop import OTHERS, PEER, PEERS, A, surroundings
from tests.web.rows import Rows, row

pytestmark = pytest.mark.slow

MARKUP = "<img src=x onerror=window.hurt=1>"
POLLUTED = "() => [({}).polluted, ({}).on, ([]).polluted, Object.prototype.name, window.hurt]"
RECENT, VIEW = "lora-algebra.recent", "lora-algebra.view"
NARROWING = "lora-algebra.narrowing"


def assert_unharmed(page) -> None:
    assert page.browser_page.evaluate(POLLUTED) == [None] * 5
    foreign = page.browser_page.locator("img[src='x'], [onerror]")
    assert foreign.count() == 0


def poisoned(value: object) -> object:
    """Every object with keys that lead to what all objects share."""
    if isinstance(value, list):
        return [poisoned(each) for each in value]
    if isinstance(value, dict):
        harm = {"polluted": 1, "on": False, "name": MARKUP}
        keys = {"__proto__": harm, "constructor": {"prototype": harm}, "prototype": harm}
        return {**{key: poisoned(each) for key, each in value.items()}, **keys}
    return value


def load(page, workflow: object) -> None:
    """As out of a file: JSON that the page itself reads, so that ``__proto__`` is a key of its own."""
    code = "async (text) => { await app.loadGraphData(JSON.parse(text)); await lab.settle(); }"
    page.browser_page.evaluate(code, json.dumps(workflow))


ROWS = {
    "a key in a row": [{**row(A), "__proto__": {"polluted": 1, "on": False}}],
    "a key in place of a row": [{"__proto__": {"polluted": 1, **row(A)}}, row(A)],
    "names that all objects have": [
        row("__proto__"), row("constructor"), row("toString"), row("hasOwnProperty"),
    ],
    "markup": [row(MARKUP, triggers=[MARKUP]), row(A, triggers=[MARKUP, "__proto__"])],
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_rows_of_a_workflow(page, show, stand, case):
    node = page.add("LoRARows", "rows", [60, 60])
    workflow = page.workflow()
    (saved,) = (each for each in workflow["nodes"] if each["id"] == node)
    values = saved["widgets_values"]
    value = {"version": 1, "rows": ROWS[case], "__proto__": {"polluted": 1}}
    if isinstance(values, dict):
        values["rows"] = value
    else:
        values[0] = value
    load(page, workflow)
    rows = Rows(page, node)
    rows.show()
    shown = rows.items().count()
    assert shown >= 1
    assert_unharmed(page)
    again = page.workflow()
    load(page, again)
    assert_unharmed(page)
    show(
        f"web case in {stand}, rows, {case}: {shown} rows shown, nothing inherited, no element made"
    )


@pytest.mark.parametrize("name", OTHERS)
def test_saved_nodes_of_other_packs(page, interop, name):
    peer = PEERS[name]
    node = {**peer["node"]}
    for key in ("widgets_values", "properties"):
        if key in node:
            node[key] = poisoned(node[key])
    load(page, surroundings({**peer, "node": node}))
    interop.convert(PEER)
    assert_unharmed(page)
    assert "polluted" not in json.dumps(
        [each.get("widgets_values") for each in page.workflow()["nodes"] if each["type"] == "LoRARows"]
    )  # fmt: skip


STORES = {
    "no JSON": "{",
    "no list": '{"__proto__": {"polluted": 1}}',
    "of everything": json.dumps(
        [1, None, {"a": 1}, [MARKUP], MARKUP, "__proto__", A, "x" * 10_000]
    ),
    "a number": "1e999",
    "as long as it can be": json.dumps(["y" * 1_000_000] * 2),  # in each of two keys
}


@pytest.mark.parametrize("case", STORES)
def test_a_store_that_somebody_else_has_written(page, show, stand, case):
    code = "([key, value]) => localStorage.setItem(key, value)"
    for key in (RECENT, VIEW, NARROWING):
        page.browser_page.evaluate(code, [key, MARKUP if key == VIEW else STORES[case]])
    page.reload()
    rows = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    rows.show()
    rows.add_button().click()
    rows.option(A).click()
    page.wait(lambda: rows.names() == [A])
    rows.add_button().click()
    options = rows.options().count()
    rows.press("Escape")
    assert_unharmed(page)
    forget = "(keys) => keys.forEach((key) => localStorage.removeItem(key))"
    page.browser_page.evaluate(forget, [RECENT, VIEW, NARROWING])
    show(f"web case in {stand}, localStorage, {case}: the picker opens with {options} files")
