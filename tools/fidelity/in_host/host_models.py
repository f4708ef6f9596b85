"""ComfyUI's own models, small and without memory. Only for the host's python: it imports comfy.

A row names the class that decides which names the host's key map gets, the class of the denoiser,
and what that is built with. Widths are small and differ; what is fused, grouped or left out of a
last block is as in the real model. Stacks are as short as they can be.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any, NamedTuple

import comfy.model_base
import comfy.ops
import torch


class HostModel(NamedTuple):
    base: str
    module: str
    options: dict[str, Any]
    device: str = "meta"


def _unet(levels: int, depth: list[int], **options: Any) -> HostModel:
    """A UNet of two residual blocks a level; ``depth`` has a number for each of them."""
    output = [
        d for level in range(levels) for d in (*depth[2 * level : 2 * level + 2], depth[2 * level])
    ]
    common = {
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 32,
        "num_res_blocks": [2] * levels,
        "channel_mult": [1, 2, 4, 4][:levels],
        "transformer_depth": depth,
        "transformer_depth_output": output,
        "transformer_depth_middle": 1,
        "num_heads": 2,
        "num_head_channels": -1,
        "use_spatial_transformer": True,
        "legacy": False,
    }
    return HostModel(
        options.pop("base", "BaseModel"),
        "ldm.modules.diffusionmodules.openaimodel:UNetModel",
        common | options,
    )


_FLUX = {
    "in_channels": 4,
    "out_channels": 4,
    "vec_in_dim": 20,
    "context_in_dim": 24,
    "hidden_size": 32,
    "mlp_ratio": 4.0,
    "num_heads": 2,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "guidance_embed": True,
    "txt_ids_dims": [],
}
_FLUX2 = {
    "vec_in_dim": None,
    "axes_dim": [4, 4, 4, 4],
    "mlp_ratio": 3.0,
    "patch_size": 1,
    "in_channels": 16,
    "out_channels": 16,
    "global_modulation": True,
    "mlp_silu_act": True,
    "qkv_bias": False,
    "ops_bias": False,
    "txt_ids_dims": [3],
}
_CHROMA = {key: _FLUX[key] for key in _FLUX if key not in ("guidance_embed", "txt_ids_dims")} | {
    "txt_ids_dims": [],
    "in_channels": 16,
    "out_channels": 16,
    "in_dim": 64,
    "out_dim": 32,
    "hidden_dim": 48,
    "n_layers": 2,
    "vec_in_dim": None,
}
_RADIANCE = {
    "in_channels": 3,
    "out_channels": 3,
    "patch_size": 4,
    "nerf_hidden_size": 12,
    "nerf_mlp_ratio": 4,
    "nerf_depth": 2,
    "nerf_max_freqs": 4,
    "nerf_tile_size": 0,
    "nerf_final_head_type": "conv",
    "nerf_embedder_dtype": torch.float32,
    "use_x0": False,
    "use_sequential_txt_ids": False,
}
_HUNYUAN = {key: _FLUX[key] for key in _FLUX if key not in ("txt_ids_dims", "patch_size")} | {
    "patch_size": [1, 2, 2],
    "byt5": False,
    "meanflow": False,
    "use_cond_type_embedding": False,
    "vision_in_dim": None,
    "meanflow_sum": False,
}
_HUNYUAN15 = {
    "vec_in_dim": None,
    "guidance_embed": False,
    "depth_single_blocks": 0,
    "in_channels": 9,
    "patch_size": [1, 1, 1],
    "byt5": True,
    "meanflow": True,
    "use_cond_type_embedding": True,
    "vision_in_dim": 36,
    "meanflow_sum": True,
}
_WAN = {
    "in_dim": 4,
    "dim": 32,
    "ffn_dim": 56,
    "freq_dim": 16,
    "text_dim": 24,
    "out_dim": 4,
    "num_heads": 2,
    "num_layers": 2,
}
_LUMINA = {
    "in_channels": 4,
    "dim": 48,
    "n_layers": 2,
    "n_refiner_layers": 2,
    "n_heads": 6,
    "n_kv_heads": 2,
    "multiple_of": 16,
    "ffn_dim_multiplier": 4.0,
    "qk_norm": True,
    "cap_feat_dim": 24,
    "axes_dims": [2, 2, 4],
    "axes_lens": [30, 51, 51],
}
_COSMOS2 = {
    "max_img_h": 24,
    "max_img_w": 24,
    "max_frames": 8,
    "in_channels": 4,
    "out_channels": 4,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "model_channels": 32,
    "num_blocks": 2,
    "num_heads": 2,
    "crossattn_emb_channels": 24,
    "pos_emb_cls": "rope3d",
    "use_adaln_lora": True,
    "adaln_lora_dim": 12,
}
_SD3 = {
    "input_size": None,
    "in_channels": 4,
    "out_channels": 4,
    "adm_in_channels": 20,
    "context_embedder_config": {
        "target": "torch.nn.Linear",
        "params": {"in_features": 24, "out_features": 128},
    },
    "depth": 2,
    "num_patches": 9,
    "pos_embed_max_size": 3,
    "pos_embed_scaling_factor": None,
}
_KANDINSKY = {
    "in_visual_dim": 4,
    "out_visual_dim": 4,
    "in_text_dim": 24,
    "in_text_dim2": 20,
    "time_dim": 36,
    "model_dim": 32,
    "ff_dim": 56,
    "visual_embed_dim": 36,
    "num_text_blocks": 1,
    "num_visual_blocks": 2,
    "axes_dims": (4, 6, 6),
}

MODELS: dict[str, HostModel] = {
    "sd15": _unet(4, [1, 1, 1, 1, 1, 1, 0, 0], context_dim=768),
    "sd20": _unet(1, [1, 1], context_dim=1024, use_linear_in_transformer=True),
    "sdxl": _unet(
        3,
        [0, 0, 1, 1, 2, 2],
        base="SDXL",
        context_dim=2048,
        adm_in_channels=28,
        num_classes="sequential",
        use_linear_in_transformer=True,
        transformer_depth_middle=2,
    ),
    "sdxl_refiner": _unet(
        2,
        [0, 0, 1, 1],
        base="SDXLRefiner",
        context_dim=1280,
        adm_in_channels=28,
        num_classes="sequential",
        use_linear_in_transformer=True,
    ),
    "svd": _unet(
        1,
        [1, 1],
        base="SVD_img2vid",
        in_channels=8,
        context_dim=1024,
        adm_in_channels=28,
        num_classes="sequential",
        use_linear_in_transformer=True,
        use_temporal_attention=True,
        use_temporal_resblock=True,
        extra_ff_mix_layer=True,
        use_spatial_context=True,
        merge_strategy="learned_with_images",
        merge_factor=0.0,
        video_kernel_size=[3, 1, 1],
    ),
    "stable_cascade_c": HostModel(
        "StableCascade_C",
        "ldm.cascade.stage_c:StageC",
        {
            "c_cond": 24,
            "c_hidden": [32, 48],
            "nhead": [2, 2],
            "blocks": [[1, 1], [1, 1]],
            "c_clip_text": 20,
            "c_clip_text_pooled": 20,
            "c_clip_img": 28,
            "stable_cascade_stage": "c",
        },
    ),
    "stable_cascade_b": HostModel(
        "StableCascade_B",
        "ldm.cascade.stage_b:StageB",
        {
            "c_cond": 24,
            "c_hidden": [16, 24, 32, 32],
            "nhead": [-1, -1, 2, 2],
            "blocks": [[1, 1, 1, 1], [1, 1, 1, 1]],
            "block_repeat": [[1, 1, 1, 1], [1, 1, 2, 2]],
            "c_clip": 20,
            "stable_cascade_stage": "b",
        },
    ),
    "sd3": HostModel("SD3", "ldm.modules.diffusionmodules.mmdit:OpenAISignatureMMDITWrapper", _SD3),
    "sd35m": HostModel(
        "SD3",
        "ldm.modules.diffusionmodules.mmdit:OpenAISignatureMMDITWrapper",
        _SD3 | {"qk_norm": "rms", "x_block_self_attn_layers": [0]},
    ),
    "flux": HostModel("Flux", "ldm.flux.model:Flux", _FLUX),
    "longcat_image": HostModel(
        "LongCatImage", "ldm.flux.model:Flux", _FLUX | {"vec_in_dim": None, "guidance_embed": False}
    ),
    "ovis_image": HostModel(
        "Flux",
        "ldm.flux.model:Flux",
        _FLUX | {"vec_in_dim": None, "guidance_embed": False, "yak_mlp": True, "txt_norm": True},
    ),
    "flux2": HostModel("Flux2", "ldm.flux.model:Flux", _FLUX | _FLUX2),
    "chroma": HostModel("Chroma", "ldm.chroma.model:Chroma", _CHROMA),
    "chroma_radiance": HostModel(
        "ChromaRadiance", "ldm.chroma_radiance.model:ChromaRadiance", _CHROMA | _RADIANCE
    ),
    "auraflow": HostModel(
        "AuraFlow",
        "ldm.aura.mmdit:MMDiT",
        {
            "dim": 32,
            "n_layers": 4,
            "n_double_layers": 2,
            "n_heads": 2,
            "global_conddim": 32,
            "cond_seq_dim": 24,
            "max_seq": 9,
        },
    ),
    "pixart_alpha": HostModel(
        "PixArt",
        "ldm.pixart.pixartms:PixArtMS",
        {
            "hidden_size": 36,
            "depth": 2,
            "num_heads": 2,
            "caption_channels": 24,
            "micro_condition": True,
        },
    ),
    "pixart_sigma": HostModel(
        "PixArt",
        "ldm.pixart.pixartms:PixArtMS",
        {
            "hidden_size": 36,
            "depth": 2,
            "num_heads": 2,
            "caption_channels": 24,
            "micro_condition": False,
        },
    ),
    "hunyuan_dit": HostModel(
        "HunyuanDiT",
        "ldm.hydit.models:HunYuanDiT",
        {
            "hidden_size": 32,
            "depth": 4,
            "num_heads": 2,
            "text_states_dim": 20,
            "text_states_dim_t5": 24,
            "text_len": 7,
            "text_len_t5": 9,
            "size_cond": True,
            "use_style_cond": True,
            "image_model": "hydit1",
        },
    ),
    "ltxv": HostModel(
        "LTXV",
        "ldm.lightricks.model:LTXVModel",
        {
            "in_channels": 8,
            "cross_attention_dim": 32,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "caption_channels": 24,
            "num_layers": 2,
        },
    ),
    "ltxav": HostModel(
        "LTXAV",
        "ldm.lightricks.av_model:LTXAVModel",
        {
            "in_channels": 8,
            "audio_in_channels": 12,
            "cross_attention_dim": 32,
            "audio_cross_attention_dim": 16,
            "attention_head_dim": 16,
            "audio_attention_head_dim": 8,
            "num_attention_heads": 2,
            "audio_num_attention_heads": 2,
            "caption_channels": 24,
            "num_layers": 2,
        },
    ),
    "hunyuan_video": HostModel("HunyuanVideo", "ldm.hunyuan_video.model:HunyuanVideo", _HUNYUAN),
    "hunyuan_video15": HostModel(
        "HunyuanVideo15", "ldm.hunyuan_video.model:HunyuanVideo", _HUNYUAN | _HUNYUAN15
    ),
    "hunyuan_image21": HostModel(
        "HunyuanImage21",
        "ldm.hunyuan_video.model:HunyuanVideo",
        _HUNYUAN
        | {
            "vec_in_dim": None,
            "guidance_embed": False,
            "patch_size": [1, 1],
            "axes_dim": [8, 8],
            "byt5": True,
        },
    ),
    "lumina2": HostModel("Lumina2", "ldm.lumina.model:NextDiT", _LUMINA),
    "z_image": HostModel(
        "Lumina2",
        "ldm.lumina.model:NextDiT",
        _LUMINA
        | {
            "dim": 264,
            "axes_dims": [12, 16, 16],
            "n_kv_heads": 6,
            "ffn_dim_multiplier": 8.0 / 3.0,
            "z_image_modulation": True,
            "pad_tokens_multiple": 32,
        },
    ),
    "wan_t2v": HostModel("WAN21", "ldm.wan.model:WanModel", _WAN | {"model_type": "t2v"}),
    "wan_i2v": HostModel("WAN21", "ldm.wan.model:WanModel", _WAN | {"model_type": "i2v"}),
    "wan_vace": HostModel(
        "WAN21_Vace",
        "ldm.wan.model:VaceWanModel",
        _WAN | {"model_type": "vace", "vace_layers": 1, "vace_in_dim": 12},
    ),
    "wan_camera": HostModel(
        "WAN21_Camera", "ldm.wan.model:CameraWanModel", _WAN | {"model_type": "camera"}
    ),
    "wan_animate": HostModel(
        "WAN22_Animate",
        "ldm.wan.model_animate:AnimateWanModel",
        _WAN | {"model_type": "animate"},
    ),
    "hidream": HostModel(
        "HiDream",
        "ldm.hidream.model:HiDreamImageTransformer2DModel",
        {
            "patch_size": 2,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "caption_channels": [24, 24],
            "text_emb_dim": 20,
            "num_routed_experts": 2,
            "axes_dims_rope": [8, 4, 4],
            "llama_layers": [0, 1],
        },
    ),
    "qwen_image": HostModel(
        "QwenImage",
        "ldm.qwen_image.model:QwenImageTransformer2DModel",
        {
            "in_channels": 16,
            "out_channels": 4,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 24,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "krea2": HostModel(
        "Krea2",
        "ldm.krea2.model:SingleStreamDiT",
        {
            "features": 64,
            "tdim": 16,
            "txtdim": 32,
            "heads": 4,
            "kvheads": 2,
            "layers": 2,
            "channels": 4,
            "txtlayers": 3,
            "txtheads": 2,
            "txtkvheads": 2,
        },
    ),
    "ideogram4": HostModel(
        "Ideogram4",
        "ldm.ideogram4.model:Ideogram4Transformer2DModel",
        {
            "in_channels": 8,
            "num_layers": 2,
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "intermediate_size": 56,
            "adaln_dim": 20,
            "llm_features_dim": 24,
            "mrope_section": (2, 3, 3),
        },
    ),
    "ernie": HostModel(
        "ErnieImage",
        "ldm.ernie.model:ErnieImageModel",
        {
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_layers": 2,
            "ffn_hidden_size": 56,
            "in_channels": 8,
            "out_channels": 8,
            "text_in_dim": 24,
            "rope_axes_dim": (4, 6, 6),
        },
    ),
    "anima": HostModel("Anima", "ldm.anima.model:Anima", _COSMOS2),
    "cogvideox": HostModel(
        "CogVideoX",
        "ldm.cogvideo.model:CogVideoXTransformer3DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "in_channels": 4,
            "out_channels": 4,
            "time_embed_dim": 20,
            "text_embed_dim": 24,
            "num_layers": 2,
            "sample_width": 4,
            "sample_height": 4,
            "sample_frames": 5,
            "max_text_seq_length": 6,
            "use_rotary_positional_embeddings": True,
        },
    ),
    "cosmos1": HostModel(
        "CosmosVideo",
        "ldm.cosmos.model:GeneralDIT",
        _COSMOS2
        | {
            "affline_emb_norm": True,
            "block_x_format": "THWBD",
            "extra_per_block_abs_pos_emb": True,
            "extra_per_block_abs_pos_emb_type": "learnable",
        },
    ),
    "cosmos_predict2": HostModel("CosmosPredict2", "ldm.cosmos.predict2:MiniTrainDIT", _COSMOS2),
    "kandinsky5": HostModel("Kandinsky5", "ldm.kandinsky5.model:Kandinsky5", _KANDINSKY),
    "kandinsky5_image": HostModel(
        "Kandinsky5Image",
        "ldm.kandinsky5.model:Kandinsky5",
        _KANDINSKY | {"visual_embed_dim": 16},
    ),
    "mochi": HostModel(
        "GenmoMochi",
        "ldm.genmo.joint_model.asymm_models_joint:AsymmDiTJoint",
        {
            "depth": 2,
            "num_heads": 2,
            "hidden_size_x": 192,
            "hidden_size_y": 96,
            "mlp_ratio_x": 4.0,
            "mlp_ratio_y": 4.0,
            "learn_sigma": False,
            "in_channels": 4,
            "qk_norm": True,
            "qkv_bias": False,
            "out_bias": True,
            "attn_drop": 0.0,
            "use_t5": True,
            "t5_feat_dim": 24,
            "t5_token_length": 6,
        },
    ),
    "omnigen2": HostModel(
        "Omnigen2",
        "ldm.omnigen.omnigen2:OmniGen2Transformer2DModel",
        {
            "in_channels": 4,
            "hidden_size": 48,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "num_attention_heads": 6,
            "num_kv_heads": 2,
            "multiple_of": 16,
            "axes_dim_rope": (2, 2, 4),
            "text_feat_dim": 24,
        },
    ),
    "ace_step": HostModel(
        "ACEStep",
        "ldm.ace.model:ACEStepTransformer2DModel",
        {
            "in_channels": 4,
            "num_layers": 2,
            "inner_dim": 32,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "mlp_ratio": 2.5,
            "out_channels": 4,
            "speaker_embedding_dim": 20,
            "text_embedding_dim": 24,
            "ssl_encoder_depths": [1, 1],
            "ssl_latent_dims": [28, 24],
            "lyric_encoder_vocab_size": 30,
            "lyric_hidden_size": 16,
        },
    ),
    "ace_step15": HostModel(
        "ACEStep15",
        "ldm.ace.ace_step15:AceStepConditionGenerationModel",
        {
            "in_channels": 24,
            "hidden_size": 32,
            "text_hidden_dim": 20,
            "timbre_hidden_dim": 12,
            "audio_acoustic_hidden_dim": 12,
            "num_dit_layers": 2,
            "num_lyric_layers": 1,
            "num_timbre_layers": 1,
            "num_tokenizer_layers": 1,
            "num_heads": 2,
            "num_kv_heads": 1,
            "head_dim": 16,
            "intermediate_size": 56,
            "fsq_dim": 32,
            "encoder_hidden_size": 32,
            "encoder_intermediate_size": 40,
            "encoder_num_heads": 2,
        },
        device="cpu",  # it looks at its numbers while it is built
    ),
    "stable_audio": HostModel(
        "StableAudio1",
        "ldm.audio.dit:AudioDiffusionTransformer",
        {
            "io_channels": 8,
            "embed_dim": 32,
            "cond_token_dim": 16,
            "global_cond_dim": 32,
            "depth": 2,
            "num_heads": 2,
            "audio_model": "dit1.0",
        },
    ),
    "lens": HostModel(
        "Lens",
        "ldm.lens.model:LensTransformer2DModel",
        {
            "in_channels": 16,
            "out_channels": 4,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "enc_hidden_dim": 24,
            "axes_dims_rope": (4, 6, 6),
            "selected_layer_index": (0, 1),
        },
    ),
    "boogu": HostModel(
        "Boogu",
        "ldm.boogu.model:BooguTransformer2DModel",
        {
            "in_channels": 4,
            "hidden_size": 48,
            "num_layers": 1,
            "num_double_stream_layers": 1,
            "num_refiner_layers": 1,
            "num_attention_heads": 6,
            "num_kv_heads": 2,
            "multiple_of": 16,
            "axes_dim_rope": (2, 2, 4),
            "instruction_feat_dim": 24,
        },
    ),
    "joyimage": HostModel(
        "JoyImage",
        "ldm.joyimage.model:JoyImageTransformer3DModel",
        {
            "in_channels": 4,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "text_dim": 24,
            "num_layers": 2,
            "rope_dim_list": [4, 6, 6],
        },
    ),
    "hunyuan3d2": HostModel(
        "Hunyuan3Dv2",
        "ldm.hunyuan3d.model:Hunyuan3Dv2",
        {
            "in_channels": 8,
            "context_in_dim": 24,
            "hidden_size": 32,
            "num_heads": 2,
            "depth": 1,
            "depth_single_blocks": 1,
        },
    ),
    "hunyuan3d21": HostModel(
        "Hunyuan3Dv2_1",
        "ldm.hunyuan3dv2_1.hunyuandit:HunYuanDiTPlain",
        {
            "in_channels": 8,
            "hidden_size": 32,
            "context_dim": 24,
            "depth": 3,
            "num_heads": 2,
            "num_moe_layers": 1,
            "num_experts": 2,
            "guidance_cond_proj_dim": None,
        },
    ),
}


def build(name: str) -> torch.nn.Module:
    """A model as the host's key map sees one: its class, its configuration and its denoiser."""
    row = MODELS[name]
    path, _, inside = row.module.partition(":")
    make = getattr(importlib.import_module(f"comfy.{path}"), inside)
    denoiser = make(
        **row.options,
        dtype=torch.float32,
        device=row.device,
        operations=comfy.ops.disable_weight_init,
    )
    kind = getattr(comfy.model_base, row.base)
    model = kind.__new__(kind)
    torch.nn.Module.__init__(model)
    model.diffusion_model = denoiser
    model.model_config = SimpleNamespace(unet_config=row.options)
    return model
