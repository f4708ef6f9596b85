"""The points of a curve on Schedule LoRA: a hand moves them, and the text follows."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

MANY = ", ".join(f"{place / 50}:1" for place in range(50))


class Curve:
    """The drawing of the one node that is shown."""

    def __init__(self, page, node):
        self.page = page
        self.node = node
        self.mouse = page.browser_page.mouse
        self.keyboard = page.browser_page.keyboard

    def text(self):
        return self.page.widgetValue(self.node, "curve")

    def expect_text(self, text):
        self.page.wait(lambda: self.text() == text, lambda: f"{self.text()} != {text}")

    def write(self, text):
        self.page.set(self.node, {"curve": text})

    def points(self):
        return self.page.schedule().get_by_role("slider")

    def point(self, number):
        return self.page.schedule().get_by_role("slider", name=re.compile(f"^Point {number} of "))

    def expect_points(self, *said):
        expect(self.points()).to_have_count(len(said))
        for number, words in enumerate(said, 1):
            expect(self.point(number)).to_have_attribute("aria-valuetext", words)

    def place(self, across, down):
        """By shares of the drawing, in the window."""
        box = self.page.schedule().locator(".plot").bounding_box()
        return box["x"] + box["width"] * across, box["y"] + box["height"] * down

    def drag(self, start, *ways):
        self.page.breathe()
        self.mouse.move(*self.place(*start))
        self.mouse.down()
        for way in ways:
            self.mouse.move(*self.place(*way), steps=3)
        self.mouse.up()

    def press(self, *keys):
        for key in keys:
            self.keyboard.press(key)

    def choose(self, button, item):
        self.page.schedule().get_by_role("button", name=button).click()
        self.page.browser_page.get_by_role("menuitem", name=item, exact=True).click()


@pytest.fixture
def curve(page):
    node = page.add("ScheduleLoRA")
    page.show([node])
    shown = Curve(page, node)
    shown.write("0:0, 0.5:1, 1:0.5")
    shown.expect_points("0 at 0", "1 at 0.5", "0.5 at 1")
    return shown


@pytest.mark.every_page
def test_a_drag_writes_the_text_as_one_step_of_undo(page, curve, shoot):
    shoot("curve")
    curve.drag((0.5, 0), (0.4, 0.3), (0.25, 0.5))
    curve.expect_text("0:0, 0.25:0.5, 1:0.5")
    curve.expect_points("0 at 0", "0.5 at 0.25", "0.5 at 1")
    page.undo()
    curve.expect_text("0:0, 0.5:1, 1:0.5")
    page.redo()
    curve.expect_text("0:0, 0.25:0.5, 1:0.5")


def test_a_drag_beyond_the_drawing_goes_on(curve):
    curve.drag((0.5, 0), (0.5, -0.5))
    curve.expect_text("0:0, 0.5:1.5, 1:0.5")
    curve.expect_points("0 at 0", "1.5 at 0.5", "0.5 at 1")


def test_escape_takes_a_drag_back(page, curve):
    curve.mouse.move(*curve.place(0.5, 0))
    curve.mouse.down()
    curve.mouse.move(*curve.place(0.3, 0.5), steps=3)
    page.wait(lambda: curve.text() != "0:0, 0.5:1, 1:0.5")
    curve.press("Escape")
    curve.mouse.up()
    curve.expect_text("0:0, 0.5:1, 1:0.5")


@pytest.mark.every_page
def test_escape_takes_a_drag_back_and_stays_in_the_subgraph(page, curve):
    page.enter(page.wrap([curve.node]))
    curve.node = page.only("ScheduleLoRA")
    page.show([curve.node])
    curve.expect_points("0 at 0", "1 at 0.5", "0.5 at 1")
    curve.mouse.move(*curve.place(0.5, 0))
    curve.mouse.down()
    curve.mouse.move(*curve.place(0.3, 0.5), steps=3)
    page.wait(lambda: curve.text() != "0:0, 0.5:1, 1:0.5")
    curve.press("Escape")
    curve.mouse.up()
    page.settle()
    assert page.only("ScheduleLoRA") == curve.node
    curve.expect_text("0:0, 0.5:1, 1:0.5")
    page.leave()
    page.after_subgraph()


@pytest.mark.every_page
def test_a_double_click_adds_a_point_and_a_key_removes_it(curve):
    curve.mouse.dblclick(*curve.place(0.75, 0.5))
    curve.expect_text("0:0, 0.5:1, 0.75:0.5, 1:0.5")
    expect(curve.point(3)).to_be_focused()
    curve.press("Delete")
    curve.expect_text("0:0, 0.5:1, 1:0.5")
    expect(curve.point(3)).to_be_focused()
    curve.press("Backspace", "Backspace", "Delete")
    curve.expect_text("0:0")


def test_a_press_elsewhere_changes_nothing(page, curve):
    before = page.workflow()
    curve.drag((0.75, 0.6), (0.9, 0.9))
    curve.mouse.click(*curve.place(0.5, 0))
    assert page.workflow() == before


@pytest.mark.every_page
def test_keys_do_all_of_it(page, curve):
    curve.point(1).focus()
    page.breathe()
    curve.press("Tab")
    expect(curve.point(2)).to_be_focused()
    expect(page.schedule().locator(".said")).to_have_text("1 at 0.5")
    curve.press("ArrowDown", "ArrowRight")
    curve.expect_text("0:0, 0.51:0.95, 1:0.5")
    curve.press("Shift+ArrowLeft", "Shift+ArrowUp", "Control+ArrowUp", "Alt+ArrowLeft")
    curve.expect_text("0:0, 0.409:1.455, 1:0.5")
    curve.press("Insert")
    curve.expect_text("0:0, 0.409:1.455, 0.7045:0.9775, 1:0.5")
    expect(curve.point(3)).to_be_focused()
    curve.press("Shift+Tab", "Delete")
    curve.expect_text("0:0, 0.7045:0.9775, 1:0.5")
    assert page.byType("ScheduleLoRA") == [curve.node]  # the host has not removed the node


def test_keys_with_control_are_the_browsers(page, curve):
    page.select(curve.node)
    curve.point(2).focus()
    curve.press("Control+Insert", "Control++", "Control+Backspace", "Meta+Delete", "ArrowDown")
    curve.expect_text("0:0, 0.5:0.95, 1:0.5")
    assert page.byType("ScheduleLoRA") == [curve.node]


@pytest.mark.every_page
def test_each_stroke_of_a_key_is_a_step_of_undo_and_the_point_keeps_the_focus(page, curve):
    curve.point(2).focus()
    page.breathe()
    curve.press("ArrowDown")
    page.breathe()
    curve.press("ArrowDown")
    curve.expect_text("0:0, 0.5:0.9, 1:0.5")
    page.breathe()
    curve.press("Control+z")
    curve.expect_text("0:0, 0.5:0.95, 1:0.5")
    expect(curve.point(2)).to_be_focused()


@pytest.mark.every_page
def test_a_shape_is_chosen(page, curve):
    curve.choose("Shape", "Peak")
    curve.expect_text("0:0, 0.5:1, 1:0")
    curve.choose("Between the points", "cosine")
    curve.expect_text("0:0, 0.5:1, 1:0 cosine")
    curve.drag((0.5, 0), (0.5, 0.5))
    curve.expect_text("0:0, 0.5:0.5, 1:0 cosine")
    page.undo()
    curve.expect_text("0:0, 0.5:1, 1:0 cosine")
    page.undo()
    curve.expect_text("0:0, 0.5:1, 1:0")


def test_every_shape_is_one_that_the_node_reads(page, curve):
    page.schedule().get_by_role("button", name="Shape").click()
    names = page.browser_page.get_by_role("menuitem").all_text_contents()
    curve.press("Escape")
    assert len(names) > 5
    for name in names:
        curve.choose("Shape", name)
        page.expect_schedule("drawn", "at 100 %")


def test_a_text_that_is_none_stays_until_a_shape_is_chosen(page, curve, shoot):
    curve.write("up and down")
    page.expect_schedule("refused", 'There is no shape "up"')
    shoot("curve_refused")
    ways = page.schedule().get_by_role("button", name="Between the points")
    expect(ways).to_have_count(0)  # it would write over the text
    curve.choose("Shape", "Fade out")
    curve.expect_text("0:1, 1:0")
    expect(ways).to_be_visible()


def test_what_has_too_many_points_is_drawn_only(page, curve, shoot):
    curve.write(MANY)
    page.expect_schedule("drawn", "50 points: change them in the text")
    expect(curve.points()).to_have_count(0)
    curve.mouse.dblclick(*curve.place(0.5, 0.5))
    assert curve.text() == MANY
    shoot("curve_many")


def test_points_are_where_the_window_puts_them(page, curve):
    page.set(curve.node, {"start_percent": 0.2, "end_percent": 0.6})
    box = curve.point(2).bounding_box()
    across, _ = curve.place(0.4, 0)
    assert abs(box["x"] + box["width"] / 2 - across) < 1
    curve.drag((0.4, 0), (0.5, 0))
    curve.expect_text("0:0, 0.75:1, 1:0.5")
    curve.mouse.dblclick(*curve.place(0.9, 0.5))  # nothing is there
    curve.expect_text("0:0, 0.75:1, 1:0.5")


def test_a_linked_text_has_no_points(page, curve):
    source = page.add("PrimitiveString", "text", [60, 500])
    page.connect(source, 0, curve.node, "curve")
    page.expect_schedule("linked", "by link: curve")
    expect(curve.points()).to_have_count(0)
    expect(page.schedule().get_by_role("button", name="Shape")).to_be_disabled()


def test_to_look_at_it_is_no_edit(page, curve):
    page.load(page.workflow())
    curve.point(2).focus()
    curve.press("Tab", "Tab")
    curve.point(2).hover()
    page.schedule().get_by_role("button", name="Shape").click()
    curve.press("Escape")
    assert not page.isEdited()
