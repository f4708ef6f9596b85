"""The example that the pack began with, in diffusers and by ``lora_core``: the same image."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import lora_core

pytest.importorskip("diffusers")
pytest.importorskip("peft")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import diffusers
    import transformers
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ("a</w>", "lake</w>", "at</w>", "dusk</w>")
PROMPT = "a lake at dusk"
UNET_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")  # those of diffusers' training scripts
TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")


def tokenizer() -> transformers.CLIPTokenizer:
    pieces = (
        "<|startoftext|>",
        "<|endoftext|>",
        *WORDS,
        *"alketdus",
        *(c + "</w>" for c in "aetk"),
    )
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=8)


def text_encoder(vocabulary: int) -> transformers.CLIPTextModel:
    config = transformers.CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=8,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return transformers.CLIPTextModel(config)


def pipeline() -> diffusers.StableDiffusionPipeline:
    """Random weights in the layout of SD 1.5."""
    torch.manual_seed(0)
    words = tokenizer()
    pipe = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(
            block_out_channels=[8, 8],
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            norm_num_groups=4,
        ),
        text_encoder=text_encoder(len(words)),
        tokenizer=words,
        unet=diffusers.UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=4,
            norm_num_groups=8,
        ),
        scheduler=diffusers.DDIMScheduler(clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def save_lora(folder, name: str, seed: int) -> None:
    """As diffusers' training scripts save one of UNet and text encoder."""
    pipe = pipeline()
    torch.manual_seed(seed)
    layers = {}
    for part, targets in (("unet", UNET_LAYERS), ("text_encoder", TEXT_LAYERS)):
        module = getattr(pipe, part)
        config = LoraConfig(
            r=4, lora_alpha=6, target_modules=list(targets), init_lora_weights=False
        )
        module.add_adapter(config, "made")
        state = get_peft_model_state_dict(module, adapter_name="made")
        layers[f"{part}_lora_layers"] = convert_state_dict_to_diffusers(state)
        layers[f"{part}_lora_adapter_metadata"] = module.peft_config["made"].to_dict()
    pipe.save_lora_weights(folder, weight_name=f"{name}.safetensors", **layers)


def image(pipe: diffusers.StableDiffusionPipeline) -> np.ndarray:
    generator = torch.Generator().manual_seed(7)
    return pipe(PROMPT, num_inference_steps=4, generator=generator, output_type="np").images[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    for seed, name in enumerate("ab", 1):
        save_lora(folder, name, seed)
    return folder


def test_half_of_one_lora_and_the_whole_of_another_is_the_image_that_diffusers_makes(folder, show):
    pipe = pipeline()
    base = image(pipe)
    for name in "ab":
        pipe.load_lora_weights(folder, weight_name=f"{name}.safetensors", adapter_name=name)
    pipe.set_adapters(["a", "b"], [0.5, 1.0])
    theirs = image(pipe)
    pipe.set_adapters(["a", "b"], [0.0, 1.0])
    other = image(pipe)

    pipe = pipeline()
    a, b = (lora_core.load(folder / f"{name}.safetensors") for name in "ab")
    stack = 0.5 * a + 1.0 * b
    with (
        lora_core.applied(pipe.unet, stack) as in_unet,
        lora_core.applied(pipe.text_encoder, stack, component="text_encoder") as in_text,
    ):
        ours = image(pipe)

    for report in (in_unet, in_text):
        assert not any(lora.unknown for lora in report.loras)
        connected = [part for lora in report.loras for part in lora.parts if part.connected]
        assert all(part.found == part.applied > 0 for part in connected)
    away = np.abs(ours - theirs).max()
    show(
        f"founding example: {away:.1e} from diffusers' own image, "
        f"which is {np.abs(theirs - base).max():.2f} from the base"
    )
    assert away < 1e-4 < 1e-2 < np.abs(theirs - base).max()
    assert np.abs(theirs - other).max() > 1e-2
    assert np.array_equal(image(pipe), base)
