"""The rows of one LoRARows node, as the tests speak of them: what a person sees and does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from playwright.sync_api import Locator, expect

from tests.web.page import Page

Row = dict[str, Any]
IDENTITY = ("hash", "size", "noted")
"""Keys of a row that the page adds by itself, as soon as it knows them."""


def row(name: str, strength: float = 1.0, on: bool = True, **others: Any) -> Row:
    """A row as it is saved."""
    return {"on": on, "name": name, "strength": strength, **others}


def base(name: str) -> str:
    """How the controls of a row call its file."""
    return PurePosixPath(name).stem or "a row without a file"


class Rows:
    """The widget that is shown; there must be only one."""

    def __init__(self, page: Page, node_id: int) -> None:
        self.page = page
        self.node_id = node_id
        self.browser_page = page.browser_page
        self.keyboard = page.browser_page.keyboard
        self.mouse = page.browser_page.mouse
        self.root = page.browser_page.locator(".lora-algebra-rows:visible")

    def fill(self, rows: Iterable[Row]) -> None:
        """As the workflow may hold them; one step of undo."""
        self.page.set(self.node_id, {"rows": {"version": 1, "rows": [*rows]}})

    def enter(self, rows: Iterable[Row]) -> None:
        """As a user does, so with the height that they need."""
        self.page.enterRows(self.node_id, [*rows])

    def show(self) -> None:
        self.page.show([self.node_id])

    def value(self) -> dict[str, Any]:
        """What the workflow keeps."""
        return self.page.savedRows(self.node_id)

    def saved(self) -> list[Row]:
        """The rows that the workflow keeps, without what the page adds by itself."""
        return [
            {key: value for key, value in each.items() if key not in IDENTITY}
            for each in self.value()["rows"]
        ]

    def names(self) -> list[str]:
        return [each["name"] for each in self.value()["rows"]]

    def expect(self, *rows: Row) -> None:
        """The workflow keeps these rows, and the page shows them."""
        self.page.wait(lambda: self.saved() == [*rows], lambda: f"{self.saved()} != {[*rows]}")
        self.expect_shown(*rows)

    def expect_shown(self, *rows: Row) -> None:
        expect(self.items()).to_have_count(len(rows))
        for index, each in enumerate(rows):
            self._expect_row(index, each)

    def _expect_row(self, index: int, row: Mapping[str, Any]) -> None:
        name = base(row["name"])
        expect(self.item(index).get_by_role("switch", name=f"Use {name}")).to_have_attribute(
            "aria-checked", str(row["on"]).lower()
        )
        strengths = {"Strength": row["strength"], "Text strength": row.get("strength_clip")}
        for kind, strength in strengths.items():
            shown = self.item(index).get_by_role("spinbutton", name=f"{kind} of {name}", exact=True)
            if strength is None:
                expect(shown).to_have_count(0)
            else:
                expect(shown).to_have_attribute("aria-valuenow", re.compile(f"^{strength:g}$"))

    def items(self) -> Locator:
        return self.root.get_by_role("listitem")

    def item(self, index: int) -> Locator:
        return self.items().and_(self.root.locator(f"[data-index='{index}']"))

    def grip(self, index: int) -> Locator:
        return self.item(index).get_by_role("button", name=re.compile("^Move "))

    def switch(self, index: int) -> Locator:
        return self.item(index).get_by_role("switch")

    def file(self, index: int) -> Locator:
        return self.item(index).get_by_role("button", name=re.compile("^Choose file, "))

    def strength(self, index: int) -> Locator:
        return self.item(index).get_by_role("spinbutton", name=re.compile("^Strength of "))

    def text_strength(self, index: int) -> Locator:
        return self.item(index).get_by_role("spinbutton", name=re.compile("^Text strength of "))

    def details(self, index: int) -> Locator:
        return self.item(index).get_by_role("button", name=re.compile("^Details of "))

    def panel(self, index: int) -> Locator:
        return self.item(index).get_by_role("region", name=re.compile("^About "))

    def tool(self, name: str) -> Locator:
        """A button for all rows."""
        tools = self.root.get_by_role("toolbar", name="All rows")
        return tools.get_by_role("button", name=name, exact=True)

    def add_button(self) -> Locator:
        return self.root.get_by_role("button", name="Add LoRA")

    def picker(self) -> Locator:
        return self.browser_page.get_by_role("dialog", name="Choose a LoRA")

    def search(self) -> Locator:
        return self.picker().get_by_role("combobox", name="Search", exact=True)

    def options(self) -> Locator:
        return self.picker().get_by_role("listbox").get_by_role("option")

    def option(self, name: str) -> Locator:
        """By its full name."""
        return self.picker().get_by_title(name, exact=True).and_(self.options())

    def menu(self, index: int, item: str) -> None:
        """Chooses from the menu of a row."""
        self.item(index).get_by_role("button", name=re.compile("^More for ")).click()
        self.browser_page.get_by_role("menuitem", name=item, exact=True).click()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.keyboard.press(key)

    def drag(self, what: Locator, right: float = 0, down: float = 0) -> None:
        """With the left button, in steps, as a hand does."""
        x, y = self.centre(what)
        self.mouse.move(x, y)
        self.mouse.down()
        self.mouse.move(x + right / 2, y + down / 2)
        self.mouse.move(x + right, y + down)
        self.mouse.up()

    def centre(self, what: Locator) -> tuple[float, float]:
        box = what.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag_row(self, index: int, to: int) -> None:
        """By its grip, onto the row that is now at the other place."""
        distance = self.centre(self.grip(to))[1] - self.centre(self.grip(index))[1]
        self.drag(self.grip(index), down=distance + (4 if to > index else -4))

    def one_undo_step(self, edit: Callable[[], object]) -> None:
        """Does something, and makes sure that undo takes it back and redo repeats it."""
        before = self.saved()
        self.page.breathe()
        edit()
        self.page.wait(lambda: self.saved() != before)
        after = self.saved()
        self.page.breathe()
        self.page.undo()
        self.expect(*before)
        self.page.redo()
        self.expect(*after)
