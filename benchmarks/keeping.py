"""Keeping: combining, resizing, extracting and comparing LoRAs.

*ours* works on the factors. *peft* is `add_weighted_adapter` by SVD, with its fast option. The *kohya way*
multiplies a LoRA out and decomposes the matrix; the *host's way* is what its own *Extract and Save Lora* does to
a difference. *multiplied out* makes every matrix and takes inner products. The errors are relative to what is
kept; the least error that is possible is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from . import keeping_files
from .host import add_our_packages
from .report import Section, Settings, Table, ms, progress, times
from .timing import Contender, compete

WIDTH, WEIGHTS = 3072, (1.0, 0.8, 0.6, -0.5)
LORAS, LAYERS = 10, 720
BUDGET_LAYERS = 120
SHAPES = ((1280, 1280), (10240, 1280), (1280, 5120), (640, 640), (5120, 640), (640, 2560))
"""Layers of SDXL, in turn."""


@torch.no_grad()
def measure(settings: Settings) -> Section:
    add_our_packages()
    width = WIDTH // 4 if settings.quick else WIDTH
    rows = [
        _combine(width, settings),
        _resize(width, settings),
        _extract(width, settings),
        _compare(LAYERS // 60 if settings.quick else LAYERS // 6, settings),
    ]
    columns = ("what", "ours ms", "other ms", "ours / other", "error, ours", "error, other")
    note = (__doc__ or "").partition("\n\n")[2].strip()
    tables = [
        Table("One layer, or many", "", columns, rows),
        _budget(),
        keeping_files.measure(settings),
    ]
    return Section("Keeping", note, tables)


def _row(
    what: str,
    found: tuple[Callable[[], Any], Callable[[], Any]],
    error: Callable[[Any], float],
    settings: Settings,
) -> tuple[str, ...]:
    progress(f"keeping: {what}")
    results: dict[str, Any] = {}

    def keep(name: str, run: Callable[[], Any]) -> Contender:
        return Contender(lambda: results.__setitem__(name, run()))

    contenders = {name: keep(name, run) for name, run in zip(("ours", "other"), found, strict=True)}
    took = compete(contenders, settings.rounds, "cpu")
    errors = (f"{error(results[name]):.4f}" for name in ("ours", "other"))
    medians = (ms(took.median(name)) for name in ("ours", "other"))
    return (what, *medians, times(took.ratio("ours", "other")), *errors)


def _products(width: int, rank: int, count: int) -> list[Any]:
    from lora_algebra.lora_core.combining import Product

    random = torch.Generator().manual_seed(0)
    return [
        Product(
            torch.randn(width, rank, generator=random, dtype=torch.float64),
            torch.randn(rank, width, generator=random, dtype=torch.float64),
        )
        for _ in range(count)
    ]


def _least(matrix: torch.Tensor, rank: int) -> Callable[[Any], float]:
    """Returns how many times the least possible error a result has."""
    least = float(torch.linalg.svdvals(matrix)[rank:].norm())

    def error(found: Any) -> float:
        dense = found if isinstance(found, torch.Tensor) else found.dense()
        return float((dense - matrix).norm()) / least

    return error


def _budget() -> Table:
    """The error of a whole file: one rank for every layer, and one error for all of them."""
    rows = []
    for kind, steep in (("all layers alike", (0.7, 0.7)), ("as LoRAs are", (0.3, 1.5))):
        spectra = _spectra(*steep)
        for rank in (4, 8, 16, 32):
            size = sum(rank * spectrum.cost for spectrum in spectra)
            equal = _lost(spectra, [rank] * len(spectra))
            shared = _lost(spectra, _within(spectra, size))
            rows.append((kind, str(rank), f"{equal:.4f}", f"{shared:.4f}", f"{shared / equal:.2f}"))
    note = (
        f"{BUDGET_LAYERS} layers of SDXL's sizes, rank 64, of which the singular values fall as k to the power of "
        "-0.7, or of a power from -0.3 to -1.5, and of sizes that differ by up to ten times. *Shared* is an error "
        "budget that makes a file of the same size."
    )
    columns = ("layers", "equal rank", "error, equal", "error, shared", "shared / equal")
    return Table("An error budget, at the same size of the file", note, columns, rows)


def _spectra(least: float, most: float) -> list[Any]:
    from lora_algebra.lora_core.combining import Spectrum

    random = torch.Generator().manual_seed(0)
    place = torch.arange(1, 65, dtype=torch.float64)
    found: list[Any] = []
    for index in range(BUDGET_LAYERS):
        height, width = SHAPES[index % len(SHAPES)]
        power, size = torch.rand(2, generator=random).tolist()
        size = 10**size if most > least else 1.0
        values = size * place ** -(least + (most - least) * power)
        found.append(Spectrum(values, height + width))
    return found


def _lost(spectra: list[Any], ranks: list[int]) -> float:
    every = sum(float(spectrum.values.square().sum()) for spectrum in spectra)
    pairs = zip(spectra, ranks, strict=True)
    return float((sum(float(s.values[r:].square().sum()) for s, r in pairs) / every) ** 0.5)


def _within(spectra: list[Any], size: int) -> list[int]:
    """Returns the ranks of the smallest error budget that makes no larger file."""
    from lora_algebra.lora_core.combining import read_rule

    low, high = 0.0, 100.0
    best: list[int] = []
    for _ in range(40):
        middle = (low + high) / 2
        rule = read_rule(f"{middle:.12f}%")
        ranks = rule.ranks(spectra) if rule else []
        if sum(rank * spectrum.cost for rank, spectrum in zip(ranks, spectra, strict=True)) <= size:
            best, high = ranks, middle
        else:
            low = middle
    return best


def _combine(width: int, settings: Settings) -> tuple[str, ...]:
    from lora_algebra.lora_core.combining import Product
    from peft import LoraConfig, get_peft_model

    parts = _products(width, 16, len(WEIGHTS))
    scaled = [part.times(w) for part, w in zip(parts, WEIGHTS, strict=True)]

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(width, width, bias=False)

    config = LoraConfig(r=16, lora_alpha=16, target_modules=["layer"])
    model: Any = get_peft_model(Net(), config, adapter_name="a0")
    for index in range(1, len(parts)):
        model.add_adapter(f"a{index}", config)
    layer = model.base_model.model.layer
    for index, part in enumerate(parts):
        layer.lora_A[f"a{index}"].weight.copy_(part.down)
        layer.lora_B[f"a{index}"].weight.copy_(part.up)

    def theirs() -> torch.Tensor:
        names = [f"a{index}" for index in range(len(parts))]
        model.add_weighted_adapter(
            names, [*WEIGHTS], "sum", combination_type="svd", svd_rank=16, svd_full_matrices=False
        )
        made = (layer.lora_B["sum"].weight @ layer.lora_A["sum"].weight).double()
        model.delete_adapter("sum")
        return made * layer.scaling.get("sum", 1.0)

    whole = Product.sum(scaled)
    return _row(
        f"4 LoRAs of rank 16 into one of rank 16, {width}² (peft)",
        (lambda: Product.sum(scaled).decomposed().truncated(16), theirs),
        _least(whole.dense(), 16),
        settings,
    )


def _resize(width: int, settings: Settings) -> tuple[str, ...]:
    (part,) = _products(width, 128, 1)

    def kohya() -> torch.Tensor:
        u, s, vh = torch.linalg.svd(part.dense().float(), full_matrices=False)
        return ((u[:, :32] * s[:32]) @ vh[:32]).double()

    return _row(
        f"rank 128 to 32, {width}² (kohya's way)",
        (lambda: part.decomposed().truncated(32), kohya),
        _least(part.dense(), 32),
        settings,
    )


def _extract(width: int, settings: Settings) -> tuple[str, ...]:
    from lora_algebra.lora_core.combining import cut

    random = torch.Generator().manual_seed(0)
    noise = torch.randn(width, width, generator=random)
    u, _, vh = torch.linalg.svd(noise, full_matrices=False)
    difference = (u * torch.arange(1, width + 1).float() ** -0.7) @ vh

    def host() -> torch.Tensor:
        left, values, right = torch.linalg.svd(difference.float())
        left, right = left[:, :64] * values[:64], right[:64]
        most = torch.quantile(torch.cat([left.flatten(), right.flatten()])[: 2**24], 0.99)
        return left.clamp(-most, most) @ right.clamp(-most, most)

    return _row(
        f"a difference into rank 64, {width}² (the host's way)",
        (lambda: cut(difference, 64), host),
        _least(difference, 64),
        settings,
    )


def _compare(layers: int, settings: Settings) -> tuple[str, ...]:
    from lora_algebra.lora_core.combining import Product, overlap_of

    random = torch.Generator().manual_seed(0)

    def loras(shape: tuple[int, int]) -> list[Any]:
        height, width = shape
        return [
            Product(
                torch.randn(height, 16, generator=random),
                torch.randn(16, width, generator=random),
            )
            for _ in range(LORAS)
        ]

    parts = {shape: loras(shape) for shape in SHAPES}
    todo = [SHAPES[index % len(SHAPES)] for index in range(layers)]

    def ours() -> torch.Tensor:
        return torch.stack([overlap_of(parts[shape]).products for shape in todo]).sum(0)

    def multiplied() -> torch.Tensor:
        total = torch.zeros(LORAS, LORAS, dtype=torch.float64)
        for shape in todo:
            flat = torch.stack([part.dense().flatten() for part in parts[shape]])
            total += (flat @ flat.T).double()
        return total

    exact = ours()
    return _row(
        f"cosines of {LORAS} LoRAs in {layers} layers (multiplied out)",
        (ours, multiplied),
        lambda found: float((found - exact).norm() / exact.norm()),
        settings,
    )
