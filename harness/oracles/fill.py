"""Fills the parameters of adapters with numbers, so that none keeps its harmless initial value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

NORMAL = (0.0, 1.0)


def fill(
    parameters: Iterable[tuple[str, torch.Tensor]],
    seed: int,
    like: Mapping[str, tuple[float, float]],
) -> None:
    """Fills each parameter with random numbers, in place.

    Args:
        parameters: The parameters with their names.
        seed: The same seed gives the same numbers, whatever the type.
        like: (mean, spread) by what a name contains; the first that fits counts.
    """
    generator = torch.Generator().manual_seed(1000 + seed)
    for name, parameter in parameters:
        mean, spread = next((value for part, value in like.items() if part in name), NORMAL)
        numbers = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        if mean:
            numbers = numbers.clamp(-2.0, 2.0)
        parameter.data.copy_((mean + spread * numbers).to(parameter.dtype))
