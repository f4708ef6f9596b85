"""The laws on real weights: what is applied equals the float64 reference, and leaves no trace."""

import itertools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.samples import bits, conv, net, pair, tensors, write
from lora_core import Recipe, applied, apply, load

EPSILON = {torch.float32: 2**-23, torch.float16: 2**-10, torch.bfloat16: 2**-7, torch.float64: 0.0}


def every_layer(seed: int) -> dict[str, torch.Tensor]:
    """A LoRA that touches every layer of ``Net``, in several spellings."""
    linear = pair("linear", 6, 8, seed=seed, alpha=2.0)
    other = tensors(seed + 1, up=(10, 3), down=(3, 6), mid=(4, 4, 3, 3), wide=(4, 4, 1, 1))
    full = tensors(seed + 2, weight=(8,), bias=(8,), value=(10,), tall=(6, 4))
    return {
        **linear,
        "other.lora_B.weight": other["up"],
        "other.lora_A.weight": other["down"],
        **conv("conv1", 6, 4, 3, seed=seed + 3),
        "conv2.lora_up.weight": full["tall"][:, :, None, None],
        "conv2.lora_down.weight": other["wide"],
        "conv2.lora_mid.weight": other["mid"],
        **conv("conv3", 6, 4, 1, 2, 3, seed=seed + 4),
        "norm.w_norm": full["weight"],
        "norm.b_norm": full["bias"],
        "other.diff_b": full["value"],
    }


def deltas(content: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The reference: each weight's delta in float64, each by its own formula."""
    c = {key: value.double() for key, value in content.items()}
    core = torch.einsum(
        "om,mnxy,ni->oixy",
        c["conv2.lora_up.weight"].flatten(1),
        c["conv2.lora_mid.weight"],
        c["conv2.lora_down.weight"].flatten(1),
    )
    return {
        "linear.weight": 2.0 / 4 * c["linear.lora_up.weight"] @ c["linear.lora_down.weight"],
        "other.weight": c["other.lora_B.weight"] @ c["other.lora_A.weight"],
        "conv1.weight": torch.einsum(
            "orz,rix->oix", c["conv1.lora_up.weight"], c["conv1.lora_down.weight"]
        ),
        "conv2.weight": core,
        "conv3.weight": torch.einsum(
            "orabc,rixyz->oixyz", c["conv3.lora_up.weight"], c["conv3.lora_down.weight"]
        ),
        "norm.weight": c["norm.w_norm"],
        "norm.bias": c["norm.b_norm"],
        "other.bias": c["other.diff_b"],
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, tuple[Recipe, dict[str, torch.Tensor]]]:
    folder = tmp_path_factory.mktemp("loras")
    content = {name: every_layer(seed) for seed, name in enumerate(("ink", "light", "snow"), 10)}
    return {
        name: (load(write(folder / f"{name}.safetensors", sd)), deltas(sd))
        for name, sd in content.items()
    }


@pytest.mark.parametrize("dtype", EPSILON)
@pytest.mark.parametrize("amounts", [(1, 0, 0), (0.5, 1, 0), (0.5, -1, 0.25)])
def test_the_result_is_the_reference_rounded_once(made, dtype, amounts):
    model = net(dtype=dtype)
    before = {key: weight.double().clone() for key, weight in model.state_dict().items()}
    recipe = Recipe.sum(s * recipe for s, (recipe, _) in zip(amounts, made.values(), strict=True))
    apply(model, recipe)
    for key, weight in model.state_dict().items():
        parts = [
            s * found.get(key, 0) for s, (_, found) in zip(amounts, made.values(), strict=True)
        ]
        exact = before[key] + sum(parts)
        size = before[key].abs() + sum(abs(part) for part in map(torch.as_tensor, parts))
        rounding = EPSILON[dtype] / 2 * exact.abs()  # once into the weight's type
        summing = 64 * size * (2**-53 if dtype == torch.float64 else 2**-24)
        assert ((weight.double() - exact).abs() <= rounding + summing).all(), key


def test_every_layer_was_touched(made):
    model, plain = net(), net()
    report = apply(model, made["ink"][0])
    assert [
        name for name, w in model.state_dict().items() if torch.equal(w, plain.state_dict()[name])
    ] == [
        "linear.bias",
        "conv1.bias",
        "conv2.bias",
        "conv3.bias",
    ]
    (lora,) = report.loras
    assert (lora.parts[0].found, lora.parts[0].applied, lora.unknown) == (8, 8, ())


def test_float8_weights_are_rounded_once(made):
    model, recipe = net(), made["ink"][0]
    model.linear.weight.data = model.linear.weight.data.to(torch.float8_e4m3fn)
    before = model.linear.weight.float()
    apply(model, 0.1 * recipe)
    exact = before.double() + 0.1 * made["ink"][1]["linear.weight"]
    assert torch.equal(model.linear.weight.float(), exact.float().to(torch.float8_e4m3fn).float())


def test_order_never_matters(made):
    results = set()
    for order in itertools.permutations(made.values()):
        model = net()
        apply(model, Recipe.sum(recipe for recipe, _ in order))
        results.add(tuple(bits(model).values()))
    assert len(results) == 1


def test_cancelling_gives_the_base_bit_for_bit(made):
    model, (ink, _) = net(), made["ink"]
    base = bits(model)
    apply(model, 0.3 * ink - 0.3 * ink)
    assert bits(model) == base


def test_minus_is_the_mirror(made):
    plus, minus, base = net(), net(), net()
    apply(plus, made["ink"][0])
    apply(minus, -made["ink"][0])
    for key, weight in base.state_dict().items():
        mean = (plus.state_dict()[key].double() + minus.state_dict()[key].double()) / 2
        torch.testing.assert_close(mean, weight.double(), rtol=0, atol=1e-6)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(s=st.decimals(-2, 2, places=2).map(float), t=st.decimals(-2, 2, places=2).map(float))
def test_apply_twice_is_apply_of_the_sum(made, s, t):
    once, twice = net(dtype=torch.float64), net(dtype=torch.float64)
    ink, light = made["ink"][0], made["light"][0]
    apply(once, s * ink + t * light)
    apply(twice, s * ink)
    apply(twice, t * light)
    for key, weight in once.state_dict().items():
        torch.testing.assert_close(twice.state_dict()[key], weight)


def test_leaving_the_block_restores_every_bit(made):
    model = net()
    model.linear.weight.data[0, 0] = -0.0
    model.other.weight.data[0, 0] = float("nan")
    base = bits(model)
    with applied(model, made["ink"][0]) as report:
        assert bits(model) != base
        assert report.loras
    assert bits(model) == base


def test_an_interrupt_inside_the_block_leaves_no_trace(made):
    model = net()
    base = bits(model)
    with pytest.raises(KeyboardInterrupt), applied(model, made["ink"][0]):
        raise KeyboardInterrupt
    assert bits(model) == base


def test_blocks_nest(made):
    model = net()
    base = bits(model)
    with applied(model, made["ink"][0]):
        inner = bits(model)
        with applied(model, made["light"][0]):
            assert bits(model) != inner
        assert bits(model) == inner
    assert bits(model) == base


def test_the_files_factors_stay_as_they_are(made):
    from lora_core.reading.reader import shared_cache

    recipe = made["ink"][0]
    file = shared_cache.read(recipe.terms[0].file)
    before = [d.up.clone() for m in file.modules.values() for d in m.deltas if hasattr(d, "up")]
    apply(net(dtype=torch.bfloat16), 0.7 * recipe)
    after = [d.up for m in file.modules.values() for d in m.deltas if hasattr(d, "up")]
    assert all(map(torch.equal, before, after))


def test_gradients_are_none_of_our_business(made):
    model = net()
    with applied(model, made["ink"][0]):
        model.linear(torch.ones(1, 8)).sum().backward()
    assert model.linear.weight.grad is not None
    assert model.linear.weight.requires_grad


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_any_memory_layout(tmp_path, layout):
    model = net()
    model.conv2.to(memory_format=layout)
    before = model.conv2.weight.detach().double()
    content = conv("conv2", 6, 4, 3, 3, seed=1)
    apply(model, load(write(tmp_path / "x.safetensors", content)))
    exact = before + torch.einsum(
        "orzz,rixy->oixy", *(content[f"conv2.lora_{k}.weight"].double() for k in ("up", "down"))
    )
    torch.testing.assert_close(model.conv2.weight.detach().double(), exact, rtol=0, atol=1e-6)


def test_a_large_half_precision_weight_goes_in_chunks(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(4096, 2500, bias=False)).to(torch.bfloat16)
    content = pair("0", 2500, 4096, rank=2)
    before = model[0].weight.detach().float()
    apply(model, load(write(tmp_path / "x.safetensors", content)))
    exact = before + content["0.lora_up.weight"] @ content["0.lora_down.weight"]
    torch.testing.assert_close(model[0].weight.detach().float(), exact, rtol=2**-8, atol=1e-5)


def test_set_weight_goes_the_way_strength_says(tmp_path):
    content = tensors(3, **{"norm.set_weight": (8,), "norm.diff": (8,)})
    recipe = load(write(tmp_path / "x.safetensors", content))
    model = net()
    before = torch.full((8,), 3.0)
    for strength in (1.0, 0.25, -1.0):
        model.norm.weight.data = before.clone()
        apply(model, strength * recipe)
        change = content["norm.set_weight"] - before + content["norm.diff"]
        torch.testing.assert_close(model.norm.weight.data, before + strength * change)


METAMORPHIC = {
    "factors times two, alpha over four": lambda u, d, a: (2 * u, 2 * d, a / 4),
    "rank padded with zeros": lambda u, d, a: (
        torch.cat([u, torch.zeros(6, 4)], 1),
        torch.cat([d, torch.zeros(4, 8)], 0),
        a * 2,
    ),
    "ranks in another order": lambda u, d, a: (u.flip(1), d.flip(0), a),
}


@pytest.mark.parametrize("name", METAMORPHIC)
def test_the_same_delta_written_otherwise(tmp_path, name):
    up, down, alpha = METAMORPHIC[name](*pair("linear", 6, 8, alpha=2.0).values())
    again = {
        "linear.alpha": alpha,
        "linear.lora_down.weight": down,
        "linear.lora_up.weight": up,
    }
    one, other = net(), net()
    apply(one, load(write(tmp_path / "a.safetensors", pair("linear", 6, 8, alpha=2.0))))
    apply(other, load(write(tmp_path / "b.safetensors", again)))
    torch.testing.assert_close(one.linear.weight, other.linear.weight)


def test_one_lora_split_into_two_files_is_one_lora(tmp_path):
    whole = every_layer(5)
    keys = sorted(whole)
    half = {k: v for k, v in whole.items() if k.startswith(("linear", "conv"))}
    rest = {k: whole[k] for k in keys if k not in half}
    one, two = net(), net()
    apply(one, load(write(tmp_path / "whole.safetensors", whole)))
    parts = [write(tmp_path / f"{i}.safetensors", part) for i, part in enumerate((half, rest))]
    apply(two, load(parts[0]) + load(parts[1]))
    assert bits(one) == bits(two)


SPELLINGS = [
    ("lora_up.weight", "lora_down.weight", "."),
    ("_lora.up.weight", "_lora.down.weight", ""),
    ("lora_B.weight", "lora_A.weight", "."),
    ("lora.up.weight", "lora.down.weight", "."),
    ("lora_B", "lora_A", "."),
    ("lora_linear_layer.up.weight", "lora_linear_layer.down.weight", "."),
    ("lora_B.default.weight", "lora_A.default.weight", "."),
    ("lora_B.my-style_2.weight", "lora_A.my-style_2.weight", "."),
    ("base_layer.lora_B.weight", "base_layer.lora_A.weight", "."),
]


@pytest.mark.parametrize(("up", "down", "joint"), SPELLINGS)
@pytest.mark.parametrize("prefix", ["", "diffusion_model.", "transformer.", "base_model.model."])
def test_all_spellings_mean_the_same(tmp_path, up, down, joint, prefix):
    kohya = pair("linear", 6, 8, alpha=2.0)
    name = f"{prefix}linear"
    spelled = {
        f"{name}{joint}{up}": kohya["linear.lora_up.weight"],
        f"{name}{joint}{down}": kohya["linear.lora_down.weight"],
        f"{name}.alpha": kohya["linear.alpha"],
    }
    one, other = net(), net()
    apply(one, load(write(tmp_path / "a.safetensors", kohya)))
    apply(other, load(write(tmp_path / "b.safetensors", spelled)))
    assert bits(one) == bits(other)
    assert bits(one) != bits(net())


def test_a_lora_and_a_difference_of_one_layer_add_up(tmp_path):
    content = {**pair("linear", 6, 8), **tensors(2, **{"linear.diff": (6, 8)})}
    model = net()
    before = model.linear.weight.detach().clone()
    apply(model, load(write(tmp_path / "x.safetensors", content)))
    up, down, diff = content.values()
    torch.testing.assert_close(model.linear.weight.detach(), before + up @ down + diff)


def test_strength_zero_does_not_even_touch_the_sign_of_zero(made):
    model = net()
    model.linear.weight.data[0, :4] = -0.0
    base = bits(model)
    apply(model, made["ink"][0].scaled(0, 1))
    assert bits(model) == base
