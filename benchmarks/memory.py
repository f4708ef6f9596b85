"""Memory: by how much a process grows, in a new process for each way of applying the same files.

``python -m benchmarks.memory WAY DEVICE FOLDER`` measures one way, and prints it as JSON.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness.host import REPOSITORY

from . import models
from .host import start
from .host_nodes import HostChain, our_apply, our_recipe, use_folder
from .loras import matrices, write_lora
from .report import Section, Settings, Table, mb, progress
from .usage import peak_growth, process_bytes

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

FILES, RANK, WIDTH, LAYERS = 8, 16, 3072, 16

WAYS: dict[str, Callable[[ModelPatcher, list[str]], ModelPatcher]] = {
    "ours, merge": lambda base, names: our_apply(our_recipe(names), base, "merge"),
    "ours, live": lambda base, names: our_apply(our_recipe(names), base, "live"),
    "host": lambda base, names: HostChain(names).apply(base),
}


def measure(settings: Settings) -> Section:
    count = 2 if settings.quick else LAYERS
    sizes = matrices(models.layers(WIDTH, WIDTH, count, torch.float16, models.META))
    folder = settings.folder / "memory"
    folder.mkdir()
    for number in range(FILES):
        write_lora(folder / f"{number}.safetensors", sizes, RANK)
    rows = [(way, *map(mb, _in_fresh_process(way, count, settings.device, folder))) for way in WAYS]
    numbers = WIDTH * WIDTH * count * 2
    files = sum(file.stat().st_size for file in folder.iterdir())
    note = (
        f"{FILES} files of rank {RANK} ({mb(files)} MB) on {count} weights {WIDTH}×{WIDTH} in float16 "
        f"({mb(numbers)} MB). The table shows by how many MB the process, or the memory in use on the "
        "GPU, has grown: after the nodes, at most while the model loads, and after loading. Merged "
        "weights are there twice, because ComfyUI keeps the original ones."
    )
    columns = ("way", "after the nodes MB", "peak while loading MB", "loaded MB")
    return Section("Memory", note, [Table("Growth", "", columns, rows)])


def _in_fresh_process(way: str, layers: int, device: str, folder: Path) -> list[float]:
    progress(f"memory: {way}")
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "benchmarks.memory",
            way,
            device,
            folder,
            str(layers),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main(way: str, device: str, folder: str, layers: str) -> None:
    start(device)
    use_folder(Path(folder))
    names = [file.name for file in sorted(Path(folder).iterdir())]
    warm_up(device)
    model = models.layers(WIDTH, WIDTH, int(layers), torch.float16, device)
    base = models.patcher_of(model, device)
    gc.collect()
    before = _in_use(device)
    patched = WAYS[way](base, names)
    gc.collect()
    applied = _in_use(device) - before
    peak = applied + peak_growth(lambda: load(patched), device)
    print(json.dumps([applied, peak, _in_use(device) - before]))


def warm_up(device: str) -> None:
    """Imports the nodes and lets torch set itself up, which is not measured."""
    import lora_algebra.nodes.load_lora  # noqa: F401

    import nodes  # noqa: F401

    square = torch.zeros(512, 512, device=device)
    square.addmm_(square, square)


def load(patcher: ModelPatcher) -> None:
    """Lets the host load a model, which patches its weights."""
    from comfy.model_management import load_models_gpu

    load_models_gpu([patcher, *patcher.get_nested_additional_models()])


def _in_use(device: str) -> float:
    return torch.cuda.memory_allocated() if device == "cuda" else process_bytes("VmRSS")


if __name__ == "__main__":
    main(*sys.argv[1:])
