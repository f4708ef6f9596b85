"""Node side: what the nodes themselves take, before any weight is touched.

LoRAs of 720 layers on an SDXL whose weights are on the meta device, so that nothing else counts.
Warm: the files are in memory, as when only a strength has changed; ours is Apply LoRA To Model, while
the model of the run before is in use, the host's is a LoraLoaderModelOnly for each, which keeps its file. Cold:
nobody holds a file; ours is then a Load LoRA for each, too. The host maps files and reads them while it patches,
ours reads and checks them here.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from . import models
from .host_nodes import HostChain, our_apply, our_recipe, use_folder
from .loras import matrices, write_lora
from .report import Section, Settings, Table, ms, progress, times
from .timing import Contender, compete

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

FILES, LAYERS, RANK = 10, 720, 4


class Held:
    """A result, held until the next one is there, as the host's cache does it."""

    def __init__(self, apply: Callable[[], ModelPatcher]) -> None:
        self._apply = apply
        self._model: ModelPatcher | None = None

    def run(self) -> None:
        self._model = self._apply()

    def drop(self) -> None:
        self._model = None
        gc.collect()


def measure(settings: Settings) -> Section:
    count = 2 if settings.quick else FILES
    progress(f"node side: {count} LoRAs of {LAYERS} layers")
    names = _write(settings, count)
    model = models.patcher_of(models.sdxl(torch.float16), "cpu")
    found = compete(_contenders(model, names), settings.rounds, "cpu")
    rows = [
        (
            state,
            *(ms(found.median(f"{who} {state}")) for who in ("ours", "host")),
            times(found.ratio(f"ours {state}", f"host {state}")),
        )
        for state in ("warm", "cold")
    ]
    title = f"{count} LoRAs of {LAYERS} layers, rank {RANK}, SDXL"
    table = Table(title, "", ("files", "ours ms", "host ms", "ours / host"), rows)
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


def _contenders(model: ModelPatcher, names: Sequence[str]) -> dict[str, Contender]:
    recipe = our_recipe(names)
    chain = HostChain(names)
    warm, warm_host = Held(lambda: our_apply(recipe, model)), Held(lambda: chain.apply(model))
    cold = Held(lambda: our_apply(our_recipe(names), model))
    cold_host = Held(lambda: HostChain(names).apply(model))
    return {
        "ours warm": Contender(warm.run, before=warm.run, after=warm.drop),
        "host warm": Contender(warm_host.run, before=warm_host.run, after=warm_host.drop),
        "ours cold": Contender(cold.run, after=cold.drop),
        "host cold": Contender(cold_host.run, after=cold_host.drop),
    }
