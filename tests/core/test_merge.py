"""Fusing and merging against the plain formula: slices, replacements, chunks, scaled patches."""

import pytest
import torch

from lora_core.families.delta import Dense, LowRank, Replacement
from lora_core.fusing import merge
from lora_core.fusing.fuse import fuse
from lora_core.matching.match import WeightTerm
from lora_core.naming.targets import Target

SHAPES = [(12, 5), (12, 5, 3), (12, 5, 2, 2), (12,)]
ROWS = [None, (0, 4), (4, 4), (8, 4), (2, 7)]


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def weight_term(delta, rows=None, strength=1.0) -> WeightTerm:
    return WeightTerm(Target("w", rows=rows), delta, strength, 0.0, "file")


def some_of_everything(shape):
    """Pairs, differences and replacements on the whole and on overlapping rows, at many strengths."""
    inner = torch.Size(shape[1:]).numel()
    for seed, rows in enumerate(ROWS):
        height = rows[1] if rows else shape[0]
        full = (height, *shape[1:])
        for rank in (1, 3):
            up, down = random(height, rank, seed=seed), random(rank, inner, seed=seed + rank)
            yield weight_term(LowRank(up, down, 0.5 / rank), rows, 0.7 - 0.3 * seed)
        yield weight_term(Dense(random(*full, seed=seed + 50)), rows, -0.4 + 0.2 * seed)
        yield weight_term(Replacement(random(*full, seed=seed + 60)), rows, 0.25)


def expected(weight, weight_terms, strength):
    """Every delta against the incoming weight, then all added, in float64."""
    base = weight.double()
    total = base.clone()
    for each in weight_terms:
        begin, length = each.target.rows or (0, len(base))
        rows = slice(begin, begin + length)
        match each.delta:
            case LowRank(up, down, scale):
                delta = (scale * up.double() @ down.double()).view(base[rows].shape)
            case Dense(diff):
                delta = diff.double()
            case Replacement(value):
                delta = value.double() - base[rows]
        total[rows] += strength * each.strength * delta
    return total


@pytest.mark.parametrize("strength", [1.0, 0.0, -0.5, 2.0])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-6), (torch.bfloat16, 2**-8)]
)
def test_all_at_once_is_the_plain_formula(shape, strength, dtype, tolerance):
    weight = random(*shape, seed=99).to(dtype)
    weight_terms = list(some_of_everything(shape))
    exact = expected(weight, weight_terms, strength)
    merge.merge_(weight, fuse(weight_terms, merge.sum_type(dtype)), strength)
    assert (weight.double() - exact).abs().max() <= tolerance * exact.abs().max()


@pytest.mark.parametrize("chunk", [1, 7, 25, 60, 10_000])
def test_chunks_of_any_size_give_the_same_bits(monkeypatch, chunk):
    weight_terms = list(some_of_everything((12, 5)))
    results = []
    for size in (chunk, 10**9):
        monkeypatch.setattr(merge, "CHUNK_ENTRIES", size)
        weight = random(12, 5, seed=99).half()
        merge.merge_(weight, fuse(weight_terms))
        results.append(weight)
    assert torch.equal(*results)


def test_a_fused_stack_copies_no_factor():
    pairs = [LowRank(random(12, 2, seed=s), random(2, 5, seed=s), 1.0) for s in range(3)]
    (patch,) = fuse([weight_term(pair) for pair in pairs])
    assert all(mine is pair.up for mine, pair in zip(patch.ups, pairs, strict=True))
    assert all(mine is pair.down for mine, pair in zip(patch.downs, pairs, strict=True))
    assert patch.gate is not None
    assert patch.gate.shape == (6,)


def test_a_number_by_itself_can_be_a_weight():
    weight = torch.tensor(2.0)
    merge.merge_(weight, fuse([weight_term(Dense(torch.tensor([3.0])), strength=0.5)]))
    assert weight == 3.5


def test_slices_of_one_weight_are_one_patch_each():
    patches = fuse(list(some_of_everything((12, 5))))
    assert [patch.rows for patch in patches] == ROWS
