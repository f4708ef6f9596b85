"""Saves anew, by the real page, tests/workflows, example_workflows and the pictures in docs.

Run by hand: ``python -m tests.web.save_workflows``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.support.host import find_host
from tests.support.tiny_loras import KINDS, write_lora
from tests.web.page import Page
from tests.web.stage import (
    EXAMPLES,
    WORKFLOWS,
    example,
    find_chromium,
    running_browser,
    running_host,
    two_loras,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLE = "lora_algebra"

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

REPORTED = {
    1: (0, 400, 280, 100),
    2: (0, 0, 280, 90),
    3: (0, 200, 280, 90),
    4: (330, 0, 220, 90),
    5: (600, 0, 430, 200),
}
"""LAYOUT for the picture of a report; in the order of stage.two_loras()."""

SCHEDULED = {"curve": "0:0, 0.3:1, 0.6:1, 1:0.25 cosine", "end_percent": 0.9}

ASIDE = {number: (1300, 300 * number, 250, 100) for number in range(6, 12)}


def save_kind(page: Page, kind: str) -> None:
    page.loadPrompt(two_loras(kind))
    page.fixSeeds()
    write(WORKFLOWS / f"{kind}.json", page.workflow())
    write(WORKFLOWS / f"{kind}.api.json", page.prompt())


def save_example(page: Page) -> None:
    """The files it names are each user's own, so it names none: the host then takes the first."""
    page.loadPrompt(example())
    page.fixSeeds()
    page.layOut(LAYOUT)
    page.nameFiles(SHOWN)
    page.take_picture(EXAMPLES / f"{EXAMPLE}.jpg", THUMBNAIL)
    page.nameFiles(dict.fromkeys(SHOWN))
    page.view(*VIEW)
    write(EXAMPLES / f"{EXAMPLE}.json", page.workflow())


def picture_report(page: Page) -> None:
    """A finished run in the page's renderer."""
    page.loadPrompt(two_loras("sd15", SHOWN[2], SHOWN[3]))
    page.layOut(REPORTED | ASIDE)
    page.run()
    page.take_picture(DOCS / f"report_{page.renderer}.png", REPORTED)


def picture_schedule(page: Page) -> None:
    """A curve, as the page's renderer shows it."""
    page.clear()
    node = page.add("ScheduleLoRA", "Schedule LoRA")
    page.layOut({node: (0, 0, 340, 180)})
    page.set(node, SCHEDULED)
    page.take_picture(DOCS / f"schedule_{page.renderer}.png", [node])


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
        page = Page(browser, host, "classic")
        for kind in KINDS:
            save_kind(page, kind)
        save_example(page)
        picture_report(page)
        picture_schedule(page)
        page.close()
        page = Page(browser, host, "nodes2")
        picture_report(page)
        picture_schedule(page)
        page.close()


if __name__ == "__main__":
    main()
