"""The laws on real weights: what is applied equals the float64 reference, and leaves no trace."""

import itertools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from lora_core import LoraInputError, LoraMismatchError, Recipe, applied, apply, load
from lora_core.bake import bake
from tests.support.samples import Net, bits, net, pair, tensors, write

EPSILON = {torch.float32: 2**-23, torch.float16: 2**-10, torch.bfloat16: 2**-7, torch.float64: 0.0}


def conv(name: str, out: int, inner: int, *kernel: int, seed: int) -> dict[str, torch.Tensor]:
    made = tensors(seed, up=(out, 4, *[1] * len(kernel)), down=(4, inner, *kernel))
    return {f"{name}.lora_up.weight": made["up"], f"{name}.lora_down.weight": made["down"]}


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
    from lora_core.files import shared_cache

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
]


@pytest.mark.parametrize(("up", "down", "joint"), SPELLINGS)
@pytest.mark.parametrize("prefix", ["", "diffusion_model.", "transformer.", "base_model.model."])
def test_all_seven_spellings_mean_the_same(tmp_path, up, down, joint, prefix):
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


MISFITS = {
    # what is wrong: the file, and words of the refusal
    "F18 too tall": (pair("linear", 7, 8), r"linear: up \(7, 4\) with down \(4, 8\)"),
    "F18 too wide": (pair("linear", 6, 9), r"does not fit the model's weight of \(6, 8\)"),
    "F28 nothing fits": (pair("blocks.0.self_attn.q", 6, 8), "0 of 1 layers fit this model"),
    "F28 made for another": (
        pair("lora_unet_double_blocks_0_img_attn_qkv", 6, 8),
        "looks made for Flux",
    ),
    "F31 difference of another shape": ({"linear.diff": torch.ones(3, 3)}, r"\(3, 3\)"),
    "F31 bias of another shape": ({"linear.diff_b": torch.ones(3)}, r"of \(3,\)"),
    "F31 value of another shape": ({"norm.set_weight": torch.ones(3)}, r"of \(3,\)"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_refused_before_anything_changes(tmp_path, case):
    content, words = MISFITS[case]
    model = net()
    base = bits(model)
    good = load(write(tmp_path / "good.safetensors", pair("other", 10, 6)))
    bad = load(write(tmp_path / "bad.safetensors", content))
    with pytest.raises(LoraMismatchError, match=words) as refused:
        apply(model, good + bad)
    assert refused.value.file == "bad.safetensors"
    assert refused.value.expected
    assert refused.value.found
    assert bits(model) == base


def test_f24_what_the_weights_type_cannot_hold_is_refused(tmp_path):
    recipe = load(
        write(tmp_path / "x.safetensors", {k: 1e3 * v for k, v in pair("linear", 6, 8).items()})
    )
    apply(net(), recipe)
    with pytest.raises(LoraMismatchError, match="float16 cannot hold"):
        apply(net(dtype=torch.float16), recipe)
    apply(net(dtype=torch.float16), 0.001 * recipe)


def test_f24_a_tucker_core_counts(tmp_path):
    content = {
        "conv2.lora_up.weight": torch.full((6, 4, 1, 1), 100.0),
        "conv2.lora_down.weight": torch.full((4, 4, 1, 1), 100.0),
        "conv2.lora_mid.weight": torch.full((4, 4, 3, 3), 100.0),
    }
    recipe = load(write(tmp_path / "x.safetensors", content))
    apply(net(), recipe)
    with pytest.raises(LoraMismatchError, match=r"1\.6e\+07.*float16"):
        apply(net(dtype=torch.float16), recipe)


def test_f24_rows_that_do_not_meet_do_not_add_up():
    from lora_core.families import Residue
    from lora_core.match import Addend
    from lora_core.overflow import check_range
    from lora_core.targets import Target

    delta = Residue(torch.full((4, 4), 400.0))
    thirds = [Addend(Target("w", rows=(4 * n, 4)), delta, 1.0, 400.0, "f") for n in range(3)]
    check_range({"w": thirds}, {"w": torch.float8_e4m3fn})
    with pytest.raises(LoraMismatchError):
        check_range({"w": [*thirds, thirds[0]]}, {"w": torch.float8_e4m3fn})


@pytest.mark.parametrize(
    ("name", "kernel"), [("linear", (1, 2)), ("conv2", (9, 1)), ("conv3", (3, 2, 1))]
)
def test_a_kernel_of_another_shape_does_not_fit(tmp_path, name, kernel):
    inner = net().get_parameter(f"{name}.weight")[0].numel() // torch.Size(kernel).numel()
    content = conv(name, 6, inner, *kernel, seed=1)
    with pytest.raises(LoraMismatchError, match="does not fit"):
        apply(net(), load(write(tmp_path / "x.safetensors", content)))


def test_flat_factors_of_a_convolution_fit(tmp_path):
    apply(net(), load(write(tmp_path / "x.safetensors", pair("conv2", 6, 36))))


def test_a_denoiser_that_does_not_fit_is_refused_though_a_text_encoder_does(tmp_path):
    encoder = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
    unet = "model.diffusion_model.input_blocks.0.0.weight"
    weights = tensors(0, **{encoder: (6, 4), unet: (8, 4, 3, 3)})
    content = {
        **pair("lora_te_text_model_encoder_layers_0_mlp_fc1", 6, 4),
        **pair("lora_unet_double_blocks_0_img_attn_proj", 4, 4),
    }
    with pytest.raises(LoraMismatchError, match="0 of 1 layers fit"):
        baked(tmp_path, weights, content)


def test_a_state_dict_is_a_module_too(tmp_path):
    recipe = load(write(tmp_path / "x.safetensors", pair("linear", 6, 8)))
    model, weights = net(), net().state_dict()
    apply(model, recipe)
    apply(weights, recipe)
    assert torch.equal(weights["linear.weight"], model.linear.weight)


def test_a_compiled_module_has_its_own_names(tmp_path):
    recipe = load(write(tmp_path / "x.safetensors", pair("linear", 6, 8)))
    model = torch.nn.Module()
    model._orig_mod = net()
    apply(model, recipe)
    assert not torch.equal(model._orig_mod.linear.weight, net().linear.weight)


def test_a_model_that_is_not_in_memory_is_refused(tmp_path):
    recipe = load(write(tmp_path / "x.safetensors", pair("linear", 6, 8)))
    with pytest.raises(LoraInputError, match="not in memory"):
        apply(net().to("meta"), recipe)


def test_f24_a_wide_bound_alone_refuses_nothing(tmp_path):
    content = pair("linear", 6, 8)
    content["linear.lora_up.weight"] *= 1e5
    content["linear.lora_down.weight"] *= 1e-5
    content["linear.lora_up.weight"][0, 0] = 6e4
    model = net(dtype=torch.float16)
    apply(model, load(write(tmp_path / "x.safetensors", content)))
    assert model.linear.weight.isfinite().all()


def test_f30_two_names_of_one_weight_are_refused(tmp_path):
    from lora_core import LoraFileError

    content = {**pair("linear", 6, 8), **pair("diffusion_model.linear", 6, 8)}
    with pytest.raises(LoraFileError, match=r"both mean linear\.weight"):
        apply(net(), load(write(tmp_path / "x.safetensors", content)))


def test_a_lora_and_a_difference_of_one_layer_add_up(tmp_path):
    content = {**pair("linear", 6, 8), **tensors(2, **{"linear.diff": (6, 8)})}
    model = net()
    before = model.linear.weight.detach().clone()
    apply(model, load(write(tmp_path / "x.safetensors", content)))
    up, down, diff = content.values()
    torch.testing.assert_close(model.linear.weight.detach(), before + up @ down + diff)


def test_integer_weights_are_no_targets(tmp_path):
    model = Net()
    model.other = torch.nn.Identity()
    model.register_parameter(
        "packed", torch.nn.Parameter(torch.ones(6, 8).to(torch.int8), requires_grad=False)
    )
    with pytest.raises(LoraMismatchError):
        apply(model, load(write(tmp_path / "x.safetensors", pair("packed", 6, 8))))


def baked(tmp_path, weights, content) -> dict[str, torch.Tensor]:
    """A checkpoint after a LoRA at strength 0.5 for the model and 2 for its text encoders."""
    base, out = write(tmp_path / "base.safetensors", weights), tmp_path / "out.safetensors"
    bake(base, load(write(tmp_path / "l.safetensors", content)).scaled(0.5, 2.0), out)
    return load_file(out)


def test_slices_and_swapped_halves_of_a_checkpoint(tmp_path):
    """Flux in its own layout, the LoRA in diffusers' words."""
    last = "final_layer.adaLN_modulation.1.weight"
    weights = tensors(
        0,
        **{
            "txt_in.weight": (4, 4),
            "double_blocks.0.img_attn.qkv.weight": (12, 4),
            "single_blocks.0.linear1.weight": (28, 4),
            last: (8, 4),
        },
    )
    to_k, swapped = "transformer.transformer_blocks.0.attn.to_k", "transformer.norm_out.linear"
    content = {**pair(to_k, 4, 4), **pair(swapped, 8, 4, seed=1)}
    after = baked(tmp_path, weights, content)
    delta = 0.5 * content[f"{to_k}.lora_up.weight"] @ content[f"{to_k}.lora_down.weight"]
    qkv = weights["double_blocks.0.img_attn.qkv.weight"].clone()
    qkv[4:8] += delta
    torch.testing.assert_close(after["double_blocks.0.img_attn.qkv.weight"], qkv)
    scale, shift = (
        0.5 * content[f"{swapped}.lora_up.weight"] @ content[f"{swapped}.lora_down.weight"]
    ).chunk(2)
    torch.testing.assert_close(after[last], weights[last] + torch.cat([shift, scale]))


@pytest.mark.parametrize(
    ("key", "value"), [("diff", "diff"), ("set_weight", "set_weight")], ids=["diff", "set"]
)
def test_swapped_halves_of_dense_deltas(tmp_path, key, value):
    last = "final_layer.adaLN_modulation.1.weight"
    weights = tensors(
        0, **{"txt_in.weight": (4, 4), "single_blocks.0.linear1.weight": (28, 4), last: (8, 4)}
    )
    content = tensors(1, **{f"transformer.norm_out.linear.{key}": (8, 4)})
    first, second = content[f"transformer.norm_out.linear.{value}"].chunk(2)
    turned = torch.cat([second, first])
    change = turned - weights[last] if key == "set_weight" else turned
    after = baked(tmp_path, weights, content)
    torch.testing.assert_close(after[last], weights[last] + 0.5 * change)


def test_a_text_encoder_gets_its_own_strength(tmp_path):
    encoder = "cond_stage_model.transformer.text_model.encoder.layers.0"
    weights = tensors(
        0, **{f"{encoder}.mlp.fc1.weight": (6, 4), f"{encoder}.self_attn.q_proj.weight": (4, 4)}
    )
    name = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    content = pair(name, 6, 4)
    after = baked(tmp_path, weights, content)
    delta = content[f"{name}.lora_up.weight"] @ content[f"{name}.lora_down.weight"]
    key = f"{encoder}.mlp.fc1.weight"
    torch.testing.assert_close(after[key], weights[key] + 2.0 * delta)


def test_a_module_can_be_declared_a_second_text_encoder(tmp_path):
    recipe = load(write(tmp_path / "l.safetensors", pair("lora_te2_linear", 6, 8)))
    with pytest.raises(LoraMismatchError):
        apply(net(), recipe, component="text_encoder")
    changed = net()
    apply(changed, recipe.scaled(0, 1), component="text_encoder_2")
    assert not torch.equal(changed.linear.weight, net().linear.weight)


def test_strength_zero_does_not_even_touch_the_sign_of_zero(made):
    model = net()
    model.linear.weight.data[0, :4] = -0.0
    base = bits(model)
    apply(model, made["ink"][0].scaled(0, 1))
    assert bits(model) == base
