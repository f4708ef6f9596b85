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
    combined,
    render,
    stack_loras,
    stacked_loras,
)

WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
EXAMPLES = Path(__file__).resolve().parents[2] / "example_workflows"

SQUARE, WIDE = (512, 512), (768, 512)
NEGATIVE = "blurry, watermark"
BLOCKS = "ALL\nonly early\nonly middle\nonly late"
"""Names of blocks that every model has."""

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


def example() -> Prompt:
    """What shows the whole algebra to a new user, between the host's own loader and sampler."""
    graph = Graph()
    model, clip, vae = _outputs(graph.add("CheckpointLoaderSimple", ckpt_name=""), 3)
    first, second = ([graph.add("LoadLoRA", lora_name="", strength=1.0), 0] for _ in range(2))
    scaled = graph.add("ScaleLoRA", lora=second, strength_model=0.6, strength_clip=0.3)
    stack = graph.add("StackLoRAs", **{"loras.lora_0": first, "loras.lora_1": [scaled, 0]})
    model, clip, _ = _outputs(graph.add("ApplyToModel", lora=[stack, 0], model=model, clip=clip), 3)
    return _sampled(graph, model, clip, vae, "a lighthouse at dawn, ink")


def rows_example() -> Prompt:
    """What a new user opens first: one list of LoRAs, and its trigger words in the prompt."""
    graph = Graph()
    model, clip, vae = _outputs(graph.add("CheckpointLoaderSimple", ckpt_name=""), 3)
    lora, triggers, _ = _outputs(graph.add("LoRARows", rows={"version": 1, "rows": []}), 3)
    model, clip, _ = _outputs(graph.add("ApplyToModel", lora=lora, model=model, clip=clip), 3)
    parts = {"string_a": "a lighthouse at dawn", "string_b": triggers, "delimiter": ", "}
    text = [graph.add("StringConcatenate", **parts), 0]
    return _sampled(graph, model, clip, vae, text)


def grid_example() -> Prompt:
    """An XY plot of two LoRAs, from one run of the queue."""
    graph = Graph()
    model, clip, vae = _outputs(graph.add("CheckpointLoaderSimple", ckpt_name=""), 3)
    first, second = ([graph.add("LoadLoRA", lora_name="", strength=1.0), 0] for _ in range(2))
    texts = {"values": "0, 0.5, 1", "across_values": "0, 0.5, 1"}
    sweep = graph.add("SweepLoRA", lora=first, across=second, **texts)
    lora, labels, _ = _outputs(sweep, 3)
    model, clip, _ = _outputs(graph.add("ApplyToModel", lora=lora, model=model, clip=clip), 3)
    return _sampled(graph, model, clip, vae, "a lighthouse at dawn, ink", labels)


def regions_example() -> Prompt:
    """Two LoRAs with one prompt: each of them in its half of the picture."""
    graph = Graph()
    model, clip, vae = _outputs(graph.add("CheckpointLoaderSimple", ckpt_name=""), 3)
    loras = [[graph.add("LoadLoRA", lora_name="", strength=1.0), 0] for _ in range(2)]
    masks = _halves(graph)
    parts = [
        [graph.add("MaskLoRA", lora=lora, mask=mask, elsewhere=0.0), 0]
        for lora, mask in zip(loras, masks, strict=True)
    ]
    lora = stack_loras(graph, *parts)
    model, clip, _ = _outputs(graph.add("ApplyToModel", lora=lora, model=model, clip=clip), 3)
    return _sampled(graph, model, clip, vae, "two friends side by side on a beach", size=WIDE)


def prompts_example() -> Prompt:
    """A prompt for each half of the picture, and a LoRA for each prompt."""
    graph = Graph()
    model, clip, vae = _outputs(graph.add("CheckpointLoaderSimple", ckpt_name=""), 3)
    loras = [[graph.add("LoadLoRA", lora_name="", strength=1.0), 0] for _ in range(2)]
    masks, halves = _halves(graph), []
    texts = [_text(graph, clip, text) for text in ("a knight on a beach", "a dancer on a beach")]
    for lora, mask, text in zip(loras, masks, texts, strict=True):
        inputs = {"lora": lora, "model": model, "positive": text}
        model, own = _outputs(graph.add("ApplyToConditioning", **inputs), 2)
        place = {"mask": mask, "strength": 1.0, "set_cond_area": "default"}
        halves.append([graph.add("ConditioningSetMask", conditioning=own, **place), 0])
    prompts = combined(graph, *halves), _text(graph, clip, NEGATIVE)
    return _drawn(graph, model, prompts, vae, size=WIDE)


def blocks_example() -> Prompt:
    """A LoRA in one part of the model after the other, at two strengths."""
    graph = Graph()
    model, clip, vae = _outputs(graph.add("CheckpointLoaderSimple", ckpt_name=""), 3)
    lora = [graph.add("LoadLoRA", lora_name="", strength=1.0), 0]
    texts = {"values": "0.5, 1", "across_values": "0, 0.5, 1", "blocks": BLOCKS}
    lora, labels, _ = _outputs(graph.add("SweepLoRA", lora=lora, **texts), 3)
    model, clip, _ = _outputs(graph.add("ApplyToModel", lora=lora, model=model, clip=clip), 3)
    return _sampled(graph, model, clip, vae, "a lighthouse at dawn, ink", labels)


def _halves(graph: Graph) -> list[list]:
    """Masks of the left and the right half of a picture, named for who reads the workflow."""
    width, height = WIDE
    whole = graph.add("SolidMask", value=0.0, width=width, height=height)
    part = graph.add("SolidMask", value=1.0, width=width // 2, height=height)
    parts = {"destination": [whole, 0], "source": [part, 0], "x": 0, "y": 0}
    left = graph.add("MaskComposite", **parts, operation="add")
    right = graph.add("InvertMask", mask=[left, 0])
    titles = {whole: "All black", part: "White half", left: "Left half", right: "Right half"}
    for node, title in titles.items():
        graph.prompt[node]["_meta"] = {"title": title}
    return [[left, 0], [right, 0]]


def _text(graph: Graph, clip: list, text: str | list) -> list:
    return [graph.add("CLIPTextEncode", clip=clip, text=text), 0]


def _sampled(
    graph: Graph,
    model: list,
    clip: list,
    vae: list,
    text: str | list,
    labels: list | None = None,
    size: tuple[int, int] = SQUARE,
) -> Prompt:
    """With one prompt and the host's own nodes behind the LoRAs, up to the saved picture."""
    prompts = _text(graph, clip, text), _text(graph, clip, NEGATIVE)
    return _drawn(graph, model, prompts, vae, labels, size)


def _drawn(
    graph: Graph,
    model: list,
    prompts: tuple[list, list],
    vae: list,
    labels: list | None = None,
    size: tuple[int, int] = SQUARE,
) -> Prompt:
    """Samples and saves the picture, a grid if labelled."""
    width, height = size
    sampler = graph.add(
        "KSampler",
        model=model,
        positive=prompts[0],
        negative=prompts[1],
        latent_image=[graph.add("EmptyLatentImage", width=width, height=height, batch_size=1), 0],
        seed=7,
        steps=20,
        cfg=7.0,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
    )
    image = graph.add("VAEDecode", samples=[sampler, 0], vae=vae)
    if labels:
        look = {"columns": 0, "text_size": 0, "gap": 8, "background": "white"}
        image = graph.add("LoRAGrid", images=[image, 0], **look, labels=labels)
    graph.add("SaveImage", images=[image, 0], filename_prefix="lora_algebra")
    return numbered(graph.prompt)


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


def _outputs(node_id: str, count: int) -> list[list]:
    return [[node_id, index] for index in range(count)]
