"""The sliders for the strengths on LoRA File and Scale LoRA: the widgets stay the values."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from tests.web.stage import two_loras


class Sliders:
    """Those of the one node that is shown."""

    def __init__(self, page, node):
        self.page = page
        self.node = node
        self.mouse = page.browser_page.mouse
        self.element = page.browser_page.locator(".lora-algebra-sliders:visible")

    def slider(self, name="Strength"):
        return self.element.get_by_role("slider", name=name, exact=True)

    def value(self, name="strength"):
        return self.page.widgetValue(self.node, name)

    def place(self, strength, name="Strength"):
        """Of a strength on a slider from -2 to 2."""
        box = self.slider(name).bounding_box()
        return box["x"] + box["width"] * (strength + 2) / 4, box["y"] + box["height"] / 2

    def drag(self, *strengths, name="Strength"):
        self.page.breathe()
        self.mouse.move(*self.place(1, name))
        self.mouse.down()
        for strength in strengths:
            self.mouse.move(*self.place(strength, name), steps=4)
        self.mouse.up()


@pytest.fixture
def sliders(page):
    node = page.add("LoadLoRA")
    page.show([node])
    return Sliders(page, node)


@pytest.mark.every_page
def test_a_drag_sets_the_strength_as_one_step_of_undo(page, sliders, shoot):
    shoot("sliders")
    sliders.drag(0, -1.5)
    assert sliders.value() == -1.5
    expect(sliders.slider()).to_have_attribute("aria-valuenow", "-1.5")
    page.undo()
    assert sliders.value() == 1
    page.redo()
    assert sliders.value() == -1.5


@pytest.mark.every_page
def test_keys_step_it_and_a_double_click_sets_1(page, sliders):
    sliders.slider().focus()
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowLeft"):
        page.browser_page.keyboard.press(key)
    assert sliders.value() == 0.6
    page.browser_page.keyboard.press("End")
    assert sliders.value() == 2
    sliders.slider().dblclick()
    assert sliders.value() == 1


def test_what_is_typed_may_be_beyond_it(page, sliders):
    page.set(sliders.node, {"strength": 5})
    expect(sliders.slider()).to_have_attribute("aria-valuemax", "5")
    sliders.slider().focus()
    page.browser_page.keyboard.press("ArrowLeft")
    assert sliders.value() == 4.95


def test_a_click_and_escape_change_nothing(page, sliders):
    before = page.workflow()
    sliders.mouse.click(*sliders.place(-1))
    sliders.mouse.move(*sliders.place(1))
    sliders.mouse.down()
    sliders.mouse.move(*sliders.place(0), steps=3)
    page.wait(lambda: sliders.value() == 0)
    page.browser_page.keyboard.press("Escape")
    sliders.mouse.up()
    assert page.workflow() == before


@pytest.mark.every_page
def test_both_strengths_have_one(page):
    node = page.add("ScaleLoRA")
    page.show([node])
    sliders = Sliders(page, node)
    sliders.drag(0.5, name="Text strength")
    assert (sliders.value("strength_model"), sliders.value("strength_clip")) == (1, 0.5)


def test_a_linked_strength_is_not_to_be_changed(page, sliders):
    source = page.add("PrimitiveFloat", "number", [60, 500])
    page.connect(source, 0, sliders.node, "strength")
    expect(sliders.slider()).to_have_attribute("aria-disabled", "true")
    sliders.drag(0)
    assert sliders.value() == 1


@pytest.mark.every_page
def test_a_node_of_an_older_workflow_keeps_its_size_until_there_is_room(page, sliders, stand):
    if stand.renderer == "nodes2" and stand.served.page != "1.58":
        pytest.skip("older pages make nodes as high as what is in them, and higher")
    width, high = page.size(sliders.node)
    workflow = page.workflow()
    workflow["nodes"][0]["size"] = [width, high - 12]
    page.load(workflow)
    page.settle()
    assert sliders.element.count() == 0
    assert page.size(sliders.node) == [width, high - 12]
    assert not page.isEdited()
    page.resize(sliders.node, [width, high + 20])
    expect(sliders.slider()).to_be_visible()
    page.settle()
    sliders.drag(0)
    assert sliders.value() == 0
    saved = page.workflow()
    page.load(saved)
    expect(sliders.slider()).to_have_attribute("aria-valuenow", "0")
    assert page.workflow()["nodes"][0]["size"] == saved["nodes"][0]["size"]


@pytest.mark.usefixtures("sliders")
def test_neither_workflow_nor_prompt_holds_it(page):
    (saved,) = page.workflow()["nodes"]
    assert saved["widgets_values"][1:] == [1]
    assert "lora_algebra_sliders" not in json.dumps(page.workflow())


@pytest.mark.every_page
def test_where_changes_are_queued_one_is_when_the_pointer_is_let_go(page):
    page.loadPrompt(two_loras("sd15"))
    page.fixSeeds()
    page.run()
    node, other = page.byType("LoadLoRA")
    page.layOut({str(node): [0, 0, 300, 160], str(other): [0, 5000, 300, 50]})
    page.show([node])
    sliders = Sliders(page, node)
    sliders.element = (
        sliders.element.first
    )  # Nodes 2.0 draws all nodes, also those that are not to be seen
    page.queueOnChange(True)
    try:
        before = page.queued()
        page.breathe()
        sliders.mouse.move(*sliders.place(0.5))
        sliders.mouse.down()
        sliders.mouse.move(*sliders.place(0), steps=8)
        page.wait(lambda: sliders.value() == 0)
        page.breathe()
        assert page.queued() == before
        page.listen()
        sliders.mouse.up()
        assert page.ended()["end"] == "execution_success"
        assert page.queued() == before + 1
    finally:
        page.queueOnChange(False)
