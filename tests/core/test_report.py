"""What the report, the inspection and the guess of the base model say."""

import json

import pytest
import torch

from harness.samples import net, pair, write
from lora_core import LoraMismatchError, apply, load
from lora_core.library.inspect import inspect_file
from lora_core.matching import Report, outcomes_of
from lora_core.reading.base_model import base_of_file
from lora_core.reading.header import identify
from lora_core.reading.reader import read_file


def test_the_articles_28_against_48(tmp_path):
    """A 6x8 weight has 48 numbers, a LoRA of rank 2 for it 6·2 + 2·8 = 28."""
    report = apply(net(), load(write(tmp_path / "a.safetensors", pair("linear", 6, 8, rank=2))))
    (lora,) = report.loras
    assert (lora.parameters, lora.touched, lora.ranks) == (28, 48, (2, 2))
    assert "28 parameters in the file for 48 in the weights" in str(report)


def test_unknown_names_are_counted_and_the_first_are_named(tmp_path):
    content = {**pair("linear", 6, 8), "who.knows": torch.ones(1)}
    for index in range(5):
        content |= pair(f"gone{index}", 6, 8)
    report = apply(net(), load(write(tmp_path / "a.safetensors", content)))
    (lora,) = report.loras
    assert lora.parts[0].found == 6
    assert lora.parts[0].applied == 1
    assert lora.unknown == (*(f"gone{index}" for index in range(5)), "who.knows")
    assert "model: 1 of 6 layers" in str(report)
    assert "warning: Unknown to the model, not applied: 6 (gone0, gone1, gone2, …)" in str(report)


def test_a_text_encoder_that_is_not_there_is_no_unknown_name(tmp_path):
    content = {**pair("linear", 6, 8), **pair("lora_te2_layer", 6, 8)}
    report = apply(net(), load(write(tmp_path / "a.safetensors", content)))
    assert report.loras[0].unknown == ()
    assert "text encoder: 1 layer, no CLIP connected" in str(report)


def test_ranks_and_families_are_a_range_and_a_list(tmp_path):
    content = {**pair("linear", 6, 8, rank=2), **pair("other", 10, 6, rank=5)}
    content["norm.diff_b"] = torch.ones(8)
    text = str(apply(net(), load(write(tmp_path / "a.safetensors", content))))
    assert text.startswith("a.safetensors (LoRA + bias, rank 2–5)")


def test_strength_zero_for_one_part_is_said(tmp_path):
    recipe = load(write(tmp_path / "a.safetensors", pair("linear", 6, 8))).scaled(0, 1)
    assert "model: 1 of 1 layer at strength 0: no effect" in str(apply(net(), recipe))


def test_f25_alpha_0_is_said(tmp_path):
    content = {**pair("linear", 6, 8, alpha=0.0), **pair("other", 10, 6, alpha=4.0)}
    text = str(apply(net(), load(write(tmp_path / "a.safetensors", content))))
    assert "warning: Layers with alpha 0, which have no effect: 1" in text


def test_a_scale_that_cannot_be_read_is_said(tmp_path):
    path = write(tmp_path / "a.safetensors", pair("linear", 6, 8), {"lora_adapter_metadata": "["})
    assert "warning: Its notes on its scale cannot be read" in str(apply(net(), load(path)))
    notes = {"lora_adapter_metadata": '{"r": 4, "lora_alpha": 16}'}
    path = write(tmp_path / "b.safetensors", pair("linear", 6, 8), notes)
    assert "on its scale" not in str(apply(net(), load(path)))


TRAINERS = {
    "ai-toolkit 0.7": {"software": '{"name": "ai-toolkit", "version": "0.7"}'},
    "kohya (networks.lora)": {"ss_network_module": "networks.lora"},
    "OneTrainer": {"ot_branch": "master"},
    "diffusers": {"lora_adapter_metadata": "{}"},
}


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_trainer_is_told_from_the_notes(tmp_path, trainer):
    path = write(tmp_path / "a.safetensors", pair("lycoris_linear", 6, 8), TRAINERS[trainer])
    assert f"names: LyCORIS; trained with {trainer}\n" in f"{apply(net(), load(path))}\n"


def test_notes_that_speak_of_another_model_are_said(tmp_path):
    notes = {"ss_base_model_version": "sdxl_base_v1-0"}
    path = write(tmp_path / "a.safetensors", pair("lora_unet_input_blocks_0_0", 4, 4), notes)
    model = {"input_blocks.0.0.weight": torch.zeros(4, 4)}
    text = str(apply(model, load(path)))
    assert "warning: Its notes say it was made for SDXL; the model is SD 1.5" in text


def test_an_empty_recipe_says_so():
    from lora_core import Recipe

    assert str(apply(net(), Recipe())) == "No LoRA: the model is unchanged."


def test_the_report_of_two_models_is_in_the_order_of_a_list(tmp_path):
    files = [write(tmp_path / f"{n}.safetensors", pair("linear", 6, 8)) for n in "ab"]
    both = apply(net(), load(files[0]) + load(files[1]))
    joined = Report((*both.on("low").loras, *both.loras)).in_order(["b.safetensors"])
    order = [(lora.side, lora.name[0]) for lora in joined.loras]
    assert order == [("", "b"), ("low", "b"), ("", "a"), ("low", "a")]
    lines = str(joined).splitlines()
    starts = [line[: line.index(" (")] for line in lines if not line.startswith(" ")]
    assert starts == ["b.safetensors", "low: b.safetensors", "a.safetensors", "low: a.safetensors"]
    assert [each.get("side") for each in outcomes_of(joined)] == [None, "low", None, "low"]


def test_the_report_goes_into_json(tmp_path):
    report = apply(net(), load(write(tmp_path / "a.safetensors", pair("linear", 6, 8))))
    assert json.loads(json.dumps(report.to_dict()))["loras"][0]["name"] == "a.safetensors"


def test_names_that_would_command_a_terminal_are_shown_as_text(tmp_path):
    content = {**pair("linear", 6, 8), **pair("\x1b[31mred\u202egpj", 6, 8)}
    report = apply(net(), load(write(tmp_path / "a.safetensors", content)))
    assert report.loras[0].unknown == ("\x1b[31mred\u202egpj",)
    assert "\x1b" not in str(report)
    assert "\u202e" not in str(report)
    path = write(tmp_path / "b.safetensors", pair("\x1b[31mred", 6, 8))
    with pytest.raises(LoraMismatchError) as refused:
        apply(net(), load(path))
    assert "\x1b" not in str(refused.value)
    assert "\x1b" not in str(inspect_file(read_file(identify(path))))


BASES = {
    "lora_unet_double_blocks_0_img_attn_qkv": "Flux",
    "transformer.single_transformer_blocks.0.proj_mlp": "Flux",
    "diffusion_model.joint_blocks.0.x_block.attn.qkv": "SD3",
    "transformer.transformer_blocks.0.attn.add_q_proj": "SD3 or Flux",
    "diffusion_model.blocks.0.self_attn.q": "Wan",
    "lora_unet_blocks_0_cross_attn_k": "Wan",
    "lora_te2_text_model_encoder_layers_0_mlp_fc1": "SDXL",
    "diffusion_model.txt_mode_blocks.0.q_proj": "FLUX.3",
    "transformer.mode_blocks.image.0.attn.to_q": "FLUX.3",
    "lora_unet_token_refiner_blocks_0_attn_qkv_proj": "MiniMax-H3",
    "blocks.0.attn.qkv_proj": "MiniMax-H3",
    "lycoris_text_fusion_layerwise_blocks_0_attn_to_qkv": "Krea 2",
    "lora_unet_txt_in_individual_token_refiner_blocks_0_self_attn_qkv": "HunyuanVideo or -Image",
    "linear": None,
}


@pytest.mark.parametrize("name", BASES)
def test_the_base_model_by_names(tmp_path, name):
    file = read_file(identify(write(tmp_path / "a.safetensors", pair(name, 6, 8))))
    assert base_of_file(file) == BASES[name]


@pytest.mark.parametrize(("width", "base"), [(768, "SD 1.5"), (1024, "SD 2"), (2048, "SDXL")])
@pytest.mark.parametrize("name", ["lora_unet_mid_block_attn2_to_k", "unet.attn2.processor.to_v"])
def test_the_base_model_by_the_width_of_its_text(tmp_path, name, width, base):
    path = write(tmp_path / "a.safetensors", pair(name, 320, width))
    assert base_of_file(read_file(identify(path))) == base


@pytest.mark.parametrize(
    ("metadata", "base"),
    [
        ({"ss_base_model_version": "sdxl_base_v1-0"}, "SDXL"),
        ({"modelspec.architecture": "flux-1-dev/lora"}, "Flux"),
        ({"ss_base_model_version": "flux3_klein"}, "FLUX.3"),
        ({"ss_base_model_version": "minimax_h3"}, "MiniMax-H3"),
        ({"ss_base_model_version": "who knows"}, None),
    ],
)
def test_the_base_model_by_the_files_own_word(tmp_path, metadata, base):
    path = write(tmp_path / "a.safetensors", pair("linear", 6, 8), metadata)
    assert base_of_file(read_file(identify(path))) == base


NO_NAMESAKES = {
    # names that another model has in common with a better known one, and what they do not mean
    "diffusion_model.blocks.0.self_attn.q_proj": "Wan",
    "diffusion_model.blocks.0.cross_attn.kv_linear": "Wan",
    "diffusion_model.transformer_blocks.0.attn2.to_k": "SDXL",
    "transformer.joint_transformer_blocks.0.attn.to_q\ntransformer.single_transformer_blocks.0.x": "Flux",
}


@pytest.mark.parametrize("names", NO_NAMESAKES)
def test_a_guess_is_not_taken_in_by_a_namesake(tmp_path, names):
    content = {}
    for name in names.split("\n"):
        content |= pair(name, 8, 2048)
    file = read_file(identify(write(tmp_path / "a.safetensors", content)))
    assert base_of_file(file) != NO_NAMESAKES[names]
