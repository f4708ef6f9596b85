"""Saves anew, by the real page, tests/workflows, example_workflows and the pictures in docs.

Run by hand: ``python -m tests.web.save_workflows``.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from examples.tiny import in_host
from harness.installs import find_host
from harness.samples import pair
from harness.samples import write as write_file
from harness.tiny_loras import KINDS, write_lora
from harness.workflows import Prompt
from tests.web.page import Page
from tests.web.rows import Rows
from tests.web.stage import (
    EXAMPLES,
    WORKFLOWS,
    applied_rows,
    blocks_example,
    example,
    find_chromium,
    grid_example,
    numbered,
    prompts_example,
    regions_example,
    rows_example,
    running_browser,
    running_host,
    two_loras,
)

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLE = "lora_algebra"
ROWS_EXAMPLE = "lora_rows"
GRID_EXAMPLE = "lora_grid"
WEIGHTED = "style/ink flux.safetensors"
FLUX = {"double_blocks_{}_img_attn_qkv": 19, "single_blocks_{}_linear1": 38}
"""Names of layers, and how many blocks have one."""

# id -> x, y, width, height; in the order of stage.example()
LAYOUT = {
    1: (0, 400, 300, 100),
    2: (0, 0, 300, 100),
    3: (0, 200, 300, 100),
    4: (360, 200, 280, 100),
    5: (700, 60, 240, 90),
    6: (1000, 60, 320, 90),
    7: (1380, 0, 320, 130),
    8: (1380, 200, 320, 130),
    9: (1380, 400, 320, 110),
    10: (1760, 0, 290, 290),
    11: (1760, 400, 290, 60),
    12: (2110, 0, 320, 360),
}
THUMBNAIL = range(1, 7)  # the algebra, without the sampling behind it
VIEW = 0.58, [130, 220]  # all of it in a window of common size
SHOWN = {1: "sd15.safetensors", 2: "character.safetensors", 3: "ink.safetensors"}

Note = tuple[tuple[int, int, int, int], str]
"""Where a note for the user is, and its text in Markdown."""

ROWS_LAYOUT = {
    1: (0, 420, 340, 100),
    2: (0, 0, 420, 340),
    3: (480, 0, 320, 110),
    4: (480, 200, 320, 250),
    5: (860, 0, 320, 130),
    6: (860, 200, 320, 130),
    7: (860, 400, 320, 110),
    8: (1240, 0, 290, 290),
    9: (1240, 400, 290, 60),
    10: (1590, 0, 320, 360),
}
"""In the order of stage.rows_example()."""

ROWS_THUMBNAIL = range(1, 5)
ROWS_VIEW = 0.7, [120, 160]

GRID_LAYOUT = {
    1: (0, 400, 300, 100),
    2: (0, 0, 300, 90),
    3: (0, 180, 300, 90),
    4: (360, 60, 300, 150),
    5: (720, 60, 320, 110),
    6: (1100, 0, 320, 130),
    7: (1100, 200, 320, 130),
    8: (1100, 400, 320, 110),
    9: (1480, 0, 290, 290),
    10: (1480, 400, 290, 60),
    11: (1830, 0, 300, 220),
    12: (2190, 0, 420, 420),
}
"""In the order of stage.grid_example()."""

GRID_THUMBNAIL = range(2, 6)
GRID_VIEW = 0.52, [120, 240]

REGIONS_EXAMPLE = "lora_regions"
REGIONS_LAYOUT = {
    1: (1060, 420, 260, 100),
    2: (0, 0, 300, 90),
    3: (0, 180, 300, 90),
    4: (0, 370, 300, 110),
    5: (0, 570, 300, 110),
    6: (360, 370, 300, 150),
    7: (360, 600, 300, 30),
    8: (720, 0, 300, 90),
    9: (720, 180, 300, 90),
    10: (1080, 60, 240, 90),
    11: (1380, 60, 320, 90),
    12: (1760, 0, 320, 130),
    13: (1760, 200, 320, 130),
    14: (1760, 400, 320, 110),
    15: (2140, 0, 290, 290),
    16: (2140, 400, 290, 60),
    17: (2490, 0, 420, 360),
}
"""In the order of stage.regions_example()."""

REGIONS_THUMBNAIL = range(2, 11)
REGIONS_VIEW = 0.5, [170, 480]
REGIONS_NOTE = (
    (0, -260, 660, 190),
    """**Two LoRAs, each in its half of the picture.** White in a mask means: the LoRA acts here.

- Choose a checkpoint and two LoRAs. For another size of picture, change nothing: masks are stretched.
- You can draw a mask instead: *Load Image*, right-click, *Open in MaskEditor*. Soft edges work.
- If a LoRA is too weak, raise its strength first, then *elsewhere*.""",
)

PROMPTS_EXAMPLE = "lora_prompts"
PROMPTS_LAYOUT = {
    1: (0, 480, 300, 100),
    2: (0, 0, 300, 90),
    3: (0, 220, 300, 90),
    4: (0, 680, 300, 110),
    5: (0, 880, 300, 110),
    6: (360, 680, 300, 150),
    7: (360, 920, 300, 30),
    8: (360, 0, 320, 130),
    9: (360, 220, 320, 130),
    10: (740, 0, 320, 130),
    11: (1120, 0, 300, 110),
    12: (740, 220, 320, 130),
    13: (1120, 220, 300, 110),
    14: (1480, 100, 260, 60),
    15: (1120, 480, 320, 130),
    16: (1500, 480, 320, 110),
    17: (1880, 0, 290, 290),
    18: (1880, 480, 290, 60),
    19: (2230, 0, 420, 360),
}
"""In the order of stage.prompts_example()."""

PROMPTS_THUMBNAIL = (2, 3, *range(8, 15))
PROMPTS_VIEW = 0.52, [160, 460]
PROMPTS_NOTE = (
    (0, -260, 660, 190),
    """**Two prompts, each with its LoRA.** The masks say which part of the picture a prompt is for.

- Choose a checkpoint and two LoRAs. Without masks, both prompts are for the whole picture.
- The MODEL goes through both nodes, one after the other.
- If a LoRA changes the text encoder: put *Apply LoRA To Model*, with only CLIP connected, in front of its prompt.""",
)

BLOCKS_EXAMPLE = "lora_blocks"
BLOCKS_LAYOUT = {
    1: (0, 400, 300, 100),
    2: (0, 0, 300, 90),
    3: (360, 0, 320, 300),
    4: (740, 0, 320, 110),
    5: (1120, 0, 320, 130),
    6: (1120, 200, 320, 130),
    7: (1120, 400, 320, 110),
    8: (1500, 0, 290, 290),
    9: (1500, 400, 290, 60),
    10: (1850, 0, 300, 220),
    11: (2210, 0, 420, 560),
}
"""In the order of stage.blocks_example()."""

BLOCKS_THUMBNAIL = range(2, 5)
BLOCKS_VIEW = 0.52, [160, 540]
BLOCKS_NOTE = (
    (0, -330, 680, 260),
    """**What does each block of a model do with this LoRA?** A row for each line of *blocks*, a column for each value.

Lines for single blocks, if you know your model:

- SD 1.5: *only in 1-8*, *only mid*, *only out 3-11*
- SDXL: *only in 4-8*, *only mid*, *only out 0-5*
- Flux: *only double 0-18*, *only single 0-37*
- SD 3.5: *only joint 0-23*

*without* in place of *only* leaves a block out.""",
)

XY_PLOT = ROOT / "examples" / "tiny" / "xy_plot.json"
XY_LAYOUT = {
    1: (0, 0, 300, 90),
    2: (0, 160, 300, 90),
    3: (360, 40, 300, 150),
    4: (360, 260, 300, 90),
    5: (720, 40, 320, 110),
    6: (360, 420, 300, 180),
    7: (720, 420, 320, 110),
    8: (720, 600, 320, 60),
    9: (1100, 40, 290, 290),
    10: (1100, 420, 290, 60),
    11: (1450, 420, 300, 60),
    12: (1450, 40, 300, 220),
    13: (1810, 40, 420, 420),
}
"""In the order of in_host.xy_plot()."""

XY_VIEW = 0.6, [120, 160]

SHOWN_ROWS = [
    {"on": True, "name": "style/ink wash.safetensors", "strength": 0.8},
    {"on": True, "name": "style/morning light.safetensors", "strength": 0.45, "note": "for skies"},
    {"on": True, "name": "people/Ada.safetensors", "strength": 1.0, "strength_clip": 0.5},
    {"on": False, "name": "style/film grain.safetensors", "strength": 0.3},
    {"on": True, "name": "detail/slider.safetensors", "strength": -1.5},
]

STYLES = ("charcoal", "gouache", "neon night", "paper cut", "soft pencil", "woodblock print")
"""Beside those of SHOWN_ROWS, for the picker."""

PANEL_NOTES = {
    "modelspec.title": "Ink wash",
    "modelspec.author": "somebody",
    "modelspec.trigger_phrase": "ink wash",
    "modelspec.description": "Soft washes of ink on wet paper. Best between 0.6 and 1.",
    "ss_base_model_version": "sd_v1",
    "ss_network_dim": "8",
    "ss_tag_frequency": json.dumps({"3_ink": {"ink wash": 40, "mountain": 12, "boat": 9}}),
}

REPORTED = {
    1: (0, 400, 280, 100),
    2: (0, 0, 280, 90),
    3: (0, 200, 280, 90),
    4: (330, 0, 220, 90),
    5: (600, 0, 430, 200),
}
"""LAYOUT for the picture of a report; in the order of stage.two_loras()."""

APPLIED = {1: (0, 420, 280, 100), 2: (0, 0, 420, 330), 3: (480, 0, 420, 120)}
"""The same for rows; in the order of stage.applied_rows()."""

SCHEDULED = {"curve": "0:0, 0.3:1, 0.6:1, 1:0.25 cosine", "end_percent": 0.9}

ASIDE = {number: (1300, 300 * number, 250, 100) for number in range(6, 12)}


def save_kind(page: Page, kind: str) -> None:
    page.loadPrompt(two_loras(kind))
    page.fixSeeds()
    write(WORKFLOWS / f"{kind}.json", page.workflow())
    write(WORKFLOWS / f"{kind}.api.json", page.prompt())


def save_example(page: Page) -> None:
    save_nameless(page, EXAMPLE, example(), LAYOUT, THUMBNAIL, VIEW)


def save_regional_examples(page: Page) -> None:
    """LoRAs for a part of the picture, for a prompt, and for a part of the model."""
    save_nameless(
        page,
        REGIONS_EXAMPLE,
        regions_example(),
        REGIONS_LAYOUT,
        REGIONS_THUMBNAIL,
        REGIONS_VIEW,
        REGIONS_NOTE,
    )
    save_nameless(
        page,
        PROMPTS_EXAMPLE,
        prompts_example(),
        PROMPTS_LAYOUT,
        PROMPTS_THUMBNAIL,
        PROMPTS_VIEW,
        PROMPTS_NOTE,
    )
    save_nameless(
        page,
        BLOCKS_EXAMPLE,
        blocks_example(),
        BLOCKS_LAYOUT,
        BLOCKS_THUMBNAIL,
        BLOCKS_VIEW,
        BLOCKS_NOTE,
        loaders=(1, 2),
    )


def save_nameless(
    page: Page,
    name: str,
    prompt: Prompt,
    layout: dict[int, tuple[int, int, int, int]],
    thumbnail: Iterable[int],
    view: tuple[float, list[int]],
    note: Note | None = None,
    loaders: Iterable[int] = tuple(SHOWN),
) -> None:
    """The files it names are each user's own, so it names none: the host then takes the first."""
    page.loadPrompt(prompt)
    page.fixSeeds()
    page.layOut(layout)
    if note:
        place, text = note
        number = page.add("MarkdownNote", "Note", list(place[:2]))
        page.layOut({number: place})
        page.nameFiles({number: text})
    shown = {number: SHOWN[number] for number in SHOWN if number in loaders}
    page.nameFiles(shown)
    page.take_picture(EXAMPLES / f"{name}.jpg", thumbnail)
    page.nameFiles(dict.fromkeys(shown))
    page.view(*view)
    write(EXAMPLES / f"{name}.json", page.workflow())


def save_rows_example(page: Page) -> None:
    """Without any rows: the files are each user's own."""
    page.loadPrompt(rows_example())
    page.fixSeeds()
    page.layOut(ROWS_LAYOUT)
    page.nameFiles({1: SHOWN[1]})
    page.set(2, {"rows": {"version": 1, "rows": SHOWN_ROWS}})
    page.take_picture(EXAMPLES / f"{ROWS_EXAMPLE}.jpg", ROWS_THUMBNAIL)
    page.nameFiles({1: None})
    page.set(2, {"rows": {"version": 1, "rows": []}})
    page.layOut({2: ROWS_LAYOUT[2]})
    page.view(*ROWS_VIEW)
    write(EXAMPLES / f"{ROWS_EXAMPLE}.json", page.workflow())


def save_xy_plot(page: Page) -> None:
    """Of the tiny model, which its host must have; and the image that it makes."""
    page.loadPrompt(numbered(in_host.xy_plot()))
    page.fixSeeds()
    page.layOut(XY_LAYOUT)
    page.view(*XY_VIEW)
    write(XY_PLOT, page.workflow())
    page.run()
    (image,) = page.host.output_dir.glob("xy_plot*.png")
    shutil.copy(image, DOCS / "xy_plot.png")


def picture_rows(page: Page) -> None:
    """A list after its run, and the folded report of it."""
    page.loadPrompt(applied_rows("sd15", SHOWN_ROWS))
    page.layOut(APPLIED | {number: ASIDE.get(number, ASIDE[6]) for number in range(4, 10)})
    page.run()
    page.take_picture(DOCS / f"rows_{page.renderer}.png", [2, 3])


def picture_choosing(page: Page) -> None:
    """The picker as a list and with pictures, and what is in a file."""
    page.clear()
    rows = Rows(page, page.add("LoRARows", "LoRA Rows"))
    rows.fill(SHOWN_ROWS)
    rows.show()
    rows.add_button().click()
    rows.picker().get_by_role("treeitem", name="style").click()
    rows.press("ArrowDown", "ArrowDown")
    page.browser_page.wait_for_load_state("networkidle")  # the pictures
    rows.picker().screenshot(path=DOCS / "rows_picker.png")
    rows.picker().get_by_role("button", name="Show pictures").click()
    page.browser_page.wait_for_load_state("networkidle")
    rows.picker().screenshot(path=DOCS / "rows_grid.png")
    rows.picker().get_by_role("button", name="Show a list").click()
    rows.press("Escape")
    rows.details(0).click()
    rows.panel(0).get_by_text("SD 1.5").wait_for()
    page.browser_page.wait_for_load_state("networkidle")
    page.take_picture(DOCS / "rows_panel.png", [rows.node_id])


def fill_shelf(loras: Path) -> None:
    """The files of SHOWN_ROWS and more, each with a picture."""
    names = [row["name"] for row in SHOWN_ROWS]
    names += [f"style/{name}.safetensors" for name in STYLES]
    for seed, name in enumerate(names, 20):
        file = loras / name
        write_lora(file, "sd15", seed=seed, rank=8)
        made = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
        made = torch.nn.functional.interpolate(made, size=256, mode="bicubic").clamp(0, 1)
        pixels = (made[0].permute(1, 2, 0) * 255).byte().numpy()
        Image.fromarray(pixels).save(file.with_suffix(".png"))
    first = loras / SHOWN_ROWS[0]["name"]
    save_file(load_file(first), first, metadata=PANEL_NOTES)


def picture_report(page: Page) -> None:
    """A finished run in the page's renderer."""
    page.loadPrompt(two_loras("sd15", SHOWN[2], SHOWN[3]))
    page.layOut(REPORTED | ASIDE)
    page.run()
    page.turn_report(True)
    page.take_picture(DOCS / f"report_{page.renderer}.png", REPORTED)


def picture_schedule(page: Page) -> None:
    """A curve, as the page's renderer shows it."""
    page.clear()
    node = page.add("ScheduleLoRA", "Schedule LoRA")
    page.layOut({node: (0, 0, 340, 180)})
    page.set(node, SCHEDULED)
    page.take_picture(DOCS / f"schedule_{page.renderer}.png", [node])


def write_flux(file: Path) -> None:
    """A LoRA that changes all blocks of Flux, the middle ones most."""
    content: dict[str, torch.Tensor] = {}
    for layer, count in FLUX.items():
        for number in range(count):
            alpha = 0.3 + math.sin(math.pi * number / count) ** 2
            content |= pair(f"lora_unet_{layer.format(number)}", 8, 8, 2, number, alpha)
    file.parent.mkdir(exist_ok=True)
    write_file(file, content)


def picture_blocks(page: Page) -> None:
    """Block weights of a LoRA, as the page's renderer shows them."""
    page.clear()
    write_flux(page.host.loras_dir / WEIGHTED)
    source = page.add("LoadLoRA", "Load LoRA", [0, -400])
    node = page.add("LoRABlockWeights", "LoRA Block Weights")
    page.set(source, {"lora_name": WEIGHTED})
    page.connect(source, 0, node, "lora")
    page.layOut({node: (0, 0, 420, 400)})
    page.set(node, {"weights": "double 0-6: 0\nlate: 0.5\nsingle 30-33: 1.2"})
    page.browser_page.get_by_role("slider", name="double 3", exact=True).wait_for()
    page.take_picture(DOCS / f"blocks_{page.renderer}.png", [node])


def write(file: Path, content: object) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(file)


def main() -> None:
    install, chromium = find_host(), find_chromium()
    if install is None or chromium is None:
        raise SystemExit("This needs ComfyUI (COMFYUI_PATH) and Chromium (CHROMIUM).")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_host(install, Path(folder)) as host,
        running_browser(chromium) as browser,
    ):
        for seed in (2, 3):
            write_lora(host.loras_dir / SHOWN[seed], "sd15", seed=seed, rank=8)
        fill_shelf(host.loras_dir)
        page = Page(browser, host, "classic")
        for kind in KINDS:
            save_kind(page, kind)
        save_example(page)
        save_rows_example(page)
        save_nameless(page, GRID_EXAMPLE, grid_example(), GRID_LAYOUT, GRID_THUMBNAIL, GRID_VIEW)
        save_regional_examples(page)
        picture_choosing(page)
        picture_report(page)
        picture_rows(page)
        picture_schedule(page)
        picture_blocks(page)
        page.close()
        page = Page(browser, host, "nodes2")
        picture_report(page)
        picture_rows(page)
        picture_schedule(page)
        picture_blocks(page)
        page.close()
    with (
        tempfile.TemporaryDirectory() as folder,
        in_host.start(install, Path(folder)) as host,
        running_browser(chromium) as browser,
    ):
        page = Page(browser, host, "classic")
        save_xy_plot(page)
        page.close()


if __name__ == "__main__":
    main()
