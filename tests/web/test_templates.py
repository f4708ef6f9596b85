"""The templates: they open as they are meant, lie tidily, name no files, and are found in the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import PurePosixPath

import pytest
from PIL import Image

pytest.importorskip("playwright")

from tests.web.stage import EXAMPLES, unfolded
from tests.web.templates import TEMPLATES, files_of, template

TITLE = 30
LARGEST_BYTES = 200_000
ENDS = ("SaveImage", "SaveVideo")
FIRST, WAN = template(1), template(6)


def stored(each):
    return json.loads((EXAMPLES / f"{each.name}.json").read_text(encoding="utf-8"))


def test_there_is_nothing_else_in_the_folder():
    files = sorted(f"{each.name}.{ending}" for each in TEMPLATES for ending in ("json", "jpg"))
    assert sorted(file.name for file in EXAMPLES.iterdir()) == files


@pytest.mark.parametrize("each", TEMPLATES, ids=lambda each: each.name)
class TestSaved:
    def test_its_nodes_do_not_overlap(self, each):
        nodes = stored(each)["nodes"]
        for one, other in combinations(nodes, 2):
            assert apart(one, other, 0) or apart(one, other, 1), (one["type"], other["type"])

    def test_it_has_one_note_that_says_what_to_do(self, each):
        (note,) = (node for node in stored(each)["nodes"] if node["type"] == "MarkdownNote")
        assert note["widgets_values"] == [each.note]
        assert each.note.startswith("**")
        assert "- Choose" in each.note
        assert "- Next: " in each.note

    def test_its_picture_is_small(self, each):
        file = EXAMPLES / f"{each.name}.jpg"
        assert file.stat().st_size < LARGEST_BYTES
        with Image.open(file) as image:
            assert min(image.size) >= 200

    def test_its_name_is_a_title_that_every_page_and_system_can_show(self, each):
        assert each.name.isascii()
        assert not set(each.name) & set('<>:"/\\|?*#%&_')
        assert PurePosixPath(each.name).name == each.name


def apart(one: Mapping, other: Mapping, axis: int) -> bool:
    """Whether two nodes are beside each other, or one above the other."""
    begins = [node["pos"][axis] - TITLE * axis for node in (one, other)]
    ends = [node["pos"][axis] + node["size"][axis] for node in (one, other)]
    return ends[0] <= begins[1] or ends[1] <= begins[0]


@pytest.mark.every_page
@pytest.mark.parametrize("each", TEMPLATES, ids=lambda each: each.name)
def test_it_opens_without_an_error_and_means_what_it_is_built_for(page, each, shoot):
    saved = stored(each)
    page.load(saved)
    shoot(each.name.replace(" ", "_"))
    page.expect_no_error()
    opened = page.workflow()
    assert len(opened["links"]) == len(saved["links"])
    assert [node["type"] for node in opened["nodes"]] == [node["type"] for node in saved["nodes"]]
    means(end_of(page.prompt()), end_of(each.prompt()))


def end_of(prompt):
    (end,) = (number for number, node in prompt.items() if node["class_type"] in ENDS)
    return unfolded(prompt, end)


def means(node, built):
    """A node is what was built, with whatever else it has by itself; a file is each user's own."""
    assert node["class_type"] == built["class_type"]
    for name in built["inputs"].keys() - files_of(built["inputs"]):
        value, meant = node["inputs"][name], built["inputs"][name]
        if isinstance(meant, list):
            assert value[1] == meant[1], name
            means(value[0], meant[0])
        else:
            assert value == meant, name


def test_each_is_among_the_templates_by_its_title(page, shoot):
    page.open_templates("lora-algebra")
    for each in TEMPLATES:
        card = page.browser_page.get_by_test_id(f"template-workflow-{each.name}")
        card.scroll_into_view_if_needed()
        page.wait(lambda card=card: loaded(card))
    shoot("templates")
    page.browser_page.get_by_test_id(f"template-workflow-{FIRST.name}").click()
    page.wait(lambda: page.byType("LoRARows"))
    page.expect_no_error()


def loaded(card) -> bool:
    """Whether a card shows its picture."""
    code = "images => images.some(({ naturalWidth }) => naturalWidth)"
    return card.locator("img").evaluate_all(code)


def test_no_file_is_named():
    for each in TEMPLATES:
        for node in stored(each)["nodes"]:
            assert not named(node.get("widgets_values", ())), node


def named(values: Iterable) -> list[str]:
    return [each for each in values if isinstance(each, str) and each.endswith(".safetensors")]
