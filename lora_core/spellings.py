"""How a file writes a key: the module's name, then a suffix that says which tensor of it this is.

The suffixes are orthogonal to the names in front of them. To read another spelling, add a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NewType

FileKey = NewType("FileKey", str)
"""The name of one tensor in a file."""

Role = NewType("Role", str)
"""What a tensor is to its module: "up", "down", "alpha", …"""

SPELLINGS: Final[Mapping[str, str]] = {
    # kohya, LyCORIS, musubi, OneTrainer
    ".lora_up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_mid.weight": "mid",
    # peft, diffusers, ai-toolkit, SimpleTuner: their A is the down, their B the up
    ".lora_B.weight": "up",
    ".lora_A.weight": "down",
    # DiffSynth, and peft saved with its adapter's name
    ".lora_B.default.weight": "up",
    ".lora_A.default.weight": "down",
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
    ".alpha": "alpha",
    # full differences, by LyCORIS and the extraction tools
    ".diff": "diff",
    ".diff_b": "diff_b",
    ".set_weight": "set_weight",
    ".w_norm": "w_norm",
    ".b_norm": "b_norm",
    # told apart so that they can be refused by name: half a family would be a wrong image
    ".dora_scale": "dora_scale",
    ".lora_magnitude_vector": "dora_scale",
    ".lora_magnitude_vector.weight": "dora_scale",
    ".reshape_weight": "reshape_weight",
    ".lora_B.bias": "up_bias",
    ".lora_E": "lora_E",
    ".hada_w1_a": "hada_w1_a",
    ".hada_w1_b": "hada_w1_b",
    ".hada_w2_a": "hada_w2_a",
    ".hada_w2_b": "hada_w2_b",
    ".hada_t1": "hada_t1",
    ".hada_t2": "hada_t2",
    ".lokr_w1": "lokr_w1",
    ".lokr_w1_a": "lokr_w1_a",
    ".lokr_w1_b": "lokr_w1_b",
    ".lokr_w2": "lokr_w2",
    ".lokr_w2_a": "lokr_w2_a",
    ".lokr_w2_b": "lokr_w2_b",
    ".lokr_t2": "lokr_t2",
    ".a1.weight": "glora_a1",
    ".a2.weight": "glora_a2",
    ".b1.weight": "glora_b1",
    ".b2.weight": "glora_b2",
    ".oft_blocks": "oft_blocks",
    ".oft_R.weight": "oft_R",
    ".boft_R": "boft_R",
    ".boft_s": "boft_s",
    ".hra_u": "hra_u",
    ".ia3_l": "ia3_l",
    ".on_input": "on_input",
    ".vera_lambda_b": "vera_lambda_b",
    ".vera_lambda_d": "vera_lambda_d",
}

_LONGEST_FIRST: Final = tuple(sorted(SPELLINGS, key=len, reverse=True))


def split_key(key: str) -> tuple[str, Role] | None:
    """A file key as (module name, role), or None if its suffix is no known spelling.

    >>> split_key("lora_unet_mid_block.lora_up.weight")
    ('lora_unet_mid_block', 'up')
    """
    for suffix in _LONGEST_FIRST:
        if key.endswith(suffix) and len(key) > len(suffix):
            return key[: -len(suffix)], Role(SPELLINGS[suffix])
    return None


def group_keys(
    keys: Iterable[FileKey],
) -> tuple[dict[str, dict[Role, list[FileKey]]], list[FileKey]]:
    """The keys by module and role, and those of no known spelling.

    A role holds more than one key when the file spells it twice.
    """
    modules: dict[str, dict[Role, list[FileKey]]] = {}
    unknown: list[FileKey] = []
    for key in keys:
        split = split_key(key)
        if split is None:
            unknown.append(key)
        else:
            name, role = split
            modules.setdefault(name, {}).setdefault(role, []).append(key)
    return modules, unknown
