"""Merging on a GPU, beside a copy of the same weights: what ours takes, in which chunks, and with which products.

*copy* copies the weights to other memory on the device: it reads and writes as many bytes as merging has to.
*product* is only the one multiplication of all factors in float32, of which the result is added up. An exact
result needs both. *one by one* multiplies and adds each LoRA to a float32 copy of the weight, as loaders in a row do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unittest.mock import patch

import torch

from lora_core.families import CHUNK_ENTRIES
from lora_core.fusing import merge_

from .gpu_model import STRENGTH, fused, model, random_loras, weights_of
from .gpu_readings import Reading, Setting, competed, milliseconds
from .loras import Lora
from .timing import Action, Contender
from .usage import peak_growth

Weights = Mapping[str, torch.Tensor]
Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]
"""Adds up @ down to a float32 matrix, given as (matrix, up, down), all in float32."""

CASES = ((1, 16), (4, 16), (16, 16), (4, 128))
"""(number of LoRAs, rank)."""

STORED = (torch.bfloat16, torch.float32)
CHUNKS = (1, 4, 16, 64, 256)
"""In millions (2²⁰) of entries."""

TOTAL_RANKS = (16, 64, 256)


def merging(setting: Setting) -> Iterator[Reading]:
    """Ours beside the copy and beside the loaders' way."""
    for dtype in STORED:
        made = model(setting).to(dtype)
        weights = weights_of(made)
        for count, rank in CASES:
            loras = random_loras(made, count, rank, setting)
            contenders = {
                "ours": Contender(_ours(weights, loras)),
                "one by one": Contender(_one_by_one(weights, loras)),
                "copy": Contender(_copy(weights)),
                "product": Contender(_product(weights, loras)),
            }
            found = competed(contenders, setting)
            size = sum(weight.nbytes for weight in weights.values())
            peak = peak_growth(contenders["ours"].run, setting.device)
            yield Reading(
                "Merging",
                {
                    "weights": f"{str(dtype).removeprefix('torch.')}, {size / 2**20:.0f} MB",
                    "LoRAs": count,
                    "rank": rank,
                    **milliseconds(found, *contenders),
                    "copy GB/s": 2 * size / found.median("copy") / 1e9,
                    "ours GB/s": 2 * size / found.median("ours") / 1e9,
                    "ours / one by one": found.ratio("ours", "one by one"),
                    "ours / copy": found.ratio("ours", "copy"),
                    "ours / (copy + product)": found.ratio("ours", "copy", "product"),
                    "extra MB": peak / 2**20,
                },
            )


def chunks(setting: Setting) -> Iterator[Reading]:
    """Ours with more or fewer entries widened at once; the library's own number is 4 million."""
    made = model(setting).to(torch.bfloat16)
    weights = weights_of(made)
    loras = random_loras(made, 4, 16, setting)
    run = _ours(weights, loras)

    def with_chunks(entries: int) -> Action:
        def chunked() -> None:
            with patch("lora_core.fusing.merge.CHUNK_ENTRIES", entries):
                run()

        return chunked

    contenders = {f"{each} Mi": Contender(with_chunks(each * 2**20)) for each in CHUNKS}
    found = competed(contenders | {"copy": Contender(_copy(weights))}, setting)
    for name, contender in contenders.items():
        yield Reading(
            "Entries at once",
            {
                "entries": name,
                "ours ms": found.median(name) * 1e3,
                "ours / copy": found.ratio(name, "copy"),
                "ours / 4 Mi": found.ratio(name, f"{CHUNK_ENTRIES // 2**20} Mi"),
                "extra MB": peak_growth(contender.run, setting.device) / 2**20,
            },
        )


def sums(setting: Setting) -> Iterator[Reading]:
    """The products of ours by other units of the GPU, with the error of each."""
    made = model(setting, blocks=1).to(torch.bfloat16)
    weights = weights_of(made)
    for total in TOTAL_RANKS:
        (lora,) = random_loras(made, 1, total, setting)
        ways = ways_on(setting.device)
        errors = {name: _errors(weights, lora, way) for name, way in ways.items()}
        contenders = {name: Contender(_summed(weights, lora, way)) for name, way in ways.items()}
        found = competed(contenders, setting)
        for name in ways:
            yield Reading(
                "Sums",
                {
                    "product": name,
                    "total rank": total,
                    "merging ms": found.median(name) * 1e3,
                    "ratio to float32": found.ratio(name, "float32"),
                    **errors[name],
                },
            )


# --- whole weights --------------------------------------------------------------------------------


def _ours(weights: Weights, loras: Sequence[Lora]) -> Action:
    def run() -> None:
        for key, weight in weights.items():
            merge_(weight, fused(loras, key))

    return run


def _one_by_one(weights: Weights, loras: Sequence[Lora]) -> Action:
    def run() -> None:
        for key, weight in weights.items():
            wide = weight.float()
            for number, lora in enumerate(loras):
                pair = lora[key]
                wide += STRENGTH / (1 + number) * (pair.up.float() @ pair.down.float())
            weight.copy_(wide)

    return run


def _copy(weights: Weights) -> Action:
    others = {key: torch.empty_like(weight) for key, weight in weights.items()}

    def run() -> None:
        for key, weight in weights.items():
            others[key].copy_(weight)

    return run


def _product(weights: Weights, loras: Sequence[Lora]) -> Action:
    """Multiplies into the same memory for all weights, in which nothing has to be written back."""
    pairs = [
        (
            torch.cat([lora[key].up for lora in loras], 1).float(),
            torch.cat([lora[key].down for lora in loras]).float(),
        )
        for key in weights
    ]
    device = pairs[0][0].device
    room = torch.zeros(max(weight.numel() for weight in weights.values()), device=device)

    def run() -> None:
        for up, down in pairs:
            out, into = len(up), down.shape[1]
            room[: out * into].view(out, into).addmm_(up, down, beta=0)

    return run


# --- products -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """One way of multiplying: what is made of the factors once, and the product for a chunk of rows."""

    prepared: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    add: Product


def ways_on(device: str) -> dict[str, Way]:
    """Returns all ways by name; a CPU does in float32 what only a GPU's units do, with the same roundings."""
    wide, tf32, half = _float32, *((_tf32, _half) if device == "cuda" else (_as_tf32, _as_half))
    return {
        "float32": Way(lambda up, down: (up, down), wide),
        "TF32": Way(lambda up, down: (up, down), tf32),
        "TF32, up in two parts": Way(_two_tf32, tf32),
        "bfloat16": Way(lambda up, down: (up.bfloat16(), down.bfloat16()), half),
        "bfloat16, in three products": Way(_three_bfloat16, half),
    }


def _two_tf32(up: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Up times strength in two parts; down, which files hold in half precision, is exact in TF32."""
    high = cut(up)
    return torch.cat([high, up - high], 1), torch.cat([down, down])


def _three_bfloat16(up: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """high · high + high · low + low · high, side by side in one product of three times the rank."""
    ups, downs = ((high := own.bfloat16(), (own - high).bfloat16()) for own in (up, down))
    return torch.cat([ups[0], ups[0], ups[1]], 1), torch.cat([downs[0], downs[1], downs[0]])


def cut(matrix: torch.Tensor) -> torch.Tensor:
    """Returns a float32 matrix with the 10 bits of a mantissa that TF32 has."""
    return (matrix.view(torch.int32) & ~0x1FFF).view(torch.float32)


def _float32(sums: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> None:
    sums.addmm_(up, down)


def _tf32(sums: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> None:
    torch.set_float32_matmul_precision("high")
    try:
        sums.addmm_(up, down)
    finally:
        torch.set_float32_matmul_precision("highest")


def _half(sums: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> None:
    """Multiplies halves, and adds them up in float32."""
    sums.add_(torch.mm(up, down, out_dtype=torch.float32))


def _as_tf32(sums: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> None:
    sums.addmm_(cut(up), cut(down))


def _as_half(sums: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> None:
    sums.addmm_(up.float(), down.float())


def _summed(weights: Weights, lora: Lora, way: Way) -> Action:
    """Does what merging does to each weight, with another product."""

    def run() -> None:
        for key, weight in weights.items():
            up, down = way.prepared(lora[key].up.float() * STRENGTH, lora[key].down.float())
            step = max(1, CHUNK_ENTRIES // weight.shape[1])
            for start in range(0, len(weight), step):
                rows = slice(start, start + step)
                total = weight[rows].float()
                way.add(total, up[rows], down)
                weight[rows].copy_(total)

    return run


def _errors(weights: Weights, lora: Lora, way: Way) -> dict[str, float]:
    """The error of what is added to all weights together, and how many entries are rounded otherwise."""
    wrong = right = 0.0
    otherwise = entries = 0
    for key, weight in weights.items():
        up, down = lora[key].up.float() * STRENGTH, lora[key].down.float()
        exact = up.double() @ down.double()
        found = torch.zeros_like(weight, dtype=torch.float32)
        way.add(found, *way.prepared(up, down))
        wrong += float((found.double() - exact).square().sum())
        right += float(exact.square().sum())
        merged = weight.float()
        way.add(merged, *way.prepared(up, down))
        otherwise += int(
            (merged.to(weight.dtype) != (weight.double() + exact).to(weight.dtype)).sum()
        )
        entries += weight.numel()
    return {"error": (wrong / right) ** 0.5, "rounded otherwise": otherwise / entries}


NOTES = {
    "Merging": (__doc__ or "").partition("\n\n")[2].strip(),
    "Entries at once": "4 LoRAs of rank 16 on weights in bfloat16. *ours / 4 Mi* is the ratio to the library's own number.",
    "Sums": (
        "The merging of one block's weights in bfloat16, with factors in float16 as most files have. *error* is "
        "that of what is added, against float64: the norm of the difference, relative to the norm of the sum. "
        "*rounded otherwise* is the share of the merged weights that differ from the float64 sum in bfloat16. "
        "*TF32, up in two parts* is the sum of two products, and *in three products* of three; each is one call with "
        "two or three times the rank. A product in bfloat16 is added to the sums by a second call."
    ),
}

MEASURES = {"merging": merging, "chunks": chunks, "sums": sums}
