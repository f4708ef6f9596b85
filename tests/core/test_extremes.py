"""Numbers at the ends of their types: exact where the product is sound, refused where it is not."""

from __future__ import annotations

import pytest
import torch

from harness.samples import bits, net, tensors, write
from lora_core import LoraError, LoraFileError, LoraMismatchError, apply, load
from lora_core.families.balance import FAR_EXPONENT, balanced
from lora_core.families.modules import read_module
from lora_core.families.source import MOST_GROWTH, Source
from lora_core.formats.settings import ModuleConfig

ENDS = {
    # faults.md 2: two factors, whose product is of an ordinary size; alpha
    "F24, large and small": (1e38, 1e-38, None),
    "F24, with an alpha": (1e38, 1e-38, 64.0),
    "small and large": (2.0**-126, 2.0**126, 64.0),
    "the smallest numbers there are": (2.0**-149, 2.0**127, 2.0**20),
    "an alpha for both": (2.0**60, 2.0**60, 2.0**-118),
    "an alpha for two small ones": (2.0**-60, 2.0**-60, 2.0**118),
}
FACTORS = tensors(3, up=(6, 2), down=(2, 8))


@pytest.mark.parametrize("case", ENDS)
def test_a_sound_product_is_exact_whatever_its_factors(tmp_path, case):
    one, other, alpha = ENDS[case]
    up, down = FACTORS["up"].sign() * one, FACTORS["down"].sign() * other
    content = {"linear.lora_up.weight": up, "linear.lora_down.weight": down}
    if alpha is not None:
        content["linear.alpha"] = torch.tensor(alpha)
    model = net()
    before = model.linear.weight.detach().double()
    apply(model, load(write(tmp_path / "a.safetensors", content)))
    scale = 1.0 if alpha is None else float(torch.tensor(alpha)) / 2
    wanted = before + scale * up.double() @ down.double()
    assert float((model.linear.weight.detach().double() - wanted).abs().max()) <= 1e-6 * float(
        wanted.abs().max()
    )


def test_balancing_is_exact_and_only_done_where_it_is_needed():
    up, down = FACTORS["up"], FACTORS["down"]
    sizes = [float(t.abs().max()) for t in (up, down)]
    (same, other), scale = balanced((up, down), sizes, 0.3)
    assert same is up
    assert other is down
    assert scale == 0.3
    power = 2.0**100
    far = up * power, down / power
    (left, right), scale = balanced(far, [sizes[0] * power, sizes[1] / power], 0.3)
    assert torch.equal(
        scale * (left.double() @ right.double()), 0.3 * (far[0].double() @ far[1].double())
    )
    assert max(float(left.abs().max()), float(right.abs().max())) < 2.0**FAR_EXPONENT


def test_half_of_a_product_that_is_zero_is_zero():
    nothing = torch.zeros(2, 8)
    (left, right), _ = balanced((FACTORS["up"] * 2.0**120, nothing), [2.0**121, 0.0], 64.0)
    assert not left.any()
    assert not right.any()


REFUSED = {
    # what float32 cannot hold, or what no rotation is: the tensors of a layer of (6, 8)
    "factors beyond float32": {"lora_up.weight": torch.full((6, 2), 1e30), "lora_down.weight": torch.full((2, 8), 1e30)},
    "an alpha beyond it": {
        "lora_up.weight": torch.ones(6, 2),
        "lora_down.weight": torch.ones(2, 8),
        "alpha": torch.tensor(1e300, dtype=torch.float64),
    },
    "doubles": {"diff": torch.full((6, 8), 1e300, dtype=torch.float64)},
    "OFT of 3e38": {"oft_blocks": torch.full((3, 2, 2), 3e38).triu(1)},
    "OFT of 1e9, by a series": {"oft_R.weight": torch.full((2, 6), 1e9)},
    "OFT of 3e38, by a series": {"oft_R.weight": torch.full((2, 6), 3e38)},
    "BOFT of 3e38": {"boft_R": torch.full((1, 4, 2, 2), 3e38).triu(1)},
    "LyCORIS-BOFT of 1e30": {"oft_blocks": torch.full((1, 3, 2, 2), 1e30).triu(1)},
    "VeRA": {
        "vera_lambda_b": torch.full((6,), 1e30),
        "vera_lambda_d": torch.full((2,), 1e-30),
        "vera_A": torch.ones(2, 8),
        "vera_B": torch.ones(6, 2),
    },
    "DoRA": {
        "lora_up.weight": torch.ones(6, 2),
        "lora_down.weight": torch.ones(2, 8),
        "dora_scale": torch.full((6, 1), 1e35),
    },
    "IA3": {"ia3_l": torch.full((6, 1), 1e30)},
    "GLoRA": {
        "a1.weight": torch.full((8, 2), 1e15),
        "a2.weight": torch.full((2, 8), 1e15),
        "b1.weight": torch.ones(6, 2),
        "b2.weight": torch.ones(2, 8),
    },
    "a bias times its alpha": {
        "lora_B.weight": torch.ones(6, 2),
        "lora_A.weight": torch.ones(2, 8),
        "lora_B.bias": torch.full((6,), 3e38),
        "alpha": torch.tensor(64.0),
    },
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_the_rest_is_refused_before_the_model_is_touched(tmp_path, case):
    model = net()
    before = bits(model)
    content = {f"linear.{end}": tensor for end, tensor in REFUSED[case].items()}
    path = write(tmp_path / "a.safetensors", content)
    with pytest.raises(LoraFileError, match=r'^"a\.safetensors": linear'):
        apply(model, load(path))
    assert bits(model) == before


def test_a_strength_takes_part(tmp_path):
    """1e30 is a strength of the algebra, and 1e38 a number of float32; their product is none."""
    content = {"linear.diff": torch.full((6, 8), 1e20)}
    path, model = write(tmp_path / "a.safetensors", content), net()
    before = bits(model)
    for strength in (1e20, -1e25, 1e30):
        with pytest.raises(LoraMismatchError, match=r"cannot hold|too large to compute with"):
            apply(model, load(path, strength))
    tiny = write(tmp_path / "b.safetensors", {"linear.diff": torch.full((6, 8), 1e-38)})
    with pytest.raises(LoraMismatchError, match="at a strength of 1e\\+30"):
        apply(model, load(tiny, 1e30))
    assert bits(model) == before
    apply(model, load(path, 1e-20))
    torch.testing.assert_close(model.linear.weight, net().linear.weight + 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_largest_number_of_a_type_is_a_number(tmp_path, dtype):
    """float32 holds it beside any weight, float16 has no room for more."""
    top = torch.finfo(dtype).max
    path = write(tmp_path / "a.safetensors", {"linear.diff": torch.full((6, 8), top, dtype=dtype)})
    model = net()
    apply(model, load(path))
    torch.testing.assert_close(model.linear.weight, net().linear.weight + top)
    half = net(dtype=torch.float16)
    with pytest.raises(LoraMismatchError, match="float16 cannot hold"):
        apply(half, load(path))
    apply(half, load(path, 6e4 / top))
    assert half.linear.weight.isfinite().all()


@pytest.mark.parametrize("largest", [1e-3, 1.0, 1e3, 1e5])
def test_rotations_up_to_the_bound_turn_and_stretch_nothing(tmp_path, largest):
    blocks = tensors(7, b=(3, 2, 2))["b"]
    content = {"linear.oft_blocks": (largest * blocks / blocks.abs().max())}
    model = net()
    apply(model, load(write(tmp_path / "a.safetensors", content)))
    torch.testing.assert_close(model.linear.weight.norm(), net().linear.weight.norm())


@pytest.mark.parametrize("size", [1e-40, 1.0, 1e37])
def test_reflections_have_no_size(tmp_path, size):
    vectors = tensors(8, u=(8, 3))["u"].double() * size
    weights = []
    for scale in (1.0, 1 / size):
        model = net(dtype=torch.float64)
        apply(model, load(write(tmp_path / "a.safetensors", {"linear.hra_u": vectors * scale})))
        weights.append(model.linear.weight.detach())
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-12, atol=1e-12)


def test_reflections_in_the_same_plane_are_no_matter():
    """Many that are nearly alike: what undoes them would have no digit left."""
    vectors = torch.ones(64, 60, dtype=torch.float64) + 1e-9 * tensors(9, u=(64, 60))["u"]
    _, (delta,) = read_module(Source("layer", {"hra_u": vectors}, ModuleConfig()))
    turned = torch.eye(64, dtype=torch.float64) + delta.left @ delta.right
    torch.testing.assert_close(turned @ turned.T, torch.eye(64, dtype=torch.float64))


@pytest.mark.parametrize(
    "content",
    [
        # faults.md 5
        {"lora_up.weight": (6, 1), "lora_down.weight": (1, 3_000), "lora_mid.weight": (1, 1, 3_000)},
        {"hada_w1_a": (1, 6), "hada_w1_b": (1, 3_000), "hada_t1": (1, 1, 3_000)}
        | {"hada_w2_a": (1, 6), "hada_w2_b": (1, 3_000), "hada_t2": (1, 1, 3_000)},
        {"lokr_w1": (1, 1), "lokr_w2_a": (1, 6), "lokr_w2_b": (1, 3_000), "lokr_t2": (1, 1, 3_000)},
        {"a1.weight": (8, 1), "a2.weight": (1, 8), "b1.weight": (6, 1)}
        | {"b2.weight": (1, 3_000), "bm.weight": (1, 1, 3_000)},
    ],
)  # fmt: skip
def test_a_small_file_stays_small(tmp_path, content):
    """9 million numbers of 6,000, and 9 million millions of the 6 million in the adversary's file."""
    made = {f"conv1.{end}": torch.ones(shape) for end, shape in content.items()}
    with pytest.raises(LoraFileError, match=r"its Tucker core turns .* numbers into 9000000"):
        load(write(tmp_path / "a.safetensors", made))


@pytest.mark.parametrize(
    ("out", "inner", "rank", "kernel"),
    [(1280, 1280, 4, (3, 3)), (320, 320, 1, (3, 3)), (4, 320, 4, (3, 3)), (512, 512, 8, (3, 3, 3)),
     (1280, 1280, 4, (7, 7)), (1152, 16, 16, (16, 16)), (320, 4, 64, (3, 3))],
)  # fmt: skip
def test_cores_of_real_layers_are_far_from_the_bound(out, inner, rank, kernel):
    ones = [1] * len(kernel)
    roles = {"up": (out, rank, *ones), "down": (rank, inner, *ones), "mid": (rank, rank, *kernel)}
    meta = {role: torch.empty(shape, device="meta") for role, shape in roles.items()}
    _, (delta,) = read_module(Source("layer", meta, ModuleConfig()))
    assert delta.fits((out, inner, *kernel))
    assert delta.down.numel() <= MOST_GROWTH * sum(t.numel() for t in meta.values())


def test_a_reflection_for_more_than_all_inputs_is_refused():
    """Their products with each other would be far more numbers than the file has."""
    with pytest.raises(LoraError, match="rank is too high"):
        read_module(Source("layer", {"hra_u": torch.ones(1, 100_000)}, ModuleConfig()))
