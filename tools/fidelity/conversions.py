"""Converts the host's layout of a model to diffusers', with diffusers' own code if it has some.

Its converters are for real checkpoints and contain some of their widths and depths; those constants
are replaced in their source. ComfyUI renames a few weights of the original checkpoints while it
loads them; here they get their original names back.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import torch
from diffusers.loaders import lora_conversion_utils, single_file_utils

from .dialects import ORIGINAL_HUNYUAN

Weights = dict[str, torch.Tensor]
Config = Mapping[str, Any]

IDENTITY: Final = "the names are the same"


class Conversion(NamedTuple):
    """One way from the host's layout to diffusers'.

    Attributes:
        source: The source that it relies on, for the table.
        convert: Returns the weights by diffusers' names, given the model's configuration there.
    """

    source: str
    convert: Callable[[Weights, Config], Weights]


def of(name: str) -> Conversion | None:
    """Returns the conversion of an architecture; None if diffusers has neither a conversion nor the
    same names."""
    return _CONVERSIONS.get(name)


def _single_file(
    function: str,
    *constants: tuple[str, str],
    renamed: Callable[[str], str] = lambda key: key,
    prefix: str = "",
) -> Conversion:
    """Returns diffusers' converter of a checkpoint, with some ``constants`` of its source replaced."""
    converter = _patched(function, constants)

    def convert(weights: Weights, config: Config) -> Weights:
        original = {prefix + renamed(key): value for key, value in weights.items()}
        return converter(original, config=config)

    return Conversion(f"{function} of diffusers", convert)


def _patched(function: str, constants: tuple[tuple[str, str], ...]) -> Callable[..., Weights]:
    original = getattr(single_file_utils, function)
    if not constants:
        return original
    source = inspect.getsource(original)
    for before, after in constants:
        if before not in source:
            raise LookupError(f"{function} of diffusers has no {before!r} any more")
        source = source.replace(before, after)
    names = dict(vars(single_file_utils))
    exec(source, names)  # noqa: S102 - the installed package's own code
    return names[function]


def _as_lora(function: str, inside: str = "", prefix: str = "", only: str = "") -> Conversion:
    """Returns diffusers' converter of LoRA files: a matrix is a LoRA with the identity as its down.

    Args:
        function: Its name.
        inside: The part of the model that is diffusers' model.
        prefix: What the converter expects before a name.
        only: The names it knows; the others are the same on both sides.
    """
    converter = getattr(lora_conversion_utils, function)
    up, down, weight = ".lora_B.weight", ".lora_A.weight", ".weight"

    def convert(weights: Weights, _: Config) -> Weights:
        lora: Weights = {}
        converted: Weights = {}
        for key, value in weights.items():
            path = key.removeprefix(inside).removesuffix(weight)
            if not (key.startswith(inside) and key.endswith(weight) and value.ndim == 2):
                continue
            if not path.startswith(only):
                converted[path + weight] = value
                continue
            lora[prefix + path + up] = value
            lora[prefix + path + down] = torch.eye(value.shape[1], dtype=value.dtype)
        found = converter(lora)
        for path in [key.removesuffix(up) for key in found if key.endswith(up)]:
            converted[path.removeprefix("transformer.") + weight] = (
                found[path + up] @ found[path + down]
            )
        return converted

    return Conversion(f"{function} of diffusers", convert)


def _scales(key: str) -> str:
    """Renames Black Forest Labs' and Chroma's norms."""
    return re.sub(r"(_norm|\.norms\.\d+)\.weight$", r"\1.scale", key)


def _tencent(key: str) -> str:
    path, _, end = key.rpartition(".")
    if path.endswith(("query_norm", "key_norm")):
        path = re.sub(r"(_attn)?\.norm\.(query|key)_norm", _tencent_norm, path)
    renamed = (re.sub(host, original, path) for host, original in ORIGINAL_HUNYUAN)
    return f"{next((name for name in renamed if name != path), path)}.{end}"


def _tencent_norm(found: re.Match[str]) -> str:
    return f"{(found[1] or '') + ('_' if found[1] else '.')}{found[2][0]}_norm"


def _same(weights: Weights, _: Config) -> Weights:
    return dict(weights)


def _ldm(weights: Weights, config: Config) -> Weights:
    """Converts a UNet: the converter expects the checkpoint's prefix, and its configuration as a
    dict."""
    return single_file_utils.convert_ldm_unet_checkpoint(
        {f"model.diffusion_model.{key}": value for key, value in weights.items()}, dict(config)
    )


_LDM: Final = Conversion("convert_ldm_unet_checkpoint of diffusers", _ldm)
_SD3: Final = _single_file("convert_sd3_transformer_checkpoint_to_diffusers")
_WAN: Final = _single_file("convert_wan_transformer_to_diffusers")
_COSMOS: Final = _single_file("convert_cosmos_transformer_checkpoint_to_diffusers", prefix="net.")
_SAME: Final = Conversion(IDENTITY, _same)

_CONVERSIONS: Final[dict[str, Conversion]] = {
    **dict.fromkeys(("sd15", "sd20", "sdxl", "sdxl_refiner"), _LDM),
    **dict.fromkeys(("sd3", "sd35m"), _SD3),
    **dict.fromkeys(("wan_t2v", "wan_i2v", "wan_vace"), _WAN),
    **dict.fromkeys(("cosmos1", "cosmos_predict2"), _COSMOS),
    **dict.fromkeys(("hidream", "qwen_image", "kandinsky5", "kandinsky5_image"), _SAME),
    "flux": _single_file(
        "convert_flux_transformer_checkpoint_to_diffusers",
        ("inner_dim = 3072", "inner_dim = 32"),
        renamed=_scales,
    ),
    "flux2": _single_file("convert_flux2_transformer_checkpoint_to_diffusers", renamed=_scales),
    "chroma": _single_file(
        "convert_chroma_transformer_checkpoint_to_diffusers",
        ("inner_dim = 3072", "inner_dim = 32"),
        renamed=_scales,
    ),
    "auraflow": _single_file("convert_auraflow_transformer_checkpoint_to_diffusers"),
    "ltxv": _single_file("convert_ltx_transformer_checkpoint_to_diffusers"),
    "ltxav": _single_file("convert_ltx2_transformer_to_diffusers"),
    "hunyuan_video": _single_file(
        "convert_hunyuan_video_transformer_to_diffusers",
        ("hidden_size = 3072", "hidden_size = 32"),
        renamed=_tencent,
    ),
    "mochi": _single_file(
        "convert_mochi_transformer_checkpoint_to_diffusers", ("num_layers = 48", "num_layers = 2")
    ),
    "lumina2": _single_file(
        "convert_lumina2_to_diffusers",
        ("q_dim = 2304", "q_dim = 48"),
        ("v_dim = 768", "v_dim = 16"),
    ),
    "z_image": _single_file("convert_z_image_transformer_checkpoint_to_diffusers"),
    "krea2": _single_file("convert_krea2_transformer_checkpoint_to_diffusers"),
    "ernie": _single_file("convert_ernie_image_transformer_checkpoint_to_diffusers"),
    "ideogram4": _as_lora("_convert_non_diffusers_ideogram4_lora_to_diffusers", only="layers."),
    "anima": _as_lora("_convert_non_diffusers_anima_lora_to_diffusers", prefix="diffusion_model."),
    "ace_step15": _as_lora("_convert_non_diffusers_ace_step_lora_to_diffusers", inside="decoder."),
}
