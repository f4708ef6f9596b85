"""Node side: what the nodes themselves take, before any weight is touched.

The LoRAs have 720 layers. The weights of the SDXL are on the meta device, so they cost no time.
*first*: nobody has used the model or the files yet. Ours is one LoRA File for each file and one Apply LoRA To
Model. ComfyUI's is one LoraLoaderModelOnly for each file. Ours reads and checks the files here. ComfyUI only maps
them, and reads them while it patches. *moved*: all of them get another strength. As in ComfyUI's default
cache, only the model without LoRAs and the nodes are kept.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import torch

from . import models
from .host_nodes import HostChain, our_apply, our_recipe, use_folder
from .loras import matrices, write_lora
from .report import Section, Settings, Table, ms, progress, times
from .timing import Contender, compete

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

FILES, LAYERS, RANK = 10, 720, 16


class Result:
    """A patched model, dropped before the next one is made."""

    def __init__(self, apply: Callable[[], ModelPatcher]) -> None:
        self._apply = apply
        self._model: ModelPatcher | None = None

    def run(self) -> None:
        self._model = self._apply()

    def drop(self) -> None:
        self._model = None
        gc.collect()


@torch.inference_mode()
def measure(settings: Settings) -> Section:
    count = 2 if settings.quick else FILES
    progress(f"node side: {count} LoRAs of {LAYERS} layers")
    names = _write(settings, count)
    cases = {"first": _first(names), "moved": _moved(names)}
    rows: list[tuple[str, ...]] = []
    for state, contenders in cases.items():
        found = compete(contenders, settings.rounds, "cpu")
        medians = [ms(found.median(who)) for who in ("ours", "host")]
        rows.append((state, *medians, times(found.ratio("ours", "host"))))
    title = f"{count} LoRAs of {LAYERS} layers, rank {RANK}, SDXL"
    table = Table(title, "", ("", "ours ms", "host ms", "ours / host"), rows)
    return Section("Node side", (__doc__ or "").partition("\n\n")[2].strip(), [table])


def _write(settings: Settings, count: int) -> list[str]:
    folder = settings.folder / "node_side"
    folder.mkdir()
    sizes = matrices(models.sdxl(torch.float16))
    blocks = [key for key in sizes if "transformer_blocks" in key or ".proj_" in key]
    chosen = {key: sizes[key] for key in blocks[:LAYERS]}
    files = [write_lora(folder / f"node_{n}.safetensors", chosen, RANK) for n in range(count)]
    use_folder(folder)
    return [file.name for file in files]


def _first(names: Sequence[str]) -> dict[str, Contender]:
    unused: list[ModelPatcher] = []
    ours = Result(lambda: our_apply(our_recipe(names), unused.pop()))
    host = Result(lambda: HostChain(names).apply(unused.pop()))
    return {
        name: Contender(result.run, before=lambda: unused.append(_sdxl()), after=result.drop)
        for name, result in (("ours", ours), ("host", host))
    }


def _moved(names: Sequence[str]) -> dict[str, Contender]:
    model, strengths = _sdxl(), cycle((0.9, 0.8))
    recipe, chain = our_recipe(names, 1.0), HostChain(names)
    ours = Result(lambda: our_apply(recipe * next(strengths), model))
    host = Result(lambda: chain.apply(model, next(strengths)))
    return {
        name: Contender(result.run, after=result.drop)
        for name, result in (("ours", ours), ("host", host))
    }


def _sdxl() -> ModelPatcher:
    return models.patcher_of(models.sdxl(torch.float16), "cpu")
