"""ComfyUI's own text encoders, small and without memory, put together as its checkpoints do."""

from __future__ import annotations

import importlib
from typing import Any

import comfy.ops
import torch

_CLIP = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "intermediate_size": 56,
    "hidden_act": "quick_gelu",
    "max_position_embeddings": 7,
    "vocab_size": 20,
    "eos_token_id": 19,
}
_CLIP_G = _CLIP | {"hidden_size": 40, "intermediate_size": 72, "hidden_act": "gelu"}
_T5 = {
    "num_layers": 2,
    "d_model": 32,
    "d_kv": 12,
    "num_heads": 2,
    "d_ff": 56,
    "dense_act_fn": "gelu_pytorch_tanh",
    "is_gated_act": True,
    "model_type": "t5",
    "vocab_size": 20,
}
_BERT = {
    "hidden_size": 32,
    "layer_norm_eps": 1e-12,
    "vocab_size": 20,
    "max_position_embeddings": 8,
    "type_vocab_size": 2,
    "pad_token_id": 0,
    "num_hidden_layers": 2,
    "intermediate_size": 56,
    "num_attention_heads": 2,
}
_LLM = {
    "vocab_size": 20,
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}

Kind = tuple[str, dict[str, Any]]
CLIP_L: Kind = ("clip_model:CLIPTextModel", _CLIP)
CLIP_G: Kind = ("clip_model:CLIPTextModel", _CLIP_G)
T5: Kind = ("text_encoders.t5:T5", _T5)
UMT5: Kind = ("text_encoders.t5:T5", _T5 | {"model_type": "umt5"})
BERT: Kind = ("text_encoders.bert:BertModel", _BERT)
QWEN3: Kind = ("text_encoders.llama:Qwen3_06B", _LLM)
LLAMA: Kind = ("text_encoders.llama:Llama2", _LLM)
QWEN25: Kind = ("text_encoders.llama:Qwen25_3B", _LLM)

TEXTS: dict[str, dict[str, Kind]] = {
    "sd15": {"clip_l": CLIP_L},
    "sd20": {"clip_h": CLIP_G},
    "sdxl": {"clip_l": CLIP_L, "clip_g": CLIP_G},
    "sdxl_refiner": {"clip_g": CLIP_G},
    "stable_cascade_c": {"clip_g": CLIP_G},
    "sd3": {"clip_l": CLIP_L, "clip_g": CLIP_G, "t5xxl": T5},
    "flux": {"clip_l": CLIP_L, "t5xxl": T5},
    "hunyuan_dit": {"hydit_clip": BERT, "mt5xl": T5},
    "hunyuan_video": {"clip_l": CLIP_L, "llama": LLAMA},
    "auraflow": {"pile_t5xl": T5},
    "ltxv": {"t5xxl": T5},
    "wan_t2v": {"umt5xxl": UMT5},
    "anima": {"qwen3_06b": QWEN3},
    "z_image": {"qwen3_4b": QWEN3},
    "omnigen2": {"qwen25_3b": QWEN25},
}


def build_texts(name: str) -> torch.nn.Module:
    """Returns the text encoders of one architecture, named as the host names them."""
    model = torch.nn.Module()
    for root, (kind, options) in TEXTS[name].items():
        path, _, inside = kind.partition(":")
        make = getattr(importlib.import_module(f"comfy.{path}"), inside)
        wrapper = torch.nn.Module()
        wrapper.transformer = make(options, torch.float32, "meta", comfy.ops.disable_weight_init)
        model.add_module(root, wrapper)
    return model
