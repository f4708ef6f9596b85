"""MiniMax-H3 as DiffSynth-Studio trains it: q, k and v head by head in one layer.

The shards by its makers have the rows in this order, [q k v of head 0, q k v of head 1, …].
ComfyUI's checkpoints and all other trainers have all of q over all of k over all of v, under the
same names and in the same shape. A file of DiffSynth's is recognised because it keeps the name of
peft's adapter, which diffusers accepts, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ..errors import LoraMismatchError
from ..naming import Shape, Target
from .delta import Delta, LowRank

ADAPTER: Final = ".lora_B.default.weight"
"""How a key ends that keeps the name of peft's adapter."""

_FUSED: Final = "attn.qkv_proj"
_NORM: Final = "attn.q_norm.weight"
"""The norm next to it, which is as long as a head is wide."""


def regrouped(name: str, delta: Delta, target: Target, shapes: Mapping[str, Shape]) -> Delta:
    """Returns a delta of DiffSynth's with its rows in the model's order, and any other delta
    unchanged.

    Raises:
        LoraMismatchError: It is of a family whose rows cannot be put in another order.
    """
    root, fused, _ = target.key.partition(_FUSED)
    head = shapes.get(root + _NORM)
    if not (fused and name.endswith(_FUSED) and head) or target.rows is not None:
        return delta
    if not isinstance(delta, LowRank):
        raise LoraMismatchError(
            f"{name} stores q, k and v head by head, and {delta.text()} cannot be put in another order.",
            key=name,
            expected="a LoRA",
            found=delta.text(),
        )
    rows = (-1, 3, head[0], delta.up.shape[1])
    if len(delta.up) % (3 * head[0]):
        return delta  # it does not fit, and is refused later
    return replace(delta, up=delta.up.view(rows).transpose(0, 1).reshape(delta.up.shape))
