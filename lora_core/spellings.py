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
    # What stands before a "|" has to be there, and belongs to the name all the same.
    # kohya, LyCORIS, musubi, OneTrainer
    ".lora_up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_mid.weight": "mid",
    # peft, diffusers, ai-toolkit, SimpleTuner: their A is the down, their B the up
    ".lora_B.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.bias": "up_bias",
    ".lora_embedding_B": "embedding_up",
    ".lora_embedding_A": "embedding_down",
    # Mochi
    ".lora_B": "up",
    ".lora_A": "down",
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
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    # full differences, by LyCORIS and the extraction tools
    ".diff": "diff",
    ".diff_b": "diff_b",
    ".set_weight": "set_weight",
    ".w_norm": "w_norm",
    ".b_norm": "b_norm",
    # Black Forest Labs' control LoRAs replace norms
    "_norm|.scale": "set_weight",
    ".reshape_weight": "reshape_weight",
    # LyCORIS
    ".hada_w1_a": "hada_w1_a",
    ".hada_w1_b": "hada_w1_b",
    ".hada_w2_a": "hada_w2_a",
    ".hada_w2_b": "hada_w2_b",
    ".hada_t1": "hada_t1",
    ".hada_t2": "hada_t2",
    ".lokr_w1": "lokr_w1",
    ".lokr_w1_a": "lokr_w1_a",
    ".lokr_w1_b": "lokr_w1_b",
    ".lokr_t1": "lokr_t1",
    ".lokr_w2": "lokr_w2",
    ".lokr_w2_a": "lokr_w2_a",
    ".lokr_w2_b": "lokr_w2_b",
    ".lokr_t2": "lokr_t2",
    ".a1.weight": "glora_a1",
    ".a2.weight": "glora_a2",
    ".b1.weight": "glora_b1",
    ".b2.weight": "glora_b2",
    ".bm.weight": "glora_bm",
    ".oft_blocks": "oft_blocks",
    ".rescale": "rescale",
    ".on_input": "on_input",
    # peft, and what OneTrainer adds to it
    ".lora_E": "lora_E",
    ".oft_R.weight": "oft_R",
    ".oft_R.scaled_oft": "scaled_oft",
    ".scaled_oft": "scaled_oft",
    ".boft_R": "boft_R",
    ".boft_s": "boft_s",
    ".hra_u": "hra_u",
    ".ia3_l": "ia3_l",
    ".vera_lambda_b": "vera_lambda_b",
    ".vera_lambda_d": "vera_lambda_d",
    ".vera_A": "vera_A",
    ".vera_B": "vera_B",
    ".delora_A": "delora_down",
    ".delora_B": "delora_up",
    ".delora_lambda": "delora_lambda",
    ".delora_w_norm": "delora_w_norm",
    ".miss_block": "miss_block",
    ".bone_block": "miss_block",
    # known so that they can be refused by name: half a family would be a wrong image
    ".lora_diag": "unread KaSA",
    ".q_layer.weight": "unread T-LoRA",
    ".p_layer.weight": "unread T-LoRA",
    ".lambda_layer": "unread T-LoRA",
    ".oft_r": "unread the OFT of early peft",
    ".fourierft_spectrum": "unread FourierFT",
    ".vblora_logits_A": "unread VB-LoRA",
    ".vblora_logits_B": "unread VB-LoRA",
    ".gralora_A": "unread GraLoRA",
    ".gralora_B": "unread GraLoRA",
    ".randlora_lambda": "unread RandLoRA",
    ".randlora_gamma": "unread RandLoRA",
    ".c3a_kernel": "unread C3A",
    ".shira_weight": "unread SHiRA",
    ".road_theta": "unread RoAd",
    ".ln_tuning_layers.weight": "unread LN tuning",
    ".ln_tuning_layers.bias": "unread LN tuning",
    ".oft_embedding_R.weight": "unread OFT of an embedding",
}

SHARED: Final = frozenset((Role("vera_A"), Role("vera_B")))
"""Tensors that stand once in a file, for all of its modules."""

_LONGEST_FIRST: Final = tuple(
    (suffix.replace("|", ""), len(suffix.partition("|")[2] or suffix), SPELLINGS[suffix])
    for suffix in sorted(SPELLINGS, key=len, reverse=True)
)
"""(suffix, how much of it is no part of the name, role)"""

SHORTEST: Final = min(len(suffix) for suffix, *_ in _LONGEST_FIRST)
_BY_ENDING: Final = {
    suffix[-SHORTEST:]: tuple(row for row in _LONGEST_FIRST if row[0].endswith(suffix[-SHORTEST:]))
    for suffix, *_ in _LONGEST_FIRST
}
"""The same by what a key can end with, so that a key is compared with few of them."""

# peft, not stripped of its adapter's name; DiffSynth
_ADAPTER: Final = re.compile(
    r"(\.(?:lora_[ABE]|lora_diag|lora_embedding_[AB]|lora_magnitude_vector|hada_[wt]\d(?:_[ab])?|lokr_[wt]\d(?:_[ab])?"
    r"|oft_R|boft_[Rs]|hra_u|ia3_l|vera_lambda_[bd]|vera_[AB]|(?:miss|bone)_block))"
    r"\.(?!weight$|bias$|scaled_oft$)[^.]+(\.weight|\.bias)?"
)

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
    return _split(plain) or _split(_without_adapter(plain))


def _unwrapped(key: str) -> str:
    """The key without the name that peft gives the layer inside its own."""
    return key.replace(".base_layer.", ".")


def _split(key: str) -> tuple[str, Role] | None:
    for suffix, length, role in _BY_ENDING.get(key[-SHORTEST:], ()):
        if key.endswith(suffix) and len(key) > len(suffix):
            return key[:-length], Role(role)
    return None


def _without_adapter(key: str) -> str:
    named = _ADAPTER.search(key)
    if named is None or named.end() != len(key):
        return key
    return key[: named.start()] + named[1] + (named[2] or "")


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
