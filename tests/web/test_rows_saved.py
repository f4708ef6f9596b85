"""No row and no link is lost, whatever the host does with the workflow."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

from tests.web.rows import Rows, row
from tests.web.stage import SHELF, lora_names, unfolded

pytestmark = pytest.mark.newest_page

INK, LIGHT, NIGHT, ADA, BOB, CLEO = SHELF

TWELVE = [
    row(INK, 0.8),
    row(LIGHT, 0.35, strength_clip=0.1),
    row(NIGHT, -0.5),
    row(ADA, 1.2, note='"quoted", <b>bold</b> and ünïcode 墨'),
    row(BOB, 0.4, on=False),
    row(CLEO, 0.9, triggers=["cleo", "queen"]),
    row(INK, 0.15),
    row("", 1.0),
    row(BOB, 0.05, strength_clip=-0.05),
    row(LIGHT, 2.0, on=False, note="later"),
    row(ADA, 0.0001),
    row(CLEO, 1.0, of_the_future={"kept": [1, 2.5, None]}),
]

THREE = [row(INK), row(LIGHT, 0.5), row(ADA, -0.25)]


@pytest.fixture
def rows(page):
    shown = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    shown.show()
    shown.enter(THREE)
    return shown


@pytest.fixture
def measured(rows):
    """The same, and its recipe can be looked at."""
    recipe = rows.page.add("TKRecipe", "recipe", [560, 60])
    rows.page.connect(rows.node_id, 0, recipe, "lora")
    return rows


def fingerprint(page, host):
    """Of the recipe that a run of the open workflow makes."""
    result = page.queue()
    assert result["end"] == "execution_success", result
    ran = host.result(result["detail"]["prompt_id"])
    return ran.report(str(page.only("TKRecipe")))["fingerprint"]


def without_notes(value):
    """What a run gets of a value."""
    rows = [{key: kept for key, kept in each.items() if key != "note"} for each in value["rows"]]
    return value | {"rows": rows}


def exported(page):
    """The rows that the host gets when the page is run."""
    (inputs,) = [
        node["inputs"] for node in page.prompt().values() if node["class_type"] == "LoRARows"
    ]
    return inputs["rows"]


def test_twelve_rows_mean_the_same_saved_reloaded_imported_and_without_a_page(
    measured, host, show, stand, shoot
):
    rows, page = measured, measured.page
    rows.fill(TWELVE)
    rows.expect(*TWELVE)
    shoot("rows_twelve")
    kept = rows.value()
    prints = {"page": fingerprint(page, host)}

    file = page.save_as(f"twelve {stand}")
    page.reload()
    page.load(json.loads(file.read_text(encoding="utf-8")))
    page.show([rows.node_id])
    rows.expect(*TWELVE)
    assert rows.value() == kept
    prints["reloaded"] = fingerprint(page, host)

    assert exported(page) == without_notes(kept)
    prompt = page.prompt()
    (end,) = (id for id, node in prompt.items() if node["class_type"] == "TKRecipe")
    prints["headless"] = host.run(json.loads(json.dumps(prompt))).report(end)["fingerprint"]

    page.loadPrompt(prompt)
    assert exported(page) == without_notes(kept)
    prints["imported"] = fingerprint(page, host)
    assert len(set(prints.values())) == 1, prints
    show(f"twelve rows in {stand}: {prints['page'][:16]}… in {', '.join(prints)}")


def test_edits_after_undo_and_redo_are_kept_twice(rows):
    page = rows.page
    for strength in (0.55, 0.6):
        rows.switch(0).click()
        page.breathe()
        rows.menu(1, "Remove")
        rows.expect(row(INK, on=False), THREE[2])
        page.breathe()
        page.undo()
        page.undo()
        rows.expect(*rows_before(strength))
        page.redo()
        page.undo()
        rows.strength(1).focus()
        rows.press("ArrowUp")
        rows.expect(THREE[0], row(LIGHT, strength), THREE[2])
        assert exported(page) == rows.value()
        page.breathe()


def rows_before(strength):
    return [THREE[0], row(LIGHT, round(strength - 0.05, 2)), THREE[2]]


def test_the_keys_for_undo_work_with_the_focus_in_a_row(rows):
    rows.switch(0).click()
    rows.expect(row(INK, on=False), *THREE[1:])
    rows.page.breathe()
    rows.press("Control+z")
    rows.expect(*THREE)
    rows.press("Control+y")
    rows.expect(row(INK, on=False), *THREE[1:])


def test_another_tab_loses_nothing_and_edits_go_on(rows):
    page = rows.page
    tab = page.tab()
    page.clear({"keepTabs": True})
    assert rows.root.count() == 0
    page.openTab(tab)
    rows.expect(*THREE)
    rows.switch(2).click()
    rows.expect(*THREE[:2], row(ADA, -0.25, on=False))
    assert exported(page) == rows.value()


def test_the_renderer_can_be_switched_at_any_time(rows, shoot):
    page = rows.page
    modern = page.renderer == "nodes2"
    try:
        page.setRenderer(not modern)
        rows.expect(*THREE)
        shoot("rows_switched_renderer")
        rows.switch(0).click()
        rows.expect(row(INK, on=False), *THREE[1:])
    finally:
        page.setRenderer(modern)
    rows.expect(row(INK, on=False), *THREE[1:])
    rows.switch(0).click()
    rows.expect(*THREE)
    assert exported(page) == rows.value()


def edited_with_hashes(rows):
    rows.switch(0).click()
    rows.switch(0).click()
    return all("hash" in each for each in rows.value()["rows"])


def test_a_note_makes_nothing_run_again(measured, host):
    rows, page = measured, measured.page
    page.wait(lambda: edited_with_hashes(rows))  # an edit brings what is known of the files by then
    before = fingerprint(page, host)
    rows.menu(0, "Note")
    rows.keyboard.type("for skies")
    rows.press("Enter")
    rows.expect(row(INK, note="for skies"), *THREE[1:])
    result = page.queue()
    assert result["end"] == "execution_success"
    ran = host.result(result["detail"]["prompt_id"])
    assert str(rows.node_id) in ran.cached
    assert ran.report(str(page.only("TKRecipe")))["fingerprint"] == before


def test_a_pasted_copy_has_the_rows_and_is_edited_by_itself(rows):
    page = rows.page
    copy = Rows(page, page.copyOf(rows.node_id))
    assert copy.value() == rows.value()
    page.layOut({copy.node_id: (60, 600, 340, 240)})
    copy.root = page.browser_page.locator(".lora-algebra-rows:visible").last
    copy.switch(0).click()
    page.wait(lambda: copy.saved()[0]["on"] is False)
    assert rows.saved() == THREE


def test_a_pasted_group_of_four_keeps_every_link_into_one_stack(page):
    lists = [page.add("LoRARows", f"list {i}", [60, 60 + 300 * i]) for i in range(2)]
    for node, name in zip(lists, (INK, ADA), strict=True):
        page.set(node, {"rows": {"version": 1, "rows": [row(name)]}})
    loaders = [page.add("LoadLoRA", f"loader {i}", [60, 660 + 180 * i]) for i in range(2)]
    for node, name in zip(loaders, lora_names("sd15"), strict=True):
        page.set(node, {"lora_name": name})
    stack = page.add("StackLoRAs", "stack", [560, 60])
    end = page.add("TKRecipe", "end", [960, 60])
    for index, node in enumerate([lists[0], *loaders, lists[1]]):
        page.connect(node, 0, stack, f"loras.lora_{index}")
    page.connect(stack, 0, end, "lora")
    before = unfolded(page.prompt(), str(end))
    assert len(before["inputs"]["lora"][0]["inputs"]) == 4
    page.pasteCopiesOf([*lists, *loaders, stack, end])
    assert unfolded(page.prompt(), str(page.only("TKRecipe"))) == before


def test_a_node_that_was_saved_collapsed_keeps_its_rows(rows):
    page = rows.page
    page.collapse(rows.node_id)
    page.wait(lambda: rows.root.count() == 0)
    page.load(page.workflow())
    assert rows.saved() == THREE
    assert exported(page) == rows.value()
    page.collapse(rows.node_id)
    rows.expect(*THREE)
    rows.switch(0).click()
    rows.expect(row(INK, on=False), *THREE[1:])
