"""What a page needs behind it: a host with the tiny models and LoRAs, and a browser."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from harness.host import Host, ensure_models
from harness.installs import HostInstall
from harness.tiny_loras import KINDS, write_lora
from harness.tiny_models import DEFAULT_NAMES, MODEL_FILES
from harness.workflows import (
    Graph,
    Prompt,
    apply_lora,
    render,
    stacked_loras,
)

WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
EXAMPLES = Path(__file__).resolve().parents[2] / "example_workflows"

SHELF = tuple(
    f"shelf/{name}.safetensors"
    for name in ("ink", "light", "night ink", "people/ada", "people/bob", "people/cleo")
)
"""LoRAs to choose from, by name and folder."""

CHROMIUM_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def find_chromium() -> str | None:
    """The browser named by CHROMIUM, or one on the path."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def running_browser(executable: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*CHROMIUM_ARGUMENTS])
        yield browser
        browser.close()


@contextlib.contextmanager
def running_host(
    install: HostInstall, folder: Path, arguments: tuple[str, ...] = ()
) -> Iterator[Host]:
    """A host with two LoRAs for each kind: KIND_1.safetensors and KIND_2.safetensors."""
    models = ensure_models(install, {name: MODEL_FILES[name] for name in DEFAULT_NAMES})
    host = Host(install, folder, models, ("--cache-lru", "100", *arguments))
    for kind in KINDS:
        for name, seed in zip(lora_names(kind), (1, 2), strict=True):
            write_lora(host.loras_dir / name, kind, seed=seed)
    for seed, name in enumerate(SHELF, 10):
        write_lora(host.loras_dir / name, "sd15", seed=seed)
    with host:
        yield host


def lora_names(kind: str) -> tuple[str, str]:
    return f"{kind}_1.safetensors", f"{kind}_2.safetensors"


def two_loras(kind: str, *names: str) -> Prompt:
    """Two LoRAs at 0.5 and 1, stacked and applied; the picture is called like the kind."""
    chain = stacked_loras(*zip(names or lora_names(kind), (0.5, 1.0), strict=True))
    prompt = render(kind, chain, png=kind)
    del prompt["TKHash"]
    return numbered(prompt)


def applied_rows(kind: str, rows: list[dict]) -> Prompt:
    """A workflow that can run: a list of LoRAs, applied."""

    def chain(graph: Graph, model: list, clip: list | None) -> tuple[list, list | None]:
        lora = [graph.add("LoRARows", rows={"version": 1, "rows": rows}), 0]
        return apply_lora(graph, lora, model, clip)

    prompt = render(kind, chain, png=kind)
    del prompt["TKHash"]
    return numbered(prompt)


def numbered(prompt: Prompt) -> Prompt:
    """The same with the page's own kind of ids: 1, 2, 3, ..."""
    numbers = {name: str(number) for number, name in enumerate(prompt, 1)}

    def renamed(value: object) -> object:
        return [numbers[value[0]], value[1]] if isinstance(value, list) else value

    return {
        numbers[name]: node | {"inputs": {key: renamed(v) for key, v in node["inputs"].items()}}
        for name, node in prompt.items()
    }


def unfolded(prompt: Prompt, node_id: str) -> dict:
    """A node with everything it depends on in place of the links, so without any ids."""
    node = prompt[node_id]
    inputs = {
        name: [unfolded(prompt, value[0]), value[1]] if isinstance(value, list) else value
        for name, value in node["inputs"].items()
    }
    return {"class_type": node["class_type"], "inputs": inputs}
