"""How a file writes a key: the module's name, then a suffix that says which tensor of it this is.

The suffixes are orthogonal to the names in front of them. To read another spelling, add a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NewType

FileKey = NewType("FileKey", str)
"""The name of one tensor in a file."""

Role = NewType("Role", str)
"""What a tensor is to its module: "up", "down", "alpha", …"""

SPELLINGS: Final[Mapping[str, str]] = {
    # What stands before a "|" has to be there, and belongs to the name all the same. At a "*", peft
    # has the name of the adapter in its own models: it strips it when it saves, others do not.
    # kohya, LyCORIS, musubi, OneTrainer
    ".lora_up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_mid.weight": "mid",
    # peft, diffusers, ai-toolkit, SimpleTuner: their A is the down, their B the up
    ".lora_B*.weight": "up",
    ".lora_A*.weight": "down",
    ".lora_B*.bias": "up_bias",
    ".lora_embedding_B*": "embedding_up",
    ".lora_embedding_A*": "embedding_down",
    # Mochi
    ".lora_B*": "up",
    ".lora_A*": "down",
    # diffusers' official SD 1.5 and SDXL saves
    ".lora.up.weight": "up",
    ".lora.down.weight": "down",
    # diffusers' old attention processors
    "_lora.up.weight": "up",
    "_lora.down.weight": "down",
    # diffusers' text encoders
    ".lora_linear_layer.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    # XLabs' and USO's processors: one for the image, two for the text
    "_lora1|.up.weight": "up",
    "_lora1|.down.weight": "down",
    "_lora2|.up.weight": "up",
    "_lora2|.down.weight": "down",
    ".alpha": "alpha",
    # DoRA, by LyCORIS and by peft
    ".dora_scale": "dora_scale",
    ".lora_magnitude_vector*": "magnitude",
    ".lora_magnitude_vector*.weight": "magnitude",
    # full differences, by LyCORIS and the extraction tools
    ".diff": "diff",
    ".diff_b": "diff_b",
    ".set_weight": "set_weight",
    ".set_bias": "set_bias",
    ".w_norm": "w_norm",
    ".b_norm": "b_norm",
    # Black Forest Labs' control LoRAs replace norms
    "_norm|.scale": "set_weight",
    ".reshape_weight": "reshape_weight",
    # LyCORIS
    ".hada_w1_a*": "hada_w1_a",
    ".hada_w1_b*": "hada_w1_b",
    ".hada_w2_a*": "hada_w2_a",
    ".hada_w2_b*": "hada_w2_b",
    ".hada_t1*": "hada_t1",
    ".hada_t2*": "hada_t2",
    ".lokr_w1*": "lokr_w1",
    ".lokr_w1_a*": "lokr_w1_a",
    ".lokr_w1_b*": "lokr_w1_b",
    ".lokr_t1*": "lokr_t1",
    ".lokr_w2*": "lokr_w2",
    ".lokr_w2_a*": "lokr_w2_a",
    ".lokr_w2_b*": "lokr_w2_b",
    ".lokr_t2*": "lokr_t2",
    ".a1.weight": "glora_a1",
    ".a2.weight": "glora_a2",
    ".b1.weight": "glora_b1",
    ".b2.weight": "glora_b2",
    ".bm.weight": "glora_bm",
    ".oft_blocks": "oft_blocks",
    ".rescale": "rescale",
    ".on_input": "on_input",
    # peft, and what OneTrainer adds to it
    ".lora_E*": "lora_E",
    ".oft_R*.weight": "oft_R",
    ".oft_R*.scaled_oft": "scaled_oft",
    ".scaled_oft*": "scaled_oft",
    ".boft_R*": "boft_R",
    ".boft_s*": "boft_s",
    ".hra_u*": "hra_u",
    ".ia3_l*": "ia3_l",
    ".vera_lambda_b*": "vera_lambda_b",
    ".vera_lambda_d*": "vera_lambda_d",
    ".vera_A*": "vera_A",
    ".vera_B*": "vera_B",
    ".delora_A*": "delora_down",
    ".delora_B*": "delora_up",
    ".delora_lambda*": "delora_lambda",
    ".delora_w_norm*": "delora_w_norm",
    ".miss_block*": "miss_block",
    ".bone_block*": "miss_block",
    # known so that they can be refused by name: half a family would be a wrong image
    ".q_layer.weight": "unread T-LoRA",
    ".p_layer.weight": "unread T-LoRA",
    ".lambda_layer": "unread T-LoRA",
    ".oft_r*": "unread the OFT of early peft",
}

UNREAD_WORDS: Final[Mapping[str, str]] = {
    # The same for what peft names itself, wherever in a key it stands: (how a part of the key
    # begins, its family). "poly_lora_A", "tinylora_v.0", "osf_svd_params.U_low", …
    "adamss_": "AdaMSS",
    "adaption_gate": "Adaption Prompt",
    "adaption_prompt": "Adaption Prompt",
    "beft_": "BEFT",
    "c3a_": "C3A",
    "deft_": "DEFT",
    "fourierft_": "FourierFT",
    "frod_": "FRoD",
    "glora_": "GLoRA as peft writes it",
    "gralora_": "GraLoRA",
    "hira_": "HiRA",
    "internal_xlora_": "X-LoRA",
    "lily_": "LILY",
    "ln_tuning_layers": "LN tuning",
    "lora_arrow": "Arrow",
    "lora_diag": "KaSA",
    "lora_monteclora_": "MonteCLoRA",
    "lora_velora_": "VeLoRA",
    "oft_embedding_": "OFT of an embedding",
    "osf_svd_": "OSF",
    "peanut_": "PEANuT",
    "poly_lora_": "Poly",
    "poly_router": "Poly",
    "prefix_task_": "Multitask Prompt Tuning",
    "prompt_embeddings": "a prompt (Prompt Tuning, P-Tuning, Prefix Tuning, CPT, Cartridge)",
    "psoft_": "PSOFT",
    "pvera_": "PVeRA",
    "randlora_": "RandLoRA",
    "road_alpha": "RoAd",
    "road_theta": "RoAd",
    "shadow_backbone": "Shadow",
    "shadow_down": "Shadow",
    "shadow_up": "Shadow",
    "shira_": "SHiRA",
    "supertuning_": "SuperTuning",
    "tinylora_": "TinyLoRA",
    "trainable_tokens_": "Trainable Tokens",
    "unilora_": "Uni-LoRA",
    "vblora_": "VB-LoRA",
    "waveft_": "WaveFT",
}

UNREAD: Final = "unread "
"""How the roles begin of families that are known by name only."""

SHARED: Final = frozenset((Role("vera_A"), Role("vera_B")))
"""Tensors that stand once in a file, for all of its modules."""

_LONGEST_FIRST: Final = tuple(
    (suffix, len(spelling.replace("*", "").partition("|")[2] or suffix), SPELLINGS[spelling])
    for suffix, spelling in sorted(
        ((each.replace("|", "").replace("*", ""), each) for each in SPELLINGS),
        key=lambda pair: len(pair[0]),
        reverse=True,
    )
)
"""(suffix, how much of it is no part of the name, role)"""

SHORTEST: Final = min(len(suffix) for suffix, *_ in _LONGEST_FIRST)
_BY_ENDING: Final = {
    suffix[-SHORTEST:]: tuple(row for row in _LONGEST_FIRST if row[0].endswith(suffix[-SHORTEST:]))
    for suffix, *_ in _LONGEST_FIRST
}
"""The same by what a key can end with, so that a key is compared with few of them."""

_NAMED: Final = tuple(each.split("*") for each in SPELLINGS if "*" in each)
_NAMED_SUFFIXES: Final = tuple("".join(ends) for ends in _NAMED)
_AFTER_NAMES: Final = frozenset(after for _, after in _NAMED if after)
"""What stands behind an adapter's name, where that is not the last of a key: ".weight", …"""

_UNREAD_WORD: Final = re.compile(rf"(?:^|\.)({'|'.join(map(re.escape, UNREAD_WORDS))})")

PEFT_PREFIX: Final = "base_model.model."
"""What peft puts in front of every name."""


def split_key(key: str) -> tuple[str, Role] | None:
    """A file key as (module name, role), or None if its suffix is no known spelling.

    >>> split_key("lora_unet_mid_block.lora_up.weight")
    ('lora_unet_mid_block', 'up')
    >>> split_key("blocks.0.q.lora_A.style.weight")
    ('blocks.0.q', 'down')
    """
    plain = _unwrapped(key)
    return _split(_without_adapter(plain)) or _split(plain) or _split_unread(plain)


def _unwrapped(key: str) -> str:
    """The key without the name that peft gives the layer inside its own."""
    return key.replace(".base_layer.", ".")


def _split(key: str) -> tuple[str, Role] | None:
    for suffix, length, role in _BY_ENDING.get(key[-SHORTEST:], ()):
        if key.endswith(suffix) and len(key) > len(suffix):
            return key[:-length], Role(role)
    return None


def _without_adapter(key: str) -> str:
    """The key without the adapter's name, if there is one where peft puts it; "" else."""
    path, dot, last = key.rpartition(".")
    after = dot + last
    if after in _AFTER_NAMES:
        path = path.rpartition(".")[0]
    else:
        after = ""
    plain = path + after
    return plain if plain.endswith(_NAMED_SUFFIXES) else ""


def _split_unread(key: str) -> tuple[str, Role] | None:
    found = _UNREAD_WORD.search(key)
    return found and (key[: found.start()] or key, Role(UNREAD + UNREAD_WORDS[found[1]]))


def group_keys(
    keys: Iterable[FileKey],
) -> tuple[dict[str, dict[Role, list[FileKey]]], list[FileKey]]:
    """The keys by module and role, and those of no known spelling.

    A role holds more than one key when the file spells it twice.
    """
    modules: dict[str, dict[Role, list[FileKey]]] = {}
    rest: list[FileKey] = []
    for key in keys:
        split = split_key(key)
        if split is None:
            rest.append(key)
        else:
            name, role = split
            modules.setdefault(name, {}).setdefault(role, []).append(key)
    return modules, _rest(modules, rest)


def _rest(modules: dict[str, dict[Role, list[FileKey]]], rest: list[FileKey]) -> list[FileKey]:
    """Takes keys that only mean something beside others; what is left means nothing."""
    of_peft = any(name.startswith(PEFT_PREFIX) for name in modules)
    unknown: list[FileKey] = []
    for key in rest:
        name, _, ending = _unwrapped(key).rpartition(".")
        role = None
        if ending == "weight" and "on_input" in modules.get(name, {}):
            role = "ia3_weight"
        elif of_peft and name.startswith(PEFT_PREFIX):
            # peft keeps whole layers and biases that were trained beside the adapters
            role = {"weight": "set_weight", "bias": "set_bias"}.get(ending)
        if role is None:
            unknown.append(key)
        else:
            modules.setdefault(name, {}).setdefault(Role(role), []).append(key)
    return unknown
