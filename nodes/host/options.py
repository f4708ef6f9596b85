"""What the host gives a model for one evaluation, as a live LoRA needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import torch
from comfy.patcher_extension import WrappersMP

POSE_CACHE: Final = "animate2_cache"
"""Where Wan-Animate 2 keeps its pose branch from the first step on (0.33)."""

TEXT_CACHE: Final = "qwen_image21_cache"
"""The option that says where Qwen-Image 2.1 keeps what it makes of text and pictures (read, not
run)."""


def without_caches(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``options`` with which a model computes all of itself at every step, since strengths
    change."""
    rest = {key: value for key, value in options.items() if key != POSE_CACHE}
    return rest | {TEXT_CACHE: {"device": "off"}}


def fresh_control(control: Any) -> Any:
    """Returns what a ControlNet gives, in new lists.

    The model takes entries out of the lists, and an evaluation may be repeated.
    """
    if not isinstance(control, dict):
        return control
    entries = cast("dict[str, Any]", control).items()
    return {key: [*value] if isinstance(value, list) else value for key, value in entries}


def is_compiled(model: torch.nn.Module, options: Mapping[str, Any]) -> bool:
    """Tells whether parts of a model are compiled, by the host's node or in place by others."""
    wrappers: Mapping[str, Any] = options.get("wrappers", {}).get(WrappersMP.APPLY_MODEL, {})
    return "torch.compile" in wrappers or any(
        "_orig_mod" in vars(m)["_modules"] or vars(m).get("_compiled_call_impl") is not None
        for m in model.modules()
    )
