"""Light and dark: every text of ours can be read in the host's themes."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.rows import Rows, row
from tests.web.stage import SHELF, applied_rows, lora_names

FIRST, SECOND = lora_names("sd15")
LEAST = 4.5
"""What WCAG asks of text, level AA."""


@pytest.fixture(params=["dark", "light"])
def palette(request, page):
    page.setPalette(request.param)
    yield request.param
    page.setPalette("dark")


def expect_readable(page, least_texts, *within):
    page.settle()
    page.wait(lambda: page.faintTexts(LEAST, *within)["count"] >= least_texts)
    assert page.faintTexts(LEAST, *within)["found"] == []


@pytest.mark.every_page
def test_all_of_a_list_can_be_read(page, palette, shoot):
    rows = Rows(page, page.add("LoRARows"))
    rows.enter(
        [
            row(SHELF[3], 0.85, strength_clip=0.5, note="a note"),
            row(SHELF[0], blocks="double 0-6: 0", solo=True),
            row("gone/away ink.safetensors"),
            row(SHELF[1], on=False),
        ]
    )
    rows.show()
    rows.details(0).click()
    expect(rows.panel(0)).to_contain_text("SD 1.5")
    expect(rows.root).to_contain_text("missing")
    rows.item(1).hover()
    expect_readable(page, 25)
    shoot(f"themes_rows_{palette}")
    rows.add_button().click()
    rows.press("ArrowDown", "ArrowDown")
    expect(rows.options().first).to_be_visible()
    expect_readable(page, 30)
    shoot(f"themes_picker_{palette}")
    rows.press("Escape")
    expect(rows.options()).to_have_count(0)


@pytest.mark.every_page
def test_all_of_a_report_curves_and_bars_can_be_read(page, palette, shoot):
    page.loadPrompt(applied_rows("sd15", [row(FIRST), row(SECOND, 0.5)]))
    page.fixSeeds()
    apply = page.only("ApplyToModel")
    page.run()
    curve = page.add("ScheduleLoRA", "curve", [100, 900])
    blocks = page.add("LoRABlockWeights", "blocks", [100, 1400])
    page.connect(page.only("LoRARows"), 0, blocks, "lora")
    page.show([apply])
    page.turn_report(True)
    expect_readable(page, 2, ".lora-algebra-report")
    shoot(f"themes_report_{palette}")
    page.show([curve])
    # page 1.49 gives a new node the values of one that had its id, also those of ComfyUI's own nodes
    page.set(curve, {"curve": "linear"})
    page.expect_schedule("drawn", "at 100 %")
    expect_readable(page, 8, ".lora-algebra-schedule")
    page.set(curve, {"curve": "nonsense"})
    page.expect_schedule("refused", "There is no shape")
    expect_readable(page, 2, ".lora-algebra-schedule")
    page.show([blocks])
    expect(page.browser_page.locator(".lora-algebra-blocks:visible")).to_contain_text("2 LoRAs")
    expect_readable(page, 4, ".lora-algebra-blocks")
