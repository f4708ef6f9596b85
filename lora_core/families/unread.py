"""Families that are known so that they can be refused by name: half a family would give a wrong
image."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "T-LoRA": (".q_layer.weight", ".p_layer.weight", ".lambda_layer"),
    "the OFT of early peft": (".oft_r*",),
}
"""A family → the suffixes of its keys, as in ``Family.spellings``."""

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "AdaMSS": ("adamss_",),
    "Adaption Prompt": ("adaption_gate", "adaption_prompt"),
    "BEFT": ("beft_",),
    "C3A": ("c3a_",),
    "DEFT": ("deft_",),
    "FourierFT": ("fourierft_",),
    "FRoD": ("frod_",),
    "GLoRA as peft writes it": ("glora_",),
    "GraLoRA": ("gralora_",),
    "HiRA": ("hira_",),
    "X-LoRA": ("internal_xlora_",),
    "LILY": ("lily_",),
    "LN tuning": ("ln_tuning_layers",),
    "Arrow": ("lora_arrow",),
    "KaSA": ("lora_diag",),
    "MonteCLoRA": ("lora_monteclora_",),
    "VeLoRA": ("lora_velora_",),
    "OFT of an embedding": ("oft_embedding_",),
    "OSF": ("osf_svd_",),
    "PEANuT": ("peanut_",),
    "Poly": ("poly_lora_", "poly_router"),
    "Multitask Prompt Tuning": ("prefix_task_",),
    "a prompt (Prompt Tuning, P-Tuning, Prefix Tuning, CPT, Cartridge)": ("prompt_embeddings",),
    "PSOFT": ("psoft_",),
    "PVeRA": ("pvera_",),
    "RandLoRA": ("randlora_",),
    "RoAd": ("road_alpha", "road_theta"),
    "Shadow": ("shadow_backbone", "shadow_down", "shadow_up"),
    "SHiRA": ("shira_",),
    "SuperTuning": ("supertuning_",),
    "TinyLoRA": ("tinylora_",),
    "Trainable Tokens": ("trainable_tokens_",),
    "Uni-LoRA": ("unilora_",),
    "VB-LoRA": ("vblora_",),
    "WaveFT": ("waveft_",),
}
"""A family of peft's → how the parts of its keys begin, anywhere in a key: "poly_lora_A",
"tinylora_v.0", "osf_svd_params.U_low", …"""

_MARK: Final = "unread "


def unread_roles(table: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Turns a table of this module around: what marks a family → the role of its tensors."""
    return {mark: _MARK + family for family, marks in table.items() for mark in marks}


@lru_cache(maxsize=256)  # it is asked for every tensor, and there are few roles
def unread_family(role: str) -> str | None:
    """Returns the family of a role of ``unread_roles``; None for any other role."""
    return role.removeprefix(_MARK) if role.startswith(_MARK) else None
