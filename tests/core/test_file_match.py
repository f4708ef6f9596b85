"""What fits where: refusals before anything is touched, and the names and shapes of checkpoints."""

import pytest
import torch
from safetensors.torch import load_file

from harness.samples import Net, bits, conv, net, pair, tensors, write
from lora_core import LoraFileError, LoraInputError, LoraMismatchError, apply, load
from lora_core.applying.bake import bake
from lora_core.families.delta import Dense
from lora_core.matching.match import WeightTerm
from lora_core.matching.overflow import check_range
from lora_core.naming.targets import Target

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

MISFITS |= {
    "a LoHa of another shape": (
        {f"linear.hada_{w}": torch.ones(6, 2) for w in ("w1_a", "w2_a")}
        | {f"linear.hada_{w}": torch.ones(2, 9) for w in ("w1_b", "w2_b")},
        "does not fit",
    ),
    "a Kronecker product of another size": (
        {"linear.lokr_w1": torch.ones(2, 2), "linear.lokr_w2": torch.ones(3, 3)},
        r"\(2, 2\) ⊗ \(3, 3\) does not fit",
    ),
    "magnitudes of too few outputs": (
        {**pair("linear", 6, 8), "linear.dora_scale": torch.ones(5, 1)},
        r"magnitudes \(5,\) of outputs",
    ),
    "magnitudes of too many inputs": (
        {**pair("linear", 6, 8), "linear.dora_scale": torch.ones(1, 9)},
        r"magnitudes \(9,\) of inputs",
    ),
    "rotations of too few outputs": ({"linear.oft_blocks": torch.ones(2, 2, 2)}, "rotations"),
    "rotations of too many inputs": ({"linear.oft_R.weight": torch.ones(3, 3)}, "rotations"),
    "reflections of other inputs": ({"linear.hra_u": torch.ones(6, 2)}, "W · "),
    "factors of other outputs": ({"linear.ia3_l": torch.ones(5, 1)}, "factors for 5 outputs"),
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
    delta = Dense(torch.full((4, 4), 400.0))
    thirds = [WeightTerm(Target("w", rows=(4 * n, 4)), delta, 1.0, 400.0, "f") for n in range(3)]
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
    content = {**pair("linear", 6, 8), **pair("diffusion_model.linear", 6, 8)}
    with pytest.raises(LoraFileError, match=r"both match linear\.weight"):
        apply(net(), load(write(tmp_path / "x.safetensors", content)))


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


def test_a_module_is_what_the_names_that_fit_it_say(tmp_path):
    """A text encoder by itself, and a file that also has a part for a denoiser."""
    content = {**pair("lora_te_linear", 6, 8), **pair("lora_unet_mid_block", 4, 4)}
    report = apply(net(), load(write(tmp_path / "x.safetensors", content)))
    model, clip = report.loras[0].parts
    assert (model.connected, clip.connected) == (False, True)
    assert (clip.found, clip.applied) == (1, 1)
    assert report.loras[0].unknown == ()


QKV = "double_blocks.0.img_attn.qkv"


@pytest.mark.parametrize("other", ["to_q", "to_v"])
def test_some_rows_twice_in_one_file_are_refused(tmp_path, other):
    """The whole of a fused weight, and a layer that is a part of it."""
    model = {f"{key}.weight": torch.zeros(24, 8) for key in (QKV, "txt_in")}
    model["single_blocks.0.linear1.weight"] = torch.zeros(56, 8)
    part = f"transformer_blocks.0.attn.{other}"
    content = {**pair(f"transformer.{QKV}", 24, 8), **pair(f"transformer.{part}", 8, 8)}
    recipe = load(write(tmp_path / "both.safetensors", content))
    with pytest.raises(LoraFileError, match="both match"):
        apply(model, recipe)
    apart = [f"transformer_blocks.0.attn.to_{x}" for x in "qkv"]
    content = {key: value for name in apart for key, value in pair(name, 8, 8).items()}
    assert apply(model, load(write(tmp_path / "apart.safetensors", content))).loras


BLOCK = "double_blocks.0.img_mlp"
DIVIDED = "transformer.transformer_blocks.0.ff.net.0.proj"


def ovis() -> dict[str, torch.Tensor]:
    """What makes a model Ovis-Image: the way into its MLP is two layers."""
    made = tensors(1, **{f"{BLOCK}.{layer}_proj.weight": (6, 8) for layer in ("gate", "up")})
    return {
        **made,
        "txt_in.weight": torch.zeros(8, 8),
        "single_blocks.0.linear1.weight": torch.zeros(56, 8),
    }


DIVISIBLE = {
    "LoRA": pair(DIVIDED, 12, 8),
    "DoRA": {**pair(DIVIDED, 12, 8), f"{DIVIDED}.dora_scale": torch.arange(1.0, 13.0)[:, None]},
    "difference": {f"{DIVIDED}.diff": tensors(3, diff=(12, 8))["diff"]},
    "LoHa": {
        f"{DIVIDED}.hada_{role}": tensors(seed, x=shape)["x"]
        for seed, (role, shape) in enumerate(
            {"w1_a": (12, 2), "w1_b": (2, 8), "w2_a": (12, 2), "w2_b": (2, 8)}.items()
        )
    },
    "LoKr": {
        f"{DIVIDED}.lokr_w1": tensors(4, x=(4, 2))["x"],
        f"{DIVIDED}.lokr_w2": tensors(5, x=(3, 4))["x"],
    },
    "LoKr of blocks that are cut": {
        f"{DIVIDED}.lokr_w1": tensors(4, x=(3, 2))["x"],
        f"{DIVIDED}.lokr_w2": tensors(5, x=(4, 4))["x"],
    },
    "LoKr of one block": {
        f"{DIVIDED}.lokr_w1": tensors(4, x=(1, 2))["x"],
        f"{DIVIDED}.lokr_w2_a": tensors(5, x=(12, 2))["x"],
        f"{DIVIDED}.lokr_w2_b": tensors(6, x=(2, 4))["x"],
    },
    "DoRA of LoKr": {
        f"{DIVIDED}.lokr_w1": tensors(4, x=(3, 2))["x"],
        f"{DIVIDED}.lokr_w2": tensors(5, x=(4, 4))["x"],
        f"{DIVIDED}.dora_scale": torch.arange(1.0, 13.0)[:, None],
    },
    "IA3": {f"{DIVIDED}.ia3_l": tensors(6, x=(12, 1))["x"]},
    "OFT on the inputs": {f"{DIVIDED}.oft_R.weight": tensors(7, x=(4, 1))["x"]},
    "HRA": {f"{DIVIDED}.hra_u": tensors(8, x=(8, 2))["x"]},
    "GLoRA": {
        f"{DIVIDED}.{role}.weight": tensors(seed, x=shape)["x"]
        for seed, (role, shape) in enumerate(
            {"a1": (8, 2), "a2": (2, 8), "b1": (12, 2), "b2": (2, 8)}.items()
        )
    },
    "VeRA": {
        f"{DIVIDED}.vera_lambda_b": tensors(1, x=(12,))["x"],
        f"{DIVIDED}.vera_lambda_d": tensors(2, x=(3,))["x"],
        "base_model.vera_A": tensors(3, x=(3, 9))["x"],
        "base_model.vera_B": tensors(4, x=(14, 3))["x"],
    },
}


@pytest.mark.parametrize("family", DIVISIBLE)
def test_a_layer_that_the_model_has_as_two_is_divided_between_them(tmp_path, family):
    """diffusers has up over gate in one layer: the same as on that layer itself, row by row."""
    model = ovis()
    whole = {"layer.weight": torch.cat([model[f"{BLOCK}.{x}_proj.weight"] for x in ("up", "gate")])}
    file = write(tmp_path / "divided.safetensors", DIVISIBLE[family])
    plain = {key.replace(DIVIDED, "layer"): value for key, value in DIVISIBLE[family].items()}
    apply(whole, load(write(tmp_path / "whole.safetensors", plain)))
    report = apply(model, load(file))
    found = torch.cat([model[f"{BLOCK}.{layer}_proj.weight"] for layer in ("up", "gate")])
    torch.testing.assert_close(found, whole["layer.weight"], rtol=1e-5, atol=1e-5)
    assert (report.loras[0].parts[0].found, report.loras[0].parts[0].applied) == (1, 1)


INDIVISIBLE = {
    "OFT on the outputs": {f"{DIVIDED}.oft_blocks": torch.ones(3, 4, 4)},
    "DoRA by inputs": {**pair(DIVIDED, 12, 8), f"{DIVIDED}.dora_scale": torch.ones(1, 8)},
}


@pytest.mark.parametrize("family", INDIVISIBLE)
def test_what_looks_at_all_rows_of_a_layer_cannot_be_divided(tmp_path, family):
    with pytest.raises(LoraMismatchError, match="is split between") as refused:
        apply(ovis(), load(write(tmp_path / "a.safetensors", INDIVISIBLE[family])))
    assert refused.value.key == DIVIDED


@pytest.mark.parametrize("height", [11, 13, 14])
def test_a_layer_to_be_divided_has_to_have_all_rows(tmp_path, height):
    with pytest.raises(LoraMismatchError, match=r"does not fit the model's weight of \(12, 8\)"):
        apply(ovis(), load(write(tmp_path / "a.safetensors", pair(DIVIDED, height, 8))))
