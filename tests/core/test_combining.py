"""The mathematics of combining and truncating, beside dense matrices, peft and the authors' ways."""

import pytest
import torch
from peft.utils import merge_utils

from lora_core import LoraInputError
from lora_core.combining import (
    METHODS,
    Decomposition,
    Matrix,
    Options,
    Product,
    Spectrum,
    decomposed,
    difference_norm,
    inner_products,
    read_rule,
    rows_of,
)
from lora_core.combining.elections import ENTRIES_AT_ONCE

M, N = 60, 84


def product(seed: int, rank: int = 4, m: int = M, n: int = N) -> Product:
    random = torch.Generator().manual_seed(seed)
    up, down = (torch.randn(size, generator=random).double() for size in ((m, rank), (rank, n)))
    return Product(up * torch.logspace(0, -2, rank), down)


def three(rank: int = 4) -> list[Product]:
    return [product(seed, rank).times(strength) for seed, strength in ((1, 1.0), (2, 0.5), (3, -2))]


def dense(matrix: Matrix) -> torch.Tensor:
    return rows_of(matrix, slice(None))


def combined(name: str, parts, **options) -> torch.Tensor:
    return dense(METHODS[name].combine(parts, Options(**options), "layer"))


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


# --- products -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 4, 59, 60, 200])
def test_a_decomposition_is_that_of_the_matrix(rank: int) -> None:
    found = product(1, rank)
    ours, theirs = found.decomposed(), Decomposition.of(found.dense())
    count = min(rank, M)
    assert torch.allclose(ours.values, theirs.values[:count], rtol=1e-10, atol=1e-10)
    assert apart(ours.truncated(count).dense(), found.dense()) < 1e-12
    assert apart(found.singular_values(), ours.values) < 1e-12
    assert abs(found.norm() / float(found.dense().norm()) - 1) < 1e-12


def test_truncation_has_the_least_error_there_is() -> None:
    whole = Product.sum(three())
    best = torch.linalg.svdvals(whole.dense())
    for rank in (1, 3, 7):
        kept = whole.decomposed().truncated(rank)
        assert kept.rank == rank
        assert difference_norm(whole, kept) == pytest.approx(float(best[rank:].norm()), rel=1e-9)


def test_a_small_difference_is_not_lost_in_rounding() -> None:
    one = Product(*(side.float() for side in (product(1).up, product(1).down)))
    other = Product(one.up * (1 + 1e-5), one.down)
    assert difference_norm(one, other) == pytest.approx(1e-5 * one.norm(), rel=0.05)


def test_inner_products_are_those_of_the_matrices() -> None:
    parts = [*three(), product(4, rank=7)]
    flat = torch.stack([part.dense().flatten() for part in parts])
    assert apart(inner_products(parts), flat @ flat.T) < 1e-12


# --- methods --------------------------------------------------------------------------------------


def test_a_sum_is_the_sum() -> None:
    parts = three()
    made = METHODS["sum"].combine(parts, Options(), "layer")
    assert isinstance(made, Product)
    assert made.rank == 12
    assert apart(made.dense(), torch.stack([p.dense() for p in parts]).sum(0)) < 1e-14


@pytest.mark.filterwarnings("ignore:The density")
@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_ties_is_that_of_peft(density: float) -> None:
    parts = three()
    theirs = merge_utils.ties([part.dense() for part in parts], torch.ones(3), density)
    assert apart(combined("ties", parts, density=density), theirs) < 1e-14


def test_rows_come_a_few_at_a_time_to_the_same_result() -> None:
    wide = [product(seed, 2, m=3, n=ENTRIES_AT_ONCE // 2) for seed in (1, 2)]
    theirs = merge_utils.ties([part.dense() for part in wide], torch.ones(2), 0.3)
    assert apart(combined("ties", wide, density=0.3), theirs) < 1e-14


def test_dare_keeps_the_mean_and_drops_what_its_seed_says() -> None:
    parts = three()
    whole = torch.stack([part.dense() for part in parts]).sum(0)
    draws = [combined("dare", parts, density=0.5, seed=seed) for seed in range(400)]
    assert apart(torch.stack(draws).mean(0), whole) < 0.1
    assert torch.equal(draws[7], combined("dare", parts, density=0.5, seed=7))
    assert not torch.equal(draws[7], draws[8])
    one = combined("dare", parts[:1], density=0.25)
    dropped = one == 0
    assert torch.allclose(one[~dropped], parts[0].dense()[~dropped] * 4)
    assert dropped.double().mean() == pytest.approx(0.75, abs=0.03)
    assert apart(combined("dare", parts, density=1.0), whole) < 1e-14


def test_dare_drops_other_entries_in_each_layer() -> None:
    parts, options = three()[:1], Options(density=0.5)
    one, other = (dense(METHODS["dare"].combine(parts, options, name)) for name in ("a", "b"))
    assert not torch.equal(one == 0, other == 0)


@pytest.mark.filterwarnings("ignore:The density")
@pytest.mark.parametrize("density", [0.2, 1.0])
def test_knots_is_ties_in_the_common_basis(density: float) -> None:
    """As its authors compute it, from the matrices side by side."""
    parts = three()
    u, s, vh = torch.linalg.svd(torch.cat([p.dense() for p in parts], 1), full_matrices=False)
    seen = s > 1e-5
    weighted = [*(s[seen, None] * vh[seen]).split(N, 1)]
    theirs = u[:, seen] @ merge_utils.ties(weighted, torch.ones(3), density)
    made = METHODS["knots"].combine(parts, Options(density=density), "layer")
    assert isinstance(made, Product)
    assert made.rank == 12
    assert apart(made.dense(), theirs) < 1e-12


@pytest.mark.parametrize("rank", [4, 30])
def test_tsv_is_that_of_its_authors(rank: int) -> None:
    """Rank 30 of three is more than the 60 that the matrix has, so each keeps 20."""
    parts = three(rank)
    most = min(M, N) // 3
    each = [torch.linalg.svd(part.dense(), full_matrices=False) for part in parts]
    kept = [(u[:, :most], s[:most], v[:most]) for u, s, v in each]
    kept = [(u[:, s > 1e-9], s[s > 1e-9], v[s > 1e-9]) for u, s, v in kept]
    sides = []
    for columns in (torch.cat([u for u, _, _ in kept], 1), torch.cat([v for *_, v in kept]).T):
        p, _, q = torch.linalg.svd(columns, full_matrices=False)
        sides.append(p @ q)
    theirs = sides[0] @ torch.diag(torch.cat([s for _, s, _ in kept])) @ sides[1].T
    assert apart(combined("tsv", parts), theirs) < 1e-10


def test_what_is_orthogonal_already_is_only_added() -> None:
    u, _, vh = torch.linalg.svd(product(1, 8).dense(), full_matrices=False)
    parts = [Product(u[:, 2 * n : 2 * n + 2], vh[2 * n : 2 * n + 2]) for n in range(3)]
    whole = combined("sum", parts)
    assert apart(combined("tsv", parts), whole) < 1e-12
    assert apart(combined("orthogonal", parts), whole) < 1e-12


def test_each_loses_what_the_earlier_ones_do() -> None:
    parts = three()
    second = combined("orthogonal", parts[:2]) - parts[0].dense()
    third = combined("orthogonal", parts) - combined("orthogonal", parts[:2])
    assert abs(float((second * parts[0].dense()).sum())) < 1e-12 * float(second.norm())
    for earlier in parts[:2]:
        assert abs(float((third * earlier.dense()).sum())) < 1e-10 * float(third.norm())
    unused = Product(torch.cat([parts[0].up, 0 * parts[0].up], 1), torch.randn(8, N).double())
    assert (
        apart(
            combined("orthogonal", [unused, parts[1]]) - unused.dense(),
            combined("orthogonal", [Product(unused.up[:, :4], unused.down[:4]), parts[1]])
            - unused.dense(),
        )
        < 1e-12
    )
    twice = [parts[0], parts[0].times(-3.0)]
    assert apart(combined("orthogonal", twice), parts[0].dense()) < 1e-12


@pytest.mark.parametrize("name", METHODS)
def test_dense_parts_and_products_give_the_same(name: str) -> None:
    parts = three()
    mixed = [parts[0].dense(), *parts[1:]]
    assert apart(combined(name, mixed, density=0.4), combined(name, parts, density=0.4)) < 1e-10


@pytest.mark.parametrize("name", METHODS)
def test_half_as_much_of_each_is_half_of_the_result(name: str) -> None:
    parts = three()
    halves = [part.times(0.5) for part in parts]
    assert apart(combined(name, halves), 0.5 * combined(name, parts)) < 1e-10


@pytest.mark.parametrize("density", [0.0, -1.0, 1.5, float("nan")])
def test_a_density_that_is_no_share_is_refused(density: float) -> None:
    with pytest.raises(LoraInputError, match="density"):
        Options(density=density)


# --- ranks ----------------------------------------------------------------------------------------

VALUES = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5])


@pytest.mark.parametrize(
    ("rule", "rank"),
    [
        ("3", 3),
        ("999", 5),
        ("sv_ratio 4", 3),
        ("sv_ratio=2", 2),
        ("sv_cumulative 0.77", 2),
        ("sv_cumulative 1", 5),
        ("sv_fro 0.968", 2),
        ("sv_fro 0.97", 3),
        ("sv_knee", 3),
        ("sv_knee 4", 4),
        ("50%", 1),
        ("20%", 3),
        ("0.0001%", 5),
    ],
)
def test_a_rule_says_how_many_singular_values_are_kept(rule: str, rank: int) -> None:
    chosen = read_rule(rule)
    assert chosen is not None
    assert chosen.ranks([Spectrum(VALUES, 10), Spectrum(torch.zeros(2), 10)]) == [rank, 0]


def test_exact_is_no_rule() -> None:
    assert read_rule(" Exact ") is None


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1.5", "0%", "100%", "1e3%", "sv_ratio", "sv_ratio 0.5", "sv_fro 2", "best"],
)
def test_what_is_no_rank_is_refused(text: str) -> None:
    with pytest.raises(LoraInputError, match=r"is not a rank\. Write one of: exact, "):
        read_rule(text)


def test_a_budget_is_kept_and_shared_better_than_equally() -> None:
    steep, flat = (torch.logspace(0, power, 24).double() for power in (-4, -1))
    spectra = [Spectrum(steep, 100), Spectrum(3 * flat, 100), Spectrum(flat, 4000)]
    budget = read_rule("30%")
    assert budget is not None
    ranks = budget.ranks(spectra)
    cost = sum(rank * spectrum.cost for rank, spectrum in zip(ranks, spectra, strict=True))
    assert error(spectra, ranks) <= 0.3
    equal = next(r for r in range(24, 0, -1) if r * sum(s.cost for s in spectra) <= cost)
    assert error(spectra, ranks) < error(spectra, [equal] * 3)


def error(spectra: list[Spectrum], ranks: list[int]) -> float:
    lost = sum(
        float(s.values[rank:].square().sum()) for s, rank in zip(spectra, ranks, strict=True)
    )
    return (lost / sum(float(s.values.square().sum()) for s in spectra)) ** 0.5


def test_a_decomposition_of_a_dense_matrix_is_its_own() -> None:
    matrix = torch.randn(5, 3)
    whole = decomposed(matrix)
    assert apart(whole.truncated(3).dense(), matrix) < 1e-5
