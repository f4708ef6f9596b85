"""Files that are dropped on a list: it takes the LoRAs in them, and never lets them replace the workflow."""

from __future__ import annotations

import base64
import io
import json

import pytest

pytest.importorskip("playwright")

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import expect

from tests.web.interop import MUTED, A, B, core_chain, saved_graph
from tests.web.rows import Rows, row

COMMENT, EXIF = 0x9286, 0x8769
TAGS = f"a lighthouse <lora:{A.removesuffix('.safetensors')}:0.75>\nSteps: 20"
FOUND = [row(A, 0.5), row(B, -0.25, on=False)]


def prompt():
    """A loader that runs and one that only the workflow has, since it is off."""
    return {"1": {"class_type": "LoraLoader", "inputs": {"lora_name": A, "strength_model": 0.5}}}


def workflow():
    loaders = [
        {"id": 1, "type": "LoraLoader", "order": 0, "mode": 0, "widgets_values": [A, 0.5, 0.5]},
        {
            "id": 2,
            "type": "LoraLoader",
            "order": 1,
            "mode": MUTED,
            "widgets_values": [B, -0.25, -0.25],
        },
    ]
    return {"version": 0.4, "nodes": loaders, "links": [], "last_node_id": 2, "last_link_id": 0}


def png(**texts):
    """As the host saves pictures."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text if isinstance(text, str) else json.dumps(text))
    return saved("PNG", pnginfo=info)


def webp():
    """As the host saves animations: texts in the tags for the maker and the model of a camera."""
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(prompt())
    exif[0x010F] = "workflow:" + json.dumps(workflow())
    return saved("WEBP", exif=exif)


def jpeg():
    """As A1111 saves pictures: parameters in the comment."""
    exif = Image.Exif()
    exif.get_ifd(EXIF)[COMMENT] = b"UNICODE\0" + TAGS.encode("utf-16-be")
    return saved("JPEG", exif=exif)


def saved(form, **others):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "navy").save(file, form, **others)
    return file.getvalue()


FILES = {
    "workflow.png": (png(prompt=prompt(), workflow=workflow()), FOUND),
    "prompt.png": (png(prompt=prompt()), FOUND[:1]),
    "a1111.png": (png(parameters=TAGS), [row(A, 0.75)]),
    "animation.webp": (webp(), FOUND),
    "a1111.jpeg": (jpeg(), [row(A, 0.75)]),
    "workflow.json": (json.dumps(workflow()).encode(), FOUND),
    "notes.txt": (TAGS.encode(), [row(A, 0.75)]),
}

DROP = """([selector, name, data, place]) => {
    const transfer = new DataTransfer();
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: name.endsWith("png") ? "image/png" : "" }));
    const target = document.querySelector(selector);
    const box = target.getBoundingClientRect();
    const [clientX, clientY] = place ?? [box.left + box.width / 2, box.top + box.height / 2];
    for (const type of ["dragover", "drop"])
        target.dispatchEvent(new DragEvent(
            type, { dataTransfer: transfer, bubbles: true, cancelable: true, clientX, clientY }));
}"""


def drop(page, selector, name, data, place=None):
    text = base64.b64encode(data).decode()
    page.browser_page.evaluate(DROP, [selector, name, text, place])


LIST = ".lora-algebra-rows"


@pytest.fixture
def rows(page):
    shown = Rows(page, page.add("LoRARows", "rows", [60, 60]))
    shown.show()
    return shown


@pytest.mark.newest_page
@pytest.mark.parametrize("name", FILES)
def test_its_loras_become_rows(page, rows, name):
    data, found = FILES[name]
    rows.fill([row("before.safetensors")])
    before = saved_graph(page)
    drop(page, LIST, name, data)
    rows.expect(row("before.safetensors"), *found)
    page.undo()
    assert saved_graph(page) == before


@pytest.mark.every_page
def test_on_the_title_of_the_node_it_is_the_same(page, rows, stand):
    frame = page.frame(rows.node_id)
    if stand.renderer == "classic":
        place = [frame["left"] + 40, frame["top"] - 12]
        drop(page, "#graph-canvas", "workflow.png", FILES["workflow.png"][0], place)
    else:
        place = [frame["left"] + 40, frame["top"] + 12]
        node = f'[data-node-id="{rows.node_id}"]'
        drop(page, node, "workflow.png", FILES["workflow.png"][0], place)
    rows.expect(*FOUND)
    assert page.byType("LoraLoader") == []


@pytest.mark.every_page
def test_anywhere_else_the_host_opens_it_as_ever(page, rows):
    page.loadPrompt(core_chain((A, 0.5)))
    whole = page.workflow()
    page.clear()
    page.show([page.add("LoRARows", "rows", [60, 60])])
    drop(page, "#graph-canvas", "workflow.png", png(workflow=whole), [1200, 800])
    page.wait(lambda: page.byType("LoraLoader"))
    expect(rows.root).to_have_count(0)


@pytest.mark.newest_page
@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1\xff\xff", saved("PNG"), b"{"]
)
def test_a_file_without_any_says_so_and_changes_nothing(page, rows, data):
    rows.fill([row(A)])
    before = saved_graph(page)
    drop(page, LIST, "<b>empty.png", data)
    page.expect_text("There are no LoRAs in <b>empty.png.")
    assert saved_graph(page) == before
    assert page.browser_page.locator("b", has_text="empty.png").count() == 0
