"""LoRA files in the running host, and the weights that they should give."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from harness import workflows
from harness.host import Host
from harness.tiny_loras import delta, targets, write_lora

Weights = dict[str, torch.Tensor]


def make_loras(host: Host, folder: Path, kind: str, count: int = 2) -> list[str]:
    """The names of ``count`` LoRAs for one tiny model."""
    names: list[str] = []
    for seed in range(1, count + 1):
        file = folder / f"{kind}_{seed}.safetensors"
        write_lora(file, kind, seed=seed)
        names.append(host.add_lora(file))
    return names


def saved(host: Host, prompt: dict, node: str = "TKWeights") -> Weights:
    """The tensors that a testkit node of a prompt has written."""
    return load_file(host.output_dir / host.run(prompt).report(node)["file"])


def base_weights(host: Host, kind: str) -> Weights:
    """The unpatched weights that the kind's LoRAs touch."""
    keys = sorted({target.weight for target in targets(kind)})
    return saved(host, workflows.inspect(kind, "TKWeights", keys=json.dumps(keys), name="base"))


def patched_weights(host: Host, kind: str, chain: workflows.Chain) -> Weights:
    return saved(host, workflows.inspect(kind, "TKWeights", chain, name="patched"))


def reference(host: Host, kind: str, base: Weights, files: Iterable[tuple[str, float]]) -> Weights:
    """base + Σ strength · delta, in float64."""
    weights = {key: weight.double() for key, weight in base.items()}
    for name, strength in files:
        tensors = load_file(host.loras_dir / name)
        for target in targets(kind):
            start, count = target.rows or (0, target.shape[0])
            weights[target.weight][start : start + count] += strength * delta(tensors, target)
    return weights


def largest_error(found: Weights, expected: Weights) -> float:
    """The largest difference, relative to the largest entry of its weight."""
    assert found.keys() == expected.keys()
    return max(
        ((found[key].double() - exact).abs().max() / exact.abs().max()).item()
        for key, exact in expected.items()
    )


def latent(host: Host, prompt: dict, name: str) -> torch.Tensor:
    """The latent that a prompt with ``save=name`` ends with."""
    host.run(prompt)
    return load_file(host.output_dir / f"{name}.safetensors")["samples"]


def apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, relative to the largest entry."""
    assert found.shape == expected.shape
    assert found.isfinite().all()
    return ((found - expected).abs().max() / expected.abs().max()).item()


def sampled(host: Host, kind: str, chain: workflows.Chain, **sampling: Any) -> torch.Tensor:
    """The latent of a chain on a kind's model."""
    return latent(host, workflows.render(kind, chain, save="sampled", **sampling), "sampled")


def loaded_as(file: str, dtype: str) -> workflows.Chain:
    """A chain that drops its model for a fresh one, stored in ``dtype``."""
    return lambda graph, model, clip: ([graph.add("TKLoadModel", file=file, dtype=dtype), 0], clip)


def base_hash(host: Host, kind: str) -> str:
    """Of the weights in place, with every model unloaded."""
    return host.run(workflows.inspect(kind, "TKBase")).report("TKBase")["sha256"]


def assert_nothing_is_left(host: Host, kind: str, base: str) -> None:
    """The base's weights are ``base`` bit for bit, and no hook or open gate is on or about it."""
    assert base_hash(host, kind) == base
    left = host.run(workflows.inspect(kind, "TKGates")).report("TKGates")
    found = [left[what] for what in ("hooks", "replaced_forwards", "open", "injected")]
    assert found == [0, 0, 0, False], f"{kind}: hooks, replaced forwards, open gates: {found}"


def growth(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What has been written to weights between two readings of the counters."""
    names = ("patched_weights", "calculate_weight", "set_attr_param", "copy_to_param")
    return {name: after[name] - before[name] for name in names}
