"""Every way to set a strength."""

from __future__ import annotations

from fractions import Fraction

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import Rows, row
from tests.web.stage import SHELF

INK = SHELF[0]


def slow(keys, strength):
    return pytest.param(keys, strength, marks=pytest.mark.slow)


@pytest.fixture
def rows(page):
    shown = Rows(page, page.add("LoRARows"))
    shown.fill([row(INK)])
    shown.show()
    return shown


@pytest.mark.every_page
def test_a_drag_changes_it_in_one_step_of_undo(rows):
    rows.one_undo_step(lambda: rows.drag(rows.strength(0), right=40))
    (raised,) = rows.saved()
    assert 1 < raised["strength"] <= 2
    rows.drag(rows.strength(0), right=-80)
    rows.page.wait(lambda: rows.saved()[0]["strength"] < raised["strength"])


def test_a_drag_does_not_move_the_node_or_the_canvas(rows):
    before = rows.root.bounding_box()
    rows.drag(rows.strength(0), right=40, down=60)
    assert rows.root.bounding_box()["x"] == before["x"]
    assert rows.root.bounding_box()["y"] == before["y"]


def test_escape_takes_a_drag_back(rows):
    x, y = rows.centre(rows.strength(0))
    rows.mouse.move(x, y)
    rows.mouse.down()
    rows.mouse.move(x + 40, y)
    rows.press("Escape")
    rows.mouse.up()
    rows.expect(row(INK))


@pytest.mark.every_page
def test_the_wheel_changes_it_once_it_has_the_focus(rows):
    scale = rows.page.scale()
    rows.strength(0).focus()
    rows.strength(0).hover()
    rows.mouse.wheel(0, -100)
    rows.expect(row(INK, 1.05))
    rows.mouse.wheel(0, 100)
    rows.mouse.wheel(0, 100)
    rows.expect(row(INK, 0.95))
    assert rows.page.scale() == scale


def test_the_wheel_turns_ten_steps_with_shift_and_one_for_many_small_turns(rows):
    rows.strength(0).focus()
    rows.strength(0).hover()
    rows.keyboard.down("Shift")
    rows.mouse.wheel(0, -100)
    rows.keyboard.up("Shift")
    rows.expect(row(INK, 1.5))
    for _ in range(8):
        rows.mouse.wheel(0, -10)
    rows.expect(row(INK, 1.6))


def test_the_wheel_without_the_focus_is_left_to_the_page(rows):
    rows.strength(0).hover()
    rows.mouse.wheel(0, -100)
    rows.page.breathe()
    rows.expect(row(INK))
    rows.page.view(1, [0, 0])


@pytest.mark.parametrize(
    ("keys", "strength"),
    [
        ("ArrowUp", 1.05),
        slow("ArrowRight ArrowRight", 1.1),
        slow("ArrowDown", 0.95),
        slow("PageDown", 0.5),
        ("Shift+ArrowUp", 1.5),
        ("Control+ArrowUp", 1.005),
        ("0 . 8 Enter", 0.8),
        slow("Enter - 1 , 2 5 Enter", -1.25),
        ("Enter 5 Escape", 1),
        slow("Enter x y Enter", 1),
        slow("Enter 9 9 9 Enter", 100),
    ],
)
def test_keys_change_it(rows, keys, strength):
    rows.strength(0).focus()
    rows.press(*keys.split())
    rows.expect(row(INK, strength))
    assert rows.page.byType("LoRARows") == [rows.node_id]


def test_each_key_is_a_step_of_undo(rows):
    rows.strength(0).focus()
    rows.press("ArrowUp")
    rows.page.breathe()
    rows.press("ArrowUp")
    rows.expect(row(INK, 1.1))
    rows.page.breathe()
    rows.page.undo()
    rows.expect(row(INK, 1.05))


def test_a_number_is_typed_after_a_double_click(rows):
    rows.strength(0).dblclick()
    rows.keyboard.type("0,35")
    rows.press("Enter")
    rows.expect(row(INK, 0.35))


@pytest.mark.every_page
def test_the_text_strength_is_apart_when_asked_for_and_changes_alone(rows, shoot):
    rows.menu(0, "Separate text strength")
    rows.expect(row(INK, strength_clip=1))
    rows.text_strength(0).focus()
    rows.press("ArrowDown")
    rows.expect(row(INK, strength_clip=0.95))
    rows.drag(rows.strength(0), right=20)
    (changed,) = rows.saved()
    assert changed["strength"] > 1
    assert changed["strength_clip"] == 0.95
    shoot("rows_text_strength")
    rows.menu(0, "One strength for both")
    rows.expect(row(INK, changed["strength"]))


@pytest.mark.every_page
@pytest.mark.parametrize("typed", ["", "0.25"])
def test_ctrl_enter_runs_the_workflow_with_the_strength_that_is_seen(rows, typed):
    page = rows.page
    shown = page.add("TKValue", "shown", [560, 60])
    page.connect(rows.node_id, 0, shown, "value")
    rows.strength(0).focus()
    rows.keyboard.type(typed)
    page.listen()
    rows.press("Control+Enter")
    result = page.ended()
    assert result["end"] == "execution_success"
    made = page.host.result(result["detail"]["prompt_id"]).report(str(shown))
    assert [Fraction(strength) for _, strength, _ in made["terms"]] == [Fraction(typed or 1)]
    expect(rows.strength(0).locator("input")).to_have_count(0)
