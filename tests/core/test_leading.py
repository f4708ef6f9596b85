"""The randomised decomposition beside the whole one, on every kind of spectrum."""

import pytest
import torch

from lora_core.combining.leading import leading

SPECTRA = {
    "flat": torch.ones(300),
    "noise": None,
    "slow": torch.arange(1, 301).double() ** -0.5,
    "power": torch.arange(1, 301).double() ** -1.0,
    "steep": 0.8 ** torch.arange(300).double(),
    "low rank and noise": torch.cat([torch.full((16,), 10.0), torch.full((284,), 0.1)]),
    "a step behind the rank": torch.cat([torch.full((40,), 1.0), torch.full((260,), 1e-3)]),
}


def made(values: torch.Tensor | None, m: int, n: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    noise = torch.randn(m, n, generator=random).double()
    if values is None:
        return noise.float()
    u, _, vh = torch.linalg.svd(noise, full_matrices=False)
    return ((u * values.double()) @ vh).float()


@pytest.mark.parametrize("rank", [1, 16, 64, 200])
@pytest.mark.parametrize("kind", SPECTRA)
def test_the_error_is_within_one_percent_of_the_least(kind: str, rank: int) -> None:
    matrix = made(SPECTRA[kind], 300, 420)
    found = leading(matrix, rank)
    least = float(torch.linalg.svdvals(matrix.double())[rank:].norm())
    error = float((matrix - found.truncated(rank).dense()).norm())
    assert error <= 1.01 * least + 1e-4
    assert len(found.values) == rank


def test_the_same_matrix_has_the_same_result() -> None:
    matrix = made(SPECTRA["power"], 300, 420)
    assert torch.equal(leading(matrix, 16).left, leading(matrix, 16).left)
