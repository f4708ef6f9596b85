"""The bars on LoRA Block Weights: drawn from the text and the file above, and written back into the text."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from harness.samples import pair, write
from tests.web.page import Page

FILE = "blocks/flux.safetensors"
DOUBLE, SINGLE = 19, 38
PRESETS = "lora-algebra/block_presets.json"

pytestmark = pytest.mark.every_page


def layers():
    """A change in each block but the first, growing from block to block."""
    content = {}
    for name, count in (
        ("double_blocks_{}_img_attn_qkv", DOUBLE),
        ("single_blocks_{}_linear1", SINGLE),
    ):
        for number in range(1, count):
            layer = name.format(number)
            content |= pair(f"lora_unet_{layer}", 8, 8, rank=2, seed=1, alpha=float(number))
    return content


@pytest.fixture
def flux(host, tmp_path):
    """A file for as long as a test takes: others count what the host lists."""
    yield host.add_lora(write(tmp_path / "flux.safetensors", layers()), FILE)
    shutil.rmtree((host.loras_dir / FILE).parent)


class Bars:
    """Those of one node, with a LoRA above it."""

    def __init__(self, page: Page, node: int) -> None:
        self.page = page
        self.node = node
        self.mouse = page.browser_page.mouse
        self.element = page.browser_page.locator(".lora-algebra-blocks:visible")

    def text(self) -> str:
        return self.page.widgetValue(self.node, "weights")

    def write(self, text: str) -> None:
        self.page.set(self.node, {"weights": text})

    def bar(self, name: str):
        return self.element.get_by_role("slider", name=name, exact=True)

    def expect(self, **factors: float) -> None:
        for name, factor in factors.items():
            bar = self.bar(name.replace("_", " "))
            expect(bar).to_have_attribute("aria-valuenow", f"{factor:g}")

    def place(self, name: str, factor: float) -> tuple[float, float]:
        """Where that factor of a bar is; the box is drawn from 2 to 0."""
        box = self.bar(name).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] * (1 - factor / 2)

    def drag(self, *stops: tuple[str, float]) -> None:
        self.page.breathe()
        self.mouse.move(*self.place(stops[0][0], 1.5))
        self.mouse.down()
        for stop in stops:
            self.mouse.move(*self.place(*stop), steps=3)
        self.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.browser_page.keyboard.press(key)


@pytest.fixture
def bars(page, flux):
    source, node = page.add("LoadLoRA"), page.add("LoRABlockWeights", "weights", [420, 60])
    page.set(source, {"lora_name": flux})
    page.connect(source, 0, node, "lora")
    page.show([node])
    shown = Bars(page, node)
    shown.expect(double_3=1)
    return shown


def test_it_draws_the_blocks_of_the_file_and_the_factors_of_the_text(page, bars, shoot):
    expect(bars.element.get_by_role("slider")).to_have_count(DOUBLE + SINGLE)
    expect(bars.bar("double 0")).to_have_attribute("data-untouched", "")
    bars.write("# mine\ndouble 0-6: 0\nlate: 1.5\nsingle 3-4: -0.5\nattn: 0.5")
    bars.expect(double_6=0, double_7=1, single_3=-0.5, single_37=1.5)
    expect(bars.element.locator("p")).to_have_text("Not drawn: attn: 0.5")
    bars.bar("double 18").hover()
    expect(bars.element).to_contain_text("double 18: 1 (change: 49 %)")
    shoot("blocks")
    page.set(bars.node, {"preset": "FLUX-FACE", "weights": ""})
    bars.expect(double_6=0, double_7=1, single_20=1, single_21=0)


def test_a_drag_writes_the_text_as_one_step_of_undo(page, bars):
    bars.write("# mine\ndouble 0-6: 0.5\nattn: 0.5")
    bars.expect(double_6=0.5)
    bars.drag(("double 2", 0.25), ("double 9", 0.25))
    bars.expect(double_1=0.5, double_2=0.25, double_9=0.25, double_10=1)
    assert bars.text() == "# mine\ndouble 0-1: 0.5\ndouble 2-9: 0.25\nattn: 0.5"
    page.undo()
    bars.expect(double_2=0.5, double_9=1)
    page.redo()
    bars.expect(double_2=0.25, double_9=0.25)


def test_clicks_set_1_and_0(bars):
    bars.write("double: 0.5")
    bars.expect(double_4=0.5)
    bars.bar("double 4").dblclick()
    bars.expect(double_4=1)
    bars.bar("double 5").click(modifiers=["Shift"])
    bars.expect(double_5=0)
    bars.bar("double 5").click(modifiers=["Alt"])
    bars.expect(double_5=1)
    assert bars.text() == "double: 0.5\ndouble 4-5: 1"


def test_keys_do_the_same(page, bars):
    bars.bar("double 3").focus()
    bars.press("ArrowDown", "ArrowDown")
    bars.expect(double_3=0.9)
    bars.press("ArrowRight", "Delete", "End", "Shift+ArrowDown", "Home", "ArrowUp")
    bars.expect(double_4=0, single_37=0.5, double_0=1.05)
    expect(bars.element.locator("[role=slider][tabindex='0']")).to_have_attribute(
        "aria-label", "double 0"
    )
    assert page.byType("LoRABlockWeights") == [bars.node]


def test_looking_is_no_edit(page, bars):
    workflow = page.workflow()
    (saved,) = [each for each in workflow["nodes"] if each["type"] == "LoRABlockWeights"]
    saved["widgets_values"] = ["doubles 0-3 : .5\nattn: 0", "custom"]
    saved.pop("widgets_values_named", None)  # of newer pages
    page.load(workflow)
    page.load(page.workflow())  # in which older pages have measured the other node
    bars.expect(double_3=0.5)
    bars.bar("double 3").hover()
    bars.bar("double 3").click()
    (after,) = [each for each in page.workflow()["nodes"] if each["type"] == "LoRABlockWeights"]
    assert (after["widgets_values"], after["size"]) == (saved["widgets_values"], saved["size"])
    assert not page.isEdited()
    assert "lora_algebra_blocks" not in json.dumps(workflow)


def test_it_shows_all_files_above_through_other_nodes(page, bars, flux):
    page.disconnect(bars.node, "lora")
    rows, tags, scaled = page.add("LoRARows"), page.add("FromLoRATags"), page.add("ScaleLoRA")
    off = {"on": False, "name": "sd15_2.safetensors", "strength": 1}
    page.set(
        rows, {"rows": {"version": 1, "rows": [{"on": True, "name": flux, "strength": 1}, off]}}
    )
    page.connect(rows, 0, scaled, "lora")
    page.connect(scaled, 0, bars.node, "lora")
    bars.expect(single_37=1)
    expect(bars.element.get_by_role("slider")).to_have_count(DOUBLE + SINGLE)
    page.set(tags, {"text": "ink, <lora:sd15_1:0.5>"})
    page.connect(tags, 0, rows, "lora")
    bars.expect(out_11=1)
    expect(bars.element.get_by_role("slider")).to_have_count(DOUBLE + SINGLE + 25)
    expect(bars.element).to_contain_text("2 LoRAs")


def test_without_a_lora_it_says_what_to_do(page, bars):
    page.disconnect(bars.node, "lora")
    expect(bars.element).to_contain_text("Connect a LoRA to see its blocks.")
    expect(bars.element.get_by_role("slider")).to_have_count(0)


def test_a_preset_is_saved_and_chosen_and_deleted(page, bars, host, shoot):
    bars.write("double 3: 0.5")
    page.set(bars.node, {"preset": "LATE"})
    menu, role = bars.element.get_by_role("button", name="Presets"), page.browser_page.get_by_role
    menu.click()
    shoot("blocks_presets")
    role("menuitem", name="Save as preset…").click()
    role("textbox", name="Name of the preset").fill("<b>mine")
    role("button", name="Save", exact=True).click()
    file = host.folder / "user" / "default" / PRESETS
    mine = {"<b>mine": "LATE\ndouble 3: 0.5"}
    page.wait(lambda: file.exists() and json.loads(file.read_text()) == mine)
    page.set(bars.node, {"preset": "custom", "weights": ""})
    menu.click()
    role("menuitem", name="<b>mine").click()
    bars.expect(double_3=0.5, double_4=0, single_37=1)
    assert bars.text() == "LATE\ndouble 3: 0.5"
    menu.click()
    role("menuitem", name="Delete a preset…").click()
    role("menuitem", name="<b>mine").click()
    page.wait(lambda: json.loads(file.read_text()) == {})


@pytest.fixture
def presets(host):
    """A file of presets with one that an older version cannot read."""
    file = host.folder / "user" / "default" / PRESETS
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"later": {"version": 2}, "mine": "double 0: 0"}))
    yield file
    file.unlink()


@pytest.mark.newest_page
@pytest.mark.usefixtures("bars")
def test_presets_that_are_no_text_stay_in_the_file(page, presets):
    role = page.browser_page.get_by_role
    role("button", name="Presets").click()
    expect(role("menuitem", name="later")).to_have_count(0)
    role("menuitem", name="Delete a preset…").click()
    role("menuitem", name="mine").click()
    page.wait(lambda: json.loads(presets.read_text()) == {"later": {"version": 2}})


@pytest.mark.newest_page
@pytest.mark.usefixtures("bars")
@pytest.mark.parametrize("name", ["mine", "later"])
def test_a_preset_under_a_name_that_is_taken_is_refused(page, presets, name):
    before = presets.read_text()
    role = page.browser_page.get_by_role
    role("button", name="Presets").click()
    role("menuitem", name="Save as preset…").click()
    role("textbox", name="Name of the preset").fill(name)
    page.browser_page.keyboard.press("Enter")
    page.expect_text(f"The name “{name}” is taken. Choose another one.")
    assert presets.read_text() == before
