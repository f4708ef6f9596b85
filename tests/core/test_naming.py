"""What files write in front of a path, and which of a model's components they mean."""

import pytest

from lora_core.errors import LoraInputError
from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Part, Shape, Target

UNET_Q = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
UNET_OUT = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"
CLIP_FC = "text_model.encoder.layers.0.mlp.fc1"
T5_Q = "encoder.block.0.layer.0.SelfAttention.q"


def model(*paths: str, root: str = "") -> dict[str, Shape]:
    return {f"{root}{path}.weight": (4, 4) for path in paths}


def clip(root: str = "") -> dict[str, Shape]:
    return model("text_model.encoder.layers.0.self_attn.q_proj", CLIP_FC, root=root)


def t5(root: str = "") -> dict[str, Shape]:
    return model(T5_Q, root=root)


def weight(path: str, part: Part = "model") -> Target:
    return Target(f"{path}.weight", part=part)


UNET = model("conv_in", UNET_Q, UNET_OUT)

SDXL = {
    **model("input_blocks.0.0", "label_emb.0.0", root="model.diffusion_model."),
    **clip("conditioner.embedders.0.transformer."),
    "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight": (12, 4),
    **model("transformer.resblocks.0.mlp.c_fc", root="conditioner.embedders.1.model."),
    **model("encoder.conv_in", root="first_stage_model."),
}

SD3 = {
    **model("joint_blocks.0.x_block.attn.qkv", root="model.diffusion_model."),
    **clip("text_encoders.clip_l.transformer."),
    **clip("text_encoders.clip_g.transformer."),
    **t5("text_encoders.t5xxl.transformer."),
}


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "unet.",
        "transformer.",
        "diffusion_model.",
        "model.diffusion_model.",
        "base_model.model.",
        "unet.base_model.model.",
        "transformer.base_model.model.",
    ],
)
def test_a_dotted_prefix_of_a_denoiser(prefix):
    assert ModelNames(UNET).find(prefix + UNET_Q) == weight(UNET_Q)


@pytest.mark.parametrize("prefix", ["lora_unet_", "lora_unet__", "lora_transformer_", "lycoris_"])
def test_an_underscored_prefix_of_a_denoiser(prefix):
    assert ModelNames(UNET).find(prefix + UNET_Q.replace(".", "_")) == weight(UNET_Q)


@pytest.mark.parametrize("name", ["", "unet.", "lora_unet_", "lora_unet_nothing", "unet.conv", "x"])
def test_what_the_model_does_not_have_is_not_found(name):
    assert ModelNames(UNET).find(name) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [("attn1.processor.to_q", UNET_Q), ("attn1.processor.to_out", UNET_OUT)],
)
def test_old_attention_processors(old, new):
    name = UNET_Q.replace("attn1.to_q", old)
    assert ModelNames(UNET).find(f"unet.{name}") == weight(new)
    assert ModelNames(UNET).find(name) == weight(new)


def test_a_processor_that_the_model_has_is_not_an_old_one():
    path = "block.attn.processor.to_q"
    names = ModelNames(model(path, "block.attn.to_q"))
    assert names.find(path) == weight(path)


def test_a_module_of_any_kind_goes_by_its_own_paths():
    names = ModelNames({"encoder.layers.0.fc.weight": (4, 4), "scale": (4,), "norm.bias": (4,)})
    assert names.architecture is None
    assert names.find("encoder.layers.0.fc") == weight("encoder.layers.0.fc")
    assert names.find("lycoris_encoder_layers_0_fc") == weight("encoder.layers.0.fc")
    assert names.find("scale") == Target("scale")
    assert names.find("norm.bias") == Target("norm.bias")


def test_a_path_that_starts_like_a_prefix_is_a_path_first():
    names = ModelNames(model("transformer.h.0.fc", "h.0.fc"))
    assert names.find("transformer.h.0.fc") == weight("transformer.h.0.fc")


def test_an_underscored_name_of_two_weights_means_neither():
    names = ModelNames(model("a.b_c", "a_b.c", "a.d"))
    assert names.find("lycoris_a_b_c") is None
    assert names.find("a.b_c") == weight("a.b_c")
    assert names.find("lycoris_a_d") == weight("a.d")


def test_the_models_own_paths_come_before_those_of_diffusers():
    # Wan's second norm is called norm3; should a model have a norm2, it is that.
    paths = ("blocks.0.self_attn.q", "head.head", "blocks.0.norm3", "blocks.0.norm2")
    names = ModelNames(model(*paths))
    assert names.find("transformer.blocks.0.norm2") == weight("blocks.0.norm2")
    assert names.find("lora_unet_blocks_0_norm2") == weight("blocks.0.norm2")
    assert ModelNames(model(*paths[:3])).find("blocks.0.norm2") == weight("blocks.0.norm3")


# --- checkpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unet.conv_in", Target("model.diffusion_model.input_blocks.0.0.weight")),
        ("lora_unet_input_blocks_0_0", Target("model.diffusion_model.input_blocks.0.0.weight")),
        (
            "lora_te1_text_model_encoder_layers_0_mlp_fc1",
            weight(f"conditioner.embedders.0.transformer.{CLIP_FC}", "clip"),
        ),
        (
            f"text_encoder.{CLIP_FC}",
            weight(f"conditioner.embedders.0.transformer.{CLIP_FC}", "clip"),
        ),
        (
            "lora_te2_text_model_encoder_layers_0_mlp_fc1",
            weight("conditioner.embedders.1.model.transformer.resblocks.0.mlp.c_fc", "clip"),
        ),
        (
            "text_encoder_2.text_model.encoder.layers.0.self_attn.k_proj",
            Target(
                "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight",
                part="clip",
                rows=(4, 4),
            ),
        ),
        (
            f"text_encoders.clip_g.transformer.{CLIP_FC}",
            weight("conditioner.embedders.1.model.transformer.resblocks.0.mlp.c_fc", "clip"),
        ),
        ("unet.encoder.conv_in", None),
        (CLIP_FC, None),
    ],
)
def test_an_sdxl_checkpoint(name, expected):
    assert ModelNames(SDXL).find(name) == expected


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("transformer.transformer_blocks.0.attn.to_q", None),
        (f"text_encoder.{CLIP_FC}", f"text_encoders.clip_l.transformer.{CLIP_FC}"),
        (f"text_encoder_2.{CLIP_FC}", f"text_encoders.clip_g.transformer.{CLIP_FC}"),
        (f"text_encoder_3.{T5_Q}", f"text_encoders.t5xxl.transformer.{T5_Q}"),
        (f"lora_te3_{T5_Q.replace('.', '_')}", f"text_encoders.t5xxl.transformer.{T5_Q}"),
        (f"text_encoders.t5xxl.transformer.{T5_Q}", f"text_encoders.t5xxl.transformer.{T5_Q}"),
    ],
)
def test_an_sd3_checkpoint(name, key):
    names = ModelNames(SD3)
    assert names.architecture == "SD3"
    expected = Target("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", rows=(0, 1))
    assert names.find(name) == (weight(key, "clip") if key else expected)


@pytest.mark.parametrize("prefix", ["lora_te2_", "lora_te3_"])
def test_t5_is_the_second_encoder_of_flux_and_its_third_to_kohya(prefix):
    names = ModelNames(clip("clip_l.transformer.") | t5("t5xxl.transformer."))
    found = names.find(prefix + T5_Q.replace(".", "_"))
    assert found == weight(f"t5xxl.transformer.{T5_Q}", "clip")


@pytest.mark.parametrize("prefix", ["lora_te_", "lora_te1_"])
def test_sd15_has_one_text_encoder(prefix):
    names = ModelNames(UNET | clip("cond_stage_model.transformer."))
    found = names.find(prefix + CLIP_FC.replace(".", "_"))
    assert found == weight(f"cond_stage_model.transformer.{CLIP_FC}", "clip")
    assert names.find("lora_te2_" + CLIP_FC.replace(".", "_")) is None


# --- a module by itself ---------------------------------------------------------------------------


def test_a_text_encoder_not_declared_is_the_first():
    names = ModelNames(clip())
    assert names.find(f"text_encoder.{CLIP_FC}") == weight(CLIP_FC, "clip")
    assert names.find("lora_te_" + CLIP_FC.replace(".", "_")) == weight(CLIP_FC, "clip")
    assert names.find("lora_te1_" + CLIP_FC.replace(".", "_")) == weight(CLIP_FC, "clip")
    assert names.find(CLIP_FC) == weight(CLIP_FC)
    assert names.find(f"text_encoder_2.{CLIP_FC}") is None
    assert names.find("lora_te2_" + CLIP_FC.replace(".", "_")) is None


@pytest.mark.parametrize(
    ("component", "found", "not_found"),
    [
        ("text_encoder", "text_encoder.", "text_encoder_2."),
        ("text_encoder_2", "text_encoder_2.", "text_encoder."),
        ("text_encoder_3", "text_encoder_3.", "text_encoder_2."),
        ("text_encoder_2", "base_model.model.", "unet."),
        ("text_encoder_2", "", "transformer."),
    ],
)
def test_a_declared_text_encoder_is_no_other(component, found, not_found):
    names = ModelNames(clip(), component)
    assert names.find(found + CLIP_FC) == weight(CLIP_FC, "clip")
    assert names.find(not_found + CLIP_FC) is None


@pytest.mark.parametrize("component", ["unet", "transformer"])
def test_a_declared_denoiser_is_no_text_encoder(component):
    names = ModelNames(UNET, component)
    assert names.find(f"unet.{UNET_Q}") == weight(UNET_Q)
    assert names.find(f"transformer.{UNET_Q}") == weight(UNET_Q)
    assert names.find(UNET_Q) == weight(UNET_Q)
    assert names.find(f"text_encoder.{UNET_Q}") is None


@pytest.mark.parametrize("component", ["text_encoder_2", "text_encoder_3"])
def test_a_declared_t5_is_the_second_or_the_third(component):
    names = ModelNames(t5(), component)
    assert names.find(f"text_encoder_2.{T5_Q}") == weight(T5_Q, "clip")
    assert names.find("lora_te3_" + T5_Q.replace(".", "_")) == weight(T5_Q, "clip")
    assert names.find(f"text_encoder.{T5_Q}") is None


def test_a_clip_may_have_lost_its_wrapper():
    shapes = {key.removeprefix("text_model."): shape for key, shape in clip().items()}
    unwrapped = CLIP_FC.removeprefix("text_model.")
    assert ModelNames(shapes).find(f"text_encoder.{CLIP_FC}") == weight(unwrapped, "clip")
    assert ModelNames(clip()).find(f"text_encoder.{unwrapped}") == weight(CLIP_FC, "clip")


def test_a_component_that_does_not_exist():
    with pytest.raises(LoraInputError) as caught:
        ModelNames(UNET, "vae")
    assert caught.value.found == "vae"
