"""What is measured in ComfyUI on a GPU: merging beside its own patches, and parts of the page with fewer rounds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from . import live, models, patching, regions, varying
from .gpu_readings import Reading, Setting, milliseconds
from .host import start
from .loras import matrices
from .report import Section, Settings

CASES = ((1, 16), (4, 16), (16, 16), (4, 128))
"""(number of LoRAs, rank)."""

ROUNDS = 3


def merging(setting: Setting) -> Iterator[Reading]:
    """ComfyUI's ``patch_model`` with our patches and with its own."""
    start(setting.device)
    width, count = (256, 1) if setting.quick else (3072, 16)
    weights = models.layers(width, width, count, torch.bfloat16, setting.device)
    base = models.patcher_of(weights, setting.device)
    name, sizes = f"{count} of {width}×{width}", matrices(base.model)
    with tempfile.TemporaryDirectory() as folder:
        for number, rank in CASES:
            row = patching.measure(name, base, sizes, number, rank, _settings(setting, folder))
            yield Reading(
                "Merging in ComfyUI",
                {
                    "weights": f"{row.dtype}, {row.model}",
                    "LoRAs": number,
                    "rank": rank,
                    **milliseconds(row.times, *patching.NAMES, "gemm"),
                    **{
                        name: row.times.ratio("ours", *others)
                        for name, others in patching.RATIOS.items()
                    },
                    **{f"{name}, extra MB": row.peaks[name] / 2**20 for name in patching.NAMES},
                },
            )


def part_of_page(measure: Callable[[Settings], Section]) -> Callable[[Setting], Iterator[Reading]]:
    """Returns a measurement that gives the rows of a part of the page."""

    def measured(setting: Setting) -> Iterator[Reading]:
        start(setting.device)
        with tempfile.TemporaryDirectory() as folder:
            section = measure(_settings(setting, folder))
        for table in section.tables:
            for row in table.rows:
                cells = zip(table.columns, map(_number, row), strict=True)
                yield Reading(f"{section.title} in ComfyUI: {table.title}", dict(cells))

    return measured


MEASURES = {
    "host_merging": merging,
    "host_live": part_of_page(live.measure),
    "host_varying": part_of_page(varying.measure),
    "host_regions": part_of_page(regions.measure),
}


def _settings(setting: Setting, folder: str) -> Settings:
    rounds = 1 if setting.quick else ROUNDS
    return Settings(setting.device, rounds, setting.quick, Path(folder))


def _number(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell


NOTES = {"Merging in ComfyUI": patching.NOTE}
