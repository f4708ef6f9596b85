"""What the tests and measurements of the farm render: the model of examples/tiny, in a ComfyUI with this pack."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from lora_render.item import Item, Job
from lora_render.process import Own

from .host import REPOSITORY
from .installs import HostInstall

TINY = REPOSITORY / "examples" / "tiny"
PACKS = {
    "lora-algebra": REPOSITORY,
    "tiny-scene": TINY / "scene_node",
    "testkit": REPOSITORY / "harness" / "testkit",
}


def lay_out(base: Path) -> Path:
    """Makes a base folder for ComfyUI with links to the tiny model, its LoRAs, the pack and the test nodes."""
    (base / "models").mkdir(parents=True)
    (base / "custom_nodes").mkdir()
    (base / "input").mkdir()
    for folder in (*(TINY / "models").iterdir(), TINY / "loras"):
        (base / "models" / folder.name).symlink_to(folder, target_is_directory=True)
    for name, folder in PACKS.items():
        (base / "custom_nodes" / name).symlink_to(folder, target_is_directory=True)
    return base


def own(install: HostInstall, base: Path, folder: Path) -> Own:
    """Returns how to start a ComfyUI on the CPU with such a base folder."""
    arguments = ("--cpu", "--disable-api-nodes", "--base-directory", str(base))
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return Own(str(install.path), str(install.python), str(folder), arguments, environment)


def scene(
    seed: int, ink: float = 1.0, light: float = 1.0, steps: int = 4, trouble: str = "none"
) -> dict[str, dict[str, Any]]:
    """Returns a prompt: a landscape of 64x64 with two LoRAs. ``trouble`` is that of TKTrouble."""
    hills = {"sun": 0.3, "height": 0.7, "hour": 0.45, "hills": 0.5, "trees": 0.4, "lake": 0.6}
    sampling = {"steps": steps, "cfg": 2.0, "sampler_name": "euler", "scheduler": "simple"}
    size = {"width": 64, "height": 64, "batch_size": 1}
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "1": ("LoadLoRA", {"lora_name": "ink_kohya.safetensors", "strength": ink}),
        "2": ("LoadLoRA", {"lora_name": "light_kohya.safetensors", "strength": light}),
        "3": ("StackLoRAs", {"loras.lora_0": ["1", 0], "loras.lora_1": ["2", 0]}),
        "4": (
            "UNETLoader",
            {"unet_name": "landscapes.safetensors", "weight_dtype": "default"},
        ),
        "5": ("ApplyToModel", {"lora": ["3", 0], "model": ["4", 0], "mode": "merge"}),
        "6": ("TinyScene", hills),
        "7": ("ConditioningZeroOut", {"conditioning": ["6", 0]}),
        "8": ("EmptySD3LatentImage", size),
        "9": (
            "KSampler",
            {
                "model": ["5", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["13", 0],
                "seed": seed,
                "denoise": 1.0,
                **sampling,
            },
        ),
        "10": ("VAELoader", {"vae_name": "landscapes.safetensors"}),
        "11": ("VAEDecode", {"samples": ["9", 0], "vae": ["10", 0]}),
        "12": ("SaveImage", {"images": ["11", 0], "filename_prefix": "farm"}),
        "13": ("TKTrouble", {"value": ["8", 0], "kind": trouble, "seconds": 600.0}),
    }
    return {node: {"class_type": kind, "inputs": inputs} for node, (kind, inputs) in nodes.items()}


def item(index: int, prompt: dict[str, dict[str, Any]], **parameters: str | float) -> Item:
    """Returns an item with the key of its prompt, and with a recipe that the strengths give."""
    key = hashlib.sha256(json.dumps(prompt, sort_keys=True).encode()).hexdigest()
    strengths = [prompt[node]["inputs"]["strength"] for node in ("1", "2") if node in prompt]
    return Item(index, parameters, prompt, key, {}, "tiny", json.dumps(strengths))


def jobs(count: int, inks: int = 4, **how: Any) -> list[Job]:
    """Returns ``count`` jobs with one seed each and ``inks`` recipes in turn."""
    made: list[Job] = []
    for index in range(count):
        ink = 0.25 * (1 + index % inks)
        prompt = scene(seed=index, ink=ink, **how)
        made.append(single(item(index, prompt, seed=index, ink=ink)))
    return made


def single(of: Item) -> Job:
    """Returns the job of one item."""
    return Job((of,), of.prompt)


def comfyuis(out: Path) -> dict[str, int]:
    """Returns the processes of ComfyUI that write below a folder: name of the worker -> process. It reads /proc."""
    found: dict[str, int] = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().decode(errors="replace").split("\0")
            users = [word for word in words if word.startswith(str(out)) and word.endswith("/user")]
            if users and words[1].endswith("main.py"):
                found[Path(users[0]).parent.name] = int(file.parent.name)
    return found


def parent(pid: int) -> int:
    """Returns the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def descendants(pid: int) -> set[int]:
    """Returns the processes that come from a process, without itself. It reads /proc."""
    parents: dict[int, int] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(file.parent.name)] = parent(int(file.parent.name))
    found = {pid}
    while more := {child for child, own in parents.items() if own in found} - found:
        found |= more
    return found - {pid}
