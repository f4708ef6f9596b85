"""Records what the real page makes of saved workflows, and what the host says of their nodes, into tests/data/render.

Run by hand: ``python -m tests.render.record``. The page is that of the newer host.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from examples.tiny import in_host
from harness.installs import NEWER, find_host
from tests.render import saved
from tests.render.recorded import FOLDER, WORKFLOWS

KEPT = ("input", "input_order", "output", "display_name", "category", "python_module")
OPTIONS = ("tooltip", "display_name", "advanced")
MOST_CHOICES = 3


def reduced(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What a conversion asks for of a definition."""
    kept = {key: definition[key] for key in KEPT}
    return kept | {"input": _without(definition["input"])}


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(each) for key, each in value.items() if key not in OPTIONS}
    if isinstance(value, list):
        is_choices = len(value) > MOST_CHOICES and all(isinstance(each, str) for each in value)
        return [_without(each) for each in (value[:MOST_CHOICES] if is_choices else value)]
    return value


def types_of(workflow: Any) -> Iterator[str]:
    """The types of all nodes, also of those in subgraphs."""
    if isinstance(workflow, dict):
        for node in workflow.get("nodes", []):
            yield node["type"]
        for graph in workflow.get("definitions", {}).get("subgraphs", []):
            yield from types_of(graph)


def main() -> None:
    from tests.web.page import Page
    from tests.web.stage import find_chromium, running_browser

    install, chromium = find_host(NEWER), find_chromium()
    if install is None or chromium is None:
        raise SystemExit("This needs ComfyUI (COMFYUI_PATH_NEW) and Chromium (CHROMIUM).")
    workflows = {
        name: json.loads(file.read_text(encoding="utf-8")) for name, file in WORKFLOWS.items()
    }
    workflows |= {case.__name__: case() for case in saved.CASES}
    with (
        tempfile.TemporaryDirectory() as folder,
        in_host.start(install, Path(folder)) as host,
        running_browser(chromium) as browser,
    ):
        info = host.object_info()
        page = Page(browser, host, "classic")
        prompts: dict[str, Any] = {}
        for name, workflow in workflows.items():
            page.load(workflow)
            prompts[name] = page.prompt()
        page.close()
    types = {each for workflow in workflows.values() for each in types_of(workflow)} & info.keys()
    write("object_info", {name: reduced(info[name]) for name in sorted(types)})
    write("prompts", prompts)


def write(name: str, content: object) -> None:
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(content, indent=None, ensure_ascii=False, separators=(",", ":"))
    (FOLDER / f"{name}.json").write_text(text.replace('},"', '},\n"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
