"""Patching: what the host's ``ModelPatcher.patch_model`` takes with our patches and with its own.

Contenders on the same weights:

* ours: one FusedAdapter on each weight, for any number of LoRAs;
* host: its LoRAAdapter, one on each weight for every LoRA, as N loaders in a row leave them;
* limit: an adapter on each weight that returns it as it is. The host's own work is left: the weight is
  kept, copied in the type in which the host patches, rounded to the stored type and put into the model.
  No patch can take less, whatever it adds;
* GEMM: addmm_ of the same factors, joined and in float32 beforehand, into a float32 matrix. No
  exact sum of low rank takes less arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import TYPE_CHECKING

import torch

from . import models
from .loras import (
    STRENGTH,
    Lora,
    Sizes,
    matrices,
    random_lora,
    with_hosts,
    with_nothing,
    with_ours,
)
from .report import Section, Settings, Table, mb, ms, progress, times
from .timing import Contender, Times, compete
from .usage import large_tensors, peak_growth

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

SHAPES = ((3072, 1), (1280, 2))
"""Width of square weights, and how many of them: small ones alone are too quick to be timed."""

USUAL = 16
"""The rank that most files have; it is measured for every number of LoRAs."""

CASES = (
    *((USUAL, count) for count in (1, 2, 4, 8, 16)),
    *((rank, count) for rank in (4, 64, 128) for count in (1, 4, 16)),
)
"""(rank, number of LoRAs)."""

QUICK = ((USUAL, 1), (USUAL, 4))
DTYPES = (torch.float16, torch.float32)
NAMES = ("ours", "host", "limit")


@dataclass(frozen=True)
class Row:
    """The measurements of one case.

    Attributes:
        model: The model's name.
        dtype: The type of its weights.
        count: Number of LoRAs.
        rank: The rank of each LoRA.
        times: The times of "ours", "host", "limit" and "gemm".
        peaks: Bytes by which the process grows, the patched weights included.
        tensors: New tensors of a weight's size for each weight; empty where weights differ in size.
    """

    model: str
    dtype: str
    count: int
    rank: int
    times: Times
    peaks: Mapping[str, float]
    tensors: Mapping[str, float]


def shapes(settings: Settings) -> list[Row]:
    """Returns weights of one size, with every number of LoRAs and every rank."""
    rows: list[Row] = []
    for (width, count), dtype in product(SHAPES[1:] if settings.quick else SHAPES, DTYPES):
        base = models.patcher_of(
            models.layers(width, width, count, dtype, settings.device), settings.device
        )
        for rank, number in QUICK if settings.quick else CASES:
            name = f"{width}×{width}"
            rows.append(measure(name, base, matrices(base.model), number, rank, settings))
    return rows


@torch.inference_mode()
def measure(
    name: str, base: ModelPatcher, sizes: Sizes, number: int, rank: int, settings: Settings
) -> Row:
    """Measures ``number`` LoRAs on the weights ``sizes`` of a model."""
    device = settings.device
    dtype = str(next(base.model.parameters()).dtype).removeprefix("torch.")
    progress(f"patching: {name} {dtype}, {number} LoRAs of rank {rank}")
    loras = [random_lora(sizes, rank) for _ in range(number)]
    keys = list(sizes)
    contenders = {
        "ours": _patching(lambda: with_ours(base, loras)),
        "host": _patching(lambda: with_hosts(base, loras)),
        "limit": _patching(lambda: with_nothing(base, keys)),
    }
    peaks = {name: _peak(one, device) for name, one in contenders.items()}
    tensors = _tensors(contenders, sizes)
    gemm = Contender(_gemm(loras, device))
    found = compete(contenders | {"gemm": gemm}, settings.rounds, device, warm_up=False)
    return Row(name, dtype, number, rank, found, peaks, tensors)


def _patching(make: Callable[[], ModelPatcher]) -> Contender:
    """Times a patcher that was never loaded: ours fuses when the host comes to a weight."""
    patchers: list[ModelPatcher] = []

    def run() -> None:
        patchers[0].patch_model(patchers[0].load_device)

    return Contender(
        run,
        before=lambda: patchers.append(make()),
        after=lambda: patchers.pop().unpatch_model(),
    )


def _peak(contender: Contender, device: str) -> float:
    contender.before()
    try:
        return peak_growth(contender.run, device)
    finally:
        contender.after()


def _tensors(contenders: Mapping[str, Contender], sizes: Sizes) -> dict[str, float]:
    if len(set(sizes.values())) > 1:
        return {}
    out, into = next(iter(sizes.values()))
    counted: dict[str, float] = {}
    for name, contender in contenders.items():
        contender.before()
        counted[name] = large_tensors(contender.run, out * into) / len(sizes)
        contender.after()
    return counted


def _gemm(loras: Sequence[Lora], device: str) -> Callable[[], object]:
    """Times one multiplication for each weight, all into the same memory."""
    pairs = [
        (
            torch.cat([lora[key].up for lora in loras], 1).to(device, torch.float32),
            torch.cat([lora[key].down for lora in loras]).to(device, torch.float32) * STRENGTH,
        )
        for key in loras[0]
    ]
    room = torch.zeros(max(len(up) * down.shape[1] for up, down in pairs), device=device)

    def run() -> None:
        for up, down in pairs:
            out, into = len(up), down.shape[1]
            room[: out * into].view(out, into).addmm_(up, down)

    return run


def section(
    rows: Sequence[Row], whole: Sequence[Row], notes: Sequence[str], picture: str | None
) -> Section:
    """Returns the tables of single weights and of whole models, and the name of their picture."""
    groups = groupby(rows, lambda row: (row.model, row.dtype))
    tables = [
        Table(f"{model}, {dtype}", "", COLUMNS, [_cells(row) for row in own], folded=True)
        for (model, dtype), own in groups
    ]
    if whole:
        columns = ("model", "type", *COLUMNS[:-1])
        cells = [(row.model, row.dtype, *_cells(row)[:-1]) for row in whole]
        tables.insert(0, Table("Whole models", " ".join(notes), columns, cells))
    shown = f"![Our time divided by ComfyUI's, by the number of LoRAs]({picture})\n\n"
    return Section("Patching", (shown if picture else "") + NOTE, [_summary(rows), *tables])


NOTE = (
    "This is the time of ComfyUI's own `ModelPatcher.patch_model`, on a model that stays on its device. "
    "*limit* is the same with an adapter that returns the weight unchanged: ComfyUI keeps, copies, casts "
    "and stores, and nothing is added. *GEMM* is only the one multiplication of all factors, in float32. "
    "An exact result needs both. *extra* is the most by which the process grows. It includes the "
    "patched weights, because ComfyUI keeps the original ones. *new m×n* is the number of tensors of the "
    "weight's size that are made for each weight."
)

RATIOS = {
    "ours / host": ("host",),
    "ours / limit": ("limit",),
    "ours / (limit + GEMM)": ("limit", "gemm"),
}

COLUMNS = (
    "LoRAs",
    "rank",
    "ours ms",
    "host ms",
    "limit ms",
    "GEMM ms",
    "ours / host",
    "host / limit",
    "ours / limit",
    "ours / (limit + GEMM)",
    "extra MB: ours, host, limit",
    "new m×n: ours, host, limit",
)


def _cells(row: Row) -> tuple[str, ...]:
    found = row.times
    return (
        str(row.count),
        str(row.rank),
        *(ms(found.median(name)) for name in (*NAMES, "gemm")),
        times(found.ratio("ours", "host")),
        times(found.ratio("host", "limit")),
        times(found.ratio("ours", "limit")),
        times(found.ratio("ours", "limit", "gemm")),
        ", ".join(mb(row.peaks[name]) for name in NAMES),
        ", ".join(f"{row.tensors[name]:.3g}" for name in NAMES if row.tensors),
    )


def _summary(rows: Sequence[Row]) -> Table:
    """Returns ratios over the number of LoRAs, for the rank that most files have."""
    usual = [row for row in rows if row.rank == USUAL]
    counts = sorted({row.count for row in usual})
    lines = []
    for (model, dtype), own in groupby(usual, lambda row: (row.model, row.dtype)):
        found = {row.count: row.times for row in own}
        for label, others in RATIOS.items():
            ratios = [times(found[count].ratio("ours", *others)) for count in counts]
            lines.append((f"{model} {dtype}", label, *ratios))
    return Table(
        f"Summary for rank {USUAL}", "", ("weight", "ratio", *(f"N = {n}" for n in counts)), lines
    )
