"""LoRA File opens the same picker as a row, and stays the host's node."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import Rows
from tests.web.stage import SHELF

pytestmark = pytest.mark.newest_page

_, LIGHT, NIGHT, *_ = SHELF


@pytest.fixture
def file_node(page):
    page.browser_page.evaluate("localStorage.clear()")
    made = page.add("LoadLoRA", "file", [60, 60])
    page.set(made, {"lora_name": LIGHT})
    page.show([made])
    return made


@pytest.fixture
def picker(page, file_node):
    """The picker, as the tests of rows speak of it."""
    return Rows(page, file_node)


def press_file(page, node_id):
    """Clicks where the node shows its file."""
    if page.renderer == "nodes2":
        page.browser_page.locator(f'[data-node-id="{node_id}"]').get_by_role("combobox").click()
    else:
        page.browser_page.mouse.click(*page.widgetPlace(node_id, "lora_name"))


@pytest.mark.every_page
def test_one_file_is_chosen_in_the_same_picker(page, picker, file_node, shoot):
    press_file(page, file_node)
    expect(picker.picker()).to_be_visible()
    expect(picker.options().and_(picker.picker().locator("[data-current]"))).to_have_attribute(
        "title", LIGHT
    )
    shoot("file_picker")
    picker.search().fill("night")
    page.breathe()
    picker.press("Enter")
    expect(picker.picker()).to_have_count(0)
    page.wait(lambda: page.widgetValue(file_node, "lora_name") == NIGHT)
    page.settle()
    shoot("file_picked")
    assert page.workflow()["nodes"][0]["widgets_values"] == [NIGHT, 1]
    (sent,) = page.prompt().values()
    assert sent["inputs"] == {"lora_name": NIGHT, "strength": 1}
    if page.renderer == "nodes2":
        shown = page.browser_page.locator(f'[data-node-id="{file_node}"]').get_by_role("combobox")
        expect(shown).to_contain_text("night")
    page.undo()
    assert page.widgetValue(file_node, "lora_name") == LIGHT


@pytest.mark.every_page
def test_the_hosts_own_list_can_be_had_back(page, picker, file_node):
    set_to = "value => app.extensionManager.setting.set('LoraAlgebra.Rows.FilePicker', value)"
    page.browser_page.evaluate(set_to, False)
    press_file(page, file_node)
    page.expect_text(NIGHT)
    expect(picker.picker()).to_have_count(0)
    picker.press("Escape")
    page.browser_page.evaluate(set_to, True)
    page.browser_page.mouse.click(1400, 900)


def test_the_keys_of_nodes_2_open_it_too(page, picker, file_node):
    if page.renderer != "nodes2":
        pytest.skip("what is drawn on the canvas has no keys")
    shown = page.browser_page.locator(f'[data-node-id="{file_node}"]').get_by_role("combobox")
    shown.focus()
    picker.press("Enter")
    expect(picker.picker()).to_be_visible()
    picker.press("Escape")
    expect(shown).to_be_focused()
    assert page.widgetValue(file_node, "lora_name") == LIGHT
