"""The tables of what makes videos, sound and space, against the names of the host and diffusers."""

import pytest

from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Target
from tests.support.videos import ROOT, bare, spellings, tencent
from tools.fidelity.layouts import layouts

MODELS = {
    "ltxv": "LTX-Video",
    "ltxav": "LTX-2",
    "hunyuan_video": "HunyuanVideo",
    "hunyuan_video15": "HunyuanVideo 1.5",
    "hunyuan_image21": "HunyuanImage 2.1",
    "wan_t2v": "Wan",
    "wan_i2v": "Wan",
    "wan_vace": "Wan",
    "wan_camera": "Wan",
    "wan_animate": "Wan",
    "wan_animate2": "Wan",
    "minimax_h3": "MiniMax-H3",
    "minimax_music3": "MiniMax-Music 3",
    "trellis2": "TRELLIS.2",
    "cogvideox": "CogVideoX",
    "cosmos1": "Cosmos",
    "cosmos_predict2": "Cosmos-Predict2",
    "kandinsky5": "Kandinsky 5",
    "kandinsky5_image": "Kandinsky 5",
    "mochi": "Mochi",
    "stable_audio": "Stable Audio",
    "ace_step": "ACE-Step",
    "ace_step15": "ACE-Step 1.5",
    "hunyuan3d2": "Hunyuan3D",
    "hunyuan3d21": "Hunyuan3D 2.1",
    "svd": "Stable Video Diffusion",
}

every_model = pytest.mark.parametrize("model", MODELS)


@every_model
def test_the_architecture_is_recognised(model):
    assert ModelNames(layouts()[model].shapes).architecture == MODELS[model]


@every_model
def test_what_the_host_calls_a_weight_is_that_weight(model):
    names = ModelNames(layouts()[model].shapes)
    for name, (key, rows, swapped) in layouts()[model].names.items():
        assert names.find(name) == Target(key, rows=rows, halves_swapped=swapped), name


@every_model
def test_its_own_names_are_found_under_every_prefix(model):
    names = ModelNames(layouts()[model].shapes)
    for layer in layouts()[model].layers:
        for name in spellings(layer.removeprefix(ROOT)):
            assert names.find(name) == Target(f"{layer}.weight"), name


@every_model
def test_the_names_of_diffusers_are_found_under_every_prefix(model):
    layout = layouts()[model]
    names = ModelNames(layout.shapes)
    for layer, shape in layout.diffusers.items():
        first, *others = (names.find(name) for name in spellings(layer))
        assert first is not None, layer
        assert all(other == first for other in others), layer
        height = first.rows[1] if first.rows else layout.shapes[first.key][0]
        assert height == shape[0], layer


@every_model
def test_no_two_names_of_diffusers_mean_the_same(model):
    names = ModelNames(layouts()[model].shapes)
    targets = [names.find(layer) for layer in layouts()[model].diffusers]
    assert len(set(targets)) == len(targets)


def test_tencents_own_names_are_found():
    names = ModelNames(bare("hunyuan_video"))
    for key in bare("hunyuan_video"):
        if key.endswith(".weight"):
            for name in spellings(tencent(key).removesuffix(".weight")):
                assert names.find(name) == Target(key), name


def test_ace_step_15_goes_by_its_decoder_alone():
    names = ModelNames(layouts()["ace_step15"].shapes)
    weight = Target("diffusion_model.decoder.layers.0.self_attn.o_proj.weight")
    for path in ("self_attn.o_proj", "self_attn.to_out.0"):
        for name in spellings(f"layers.0.{path}"):
            assert names.find(name) == weight
    convolution = names.find("transformer.proj_in_conv")
    assert convolution == Target("diffusion_model.decoder.proj_in.1.weight")


# --- facts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer"), [("attn1.norm_q", "attn1.q_norm"), ("ff.net.2", "ff.net.2")]
)
def test_ltx_2_has_the_connectors_that_diffusers_keeps_apart(name, layer):
    key = f"video_embeddings_connector.transformer_1d_blocks.0.{layer}.weight"
    found = ModelNames(bare("ltxav")).find(
        f"connectors.video_connector.transformer_blocks.0.{name}"
    )
    assert found == Target(key)


def test_ltx_23_has_modulations_of_its_prompt():
    path = "emb.timestep_embedder.linear_1"
    key = f"audio_prompt_adaln_single.{path}.weight"
    names = ModelNames(bare("ltxav") | {key: (8, 8)})
    assert names.find(f"transformer.audio_prompt_adaln.{path}") == Target(key)


@pytest.mark.parametrize(
    ("name", "key", "swapped"),
    [
        ("norm_out.linear", "final_layer.adaLN_modulation.1.weight", True),
        (
            "lora_unet_final_layer_adaLN_modulation_1",
            "final_layer.adaLN_modulation.1.weight",
            False,
        ),
        ("time_embed.timestep_embedder.linear_2", "time_in.out_layer.weight", False),
        ("time_embed.timestep_embedder_r.linear_1", "time_r_in.in_layer.weight", False),
        ("context_embedder_2.linear_3", "byt5_in.fc3.weight", False),
        ("image_embedder.linear_2", "vision_in.proj.3.weight", False),
        ("image_embedder.norm_out", "vision_in.proj.4.weight", False),
        ("cond_type_embed", "cond_type_embedding.weight", False),
    ],
)
def test_hunyuan_video_15(name, key, swapped):
    shapes = bare("hunyuan_video15") | {"time_r_in.in_layer.weight": (32, 256)}
    assert ModelNames(shapes).find(name) == Target(key, halves_swapped=swapped)


@pytest.mark.parametrize(
    ("name", "layer", "part", "parts"),
    [
        ("attn1.to_q", "self_attn.to_qkv", 0, 3),
        ("attn1.to_k", "self_attn.to_qkv", 1, 3),
        ("attn1.to_v", "self_attn.to_qkv", 2, 3),
        ("attn2.to_k", "cross_attn.to_kv", 0, 2),
        ("attn2.to_v", "cross_attn.to_kv", 1, 2),
    ],
)
def test_stable_audio(name, layer, part, parts):
    key = f"transformer.layers.0.{layer}.weight"
    height = bare("stable_audio")[key][0] // parts
    found = ModelNames(bare("stable_audio")).find(f"transformer.transformer_blocks.0.{name}")
    assert found == Target(key, rows=(part * height, height))


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("attn1.to_q", "q"),
        ("attn1.to_k", "k"),
        ("attn1.to_v", "v"),
        ("attn1.to_out.0", "attn_out"),
        ("attn1.norm_k", "norm_k"),
        ("norm1.linear", "norm1.linear"),
        ("norm2.norm", "norm2.norm"),
        ("ff.net.0.proj", "ff_proj"),
        ("ff.net.2", "ff_out"),
    ],
)
def test_cogvideox(name, layer):
    found = ModelNames(bare("cogvideox")).find(f"transformer.transformer_blocks.1.{name}")
    assert found == Target(f"blocks.1.{layer}.weight")


def test_hunyuan_has_layers_apart_that_are_fused_here():
    names = ModelNames(bare("hunyuan_image21"))
    height, width = bare("hunyuan_image21")["single_blocks.0.linear1.weight"]
    linear1 = "single_blocks.1.linear1.weight"
    for stream in ("img", "txt"):
        for index, part in enumerate("qkv"):
            found = names.find(f"lora_unet_double_blocks_1_{stream}_attn_{part}")
            qkv = f"double_blocks.1.{stream}_attn.qkv.weight"
            assert found == Target(qkv, rows=(index * width, width))
    assert names.find("lora_unet_single_blocks_1_linear1_v") == Target(
        linear1, rows=(2 * width, width)
    )
    assert names.find("single_blocks.1.linear1_mlp") == Target(
        linear1, rows=(3 * width, height - 3 * width)
    )


def test_svd_has_a_layer_in_time_behind_each_in_space():
    names = ModelNames(bare("svd"))
    resnet, attention = "down_blocks.0.resnets.0.", "down_blocks.0.attentions.0."
    here = {
        f"{resnet}spatial_res_block.conv2": "input_blocks.1.0.out_layers.3",
        f"{resnet}temporal_res_block.time_emb_proj": "input_blocks.1.0.time_stack.emb_layers.1",
        f"{attention}time_pos_embed.linear_2": "input_blocks.1.1.time_pos_embed.2",
        f"{attention}temporal_transformer_blocks.0.ff_in.net.2": (
            "input_blocks.1.1.time_stack.0.ff_in.net.2"
        ),
    }
    for name, path in here.items():
        assert names.find(f"unet.{name}") == Target(f"{path}.weight")
    mixer = names.find(f"unet.{resnet}time_mixer.mix_factor")
    assert mixer == Target("input_blocks.1.0.time_mixer.mix_factor")


def test_stable_audio_3_keeps_a_fused_layer_in_another_order():
    block = "transformer.layers.0"
    shapes = {
        "transformer.global_cond_embedder.0.weight": (8, 8),
        f"{block}.self_attn.to_qkv.weight": (40, 8),
        f"{block}.cross_attn.to_kv.weight": (24, 8),
        f"{block}.ff.ff.0.proj.weight": (64, 8),
    }
    names = ModelNames(shapes)
    assert names.architecture == "Stable Audio 3"
    there = "transformer.transformer_blocks.0"
    fused = names.find(f"{there}.self_attn.to_qkv")
    assert fused is not None
    places = [(piece.source, piece.rows) for piece in fused.pieces()]
    assert places == [  # q, q2, k, k2, v there; q, k, v, q2, k2 here
        ((0, 8), (0, 8)),
        ((8, 8), (24, 8)),
        ((16, 8), (8, 8)),
        ((24, 8), (32, 8)),
        ((32, 8), (16, 8)),
    ]
    assert names.find(f"{there}.cross_attn.to_kv") == Target(f"{block}.cross_attn.to_kv.weight")
    assert names.find(f"{there}.ff.proj_in") == Target(f"{block}.ff.ff.0.proj.weight")
