"""``make demo``: the main job, end to end, on our own files. Results are in demo/.

First a picture (tools/picture.py). Then, in the real ComfyUI if one is found: a saved workflow
chains LoRAs with our nodes, ComfyUI loads it, patches a real model, and queued prompts render to
PNG. Otherwise diffusers makes the picture, and the command line writes the same sum into a
checkpoint file.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from examples.tiny import in_host
from harness import workflows
from harness.host import Host, RunResult, ensure_models
from harness.installs import HostInstall, find_host
from harness.tiny_loras import delta, targets, write_lora
from harness.tiny_models import DEFAULT_NAMES, MODEL_FILES
from tools import picture

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "demo"
SAVED = ROOT / "tests" / "workflows" / "sd15.api.json"
LORAS = ("sd15_1.safetensors", "sd15_2.safetensors")
STRENGTHS = (0.5, 1.0)


def main() -> None:
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    install = find_host()
    if install:
        print(f"ComfyUI {install.version} at {install.path}\n")
        picture_in_host(install)
        demo_in_host(install)
    else:
        print("No ComfyUI found (COMFYUI_PATH, or ~/comfy/ComfyUI): the same without it.\n")
        save_picture("diffusers and lora_core", picture.by_diffusers)
        demo_by_command()


def picture_in_host(install: HostInstall) -> None:
    with tempfile.TemporaryDirectory() as folder, in_host.start(install, Path(folder)) as host:
        save_picture("ComfyUI", lambda: picture.by_host(host))


def save_picture(maker: str, make: Callable[[], picture.Images]) -> None:
    images, seconds = picture.timed(make)
    picture.draw(images).save(DEMO / "picture.png")
    print(f"demo/picture.png: {len(images)} images by {maker}, {seconds:.2f} s each\n")


def demo_in_host(install: HostInstall) -> None:
    models = ensure_models(install, {name: MODEL_FILES[name] for name in DEFAULT_NAMES})
    with tempfile.TemporaryDirectory() as folder, Host(install, Path(folder), models) as host:
        add_loras(host)
        prompt = json.loads(SAVED.read_text())
        print(f"queueing the saved workflow {SAVED.relative_to(ROOT)}, as it is and changed:\n")
        render(host, "both", prompt)
        render(host, "both again", prompt)
        render(host, "first alone", with_strengths(prompt, 0.5, 0.0))
        render(host, "none", with_strengths(prompt, 0.0, 0.0))
        print("\nthe same live, beside the layers:\n")
        live = changed(prompt, "ApplyToModel", mode="live")
        render(host, "live", live)
        render(host, "live at 0.6", with_strengths(live, 0.6, 1.0))
        render(host, "scheduled", through(prompt, "ScheduleLoRA", curve="0:0, 0.5:1"))
        sweep = changed(prompt, "EmptyLatentImage", batch_size=5)
        render(host, "five at once", through(sweep, "SpreadLoRA", values="0..1 x 5"))
        print("\nthe report on the node, of the first:\n")
        print(host.run(prompt).outputs[node_of(prompt, "ApplyToModel")]["text"][0])
        compare_with_host(host)
        keep(host, prompt)
    print(f"\nimages: {', '.join(sorted(str(p.relative_to(ROOT)) for p in DEMO.glob('*.png')))}")


def add_loras(host: Host) -> None:
    for seed, name in enumerate(LORAS, 1):
        with tempfile.TemporaryDirectory() as folder:
            write_lora(Path(folder) / name, "sd15", seed=seed)
            host.add_lora(Path(folder) / name)


def node_of(prompt: dict[str, Any], class_type: str) -> str:
    return next(key for key, node in prompt.items() if node["class_type"] == class_type)


def changed(prompt: dict[str, Any], class_type: str, **inputs: object) -> dict[str, Any]:
    """Returns the same workflow, with other inputs of a node."""
    copy = json.loads(json.dumps(prompt))
    copy[node_of(copy, class_type)]["inputs"] |= inputs
    return copy


def through(prompt: dict[str, Any], class_type: str, **inputs: object) -> dict[str, Any]:
    """Returns the same workflow, with a node between the stack and the model."""
    stack = prompt[node_of(prompt, "ApplyToModel")]["inputs"]["lora"]
    whole = {"start_percent": 0.0, "end_percent": 1.0} if class_type == "ScheduleLoRA" else {}
    node = {"class_type": class_type, "inputs": {"lora": stack, **whole, **inputs}}
    return changed(prompt, "ApplyToModel", lora=[class_type, 0]) | {class_type: node}


def with_strengths(prompt: dict[str, Any], *strengths: float) -> dict[str, Any]:
    """Returns the same workflow, as after moving its sliders."""
    copy = json.loads(json.dumps(prompt))
    loaders = [node for node in copy.values() if node["class_type"] == "LoadLoRA"]
    for node in loaders:
        node["inputs"]["strength"] = strengths[LORAS.index(node["inputs"]["lora_name"])]
    return copy


def render(host: Host, title: str, prompt: dict[str, Any]) -> None:
    before, start = host.counters()["patched_weights"], time.perf_counter()
    result = host.run(prompt)
    seconds, patched = time.perf_counter() - start, host.counters()["patched_weights"] - before
    images = saved_images(host, prompt, result)
    made = "rendered" if images else "was all in the cache"
    for number, image in enumerate(images):
        suffix = f"_{number}" if len(images) > 1 else ""
        shutil.copy(image, DEMO / f"{title.replace(' ', '_')}{suffix}.png")
    print(f"  {title:12} {made} in {seconds:.2f} s, {patched} weights patched")


def saved_images(host: Host, prompt: dict[str, Any], result: RunResult) -> list[Path]:
    saved = node_of(prompt, "SaveImage")
    if saved not in result.executed:
        return []
    images = result.outputs[saved]["images"]
    return [host.output_dir / image["subfolder"] / image["filename"] for image in images]


def compare_with_host(host: Host) -> None:
    """Compares our one pass with the host's own loaders in a row."""
    loras = list(zip(LORAS, STRENGTHS, strict=True))
    latents = {}
    for name, chain in (
        ("ours", workflows.stacked_loras(*loras)),
        ("host", workflows.host_loras(*loras)),
    ):
        host.run(workflows.render("sd15", chain, save=name))
        latents[name] = load_file(host.output_dir / f"{name}.safetensors")["samples"]
        probe = host.run(workflows.inspect("sd15", "TKProbe", chain)).report("TKProbe")["model"]
        print(f"\n{name}: {probe['keys']} weights, {probe['entries_total']} patches", end="")
    difference = (latents["ours"] - latents["host"]).abs().max() / latents["host"].abs().max()
    print(f"\nlatents of both: largest relative difference {difference:.1e}")


def keep(host: Host, prompt: dict[str, Any]) -> None:
    """Saves the sum as one file, loads that in place of the parts, and compares the pictures."""
    print("\nthe sum, saved as one LoRA and loaded again:\n")
    apply = prompt[node_of(prompt, "ApplyToModel")]["inputs"]
    node = {
        "class_type": "SaveLoRAFile",
        "inputs": {
            "lora": apply["lora"],
            "model": apply["model"],
            "filename_prefix": "loras/demo",
            "rank": "exact",
            "dtype": "float32",
            "names": "kohya",
        },
    }
    saving = host.run({**prompt, "SaveLoRAFile": node})
    for line in saving.outputs["SaveLoRAFile"]["text"][0].splitlines()[:2]:
        print(f"  {line}")
    (file,) = host.output_dir.glob("loras/demo_*.safetensors")
    again = {
        "class_type": "LoadLoRA",
        "inputs": {"lora_name": host.add_lora(file), "strength": 1.0},
    }
    kept = changed(prompt, "ApplyToModel", lora=["kept", 0]) | {"kept": again}
    render(host, "kept", kept)
    one, other = (np.asarray(Image.open(DEMO / f"{name}.png"), int) for name in ("both", "kept"))
    print(f"  largest difference of a byte in the picture: {abs(one - other).max()}")


def demo_by_command() -> None:
    base, out = DEMO / "base.safetensors", DEMO / "out.safetensors"
    write_checkpoint(base)
    for seed, name in enumerate(LORAS, 1):
        write_lora(DEMO / name, "sd15", seed=seed)
    for name in LORAS:
        command("inspect", DEMO / name)
    loras = [f"{DEMO / name}={s}" for name, s in zip(LORAS, STRENGTHS, strict=True)]
    command("apply", base, "-l", loras[0], "-l", loras[1], "-o", out)
    command("combine", *loras, "-o", DEMO / "sum.safetensors")
    command("analyse", *loras)
    error = error_of(base, out)
    print(f"against float64, largest relative error {error:.1e}; one rounding of half is 4.9e-04")


def command(*arguments: object) -> None:
    shown = [str(a.relative_to(ROOT)) if isinstance(a, Path) else str(a) for a in arguments]
    print("$ python -m lora_core " + " ".join(s.replace(f"{ROOT}/", "") for s in shown))
    subprocess.run([sys.executable, "-m", "lora_core", *map(str, arguments)], check=True, cwd=ROOT)
    print()


def write_checkpoint(path: Path) -> None:
    """Writes the layers that the tiny LoRAs touch, in the layout of an SD 1.5 checkpoint."""

    generator = torch.Generator().manual_seed(0)
    weights = {
        f"model.{target.weight}": torch.randn(target.shape, generator=generator).half()
        for target in targets("sd15")
    }
    save_file(weights, path, {"title": "random weights for the demo"})


def error_of(base: Path, out: Path) -> float:

    before, after = load_file(base), load_file(out)
    worst = 0.0
    for target in targets("sd15"):
        exact = before[f"model.{target.weight}"].double()
        for name, strength in zip(LORAS, STRENGTHS, strict=True):
            exact = exact + strength * delta(load_file(DEMO / name), target)
        error = (after[f"model.{target.weight}"].double() - exact).abs().max() / exact.abs().max()
        worst = max(worst, error.item())
    return worst


if __name__ == "__main__":
    main()
