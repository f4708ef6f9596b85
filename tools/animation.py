"""``make animation``: the first picture of the README, docs/rows.webp, recorded from the real page.

LoRA Rows is filled from its picker, a strength is dragged, a row is switched off, and each time the queue
runs: every picture that is seen is one that ComfyUI has just made with the tiny model of examples/tiny.
The script draws two things into the page: the mouse, which a browser without a window has not, and the keys
that are pressed.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator

from examples.tiny import in_host
from examples.tiny.files import MODELS, NAMES, lora_file
from harness.host import Host, Prompt
from harness.installs import NEWER, HostInstall, find_host
from harness.workflows import Chain, Graph, Link, stacked_loras
from tests.web.page import MENU_AWAY, Page
from tests.web.rows import Rows
from tests.web.stage import find_chromium, numbered, running_browser

FILE = Path(__file__).parents[1] / "docs" / "rows.webp"
WIDTH, HEIGHT = 960, 540
QUALITY = 90
MOST_BYTES = 3_000_000

FOLDER = "style"
LARGER = 6
"""How many times as large as they are made the pictures are shown; nothing is smoothed."""

ROWS, SHOWN = "LoRARows", "PreviewImage"
PLACES = {ROWS: (20, 50, 420, 330), SHOWN: (480, 50, 300, 350)}
SCALE = 1.2
ASIDE = (-900, 0, 300, 200)
"""Of the nodes that are not to be seen."""

START = (480, 500)
"""Where the mouse is at first."""

STEP, TYPING, BLINK, LOOK = 40, 110, 320, 1100
"""Milliseconds of a step of the mouse, a key, a short look and a long one."""

QUIETER = """
() => Promise.all(["Comfy.Graph.CanvasMenu", "Comfy.EnableTooltips"].map(
  (name) => app.extensionManager.setting.set(name, false)))
"""
"""The page without what would lie over the nodes."""

OVERLAY = """
() => {
  const made = (css, html) => {
    const element = document.createElement("div");
    element.style.cssText = "position: fixed; z-index: 99999; pointer-events: none; " + css;
    element.innerHTML = html;
    document.body.append(element);
    return element;
  };
  const arrow = '<svg width="22" height="22" viewBox="0 0 22 22"><path d="M3 2v15l4-4 3 7 3-1-3-7h6z" '
    + 'fill="#fff" stroke="#000" stroke-width="1.4"/></svg>';
  const mouse = made("left: 477px; top: 498px", arrow);
  addEventListener("pointermove", (event) => {
    mouse.style.left = event.clientX - 3 + "px";
    mouse.style.top = event.clientY - 2 + "px";
  }, true);
  const pill = "left: 50%; bottom: 14px; transform: translateX(-50%); padding: 5px 14px; border-radius: 8px; "
    + "font: 600 17px system-ui, sans-serif; color: #fff; background: #2563ebdd";
  const keys = made(pill, "");
  window.shownKeys = (text) => { keys.textContent = text; keys.hidden = !text; };
  shownKeys("");
}
"""


@dataclass
class Film:
    """What the page showed, and for how many milliseconds."""

    page: Page
    rows: Rows
    frames: list[tuple[Image.Image, int]] = field(default_factory=list)
    place: tuple[float, float] = START

    def look(self, milliseconds: int = BLINK) -> None:
        """Keeps what is seen now."""
        self.page.settle()
        png = self.page.browser_page.screenshot(style=MENU_AWAY)
        frame = Image.open(io.BytesIO(png)).convert("RGB")
        if self.frames and self.frames[-1][0].tobytes() == frame.tobytes():
            milliseconds += self.frames.pop()[1]
        self.frames.append((frame, milliseconds))

    def go(self, x: float, y: float, steps: int = 7) -> None:
        """Moves the mouse, as a hand does: slowly at both ends."""
        (left, top), mouse = self.place, self.page.browser_page.mouse
        for step in range(1, steps + 1):
            share = step / steps
            share = share * share * (3 - 2 * share)
            mouse.move(left + (x - left) * share, top + (y - top) * share)
            self.look(STEP)
        self.place = (x, y)

    def go_to(self, what: Locator) -> None:
        self.go(*self.rows.centre(what))

    def click(self, what: Locator) -> None:
        self.go_to(what)
        self.page.browser_page.mouse.click(*self.place)
        self.look()

    def type(self, text: str) -> None:
        for letter in text:
            self.page.browser_page.keyboard.type(letter)
            self.look(TYPING)

    def press(self, keys: str) -> None:
        """Presses keys, and says which."""
        self.page.browser_page.evaluate("text => shownKeys(text)", keys.replace("+", " + "))
        self.look(BLINK)
        self.page.browser_page.keyboard.press(keys.replace("Ctrl", "Control"))
        self.look()
        self.page.browser_page.evaluate("shownKeys('')")

    def run(self) -> None:
        """Queues what is open, as a person does, and waits for the new picture."""
        self.page.listen()
        self.press("Ctrl+Enter")
        result = self.page.ended()
        if result["end"] != "execution_success":
            raise SystemExit(f"The run has failed: {result}")
        self.page.browser_page.wait_for_load_state("networkidle")  # the picture
        self.page.browser_page.wait_for_timeout(300)
        self.look(LOOK)

    def save(self, file: Path) -> None:
        first, *others = (frame for frame, _ in self.frames)
        durations = [milliseconds for _, milliseconds in self.frames]
        first.save(
            file,
            save_all=True,
            append_images=others,
            duration=durations,
            loop=0,
            quality=QUALITY,
            method=6,
            minimize_size=True,
        )
        size, seconds = file.stat().st_size, sum(durations) / 1000
        if size > MOST_BYTES:
            raise SystemExit(f"{file} has {size} bytes, more than {MOST_BYTES}.")
        print(f"{file}: {len(self.frames)} frames, {seconds:.1f} s, {size / 1e6:.2f} MB")


def name_of(lora: str) -> str:
    return f"{FOLDER}/{lora}.safetensors"


def shown(chain: Chain) -> Prompt:
    """The scene with LoRAs, larger, in the node that shows it."""
    graph = Graph()
    small = in_host.decoded(graph, in_host.sampled(graph, in_host.XY_SCENE, in_host.XY_SEED, chain))
    large = graph.add(
        "ImageScaleBy", image=small, upscale_method="nearest-exact", scale_by=float(LARGER)
    )
    graph.add(SHOWN, images=[large, 0])
    return graph.prompt


def listed(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
    rows = graph.add(ROWS, rows={"version": 1, "rows": []}, model=model)
    return [rows, 3], clip


def add_pictures(host: Host) -> None:
    """Gives each LoRA a picture of what it does, as a person does who likes its result."""
    for lora in NAMES:
        made = host.run(shown(stacked_loras((name_of(lora), 1.0)))).outputs[SHOWN]["images"][0]
        file = host.folder / "temp" / made["subfolder"] / made["filename"]
        with Image.open(file) as image:
            image.save((host.loras_dir / name_of(lora)).with_suffix(".png"))


def open_workflow(page: Page) -> Rows:
    prompt = numbered(shown(listed))
    page.loadPrompt(prompt)
    page.fixSeeds()
    page.layOut(_laid_out(prompt))
    page.run()
    page.browser_page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.execute("Workspace.ToggleFocusMode")
    page.browser_page.evaluate(QUIETER)
    page.view(SCALE, [0, 0])
    page.browser_page.evaluate(OVERLAY)
    page.browser_page.mouse.move(*START)
    return Rows(page, page.only(ROWS))


def _laid_out(prompt: Mapping[str, Mapping[str, object]]) -> dict[str, tuple[int, int, int, int]]:
    return {number: PLACES.get(str(node["class_type"]), ASIDE) for number, node in prompt.items()}


def record(film: Film) -> None:
    rows = film.rows
    film.look(LOOK)
    film.click(rows.add_button())
    film.type("ink")
    film.press("Shift+Enter")
    film.type("snow")
    film.press("Enter")
    film.run()
    film.go_to(rows.strength(0))
    rows.mouse.down()
    x, y = film.place
    film.go(x - 40, y, steps=9)
    rows.mouse.up()
    film.look()
    film.run()
    film.click(rows.switch(1))
    film.run()
    film.look(LOOK)


def main() -> None:
    install: HostInstall | None = find_host(NEWER) or find_host()
    chromium = find_chromium()
    if install is None or chromium is None:
        raise SystemExit("This needs ComfyUI (COMFYUI_PATH) and Chromium (CHROMIUM).")
    with tempfile.TemporaryDirectory() as folder, running_browser(chromium) as browser:
        host = Host(install, Path(folder), MODELS, packs=in_host.ALL_PACKS)
        for lora in NAMES:
            host.add_lora(lora_file(lora), name_of(lora))
        with host:
            add_pictures(host)
            page = Page(browser, host, "nodes2")
            film = Film(page, open_workflow(page))
            record(film)
            film.save(FILE)
            page.close()


if __name__ == "__main__":
    main()
