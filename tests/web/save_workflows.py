"""Saves anew, by the real page, tests/workflows and the pictures in docs; save_templates.py has the templates.

Run by hand: ``python -m tests.web.save_workflows``.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from examples.tiny import in_host
from harness.installs import find_host
from harness.samples import pair
from harness.samples import write as write_file
from harness.tiny_loras import KINDS, write_lora
from tests.web import layouts
from tests.web.page import Page
from tests.web.rows import Rows
from tests.web.stage import (
    WORKFLOWS,
    applied_rows,
    find_chromium,
    numbered,
    running_browser,
    running_host,
    two_loras,
)

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
WEIGHTED = "style/ink flux.safetensors"
FLUX = {"double_blocks_{}_img_attn_qkv": 19, "single_blocks_{}_linear1": 38}
"""Names of layers, and how many blocks have one."""

XY_PLOT = ROOT / "examples" / "tiny" / "xy_plot.json"
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

SCHEDULED = {"curve": "0:0, 0.3:1, 0.6:1, 1:0.25 cosine", "end_percent": 0.9}


def save_kind(page: Page, kind: str) -> None:
    page.loadPrompt(two_loras(kind))
    page.fixSeeds()
    write(WORKFLOWS / f"{kind}.json", page.workflow())
    write(WORKFLOWS / f"{kind}.api.json", page.prompt())


def save_xy_plot(page: Page) -> None:
    """Of the tiny model, which its host must have; and the image that it makes."""
    page.loadPrompt(numbered(in_host.xy_plot()))
    page.fixSeeds()
    page.layOut(layouts.XY_LAYOUT)
    page.view(*layouts.XY_VIEW)
    write(XY_PLOT, page.workflow())
    page.run()
    (image,) = page.host.output_dir.glob("xy_plot*.png")
    shutil.copy(image, DOCS / "xy_plot.png")


def picture_rows(page: Page) -> None:
    """A list after its run, and the folded report of it."""
    page.loadPrompt(applied_rows("sd15", SHOWN_ROWS))
    page.layOut(
        layouts.APPLIED
        | {number: layouts.ASIDE.get(number, layouts.ASIDE[6]) for number in range(4, 10)}
    )
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
    page.loadPrompt(two_loras("sd15", layouts.SHOWN[2], layouts.SHOWN[3]))
    page.layOut(layouts.REPORTED | layouts.ASIDE)
    page.run()
    page.turn_report(True)
    page.take_picture(DOCS / f"report_{page.renderer}.png", layouts.REPORTED)


def picture_schedule(page: Page) -> None:
    """A curve, as the page's renderer shows it."""
    page.clear()
    node = page.add("ScheduleLoRA", "Schedule LoRA")
    page.layOut({node: (0, 0, 340, 300)})
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
            write_lora(host.loras_dir / layouts.SHOWN[seed], "sd15", seed=seed, rank=8)
        fill_shelf(host.loras_dir)
        page = Page(browser, host, "classic")
        for kind in KINDS:
            save_kind(page, kind)
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
