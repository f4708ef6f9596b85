"""What a person does to the rows, by hand: every edit is kept by the workflow and shown."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import Rows, row
from tests.web.stage import SHELF

pytestmark = pytest.mark.newest_page

INK, LIGHT, NIGHT, ADA, BOB, CLEO = SHELF


@pytest.fixture
def rows(page):
    """Of a node without any."""
    shown = Rows(page, page.add("LoRARows"))
    shown.show()
    return shown


@pytest.fixture
def three(rows):
    rows.fill([row(INK), row(LIGHT, 0.5), row(ADA, -0.25)])
    return rows


def test_a_row_is_added_from_the_picker(rows, shoot):
    rows.add_button().click()
    shoot("rows_picker")
    rows.option(ADA).click()
    rows.expect(row(ADA))
    assert rows.picker().count() == 0
    shoot("rows_one")


def test_the_search_finds_words_in_any_order_in_name_and_folder(rows):
    rows.add_button().click()
    rows.search().fill("ink shelf")
    assert [each.get_attribute("title") for each in rows.options().all()] == [INK, NIGHT]
    rows.search().fill("NIGHT ink")
    assert [each.get_attribute("title") for each in rows.options().all()] == [NIGHT]
    rows.search().fill("people zzz")
    assert rows.options().count() == 0
    rows.press("Escape")
    assert rows.picker().count() == 0
    rows.expect()


def test_what_was_used_last_comes_first(rows):
    for name in (BOB, LIGHT):
        rows.add_button().click()
        rows.option(name).click()
    rows.add_button().click()
    first, second = rows.options().all()[:2]
    assert [each.get_attribute("title") for each in (first, second)] == [LIGHT, BOB]
    rows.press("Escape")


def test_a_folder_can_be_looked_through(rows):
    rows.add_button().click()
    people = rows.picker().get_by_role("treeitem", name="people")
    assert people.count() == 0  # what is in a folder is shown once it is chosen
    rows.picker().get_by_role("treeitem", name="shelf").click()
    assert {each.get_attribute("title") for each in rows.options().all()} == {*SHELF}
    people.click()
    assert {each.get_attribute("title") for each in rows.options().all()} == {ADA, BOB, CLEO}
    rows.press("Escape")


def test_the_picker_shows_pictures(rows, shoot):
    rows.add_button().click()
    rows.picker().get_by_role("button", name="Show pictures").click()
    shoot("rows_grid")
    rows.picker().get_by_role("button", name="Show a list").click()
    rows.press("Escape")


def test_the_file_of_a_row_can_be_changed(three):
    three.file(1).click()
    three.option(BOB).click()
    three.expect(row(INK), row(BOB, 0.5), row(ADA, -0.25))


def test_the_same_file_may_stand_there_twice(three):
    three.add_button().click()
    three.option(INK).click()
    three.expect(row(INK), row(LIGHT, 0.5), row(ADA, -0.25), row(INK))


def test_a_switch_turns_a_row_off_and_on(three, shoot):
    three.switch(1).click()
    three.expect(row(INK), row(LIGHT, 0.5, on=False), row(ADA, -0.25))
    shoot("rows_off")
    three.switch(1).click()
    three.expect(row(INK), row(LIGHT, 0.5), row(ADA, -0.25))


def test_all_are_turned_off_and_on(three):
    three.tool("All off").click()
    three.expect(*(row(n, s, on=False) for n, s in ((INK, 1), (LIGHT, 0.5), (ADA, -0.25))))
    three.tool("All on").click()
    three.expect(row(INK), row(LIGHT, 0.5), row(ADA, -0.25))


def test_normalise_makes_the_strengths_that_count_add_up_to_one(three):
    three.fill([row(INK), row(LIGHT, 0.5), row(ADA, -0.5, strength_clip=1), row(BOB, 3, on=False)])
    three.tool("Sum to 1").click()
    kept = [row(INK, 0.5), row(LIGHT, 0.25), row(ADA, -0.25, strength_clip=0.5)]
    three.expect(*kept, row(BOB, 3, on=False))


def test_clear_takes_all_away_in_one_step(three):
    three.one_undo_step(three.tool("Clear").click)
    three.expect()


@pytest.mark.parametrize(
    ("item", "after"),
    [
        ("Duplicate", [row(INK), row(LIGHT, 0.5), row(LIGHT, 0.5), row(ADA, -0.25)]),
        ("Solo", [row(INK), row(LIGHT, 0.5, solo=True), row(ADA, -0.25)]),
        ("Move up", [row(LIGHT, 0.5), row(INK), row(ADA, -0.25)]),
        ("Move down", [row(INK), row(ADA, -0.25), row(LIGHT, 0.5)]),
        ("Separate text strength", [row(INK), row(LIGHT, 0.5, strength_clip=0.5), row(ADA, -0.25)]),
        ("Remove", [row(INK), row(ADA, -0.25)]),
    ],
)
def test_the_menu_of_a_row(three, item, after, shoot):
    three.one_undo_step(lambda: three.menu(1, item))
    three.expect(*after)
    shoot(f"rows_{item.lower().replace(' ', '_')}")


def test_a_note_is_typed_and_kept(three):
    three.menu(0, "Note")
    three.keyboard.type("for skies")
    three.press("Enter")
    three.expect(row(INK, note="for skies"), row(LIGHT, 0.5), row(ADA, -0.25))
    expect(three.page.browser_page.get_by_role("menu")).to_have_count(0)
    three.menu(0, "Note")
    three.press("Control+a", "Delete", "Enter")
    three.expect(row(INK), row(LIGHT, 0.5), row(ADA, -0.25))
    assert three.page.byType("LoRARows") == [three.node_id]


@pytest.mark.parametrize(("start", "to"), [(0, 2), (2, 0), (0, 1)])
def test_a_row_is_dragged_to_another_place(three, start, to):
    order = [row(INK), row(LIGHT, 0.5), row(ADA, -0.25)]
    order.insert(to, order.pop(start))
    three.one_undo_step(lambda: three.drag_row(start, to))
    three.expect(*order)


def test_the_keys_move_a_row_and_keep_the_focus_on_it(three):
    three.grip(0).focus()
    three.press("ArrowDown", "ArrowDown", "ArrowDown")
    three.expect(row(LIGHT, 0.5), row(ADA, -0.25), row(INK))
    three.press("ArrowUp")
    three.expect(row(LIGHT, 0.5), row(INK), row(ADA, -0.25))
    assert three.grip(1).evaluate("grip => grip === document.activeElement")


def test_text_from_the_clipboard_becomes_rows(three):
    context = three.browser_page.context
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    three.browser_page.evaluate("text => navigator.clipboard.writeText(text)", "<lora:bob:0.7>")
    three.tool("Paste").click()
    three.page.wait(lambda: len(three.saved()) == 4)
    pasted = three.saved()[-1]
    assert (pasted["name"].removesuffix(".safetensors"), pasted["strength"]) in {
        ("bob", 0.7),
        (BOB.removesuffix(".safetensors"), 0.7),
    }


def test_copied_nodes_become_rows(three):
    page = three.page
    page.browser_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    loader = page.add("LoadLoRA", "loader", [500, 60])
    page.set(loader, {"lora_name": CLEO, "strength": 0.3})
    expected = [row(INK), row(LIGHT, 0.5), row(ADA, -0.25), row(CLEO, 0.3)]
    page.select(loader)
    three.press("Control+c")
    three.switch(0).focus()
    three.press("Control+v")
    three.expect(*expected)
    three.tool("Paste").click()
    three.expect(*expected, row(CLEO, 0.3))
    assert page.byType("LoadLoRA") == [loader]


def test_the_keyboard_stays_with_a_row_whose_control_is_gone(three):
    three.fill([row(INK), row("gone/light.safetensors", 0.5)])
    offer = three.item(1).get_by_role("button", name="Use shelf/light")
    offer.focus()
    expect(offer).to_be_focused()
    three.press("Enter")
    three.expect(row(INK), row(LIGHT, 0.5))
    more = three.item(1).get_by_role("button", name="More for")
    assert more.evaluate("more => more === document.activeElement")
    three.tool("Clear").focus()
    three.press("Enter")
    assert three.add_button().evaluate("add => add === document.activeElement")


def test_undo_closes_the_menu_of_what_it_takes_away(three):
    three.switch(0).click()
    three.page.breathe()
    three.item(0).get_by_role("button", name="More for").click()
    three.press("Control+z")
    three.expect(row(INK), row(LIGHT, 0.5), row(ADA, -0.25))
    assert three.browser_page.get_by_role("menu").count() == 0
