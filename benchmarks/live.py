"""Live: what another strength takes until the next step can run, and what a step takes.

The model is a row of linear layers without attention. So the layers' share of a step is as large as possible,
and so is the share of the live LoRAs. ComfyUI's ``load_models_gpu`` loads the models. A step is
``BaseModel.apply_model`` with the patcher's wrappers, as in ComfyUI's samplers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from . import models
from .host_nodes import HostChain, host_bypass, our_apply, our_recipe, use_folder
from .loras import matrices, write_lora
from .report import Section, Settings, Table, ms, progress, times
from .timing import Contender, compete

if TYPE_CHECKING:
    from comfy.model_base import BaseModel
    from comfy.model_patcher import ModelPatcher

WIDTHS = {3072: 3, 1280: 12}
"""Width of the layers, and how many."""

TOKENS, RANKS, FILES = (256, 1024), (16, 64, 256), (1, 4, 16)
CHANGED_FILES, CHANGED_RANK, CHANGED_TOKENS = (1, 4, 8), 16, 256


def measure(settings: Settings) -> Section:
    use_folder(_folder(settings))
    note = (__doc__ or "").partition("\n\n")[2].strip()
    return Section("Live", note, [_changes(settings), _steps(settings)])


# --- another strength -----------------------------------------------------------------------------


def _changes(settings: Settings) -> Table:
    cases = product(_widths(settings), CHANGED_FILES[:1] if settings.quick else CHANGED_FILES)
    rows = [_changed(width, count, settings) for width, count in cases]
    note = (
        "From the nodes with another strength to the end of the first step, with "
        f"{CHANGED_TOKENS} tokens and files of rank {CHANGED_RANK} in memory. *written* is the number of "
        "the model's weights that are replaced or changed. *without the step* subtracts the time of a "
        "step of the bare model."
    )
    columns = (
        *("layers", "LoRAs", "written: live, merge, host", "live ms", "merge ms", "host ms"),
        *("bare step ms", "live / host", "without the step: live / host"),
    )
    return Table("Another strength", note, columns, rows)


class Changing:
    """A model of its own whose strength goes up and down."""

    def __init__(
        self, model: BaseModel, apply: Callable[[ModelPatcher, float], ModelPatcher], device: str
    ) -> None:
        self.base = models.patcher_of(model, device)
        self.written = 0
        self._apply = apply
        self._strength = 0.5
        self._input = _input(model, CHANGED_TOKENS, device)
        self._current = self.base

    def run(self) -> None:
        self._strength = 1.5 - self._strength
        self._current = self._apply(self.base, self._strength)
        load(self._current)
        step(self._current, self._input)

    def count(self) -> None:
        """Runs once more, and counts what is written."""
        before = dict(self.base.model.named_parameters())
        versions = {key: _version(weight) for key, weight in before.items()}
        self.run()
        self.written = sum(
            weight is not before[key] or _version(weight) != versions[key]
            for key, weight in self.base.model.named_parameters()
        )


def _changed(width: int, count: int, settings: Settings) -> tuple[str, ...]:
    progress(f"live: another strength, {width}, {count} LoRAs")
    device, number = settings.device, WIDTHS[width]
    names = [file.name for file in _files(width, count, CHANGED_RANK, settings)]
    chain = HostChain(names)
    ways: dict[str, Callable[[ModelPatcher, float], ModelPatcher]] = {
        "live": lambda base, s: our_apply(our_recipe(names, s), base, "live"),
        "merge": lambda base, s: our_apply(our_recipe(names, s), base, "merge"),
        "host": chain.apply,
        "bare": lambda base, _: base,
    }
    dtype = _dtype(device)
    changing = {
        name: Changing(models.layers(width, width, number, dtype, device), apply, device)
        for name, apply in ways.items()
    }
    with torch.inference_mode():
        contenders = {name: Contender(one.run) for name, one in changing.items()}
        found = compete(contenders, settings.rounds, device)
        for one in changing.values():
            one.count()
        _unload()
    bare = found.median("bare")
    return (
        f"{number} of {width}×{width}",
        str(count),
        ", ".join(str(changing[name].written) for name in ("live", "merge", "host")),
        *(ms(found.median(name)) for name in ways),
        times(found.ratio("live", "host")),
        times(max(0.0, found.median("live") - bare) / (found.median("host") - bare)),
    )


def _version(weight: torch.Tensor) -> int:
    """Returns how often it was written to, if torch counts that."""
    return 0 if weight.is_inference() else weight._version


# --- a step ---------------------------------------------------------------------------------------


def _steps(settings: Settings) -> Table:
    tokens, ranks = (TOKENS[:1], RANKS[:1]) if settings.quick else (TOKENS, RANKS)
    cases = list(product(_widths(settings), tokens, ranks))
    rows = [_row(width, tokens, rank, settings) for width, tokens, rank in cases]
    note = (
        "A step of the bare model is 1.00. Ours has N LoRAs with this rank in total. ComfyUI's bypass "
        "loader can hold only one LoRA, which has this rank."
    )
    ours = (f"ours N = {count}" for count in FILES)
    columns = ("layers", "tokens", "total rank", "bare ms", *ours, "host's bypass N = 1")
    return Table("A step", note, columns, rows)


def _row(width: int, tokens: int, rank: int, settings: Settings) -> tuple[str, ...]:
    progress(f"live: a step, {width}, {tokens} tokens, total rank {rank}")
    device, number = settings.device, WIDTHS[width]
    model = models.layers(width, width, number, _dtype(device), device)
    base = models.patcher_of(model, device)
    variants = {"bare": base}
    for count in FILES:
        names = [file.name for file in _files(width, count, rank // count, settings)]
        variants[f"ours {count}"] = our_apply(our_recipe(names), base, "live")
    variants["bypass"] = host_bypass(base, _files(width, 1, rank, settings)[0])
    x = _input(model, tokens, device)
    with torch.inference_mode():
        contenders = {name: _stepping(patcher, x) for name, patcher in variants.items()}
        found = compete(contenders, settings.rounds, device)
        _unload()
    ratios = [times(found.ratio(name, "bare")) for name in variants if name != "bare"]
    layers = f"{number} of {width}×{width}"
    return (layers, str(tokens), str(rank), ms(found.median("bare")), *ratios)


def _stepping(patcher: ModelPatcher, x: torch.Tensor) -> Contender:
    """Runs one step after another, so that only what every step takes is timed."""

    def before() -> None:
        load(patcher)
        step(patcher, x)

    return Contender(lambda: step(patcher, x), before=before, after=patcher.eject_model)


# --- what the host's samplers do ------------------------------------------------------------------


def load(patcher: ModelPatcher) -> None:
    from comfy.model_management import load_models_gpu

    load_models_gpu([patcher, *patcher.get_nested_additional_models()])
    patcher.pre_run()


def step(patcher: ModelPatcher, x: torch.Tensor) -> torch.Tensor:
    sigma = torch.ones(len(x), device=x.device)
    options = {"wrappers": patcher.wrappers, "cond_or_uncond": [0]}
    return patcher.model.apply_model(x, sigma, transformer_options=options)


def _unload() -> None:
    from comfy.model_management import unload_all_models

    unload_all_models()


def _input(model: BaseModel, tokens: int, device: str) -> torch.Tensor:
    width = next(model.diffusion_model.parameters()).shape[1]
    return torch.randn(1, tokens, width, device=device)


def _dtype(device: str) -> torch.dtype:
    """Returns the type in which the host computes there."""
    return torch.float16 if device == "cuda" else torch.float32


def _widths(settings: Settings) -> Sequence[int]:
    return list(WIDTHS)[1:] if settings.quick else list(WIDTHS)


def _folder(settings: Settings) -> Path:
    folder = settings.folder / "live"
    folder.mkdir(exist_ok=True)
    return folder


def _files(width: int, count: int, rank: int, settings: Settings) -> list[Path]:
    """Writes the files once."""
    sizes = matrices(models.layers(width, width, WIDTHS[width], torch.float16, models.META))
    folder = _folder(settings)
    files = [folder / f"{width}_{rank}_{number}.safetensors" for number in range(count)]
    return [file if file.exists() else write_lora(file, sizes, rank) for file in files]
