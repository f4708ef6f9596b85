"""Block weights of a row: from the menu and from a tag to the chip, and into what the workflow keeps."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import Rows, row
from tests.web.stage import SHELF

pytestmark = pytest.mark.every_page

INK, LIGHT, *_ = SHELF
CHIP = re.compile("^Block weights of light: ")


@pytest.fixture
def rows(page):
    shown = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    shown.show()
    shown.enter([row(INK), row(LIGHT, 0.5)])
    return shown


def editor(rows):
    return rows.browser_page.get_by_role("dialog", name="Block weights of light")


def lines(rows):
    return editor(rows).get_by_role("textbox")


def chip(rows):
    return rows.item(1).get_by_role("button", name=CHIP)


def has_focus(what):
    return what.evaluate("element => element === document.activeElement")


def test_a_preset_and_a_line_become_block_weights_and_go_again(rows, shoot):
    weighted = row(LIGHT, 0.5, blocks="FLUX-FACE\nother: 0.5")

    def choose():
        rows.menu(1, "Block weights…")
        presets = editor(rows).get_by_role("combobox")
        assert "custom" not in presets.inner_text()
        presets.select_option("MIDD")
        presets.select_option("FLUX-FACE")
        lines(rows).press("End")
        lines(rows).press_sequentially("\nother: 0.5")
        shoot("rows_blocks_editor")
        editor(rows).get_by_role("button", name="Apply").click()

    rows.one_undo_step(choose)
    rows.expect(row(INK), weighted)
    expect(chip(rows)).to_have_text("FLUX-FACE")
    expect(chip(rows)).to_have_attribute("title", weighted["blocks"])
    shoot("rows_blocks")
    chip(rows).click()
    expect(lines(rows)).to_have_value(weighted["blocks"])
    shoot("rows_blocks_chip_editor")
    editor(rows).get_by_role("button", name="Remove").click()
    rows.expect(row(INK), row(LIGHT, 0.5))
    expect(chip(rows)).to_have_count(0)
    assert has_focus(rows.item(1).get_by_role("button", name="More for light"))


def test_the_editor_is_reached_by_keys_and_looking_is_no_edit(rows):
    kept = [row(INK), row(LIGHT, 0.5, blocks="double 0-6: 0")]
    rows.enter(kept)
    rows.file(1).focus()
    rows.press("Tab")
    assert has_focus(chip(rows))
    rows.press("Enter")
    lines(rows).press_sequentially("; other: 0")
    rows.press("Shift+Tab")
    assert has_focus(editor(rows).get_by_role("combobox"))
    rows.press("Escape")
    assert editor(rows).count() == 0
    assert has_focus(chip(rows))
    rows.press("Enter")
    editor(rows).get_by_role("button", name="Apply").click()
    rows.expect(*kept)
    rows.page.breathe()
    rows.page.undo()
    rows.expect(row(INK), row(LIGHT, 0.5))


def test_block_weights_outlive_a_reload_and_reach_the_prompt(rows, stand):
    page = rows.page
    kept = [row(INK), row(LIGHT, 0.5, blocks="double 0-6: 0; <b>x</b>: 1")]
    rows.enter(kept)
    rows.menu(1, "Duplicate")
    kept.append(kept[1])
    rows.expect(*kept)
    file = page.save_as(f"blocks {stand}")
    page.reload()
    page.load(json.loads(file.read_text(encoding="utf-8")))
    page.show([rows.node_id])
    rows.expect(*kept)
    expect(chip(rows)).to_have_text(kept[1]["blocks"])
    (node,) = page.prompt().values()
    assert [each.get("blocks") for each in node["inputs"]["rows"]["rows"]] == [
        each.get("blocks") for each in kept
    ]


def test_block_weights_of_a_pasted_tag_come_along(rows):
    rows.switch(0).focus()
    rows.browser_page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            document.activeElement.dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }""",
        "<lora:shelf/night ink:0.7:lbw=midd:out=0.5>",
    )
    rows.page.wait(lambda: len(rows.saved()) == 3)
    assert rows.saved()[2]["blocks"] == "midd\nout: 0.5"
