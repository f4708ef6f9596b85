"""Keeping whole files: LoRAs of the size of SDXL's and Flux's, each in a new process.

``python -m benchmarks.keeping_files HEIGHT WIDTH …`` decomposes one matrix of each size as other tools do, and
prints the seconds of each as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

from harness.host import REPOSITORY

from .report import Settings, Table, mb, progress

RANK, KEPT = 128, 32
Layer = tuple[str, int, int]
"""A name, and how many rows and columns its matrix has."""


def measure(settings: Settings) -> Table:
    names = ("SDXL",) if settings.quick else ("SDXL", "Flux")  # an SVD of Flux takes a minute
    rows = [_row(name, settings) for name in names]
    note = (
        f"`lora-algebra resize --rank {KEPT}` of a file of rank {RANK} in bfloat16, from start to end: with "
        "reading, writing, and measuring the error on what was written. *Multiplied out* is the time of "
        "`torch.linalg.svd` on one matrix of each size, times their number, and nothing else. Each is one new "
        "process on one thread; the memory is its largest."
    )
    columns = ("file", "layers", "ours s", "ours MB", "multiplied out s", "MB", "ours / other")
    return Table("Whole files", note, columns, rows)


def _row(name: str, settings: Settings) -> tuple[str, ...]:
    progress(f"keeping: a whole {name} file")
    layers = [*LAYERS[name](1 if settings.quick else None)]
    file = settings.folder / f"{name}.safetensors"
    _write(file, layers)
    out = file.with_name(f"{name}_small.safetensors")
    resize = ["-m", "lora_core", "resize", str(file), "--rank", str(KEPT), "-o", str(out), "--json"]
    ours, our_bytes, _ = _run(resize)
    sizes = Counter((height, width) for _, height, width in layers)
    numbers = [str(number) for size in sizes for number in size]
    _, their_bytes, told = _run(["-m", "benchmarks.keeping_files", *numbers])
    theirs = sum(map(float.__mul__, json.loads(told), map(float, sizes.values())))
    file.unlink()
    out.unlink()
    return (
        f"{name}, {mb(sum(2 * RANK * (h + w) for _, h, w in layers))} MB",
        str(len(layers)),
        f"{ours:.1f}",
        mb(our_bytes),
        f"{theirs:.0f}",
        mb(their_bytes),
        f"{ours / theirs:.4f}",
    )


def _run(arguments: list[str]) -> tuple[float, int, str]:
    """Returns the seconds, the largest memory and the output of one Python program."""
    begun = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", *arguments]
    done = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, env=environment
    )
    told = done.stdout.read() if done.stdout else ""
    _, status, usage = os.wait4(done.pid, 0)
    if status:
        raise RuntimeError(f"{command} ended with {status}")
    return time.perf_counter() - begun, usage.ru_maxrss * 1024, told


def _write(file: Path, layers: list[Layer]) -> None:
    random = torch.Generator().manual_seed(0)
    decay = torch.arange(1, RANK + 1).float() ** -0.5
    content: dict[str, torch.Tensor] = {}
    for name, height, width in layers:
        up = torch.randn(height, RANK, generator=random) * decay
        down = torch.randn(RANK, width, generator=random)
        content[f"lora_unet_{name}.lora_up.weight"] = up.bfloat16()
        content[f"lora_unet_{name}.lora_down.weight"] = down.bfloat16()
    save_file(content, file)


def _flux(blocks: int | None) -> Iterator[Layer]:
    width = 3072
    for block in range(blocks or 19):
        for side in ("img", "txt"):
            path = f"double_blocks_{block}_{side}"
            yield f"{path}_attn_qkv", 3 * width, width
            yield f"{path}_attn_proj", width, width
            yield f"{path}_mlp_0", 4 * width, width
            yield f"{path}_mlp_2", width, 4 * width
            yield f"{path}_mod_lin", 6 * width, width
    for block in range(blocks or 38):
        yield f"single_blocks_{block}_linear1", 7 * width, width
        yield f"single_blocks_{block}_linear2", width, 5 * width
        yield f"single_blocks_{block}_modulation_lin", 3 * width, width


def _sdxl(blocks: int | None) -> Iterator[Layer]:
    places = [(f"input_blocks_{n}_1", 640, 2) for n in (4, 5)]
    places += [(f"input_blocks_{n}_1", 1280, 10) for n in (7, 8)] + [("middle_block_1", 1280, 10)]
    places += [(f"output_blocks_{n}_1", 1280, 10) for n in range(3)]
    places += [(f"output_blocks_{n}_1", 640, 2) for n in range(3, 6)]
    for place, width, depth in places[:blocks]:
        yield f"{place}_proj_in", width, width
        yield f"{place}_proj_out", width, width
        for block in range(depth):
            path = f"{place}_transformer_blocks_{block}"
            for name, text in (("attn1", width), ("attn2", 2048)):
                yield f"{path}_{name}_to_q", width, width
                yield f"{path}_{name}_to_k", width, text
                yield f"{path}_{name}_to_v", width, text
                yield f"{path}_{name}_to_out_0", width, width
            yield f"{path}_ff_net_0_proj", 8 * width, width
            yield f"{path}_ff_net_2", width, 4 * width


LAYERS = {"SDXL": _sdxl, "Flux": _flux}


def main(*sizes: str) -> None:
    took: list[float] = []
    for height, width in zip(sizes[::2], sizes[1::2], strict=True):
        matrix = torch.randn(int(height), int(width))
        begun = time.perf_counter()
        torch.linalg.svd(matrix, full_matrices=False)
        took.append(time.perf_counter() - begun)
    print(json.dumps(took))


if __name__ == "__main__":
    main(*sys.argv[1:])
