"""Patching of whole models: the weights of SD 1.5, SDXL and Flux, with LoRAs on all or some of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from . import models
from .loras import Sizes, matrices
from .patching import USUAL, Row, measure
from .report import Settings, progress
from .usage import available_bytes

SHARE = 0.7
"""The share of the available memory that may be used."""

BYTES = 5
"""Bytes for each number of a weight: itself, what it is patched to, and the LoRAs."""

PATCHED, PATCHED_QUICKLY = 150_000_000, 20_000_000
"""Numbers that are patched of models that are larger than SD 1.5, unless all that fit are asked for."""


@dataclass(frozen=True)
class Case:
    """One model, and the numbers of LoRAs that it gets."""

    name: str
    build: models.Architecture
    dtype: torch.dtype
    counts: Sequence[int]
    at_most: int | None


CASES = (
    Case("SD 1.5", models.sd15, torch.float16, (1, 4, 8), None),
    Case("SDXL", models.sdxl, torch.float16, (1, 8), PATCHED),
    Case("Flux", models.flux, torch.bfloat16, (1, 8), PATCHED),
)


def whole_models(settings: Settings, all_layers: bool) -> tuple[list[Row], list[str]]:
    """Returns what was measured, and for each model a sentence on how much of it was patched."""
    rows: list[Row] = []
    notes: list[str] = []
    for case in CASES[:1] if settings.quick else CASES:
        model = case.build(case.dtype)
        everything = matrices(model)
        chosen = _chosen(everything, _limit(case, settings, all_layers))
        notes.append(f"{case.name}: {len(chosen)} of {len(everything)} weights patched,")
        notes.append(
            f"{_numbers(chosen) / 1e6:.0f} of {_numbers(everything) / 1e6:.0f} million parameters."
        )
        progress(" ".join(notes[-2:]))
        models.filled(model, settings.device, chosen)
        base = models.patcher_of(model, settings.device)
        for count in case.counts[:1] if settings.quick else case.counts:
            rows.append(measure(case.name, base, chosen, count, USUAL, settings))
    return rows, notes


def _limit(case: Case, settings: Settings, all_layers: bool) -> int:
    free = torch.cuda.mem_get_info()[0] if settings.device == "cuda" else available_bytes()
    fitting = int(free * SHARE / BYTES)
    if settings.quick:
        return PATCHED_QUICKLY
    return fitting if all_layers or case.at_most is None else min(fitting, case.at_most)


def _chosen(sizes: Sizes, limit: int) -> Sizes:
    """Returns all weights, or some from all over the model, the same ones every time."""
    keys = list(sizes)
    random.Random(0).shuffle(keys)
    chosen: set[str] = set()
    left = limit
    for key in keys:
        numbers = sizes[key][0] * sizes[key][1]
        if numbers <= left:
            chosen.add(key)
            left -= numbers
    return {key: size for key, size in sizes.items() if key in chosen}


def _numbers(sizes: Sizes) -> int:
    return sum(out * into for out, into in sizes.values())
