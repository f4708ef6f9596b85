"""Everybody reaches the rows: by keyboard, by touch, by screen reader, on a narrow node."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from tests.web.rows import Rows, row
from tests.web.stage import SHELF

pytestmark = pytest.mark.newest_page

INK, LIGHT, NIGHT, ADA, BOB, CLEO = SHELF
NARROW = 225
SNAPSHOT = Path(__file__).with_name("rows.aria.txt")
STOPS = 120
"""More than there are places on the page that Tab goes to."""


@pytest.fixture
def rows(page):
    shown = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    shown.show()
    return shown


@pytest.fixture
def three(rows):
    rows.fill([row(INK), row(LIGHT, 0.5), row(ADA, -0.25)])
    return rows


def test_a_graph_is_built_from_nothing_by_mouse_and_keyboard(page, host, shoot):
    for name, place in (("LoRA Rows", (420, 260)), ("TKRecipe", (1000, 260))):
        page.add_by_search(name, place)
    source, end = page.only("LoRARows"), page.only("TKRecipe")
    rows = Rows(page, source)
    for word in ("night", "cleo"):
        rows.add_button().click()
        rows.keyboard.type(word)
        rows.press("Enter")
        page.wait(lambda word=word: any(word in name for name in rows.names()))
    rows.drag(rows.strength(1), right=-40)
    page.drag_wire((source, 0), (end, 0))
    page.listen()
    page.browser_page.mouse.click(800, 900)
    page.browser_page.keyboard.press("Control+Enter")
    result = page.ended()
    assert result["end"] == "execution_success", result
    ran = host.result(result["detail"]["prompt_id"]).report(str(end))
    terms = {term["name"]: term["model"] for term in ran["recipe"]["terms"]}
    assert terms.keys() == {NIGHT, CLEO}
    shoot("rows_from_nothing")


SESSION = [
    "Enter",
    "b",
    "o",
    "b",
    "Enter",
    "Enter",
    "i",
    "n",
    "k",
    "Space",
    "s",
    "h",
    "e",
    "l",
    "f",
    "ArrowDown",
    "Enter",
    "Enter",
    "a",
    "d",
    "a",
    "Escape",
    "Shift+Tab",
    "Shift+Tab",
    "Shift+Tab",
    "ArrowUp",
    "ArrowUp",
    "Shift+Tab",
    "Shift+Tab",
    "Space",
    "Shift+Tab",
    "ArrowUp",
    "Tab",
    "Tab",
    "Tab",
    "0",
    ".",
    "7",
    "Enter",
    "Tab",
    "Tab",
    "Enter",
    "ArrowDown",
    "Enter",
]
"""From the button that adds: two files, one not; strength, switch and place of the last; the rest by the menu."""


def test_a_session_by_keyboard_only(rows, show, stand):
    reached = False
    rows.browser_page.locator("body").focus()
    for _ in range(STOPS):
        rows.press("Tab")
        reached = rows.add_button().evaluate("button => button === document.activeElement")
        if reached:
            break
    assert reached, "Tab does not go to the button that adds"
    for count, key in enumerate(SESSION):
        rows.press(key)
        if key in {"Enter", "Escape"}:  # the host is asked what the file is
            rows.page.wait(lambda count=count: settled(rows, SESSION[: count + 1]))
    rows.expect(row(NIGHT, 0.7, on=False, solo=True), row(BOB))
    told = [(each["name"], each["strength"], each["on"]) for each in rows.saved()]
    show(f"keys in {stand}: Tab… {' '.join(SESSION)}")
    show(f"  -> {told}")


NUMBER_OF_ALL = re.compile(r"(?<=status: 2 of )\d+|(?<=All folders )\d+")
"""Other tests leave files, too."""

CHOICES = re.compile(r'\n +- option "[^"\n]* \(\d+\)"')
"""What can be chosen in the filters, which follows from the files."""


def settled(rows, pressed):
    """As many rows as files have been chosen so far."""
    chosen = sum(1 for keys in (3, 12) if len(pressed) > keys + 1)
    return len(rows.names()) >= chosen


def test_what_a_screen_reader_is_told(three, stand):
    gone = row("gone/away.safetensors", 0.5)
    kept = row(LIGHT, 0.5, on=False, strength_clip=0.2, note="for skies")
    three.fill([row(INK, solo=True), kept, gone])
    three.item(2).get_by_text("There is no file").wait_for()
    parts = [three.root.aria_snapshot()]
    three.item(1).get_by_role("button", name="More for").click()
    parts.append(three.browser_page.get_by_role("menu").aria_snapshot())
    three.press("Escape")
    three.add_button().click()
    three.search().fill("shelf ink")
    three.picker().locator("[data-filter=base]").wait_for()  # so all files are told of
    parts.append(three.picker().aria_snapshot())
    three.press("Escape")
    told = CHOICES.sub("", NUMBER_OF_ALL.sub("N", "\n\n".join(parts) + "\n"))
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(told, encoding="utf-8")
        pytest.fail(f"{SNAPSHOT.name} was not there and is written now: read it")
    assert told == SNAPSHOT.read_text(encoding="utf-8"), stand


def test_each_control_has_a_name_of_its_own(three):
    controls = three.root.locator("button, [role=switch], [role=spinbutton], input, textarea")
    names = controls.evaluate_all("all => all.map((one) => one.ariaLabel || one.textContent)")
    assert all(names)
    assert len(set(names)) == len(names)


def test_the_focus_comes_back_from_picker_and_menu(three):
    def focused(what):
        return what.evaluate("one => one === document.activeElement")

    three.file(1).focus()
    three.press("Enter")
    assert focused(three.search())
    three.press("Escape")
    assert focused(three.file(1))
    more = three.item(1).get_by_role("button", name="More for")
    more.focus()
    three.press("Enter", "Escape")
    assert focused(more)
    three.menu(1, "Remove")
    assert three.root.evaluate("root => root.contains(document.activeElement)")


@pytest.fixture
def touch(page):
    """Presses a finger to some places, one after the other, and lifts it."""
    session = page.browser_page.context.new_cdp_session(page.browser_page)

    def touched(*places):
        for kind, place in zip(("touchStart", *["touchMove"] * len(places)), places, strict=False):
            points = [{"x": place[0], "y": place[1]}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    yield touched
    session.detach()


def test_a_finger_turns_a_switch_and_reorders(three, touch):
    touch(three.centre(three.switch(1)))
    three.expect(row(INK), row(LIGHT, 0.5, on=False), row(ADA, -0.25))
    (x, y), (_, low) = three.centre(three.grip(0)), three.centre(three.grip(2))
    touch((x, y), (x, (y + low) / 2), (x, low + 4))
    three.expect(row(LIGHT, 0.5, on=False), row(ADA, -0.25), row(INK))


def test_a_finger_drags_a_strength(three, touch):
    x, y = three.centre(three.strength(0))
    touch((x, y), (x + 20, y), (x + 40, y))
    three.page.wait(lambda: three.saved()[0]["strength"] > 1)
    assert three.page.scale() == 1


def test_on_a_narrow_node_everything_is_inside_and_apart(three, shoot):
    page = three.page
    three.fill([row(INK, strength_clip=0.2), row(NIGHT, -0.25, note="a note"), row("gone.pt")])
    page.resize(three.node_id, [NARROW, 200])
    three.item(2).get_by_text("missing").wait_for()
    shoot("rows_narrow")
    node = page.frame(three.node_id)
    assert page.size(three.node_id)[0] == NARROW
    boxes = [
        control.bounding_box()
        for control in three.root.locator("button, [role=spinbutton], input").all()
        if control.is_visible()
    ]
    for box in boxes:
        assert node["left"] <= box["x"]
        assert box["x"] + box["width"] <= node["right"]
        assert box["y"] + box["height"] <= node["bottom"] + 1
    for number, one in enumerate(boxes):
        assert not any(overlap(one, other) for other in boxes[:number])
    three.switch(0).click()
    page.wait(lambda: three.saved()[0]["on"] is False)


def overlap(one, other):
    """Whether two boxes share more than their edges."""
    return all(
        min(one[at] + one[size], other[at] + other[size]) - max(one[at], other[at]) > 1
        for at, size in (("x", "width"), ("y", "height"))
    )
