"""Which architecture a component is, told by the weights that only it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from . import (
    ace_step,
    anima,
    auraflow,
    cascade,
    cogvideox,
    cosmos,
    flux,
    flux3,
    hunyuan_dit,
    hunyuan_video,
    ideogram,
    krea,
    ltx,
    lumina,
    minimax,
    mochi,
    pixart,
    qwen,
    sd3,
    stable_audio,
    svd,
    text_encoders,
    unet,
    wan,
)
from .tables import Paths, Shapes

_TABLES: Final[tuple[tuple[tuple[str, ...], Callable[[Shapes], Paths]], ...]] = (
    # (weights that only this original layout has, the paths diffusers and transformers give them)
    (("input_blocks.0.0.weight",), unet.paths),
    (("joint_blocks.0.x_block.attn.qkv.weight",), sd3.paths),
    (("txt_in.weight", "single_blocks.0.linear1.weight"), flux.paths),
    (("blocks.0.self_attn.q.weight", "head.head.weight"), wan.paths),
    (("double_layers.0.attn.w1q.weight",), auraflow.TABLE.paths),
    (("blocks.0.cross_attn.kv_linear.weight",), pixart.TABLE.paths),
    (("layers.0.attention.qkv.weight", "noise_refiner.0.attention.qkv.weight"), lumina.paths),
    (("txtfusion.projector.weight",), krea.TABLE.paths),
    (("embed_image_indicator.weight", "layers.0.attention.qkv.weight"), ideogram.TABLE.paths),
    (("mlp_t5.0.weight", "blocks.0.attn1.Wqkv.weight"), hunyuan_dit.TABLE.paths),
    (("down_blocks.0.0.channelwise.0.weight",), cascade.paths),
    (("llm_adapter.blocks.0.self_attn.q_proj.weight",), anima.paths),
    (("txt_mode_blocks.0.q_proj.weight", "single_blocks.0.mlp_in.weight"), flux3.paths),
    (("transformer_blocks.0.img_mlp.gate_up.weight",), qwen.TABLE.paths),
    # video, sound and space
    (("token_refiner.blocks.0.attn.qkv_proj.weight", "video_patch_proj.weight"), minimax.h3_paths),
    (("cond_layer_logits", "latent_conditioners.0.weight"), minimax.MUSIC3.paths),
    (("adaln_single.emb.timestep_embedder.linear_1.weight", "patchify_proj.weight"), ltx.paths),
    (("img_in.proj.weight", "double_blocks.0.img_attn.qkv.weight"), hunyuan_video.paths),
    (("blocks.0.norm1.linear.weight", "blocks.0.attn_out.weight"), cogvideox.TABLE.paths),
    (("blocks.block0.blocks.0.block.attn.to_q.0.weight",), cosmos.paths),
    (("blocks.0.adaln_modulation_self_attn.1.weight",), cosmos.PREDICT2.paths),
    (("t5_yproj.weight",), mochi.paths),
    (("transformer.project_in.weight", "timestep_features.weight"), stable_audio.OPEN.paths),
    (("transformer.global_cond_embedder.0.weight",), stable_audio.third_paths),
    (("decoder.layers.0.self_attn.q_proj.weight",), ace_step.paths),
    (("input_blocks.1.0.time_stack.in_layers.0.weight",), svd.paths),
    (("text_model.encoder.layers.0.self_attn.q_proj.weight",), text_encoders.clip_paths),
    (("encoder.layers.0.self_attn.q_proj.weight",), text_encoders.clip_paths),
    (("transformer.resblocks.0.attn.in_proj_weight",), text_encoders.open_clip_paths),
    (("model.embed_tokens.weight",), text_encoders.language_paths),
    (("model.language_model.embed_tokens.weight",), text_encoders.language_paths),
    (("language_model.model.embed_tokens.weight",), text_encoders.language_paths),
    (("language_model.embed_tokens.weight",), text_encoders.language_paths),
    (("embed_tokens.weight",), text_encoders.language_paths),
    (("bert.embeddings.word_embeddings.weight",), text_encoders.bert_paths),
)

_NAMES: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    # (weights that only this architecture has, its name), in the original layout and in diffusers'
    (("joint_blocks.0.x_block.attn.qkv.weight",), "SD3"),
    (("pos_embed.proj.weight", "transformer_blocks.0.attn.add_q_proj.weight"), "SD3"),
    (("distilled_guidance_layer.in_proj.weight", "img_in_patch.weight"), "Chroma Radiance"),
    (("distilled_guidance_layer.in_proj.weight",), "Chroma"),
    (("txt_mode_blocks.0.q_proj.weight", "single_blocks.0.mlp_in.weight"), "FLUX.3"),
    (("txt_mode_blocks.0.attn.to_q.weight",), "FLUX.3"),
    (("double_stream_modulation_img.lin.weight",), "Flux.2"),
    (("double_stream_modulation_img.linear.weight",), "Flux.2"),
    (("txt_norm.weight", "double_blocks.0.img_mlp.gate_proj.weight"), "Ovis-Image"),
    (("context_embedder_norm.weight", "timestep_embedder.linear_1.weight"), "Ovis-Image"),
    (("time_embed.timestep_embedder.linear_1.weight", "x_embedder.weight"), "LongCat-Image"),
    (("txt_in.weight", "double_blocks.0.img_mod.lin.weight", "vector_in.in_layer.weight"), "Flux"),
    (("txt_in.weight", "double_blocks.0.img_mod.lin.weight"), "LongCat-Image"),
    (("context_embedder.weight", "single_transformer_blocks.0.norm.linear.weight"), "Flux"),
    (("double_layers.0.attn.w1q.weight",), "AuraFlow"),
    (("joint_transformer_blocks.0.attn.add_q_proj.weight",), "AuraFlow"),
    (("blocks.0.cross_attn.kv_linear.weight",), "PixArt"),
    (("adaln_single.linear.weight", "pos_embed.proj.weight"), "PixArt"),
    (
        ("ref_image_patch_embedder.weight", "double_stream_layers.0.img_self_attn.to_q.weight"),
        "Boogu",
    ),
    (("ref_image_patch_embedder.weight",), "OmniGen2"),
    (("perceiver.latent_queries", "noise_refiner.0.attention.to_q.weight"), "FIBO 2"),
    (("layers.0.attention.qkv.weight", "layers.0.adaLN_modulation.1.weight"), "Lumina"),
    (("time_caption_embed.caption_embedder.1.weight", "layers.0.norm1.linear.weight"), "Lumina"),
    (("layers.0.attention.qkv.weight", "layers.0.adaLN_modulation.0.weight"), "Z-Image"),
    (("all_x_embedder.2-1.weight",), "Z-Image"),
    (("double_stream_blocks.0.block.attn1.to_q_t.weight",), "HiDream"),
    (
        ("transformer_blocks.0.img_mod.1.weight", "transformer_blocks.0.attn.to_q.weight"),
        "Qwen-Image",
    ),
    (("transformer_blocks.0.img_mod.1.weight", "transformer_blocks.0.attn.img_qkv.weight"), "Lens"),
    (("txtfusion.projector.weight",), "Krea 2"),
    (("text_fusion.projector.weight",), "Krea 2"),
    (("embed_image_indicator.weight",), "Ideogram 4"),
    (("layers.0.adaLN_sa_ln.weight", "text_proj.weight"), "ERNIE-Image"),
    (("mlp_t5.0.weight", "blocks.0.attn1.Wqkv.weight"), "HunyuanDiT"),
    (("time_extra_emb.pooler.q_proj.weight", "blocks.0.attn1.to_q.weight"), "HunyuanDiT"),
    (("down_blocks.0.0.channelwise.0.weight",), "Stable Cascade"),
    (
        ("double_blocks.0.attn.img_attn_qkv.weight", "condition_embedder.time_proj.weight"),
        "JoyImage",
    ),
    (("llm_adapter.blocks.0.self_attn.q_proj.weight",), "Anima"),
    (("blocks.0.self_attn.q.weight", "head.head.weight"), "Wan"),
    (("blocks.0.attn1.to_q.weight", "condition_embedder.time_proj.weight"), "Wan"),
    (("transformer_blocks.0.img_mlp.gate_up.weight", "modulation.1.weight"), "Qwen-Image 2.1"),
    (("transformer_blocks.0.img_mlp.gate_layer.weight", "modulation.1.weight"), "Qwen-Image 2.1"),
    # video, sound and space; what most resembles another comes before it
    (("token_refiner.blocks.0.attn.qkv_proj.weight", "video_patch_proj.weight"), "MiniMax-H3"),
    (("token_refiner.refiner_blocks.0.attn.to_q.weight", "audio_proj_in.weight"), "MiniMax-H3"),
    (("cond_layer_logits", "latent_conditioners.0.weight"), "MiniMax-Music 3"),
    (("preprocess_conv.weight", "transformer_blocks.0.ff_in.weight"), "MiniMax-Music 3"),
    (("img2shape.blocks.0.self_attn.to_qkv.weight",), "TRELLIS.2"),
    (("shape2txt.blocks.0.self_attn.to_qkv.weight",), "TRELLIS.2"),
    (("blocks.0.self_attn.to_q.weight", "head.head.weight"), "Wan"),
    (("adaln_single.linear.weight", "audio_patchify_proj.weight"), "LTX-2"),
    (("time_embed.linear.weight", "audio_proj_in.weight"), "LTX-2"),
    (("adaln_single.linear.weight", "patchify_proj.weight"), "LTX-Video"),
    (("time_embed.linear.weight", "transformer_blocks.0.attn1.norm_q.weight"), "LTX-Video"),
    (("txt_in.input_embedder.weight", "cond_type_embedding.weight"), "HunyuanVideo 1.5"),
    (("cond_type_embed.weight", "image_embedder.linear_1.weight"), "HunyuanVideo 1.5"),
    (("txt_in.input_embedder.weight", "byt5_in.fc1.weight"), "HunyuanImage 2.1"),
    (
        ("time_guidance_embed.timestep_embedder.linear_1.weight", "x_embedder.proj.weight"),
        "HunyuanImage 2.1",
    ),
    (("txt_in.input_embedder.weight", "vector_in.in_layer.weight"), "HunyuanVideo"),
    (
        ("context_embedder.proj_in.weight", "time_text_embed.text_embedder.linear_1.weight"),
        "HunyuanVideo",
    ),
    (("blocks.0.norm1.linear.weight", "blocks.0.attn_out.weight"), "CogVideoX"),
    (("patch_embed.text_proj.weight", "transformer_blocks.0.norm1.linear.weight"), "CogVideoX"),
    (("blocks.block0.blocks.0.block.attn.to_q.0.weight",), "Cosmos"),
    (("blocks.0.adaln_modulation_self_attn.1.weight",), "Cosmos-Predict2"),
    (("learnable_pos_embed.pos_emb_t", "time_embed.t_embedder.linear_1.weight"), "Cosmos"),
    (("patch_embed.proj.weight", "time_embed.t_embedder.linear_1.weight"), "Cosmos-Predict2"),
    (("visual_transformer_blocks.0.visual_modulation.out_layer.weight",), "Kandinsky 5"),
    (("t5_yproj.weight",), "Mochi"),
    (("time_embed.caption_proj.weight", "time_embed.pooler.to_kv.weight"), "Mochi"),
    (("transformer.global_cond_embedder.0.weight",), "Stable Audio 3"),
    (("transformer_blocks.0.to_scale_shift_gate",), "Stable Audio 3"),
    (("transformer.project_in.weight", "to_timestep_embed.0.weight"), "Stable Audio"),
    (("cross_attention_proj.0.weight", "global_proj.0.weight"), "Stable Audio"),
    (("decoder.layers.0.self_attn.q_proj.weight", "encoder.text_projector.weight"), "ACE-Step 1.5"),
    (("proj_in_conv.weight", "layers.0.cross_attn.to_q.weight"), "ACE-Step 1.5"),
    (("lyric_encoder.embed.out.0.weight", "genre_embedder.weight"), "ACE-Step"),
    (("vid_in.proj.weight", "blocks.0.ada.vid.attn_shift"), "SeedVR2"),
    (("latent_in.weight", "cond_in.weight"), "Hunyuan3D"),
    (
        ("x_embedder.weight", "blocks.0.attn1.k_norm.weight", "blocks.0.attn2.out_proj.weight"),
        "Hunyuan3D 2.1",
    ),
    (("cam_out_layer.weight", "repo_layers.0.final_map.weight"), "TripoSplat"),
    (("input_blocks.1.0.time_stack.in_layers.0.weight",), "Stable Video Diffusion"),
    (("down_blocks.0.resnets.0.temporal_res_block.conv1.weight",), "Stable Video Diffusion"),
)

# The UNets differ in size only: SDXL is told the picture's size, SD 1.5 is not.
_UNET: Final = ("input_blocks.0.0.weight", "down_blocks.0.resnets.0.conv1.weight")
_SIZE_EMBEDDING: Final = ("label_emb.0.0.weight", "add_embedding.linear_1.weight")
_CROSS_ATTENTION: Final = ".attn2.to_k.weight"
_OTHER_CONTEXT_WIDTHS: Final = (1024, 1280)
"""Of SD 2 and of SDXL's refiner."""


_MAGE_TEXT: Final = (2560,)


def other_paths(shapes: Shapes) -> Paths:
    """The paths that other layouts of a component give its weights."""
    for weights, paths in _TABLES:
        if _has_all(shapes, weights):
            yield from paths(shapes)


def architecture(shapes: Shapes) -> str | None:
    """The name of a denoiser's architecture, or None if it is not one that we know."""
    for weights, name in _NAMES:
        if _has_all(shapes, weights):
            return "Mage-Flow" if name == "Qwen-Image" and _is_mage(shapes) else name
    return _unet(shapes) if _has_any(shapes, _UNET) else None


def _is_mage(shapes: Shapes) -> bool:
    """Mage-Flow is built like Qwen-Image, but reads the text of a smaller language model."""
    return shapes.get("txt_norm.weight") == _MAGE_TEXT


def _unet(shapes: Shapes) -> str | None:
    if next(_context_widths(shapes), None) in _OTHER_CONTEXT_WIDTHS:
        return None
    return "SDXL" if _has_any(shapes, _SIZE_EMBEDDING) else "SD 1.5"


def _context_widths(shapes: Shapes) -> Iterator[int]:
    return (shape[-1] for key, shape in shapes.items() if key.endswith(_CROSS_ATTENTION))


def _has_all(shapes: Shapes, weights: tuple[str, ...]) -> bool:
    return all(weight in shapes for weight in weights)


def _has_any(shapes: Shapes, weights: tuple[str, ...]) -> bool:
    return any(weight in shapes for weight in weights)
