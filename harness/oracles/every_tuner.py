"""Every adapter that the installed peft can make, as small as it goes, saved as peft saves it."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

ADAPTER = "style"

OPTIONS: dict[str, dict[str, Any]] = {
    # what a config cannot do without
    "ADALORA": {"total_step": 10},
    "C3A": {"block_size": 4},
    "FOURIERFT": {"n_frequency": 9},
    "IA3": {"feedforward_modules": []},
    "MISS": {"r": 4},
    "PSOFT": {"r": 4},
    "ROAD": {"group_size": 2},
    "SHIRA": {"r": 2},
    "TRAINABLE_TOKENS": {"target_modules": ["tokens"], "token_indices": [1, 2]},
    "VBLORA": {"vector_length": 4, "num_vectors": 5, "r": 2},
    "WAVEFT": {"n_frequency": 9},
}

PROMPTS: dict[str, dict[str, Any]] = {
    # of language models only
    "ADAPTION_PROMPT": {"adapter_layers": 1, "adapter_len": 2},
    "CARTRIDGE": {"num_virtual_tokens": 3},
    "CPT": {"cpt_token_ids": [1, 2], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 1]},
    "MULTITASK_PROMPT_TUNING": {"num_virtual_tokens": 3, "num_tasks": 2},
    "PREFIX_TUNING": {"num_virtual_tokens": 3},
    "PROMPT_TUNING": {"num_virtual_tokens": 3},
    "P_TUNING": {"num_virtual_tokens": 3},
    "SHADOW": {},
}

WRITTEN: dict[str, dict[str, tuple[int, ...]]] = {
    # what cannot be made here, by peft's source: without scikit-learn, without adapters to route
    "ADAMSS": {
        "base_model.model.first.adamss_A.0": (4, 6),
        "base_model.model.first.adamss_B.0": (6, 4),
        "base_model.model.first.adamss_newB": (6, 16),
    },
    "XLORA": {"base_model.internal_xlora_classifier.layers.0.weight": (4, 16)},
}

VARIANTS: dict[str, list[dict[str, Any]]] = {
    # further options with further tensors; "of" says which layers
    "LORA": [
        {"use_dora": True},
        {"lora_bias": True},
        {"of": ["tokens"]},
        {"of": ["conv"]},
        {"of": ["conv"], "use_dora": True},
    ],
    "LOHA": [{"of": ["conv"], "use_effective_conv2d": True}],
    "LOKR": [
        {"of": ["wide"], "r": 1, "decompose_both": True},
        {"of": ["conv"], "r": 1, "use_effective_conv2d": True, "decompose_both": True},
    ],
    "GRALORA": [{"r": 4, "gralora_k": 2, "hybrid_r": 2}],
    "OFT": [{"of": ["tokens"]}],
    "PEANUT": [{"depth": 4}],
    "UNILORA": [{"save_indices": True}],
    "VBLORA": [{"save_only_topk_weights": True}],
}


class Net(nn.Module):
    """A layer of every kind that peft adapts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        self.wide = nn.Linear(32, 36)
        self.conv = nn.Conv2d(16, 18, 3)
        self.norm = nn.LayerNorm(16)
        self.tokens = nn.Embedding(9, 16)
        self.device, self.dtype = torch.device("cpu"), torch.float32


def every_type() -> list[str]:
    """Returns the names of peft's types, including those that our version has never heard of."""
    from peft import PeftType

    return [kind.name for kind in PeftType]


def tuners(kind: str) -> Iterator[Any]:
    """Yields a peft model for each set of options that we know of a type; none if it cannot be
    made."""
    if kind in WRITTEN:
        return
    if kind in PROMPTS:
        yield _wrapped(kind, _language_model(), task_type="CAUSAL_LM", **PROMPTS[kind])
        return
    for variant in ({}, *VARIANTS.get(kind, [])):
        yield tuner(kind, **variant)


def tuner(kind: str, *, of: Sequence[str] = ("first", "second"), **options: Any) -> Any:
    """Makes a peft model with these options, and those without which there is none."""
    return _wrapped(kind, Net(), **{"target_modules": [*of], **OPTIONS.get(kind, {}), **options})


def states(model: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Returns what peft saves of a model, and the same by the model's own names."""
    from peft import get_peft_model_state_dict

    kind = model.active_peft_config
    with _quiet():
        saved = get_peft_model_state_dict(model, adapter_name=ADAPTER, save_embedding_layers=False)
    inside = {k: v for k, v in model.state_dict().items() if ADAPTER in k.split(".")}
    return saved, {} if kind.is_prompt_learning else inside


def save(model: Any, folder: Path) -> Path:
    """Saves as ``save_pretrained`` does, with the config next to the file."""
    with _quiet():
        model.save_pretrained(str(folder), save_embedding_layers=False)
    return folder / ADAPTER / "adapter_model.safetensors"


def _wrapped(kind: str, base: nn.Module, **options: Any) -> Any:
    from peft import get_peft_model
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    with _quiet():
        config = PEFT_TYPE_TO_CONFIG_MAPPING[kind](**options)
        return get_peft_model(base, config, adapter_name=ADAPTER)


def _language_model() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=30, num_attention_heads=2, **sizes))


@contextmanager
def _quiet() -> Generator[None]:
    """Silences peft's warnings about models that are not transformers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
