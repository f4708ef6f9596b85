"""Pairs of files for two models, one for high noise and one for low noise, as a person makes and changes them."""

from __future__ import annotations

import re

import pytest

from harness.tiny_loras import write_lora
from harness.workflows import Graph, load

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import IDENTITY, Rows, row
from tests.web.stage import SHELF, numbered

pytestmark = pytest.mark.newest_page

INK = SHELF[0]
HIGH, LOW = (f"noise/glow_{side}_noise.safetensors" for side in ("high", "low"))
MENU = "High and low noise…"
IDLE = "This file goes nowhere: neither model_low nor LORA low is connected."


@pytest.fixture(autouse=True)
def files(host):
    """A pair, on the host's disk."""
    made = [host.loras_dir / name for name in (HIGH, LOW)]
    for seed, file in enumerate(made, 71):
        file.parent.mkdir(exist_ok=True)
        write_lora(file, "sd15", seed=seed)
    yield made
    for file in made:
        file.unlink(missing_ok=True)


class Pairs(Rows):
    """The widget, with what it shows of files for low noise."""

    def noise(self, index, *items):
        """Goes through the menu of a row for the two models."""
        self.menu(index, MENU)
        for item in items:
            self.browser_page.get_by_role("menuitem", name=item, exact=True).click()

    def low(self, index):
        return self.item(index).get_by_role("group", name=re.compile("^Low noise: "))

    def low_strength(self, index):
        return self.low(index).get_by_role("spinbutton")

    def low_state(self, index):
        return self.low(index).locator(".lora-algebra-state")

    def kept(self):
        """The rows of the workflow, without what the page notes of files."""
        plain = [{**each, "low": without_identity(each.get("low"))} for each in self.saved()]
        return [{key: value for key, value in each.items() if value is not None} for each in plain]

    def wait_for(self, *rows):
        self.page.wait(lambda: self.kept() == [*rows], lambda: f"{self.kept()} != {[*rows]}")

    def walk(self, *items):
        """Through menus by keys."""
        for item in items:
            focused = self.browser_page.locator("[role=menuitem]:focus")
            for _ in range(20):
                if focused.inner_text() == item:
                    break
                self.press("ArrowDown")
            expect(focused).to_have_text(item)
            self.press("Enter")


def without_identity(low):
    return low and {key: value for key, value in low.items() if key not in IDENTITY}


def open_two_models(page, *rows):
    """A workflow in which the rows get two models, and both are looked at."""
    graph = Graph()
    high, low = (load(graph, "sd15").model for _ in range(2))
    list_ = graph.add("LoRARows", rows={"version": 1, "rows": [*rows]}, model=high, model_low=low)
    graph.add("TKSame", model_a=[list_, 3], model_b=[list_, 6])
    page.loadPrompt(numbered(graph.prompt))
    node = page.only("LoRARows")
    page.layOut({node: (0, -600, 420, 420)})
    page.execute("Comfy.RefreshNodeDefinitions")
    shown = Pairs(page, node)
    shown.show()
    return shown


@pytest.fixture
def rows(page):
    """On a node of which nothing is for low noise."""
    shown = Pairs(page, page.add("LoRARows", "rows", [60, 60]))
    page.execute("Comfy.RefreshNodeDefinitions")
    shown.show()
    return shown


def pair(strength=1.0, low=None, **others):
    return row(HIGH, strength, low={"name": LOW, **(low or {})}, **others)


@pytest.mark.every_page
def test_each_file_shows_what_became_of_it_in_its_model(page, shoot):
    rows = open_two_models(page, pair(0.5, {"strength": -0.25}), row(INK), row(INK, only="low"))
    page.run()
    for index in range(3):
        expect(rows.item(index).locator(".lora-algebra-state").first).to_have_text("11/11")
    expect(rows.low_state(0)).to_have_text("11/11")
    expect(rows.low_strength(0)).to_have_attribute("aria-valuenow", "-0.25")
    rows.show()
    expect(page.report_line()).to_have_text("3 LoRAs, 44 of 44 layers")
    page.turn_report(True)
    page.expect_report(f"{HIGH} (", f"low: {LOW} (", "at strength -0.25", f"low: {INK} (")
    shoot("rows_pairs_report")
    page.turn_report(False)
    shoot("rows_pairs")
    page.layOut({rows.node_id: (0, -600, 225, 520)})
    shoot("rows_pairs_narrow")
    saved = page.workflow()
    page.load(saved)
    rows.show()
    rows.expect(*rows.saved())
    assert rows.kept()[0] == pair(0.5, {"strength": -0.25})
    expect(rows.low_strength(0)).to_have_attribute("aria-valuenow", "-0.25")


@pytest.mark.every_page
def test_keys_make_a_pair_by_its_name_and_change_it(rows, page, shoot):
    rows.fill([row(HIGH, 0.5), row(INK)])
    more = rows.item(0).get_by_role("button", name=re.compile("^More for "))

    def by_keys(*items):
        more.focus()
        rows.press("Enter")
        rows.walk(MENU, *items)

    by_keys("Add the file for low noise")
    rows.wait_for(pair(0.5), row(INK))
    expect(rows.low_strength(0)).to_have_count(0)
    rows.one_undo_step(lambda: by_keys("Two strengths"))
    rows.wait_for(pair(0.5, {"strength": 0.5}), row(INK))
    rows.low_strength(0).focus()
    rows.press("ArrowUp")
    rows.wait_for(pair(0.5, {"strength": 0.55}), row(INK))
    rows.one_undo_step(lambda: by_keys("Swap"))
    assert rows.kept()[0] == row(LOW, 0.55, low={"name": HIGH, "strength": 0.5})
    by_keys("Swap")
    rows.wait_for(pair(0.5, {"strength": 0.55}), row(INK))
    rows.one_undo_step(lambda: by_keys("Split into two rows"))
    rows.wait_for(row(HIGH, 0.5, only="high"), row(LOW, 0.55, only="low"), row(INK))
    shoot("rows_pairs_split")
    rows.one_undo_step(lambda: by_keys("Join with glow_low_noise"))
    rows.wait_for(pair(0.5, {"strength": 0.55}), row(INK))
    by_keys("Remove the file for low noise")
    rows.wait_for(row(HIGH, 0.5), row(INK))
    expect(rows.low(0)).to_have_count(0)
    more.focus()
    rows.press("Enter")
    rows.walk(MENU)
    shoot("rows_pairs_menu")
    rows.press("Escape")
    page.breathe()


def test_the_mouse_adds_a_half_in_one_step(rows):
    rows.fill([row(LOW, 0.5)])
    rows.one_undo_step(lambda: rows.noise(0, "Add the file for high noise"))
    assert rows.kept() == [pair(0.5)]
    rows.fill([row(INK)])
    rows.noise(0, "Add the file for low noise")  # no name tells which
    rows.search().fill("glow low")
    rows.option(LOW).click()
    rows.wait_for(row(INK, low={"name": LOW}))
    rows.low(0).get_by_role("button", name=re.compile("^Choose the file for low noise")).click()
    rows.search().fill("glow high")
    rows.option(HIGH).click()
    rows.wait_for(row(INK, low={"name": HIGH}))
    (kept,) = rows.value()["rows"]
    assert kept["low"]["noted"] == HIGH


def test_a_row_goes_into_one_model_or_into_both(rows):
    rows.fill([row(HIGH), row(INK)])
    rows.one_undo_step(lambda: rows.noise(0, "Only in the low-noise model"))
    rows.expect(row(HIGH, only="low"), row(INK))
    expect(rows.item(0).locator(".lora-algebra-only")).to_have_text("low")
    rows.noise(0, "Only in the high-noise model")
    rows.expect(row(HIGH, only="high"), row(INK))
    rows.noise(0, "In both models")
    rows.expect(row(HIGH), row(INK))


def test_a_low_file_that_goes_nowhere_is_said_quietly(rows, page):
    rows.fill([pair(), row(INK, only="low"), row(INK)])
    for state in (rows.low_state(0), rows.item(1).locator(".lora-algebra-state")):
        expect(state).to_have_text("not used")
        expect(state).to_have_attribute("title", IDLE)
    expect(rows.item(2).locator(".lora-algebra-state")).to_have_text("")
    expect(page.browser_page.locator(".p-toast-message")).to_have_count(0)
    value = page.add("TKRecipe", "value", [660, 60])
    page.connect(rows.node_id, 7, value, "lora")
    expect(rows.low_state(0)).to_have_text("")
    page.disconnect(value, "lora")
    expect(rows.low_state(0)).to_have_text("not used")


def test_a_file_that_is_added_for_two_models_brings_its_other_half(page):
    rows = open_two_models(page)
    rows.expect()

    def add():
        rows.add_button().click()
        rows.search().fill("glow low")
        rows.option(LOW).click()
        rows.wait_for(pair())

    rows.one_undo_step(add)
    expect(rows.low(0)).to_contain_text("glow_low_noise")


def test_with_one_model_a_file_is_added_alone(rows):
    rows.add_button().click()
    rows.search().fill("glow low")
    rows.option(LOW).click()
    rows.wait_for(row(LOW))


def test_a_low_file_that_is_gone_is_mended_as_the_rows_own(rows, page, files):
    rows.fill([row(HIGH)])
    rows.noise(0, "Add the file for low noise")
    page.wait(lambda: "low" in rows.value()["rows"][0])
    page.wait(lambda: "hash" in rows.value()["rows"][0]["low"] or rows.switch(0).dblclick())
    moved = files[1].with_name("otherwise.safetensors")
    files[1].rename(moved)
    files.append(moved)
    page.execute("Comfy.RefreshNodeDefinitions")
    expect(rows.low(0)).to_have_attribute("data-state", "moved")
    rows.one_undo_step(rows.low(0).get_by_role("button", name="Use noise/otherwise").click)
    assert rows.kept() == [row(HIGH, low={"name": "noise/otherwise.safetensors"})]
    assert rows.value()["rows"][0]["low"]["noted"] == "noise/otherwise.safetensors"


def test_the_details_tell_of_both_files(rows, shoot):
    rows.fill([pair()])
    rows.details(0).click()
    for name in (HIGH, LOW):
        expect(rows.panel(0)).to_contain_text(name)
    expect(rows.panel(0).get_by_role("group", name="Trigger words")).to_have_count(1)
    shoot("rows_pairs_panel")
    rows.noise(0, "Only in the low-noise model")
    rows.wait_for(pair(only="low"))  # the page must not ask again and again
    for name in (HIGH, LOW):
        expect(rows.panel(0)).to_contain_text(name)


def test_a_pair_is_copied_pasted_and_doubled_as_one(rows, page):
    rows.fill([pair(0.5, {"strength": 0.25})])
    rows.menu(0, "Duplicate")
    rows.wait_for(*[pair(0.5, {"strength": 0.25})] * 2)
    copy = Pairs(page, page.copyOf(rows.node_id))
    assert copy.kept() == rows.kept()


@pytest.mark.every_page
def test_a_bypassed_list_gives_the_model_and_warns_of_the_other(page):
    rows = open_two_models(page, row(INK))
    (same,) = page.byType("TKSame")
    before = page.prompt()
    given = before[str(rows.node_id)]["inputs"]
    page.setMode(rows.node_id, 4)
    bypassed = page.prompt()[str(same)]["inputs"]
    assert bypassed["model_a"] == given["model"]
    assert bypassed["model_b"] == given["model"]  # the host knows no better
    page.queue()
    page.expect_text("A bypassed LoRA Rows gives model as MODEL low, too.")


def test_pairs_are_not_taken_apart_into_single_nodes(rows, interop):
    rows.fill([pair()])
    assert not interop.expand(rows.node_id)
    assert rows.page.byType("LoRARows") == [rows.node_id]
