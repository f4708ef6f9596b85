"""DoRA on one large weight: our time and memory against the host's, in one process.

It runs in float32, in which the host patches, whatever it stores. Every line is measured twice.

Run with the host's python: COMFYUI_PATH=… python -m benchmarks.dora
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from .host import start
from .timing import Contender, compete
from .usage import peak_growth

SIZE, RANK, ROUNDS = 3072, 16, 9

Apply = Callable[[torch.Tensor], torch.Tensor]


def ours(up: torch.Tensor, down: torch.Tensor, magnitude: torch.Tensor, by_input: bool) -> Apply:
    from lora_algebra.lora_core.families import LowRank
    from lora_algebra.lora_core.families.dora import Decomposed
    from lora_algebra.lora_core.fusing import fuse, merge_
    from lora_algebra.lora_core.matching import WeightTerm
    from lora_algebra.lora_core.naming import Target

    delta = Decomposed(LowRank(up, down, 1.0), magnitude.flatten(), by_input, 0.0)
    patches = fuse([WeightTerm(Target("w"), delta, 1.0, 0.0, "file")])

    def apply(weight: torch.Tensor) -> torch.Tensor:
        merge_(weight, patches)
        return weight

    return apply


def hosts(up: torch.Tensor, down: torch.Tensor, magnitude: torch.Tensor) -> Apply:
    from comfy import lora
    from comfy.weight_adapter import LoRAAdapter

    adapter = LoRAAdapter(set(), (up, down, float(len(down)), None, magnitude, None))
    patch = (1.0, adapter, 1.0, None, None)
    return lambda weight: lora.calculate_weight([patch], weight, "key")


def timed(apply: Apply, weight: torch.Tensor) -> Contender:
    """Times a function on a copy, which is made again each time without being timed."""
    fresh = torch.empty_like(weight)
    return Contender(lambda: apply(fresh), before=lambda: fresh.copy_(weight))


def peak_megabytes(apply: Apply, weight: torch.Tensor) -> float:
    """Returns by how much the process grows at most while a function runs."""
    return peak_growth(lambda: apply(weight), "cpu") / 2**20


def error(found: torch.Tensor, weight: torch.Tensor, exact: torch.Tensor) -> float:
    """Returns the relative error of the change, in float64."""
    change = found.double() - weight.double()
    return float((change - exact).norm() / exact.norm())


def truth(
    weight: torch.Tensor, up: torch.Tensor, down: torch.Tensor, magnitude: torch.Tensor
) -> torch.Tensor:
    moved = weight.double() + up.double() @ down.double()
    axis = 1 if magnitude.shape[0] > 1 else 0
    return magnitude.double() / moved.norm(dim=axis, keepdim=True) * moved - weight.double()


def measure(by_input: bool) -> str:
    torch.manual_seed(0)
    weight = torch.randn(SIZE, SIZE) / SIZE**0.5
    up, down = torch.randn(SIZE, RANK) * 0.05, torch.randn(RANK, SIZE) * 0.05
    magnitude = weight.norm(dim=0 if by_input else 1, keepdim=True) * 1.1
    both = {"ours": ours(up, down, magnitude, by_input), "host": hosts(up, down, magnitude)}
    exact = truth(weight, up, down, magnitude)
    errors = [error(apply(weight.clone()), weight, exact) for apply in both.values()]
    contenders = {name: timed(apply, weight) for name, apply in both.items()}
    found = compete(contenders, ROUNDS, "cpu")
    peaks = [peak_megabytes(apply, weight.clone()) for apply in both.values()]
    axis = "in" if by_input else "out"
    return (
        f"{axis:3} axis: ours {found.median('ours') * 1e3:6.1f} ms, "
        f"host {found.median('host') * 1e3:6.1f} ms, ratio {found.ratio('ours', 'host'):.2f}; "
        f"peak extra memory ours {peaks[0]:6.1f} MB, host {peaks[1]:6.1f} MB; "
        f"error ours {errors[0]:.1e}, host {errors[1]:.1e}"
    )


def main() -> None:
    start("cpu")
    weight = SIZE * SIZE * 4 / 2**20
    print(
        f"DoRA, {SIZE}x{SIZE} ({weight:.0f} MB in float32), rank {RANK}, {ROUNDS} rounds, medians"
    )
    for by_input in (False, True, False, True):
        print(measure(by_input))


if __name__ == "__main__":
    main()
