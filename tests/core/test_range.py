"""What a type cannot hold is refused, family by family, and nothing else is."""

import pytest
import torch

from harness.samples import tensors
from lora_core.errors import LoraFileError, LoraMismatchError
from lora_core.families.delta import Dense
from lora_core.families.linear_algebra import kron
from lora_core.families.modules import read_module
from lora_core.families.source import Source
from lora_core.formats.settings import ModuleConfig
from lora_core.matching.match import WeightTerm
from lora_core.matching.overflow import check_live_range, check_range
from lora_core.naming.targets import Target

HUGE = {
    # far beyond float16, on a weight of common size
    "IA3": {"ia3_l": torch.full((6, 1), 1e7)},
    "OFT with a rescale": {"oft_blocks": torch.zeros(3, 2, 2), "rescale": torch.full((6, 1), 1e8)},
    "BOFT": {"boft_R": torch.zeros(1, 4, 2, 2), "boft_s": torch.full((6, 1), 1e8)},
    "OFT by a series": {"oft_R": torch.full((2, 6), 1e3)},
    "GLoRA": {
        "glora_a1": torch.full((8, 2), 1e3),
        "glora_a2": torch.full((2, 8), 1e3),
        "glora_b1": torch.ones(6, 2),
        "glora_b2": torch.ones(2, 8),
    },
    "MiSS": {"miss_block": torch.full((3, 2, 2), 1e5)},
    "DoRA of what cannot be squared": {
        "up": torch.full((6, 2), 1e12),
        "down": torch.full((2, 8), 1e12),
        "dora_scale": torch.ones(6, 1),
    },
    "LoKr": {"lokr_w1": torch.full((2, 2), 1e3), "lokr_w2": torch.full((3, 4), 1e3)},
    "LoHa": {
        role: torch.full(shape, 30.0)
        for role, shape in {
            "hada_w1_a": (6, 2),
            "hada_w2_a": (6, 2),
            "hada_w1_b": (2, 8),
            "hada_w2_b": (2, 8),
        }.items()
    },
}

SANE = {
    # whose bound by their largest factors is far above what they come to
    "LoHa": {
        f"hada_{role}": spread * tensors(seed, x=shape)["x"]
        for seed, (role, spread, shape) in enumerate(
            [
                ("w1_a", 0.1, (64, 32)),
                ("w1_b", 1.0, (32, 64)),
                ("w2_a", 0.05, (64, 32)),
                ("w2_b", 1.0, (32, 64)),
            ]
        )
    },
    "LoKr": {
        f"lokr_{role}": tensors(seed, x=shape)["x"]
        for seed, (role, shape) in enumerate(
            {"w1_a": (8, 16), "w1_b": (16, 8), "w2_a": (8, 16), "w2_b": (16, 8)}.items()
        )
    },
}


def weight_terms(roles: dict[str, torch.Tensor], rows=None) -> list[WeightTerm]:
    _, deltas = read_module(Source("layer", roles, ModuleConfig()))
    return [WeightTerm(Target("w", rows=rows), d, 1.0, d.max_abs_bound(), "file") for d in deltas]


@pytest.mark.parametrize("family", HUGE)
def test_what_float16_cannot_hold_is_refused(family):
    with pytest.raises(LoraMismatchError, match="cannot hold"):
        check_range({"w": weight_terms(HUGE[family])}, {"w": torch.float16})


@pytest.mark.parametrize("family", SANE)
def test_what_even_float8_can_hold_is_not(family):
    every = weight_terms(SANE[family])
    assert (
        sum(weight_term.max_abs_bound for weight_term in every)
        > torch.finfo(torch.float8_e4m3fn).max
    )
    check_range({"w": every}, {"w": torch.float8_e4m3fn})


@pytest.mark.parametrize(
    ("second", "together"), [((0, 8), True), ((4, 4), True), ((8, 4), False), (None, True)]
)
def test_rows_that_meet_add_up(second, together):
    height = second[1] if second else 12
    half = [
        WeightTerm(Target("w", rows=rows), Dense(torch.full((n, 4), 4e4)), 1.0, 4e4, "file")
        for rows, n in (((0, 8), 8), (second, height))
    ]
    if not together:
        check_range({"w": half}, {"w": torch.float16})
        return
    with pytest.raises(LoraMismatchError, match="cannot hold"):
        check_range({"w": half}, {"w": torch.float16})


def test_a_rescale_of_next_to_nothing_takes_the_weight_away():
    """Times a strength beyond measure, float16 cannot hold it."""
    roles = {"oft_blocks": torch.zeros(3, 2, 2), "rescale": torch.full((6, 1), 1e-45)}
    check_range(
        {"w": [weight_term.times(10) for weight_term in weight_terms(roles)]}, {"w": torch.float16}
    )
    with pytest.raises(LoraMismatchError, match="cannot hold"):
        check_range(
            {"w": [weight_term.times(1e10) for weight_term in weight_terms(roles)]},
            {"w": torch.float16},
        )


def test_what_is_added_up_on_the_way_has_to_fit_into_float32():
    """Products beyond it that would cancel each other: one of them is there before the other."""
    up = torch.tensor([[1e20, -1e20]]).repeat(6, 1)
    roles = {"up": up, "down": torch.full((2, 8), 1e20)}
    (weight_term,) = weight_terms(roles)
    assert weight_term.delta.max_abs() == 0
    with pytest.raises(LoraMismatchError, match="float32 cannot hold"):
        check_range({"w": [weight_term]}, {"w": torch.float32})
    check_range({"w": [weight_term.times(1e-10)]}, {"w": torch.float32})


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (3, 2)])
def test_a_product_of_kronecker_does_not_mind_how_its_sides_lie_in_memory(shape):
    """Of some of one row or column, the library says that they are contiguous and fails on them."""
    left = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    odd = torch.as_strided(left, shape, (6, 1) if shape[0] == 1 else left.stride())
    assert torch.equal(kron(odd, torch.eye(4)), torch.kron(left.clone(), torch.eye(4)))
    turned = torch.linalg.qr(left.double())[0].T
    assert kron(turned, torch.eye(4)).shape == (4 * len(turned), 4 * turned.shape[1])


REAL = {
    # as large as layers come, with numbers as training leaves them
    "HRA": {"hra_u": tensors(1, x=(15360, 8))["x"]},
    "GLoRA": {
        "glora_a1": 0.02 * tensors(1, x=(3072, 16))["x"],
        "glora_a2": 0.02 * tensors(2, x=(16, 3072))["x"],
        "glora_b1": 0.02 * tensors(3, x=(3072, 16))["x"],
        "glora_b2": 0.02 * tensors(4, x=(16, 3072))["x"],
    },
    "OFT by a series": {"oft_R": 0.01 * tensors(5, x=(12, 256 * 255 // 2))["x"]},
    "OFT": {"oft_blocks": 0.1 * tensors(6, x=(48, 64, 64))["x"]},
    "IA3": {"ia3_l": 1 + 0.1 * tensors(7, x=(3072, 1))["x"]},
    "MiSS": {"miss_block": 0.02 * tensors(8, x=(48, 64, 64))["x"]},
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float8_e4m3fn])
@pytest.mark.parametrize("family", REAL)
def test_families_relative_to_the_weight_fit_into_any_type(family, dtype):
    check_range({"w": weight_terms(REAL[family])}, {"w": dtype})


NO_NUMBERS = {
    "GLoRA whose scale makes infinity of it": {
        "glora_a1": torch.full((8, 2), 3e38),
        "glora_a2": torch.ones(2, 8),
        "glora_b1": torch.ones(6, 2),
        "glora_b2": torch.ones(2, 8),
        "alpha": torch.tensor(1e4),
    },
    "a series beyond all numbers": {"oft_R": torch.full((2, 6), 1e200, dtype=torch.float64)},
}


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_what_is_no_number_is_refused(case):
    with pytest.raises((LoraMismatchError, LoraFileError)):
        check_range({"w": weight_terms(NO_NUMBERS[case])}, {"w": torch.float32})


def test_rows_that_do_not_meet_each_other_do_not_add_up_by_way_of_the_whole():
    whole = WeightTerm(Target("w"), Dense(torch.ones(12, 4)), 1.0, 1.0, "file")
    parts = [
        WeightTerm(Target("w", rows=(n, 4)), Dense(torch.full((4, 4), 3e4)), 1.0, 3e4, "file")
        for n in (0, 4, 8)
    ]
    check_range({"w": [whole, *parts]}, {"w": torch.float16})


def test_a_vector_beside_a_layer_has_to_fit_by_itself():
    """It is kept in the layer's type without its strength, small as the product may be."""
    largest = torch.finfo(torch.float32).max  # which bfloat16 rounds to infinity
    dense = Dense(torch.full((6,), largest))
    weight_term = WeightTerm(Target("norm.weight"), dense, 1e-20, 1e-20 * largest, "a.safetensors")
    with pytest.raises(LoraMismatchError, match="cannot hold"):
        check_live_range({"norm.weight": (weight_term,)}, {"norm.weight": torch.bfloat16})
