"""Patching one weight through the host: ours, the host's own LoRAs, and what no LoRA can go below.

That limit is the same weight copied, cast and stored by the host without a LoRA, and the one product of
all factors, added in place. Times are medians of rounds that take turns.

Run with the host's python: python -m benchmarks.patching
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.node_side import HOST, the_pack, use_host

RANK, ROUNDS = 16, 15
SIZES, COUNTS = (3072, 1280), (1, 4, 16)
DTYPES = (torch.float16, torch.float32)
KEY = "layer.weight"

Factors = list[tuple[torch.Tensor, torch.Tensor]]


def patcher(size: int, dtype: torch.dtype) -> Any:
    from comfy.model_patcher import ModelPatcher

    model = torch.nn.Module()
    model.layer = torch.nn.Linear(size, size, bias=False, dtype=dtype)
    model.layer.weight.requires_grad_(False)
    cpu = torch.device("cpu")
    return ModelPatcher(model, cpu, cpu)


def ours(factors: Factors) -> list[Any]:
    from lora_algebra.lora_core.families import Pair
    from lora_algebra.lora_core.match import Addend
    from lora_algebra.lora_core.targets import Target
    from lora_algebra.nodes.adapter import FusedAdapter

    addends = tuple(Addend(Target(KEY), Pair(u, d, 1.0), 0.5, 0.0, "file") for u, d in factors)
    return [FusedAdapter.of(addends)]


def hosts(factors: Factors) -> list[Any]:
    from comfy.weight_adapter import LoRAAdapter

    return [LoRAAdapter(set(), (u, d, float(RANK), None, None, None)) for u, d in factors]


def patched(size: int, dtype: torch.dtype, adapters: list[Any]) -> Callable[[], float]:
    """Seconds to patch the weight; it is as before afterwards."""
    model = patcher(size, dtype)
    for adapter in adapters:
        model.add_patches({KEY: adapter}, 0.5)
    cpu = torch.device("cpu")

    def run() -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            model.patch_weight_to_device(KEY, cpu, force_cast=True)
        took = time.perf_counter() - start
        model.unpatch_model()
        return took

    return run


def copied(size: int, dtype: torch.dtype) -> Callable[[], float]:
    """Seconds for the host's own way of a weight without a LoRA: backup, float32 copy, stored."""
    from comfy import float as rounding
    from comfy import model_management, utils

    model = patcher(size, dtype)
    cpu = torch.device("cpu")

    def run() -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            weight = utils.get_attr(model.model, KEY)
            kept = weight.to(device=cpu, copy=False)
            copy = model_management.cast_to_device(weight, cpu, torch.float32, copy=True)
            stored = rounding.stochastic_rounding(copy, dtype, seed=utils.string_to_seed(KEY))
            utils.set_attr_param(model.model, KEY, stored)
        took = time.perf_counter() - start
        utils.set_attr_param(model.model, KEY, kept)
        return took

    return run


def product(size: int, rank: int) -> Callable[[], float]:
    weight = torch.randn(size, size)
    up, down = torch.randn(size, rank), torch.randn(rank, size)

    def run() -> float:
        weight.normal_()
        start = time.perf_counter()
        with torch.inference_mode():
            weight.addmm_(up, down)
        return time.perf_counter() - start

    return run


def measure(size: int, dtype: torch.dtype, count: int) -> str:
    factors = [
        ((torch.randn(size, RANK) * 0.01).half(), (torch.randn(RANK, size) * 0.01).half())
        for _ in range(count)
    ]
    runs = (
        patched(size, dtype, ours(factors)),
        patched(size, dtype, hosts(factors)),
        copied(size, dtype),
        product(size, count * RANK),
    )
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, times in zip(runs, seconds, strict=True):
            times.append(run())
    mine, theirs, copy, gemm = (statistics.median(times) * 1e3 for times in seconds)
    return (
        f"{size} {str(dtype).removeprefix('torch.'):8} N={count:2}: ours {mine:6.2f} ms, host {theirs:7.2f} "
        f"ms, ours/host {mine / theirs:.3f}; copied {copy:6.2f} + product {gemm:5.2f} ms, ours/limit "
        f"{mine / (copy + gemm):.2f}"
    )


def main() -> None:
    use_host(HOST)
    the_pack()
    for size in SIZES:
        for dtype in DTYPES:
            for count in COUNTS:
                print(measure(size, dtype, count))


if __name__ == "__main__":
    main()
