"""Saves the templates anew, by the real page: example_workflows, and a picture for each.

Run by hand: ``python -m tests.web.save_templates``, with numbers for some of them only. Pictures of results
are made by the tiny model of examples/tiny; where it cannot be asked, the picture is that of the graph.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from examples.tiny import in_host
from examples.tiny.files import NAMES, lora_file
from harness.host import Host, Prompt
from harness.installs import find_host
from harness.tiny_loras import write_lora
from tests.web.page import JPEG_QUALITY, Page
from tests.web.stage import EXAMPLES, find_chromium, running_browser, running_host
from tests.web.template_graphs import NO_ROWS
from tests.web.template_pictures import FOLDER, RESULTS
from tests.web.templates import TEMPLATES, Template, files_of

GAP_X, GAP_Y = 60, 70
"""Between nodes; the upper one with room for a title."""

WIDTHS = {
    "LoRARows": 420,
    "SaveImage": 420,
    "SaveVideo": 420,
    "SweepLoRA": 340,
    "ApplyToModel": 320,
    "CLIPTextEncode": 340,
    "LoRAGrid": 300,
    "StackLoRAs": 240,
}
HEIGHTS = {
    "SaveImage": 440,
    "SaveVideo": 440,
    "LoRARows": 300,
    "CLIPTextEncode": 140,
    "SweepLoRA": 490,
    "ApplyToModel": 150,
    "StackLoRAs": 140,
    "MaskLoRA": 130,
}
"""Where Nodes 2.0 needs more than classic nodes, or there will be more to see."""

USUAL_WIDTH = 300
SMALL = 150
"""The height up to which a node that is alone in its column lies below the column before."""

NOTE_WIDTH, NOTE_LETTERS, NOTE_LINE = 760, 100, 23
WINDOW, CORNER = (1480, 820), (80, 110)
"""How much of a usual window a template may fill, and where it begins beside the page's own buttons."""

LEAST_SCALE = 0.6
"""Below it, classic nodes show no text."""

LORAS = {
    "flux": ("flux/ink wash.safetensors", "flux/soft light.safetensors"),
    "wan": ("wan/slow_zoom_high_noise.safetensors", "wan/slow_zoom_low_noise.safetensors"),
}
"""Files for the pictures of graphs."""

SHOWN_ROWS = {
    "LoRA Algebra 6 - Wan 2.2 high and low noise": [
        {"on": True, "name": LORAS["wan"][0], "strength": 0.9, "low": {"name": LORAS["wan"][1]}}
    ],
    "LoRA Algebra 7 - Flux": [
        {"on": True, "name": name, "strength": strength}
        for name, strength in zip(LORAS["flux"], (0.8, 0.45), strict=True)
    ],
}
SHOWN_NODES = ("UNETLoader", "CLIPLoader", "DualCLIPLoader", "LoRARows")

Places = dict[str, tuple[float, float, float, float]]


def columns_of(prompt: Prompt) -> list[list[str]]:
    """Returns the nodes from left to right, each as close to what it is for as its links allow."""
    readers = {number: _readers(prompt, number) for number in prompt}
    depth: dict[str, int] = {}

    def deep(number: str) -> int:
        if number not in depth:
            depth[number] = max((deep(each) + 1 for each in readers[number]), default=0)
        return depth[number]

    last = max(map(deep, prompt))
    columns: list[list[str]] = [[] for _ in range(last + 1)]
    for number in prompt:
        columns[last - deep(number)].append(number)
    return columns


def _readers(prompt: Prompt, number: str) -> list[str]:
    return [
        reader
        for reader, node in prompt.items()
        for value in node["inputs"].values()
        if isinstance(value, list) and value[0] == number
    ]


def places_of(prompt: Prompt, sizes: dict[str, tuple[float, float]]) -> Places:
    """Returns where each node is, in columns without overlaps."""
    left, places = 0.0, Places()
    for column in _compact(columns_of(prompt), sizes):
        top = 0.0
        for number in column:
            width, height = sizes[number]
            places[number] = (left, top, width, height)
            top += height + GAP_Y
        left += max(sizes[number][0] for number in column) + GAP_X
    return places


def _compact(columns: list[list[str]], sizes: dict[str, tuple[float, float]]) -> list[list[str]]:
    """Puts a small node that has a column for itself below the column before it."""
    first, *others = columns
    fewer = [first]
    for column in others:
        if len(column) == 1 and sizes[column[0]][1] <= SMALL:
            fewer[-1] = [*fewer[-1], *column]
        else:
            fewer.append(column)
    return fewer


def save(page: Page, template: Template) -> None:
    prompt = template.prompt()
    page.loadPrompt(prompt)
    page.fixSeeds()
    _name_files(page, prompt, "")
    places = places_of(prompt, {number: _size(page, number, prompt) for number in prompt})
    page.layOut(places)
    _add_note(page, template.note)
    file = EXAMPLES / f"{template.name}.json"
    if rows := SHOWN_ROWS.get(template.name):
        _picture(page, rows, file.with_suffix(".jpg"))
        page.layOut(places)
    _name_files(page, prompt, None)
    _view(page, places)
    file.write_text(json.dumps(page.workflow(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(file)


def _name_files(page: Page, prompt: Prompt, name: str | None) -> None:
    """With None the page takes the first when it opens the template; an empty name only looks better."""
    for number, node in prompt.items():
        if names := files_of(node["inputs"]):
            page.set(int(number), dict.fromkeys(names, name))


def _picture(page: Page, rows: list[dict[str, object]], file: Path) -> None:
    """Of the loaders and the list, as somebody may have filled it."""
    node = page.only("LoRARows")
    page.set(node, {"rows": {"version": 1, "rows": rows}})
    page.take_picture(file, [each for kind in SHOWN_NODES for each in page.byType(kind)])
    page.set(node, {"rows": NO_ROWS})


def _size(page: Page, number: str, prompt: Prompt) -> tuple[float, float]:
    kind = prompt[number]["class_type"]
    width, height = page.size(int(number))
    return max(width, WIDTHS.get(kind, USUAL_WIDTH)), max(height, HEIGHTS.get(kind, 0))


def _add_note(page: Page, text: str) -> None:
    """Above everything."""
    lines = sum(1 + len(line) // NOTE_LETTERS for line in text.splitlines())
    height = 50 + NOTE_LINE * lines
    number = page.add("MarkdownNote", "Note", [0, -height - GAP_Y])
    page.layOut({number: (0, -height - GAP_Y, NOTE_WIDTH, height)})
    page.nameFiles({number: text})


def _view(page: Page, places: Places) -> None:
    """All of it, and the note, in a window of usual size."""
    top = min(page.workflow()["nodes"], key=lambda node: node["pos"][1])["pos"][1]
    width = max(x + own for x, _, own, _ in places.values())
    height = max(y + own for _, y, _, own in places.values()) - top
    scale = max(LEAST_SCALE, min(1.0, WINDOW[0] / width, WINDOW[1] / height))
    page.view(scale, [CORNER[0] / scale, CORNER[1] / scale - top])


def save_results(host: Host, templates: Iterable[Template]) -> None:
    """Pictures of what a template makes."""
    for name in NAMES:
        host.add_lora(lora_file(name), f"{FOLDER}/{name}.safetensors")
    for template in templates:
        if make := RESULTS.get(template.name):
            make(host).save(EXAMPLES / f"{template.name}.jpg", quality=JPEG_QUALITY)


def main() -> None:
    install, chromium = find_host(), find_chromium()
    if install is None or chromium is None:
        raise SystemExit("This needs ComfyUI (COMFYUI_PATH) and Chromium (CHROMIUM).")
    wanted = [TEMPLATES[int(number) - 1] for number in sys.argv[1:]] or TEMPLATES
    with (
        tempfile.TemporaryDirectory() as folder,
        running_host(install, Path(folder)) as host,
        running_browser(chromium) as browser,
    ):
        for kind, names in LORAS.items():
            for seed, name in enumerate(names, 1):
                (host.loras_dir / name).parent.mkdir(exist_ok=True)
                write_lora(host.loras_dir / name, kind, seed=seed)
        page = Page(browser, host, "classic")
        for template in wanted:
            save(page, template)
        page.close()
    with tempfile.TemporaryDirectory() as folder, in_host.start(install, Path(folder)) as host:
        save_results(host, wanted)


if __name__ == "__main__":
    main()
