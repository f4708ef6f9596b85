"""What Anima adds to Cosmos-Predict2: an adapter for its text, which diffusers keeps in a separate
module."""

from __future__ import annotations

from typing import Final

from . import cosmos
from .architecture import Architecture, BlockList, Layout, has
from .tables import Paths, Shapes, native_path
from .targets import Target

_HERE: Final = "llm_adapter."
_DIFFUSERS: Final = "text_conditioner."


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of the adapter."""
    for key in shapes:
        if key.startswith(_HERE):
            yield _DIFFUSERS + native_path(key).removeprefix(_HERE), Target(key)


_SIGN: Final = has("llm_adapter.blocks.0.self_attn.q_proj.weight")

ANIMA: Final = Architecture(
    "Anima",
    signs=(_SIGN,),
    layouts=(Layout((_SIGN,), paths), cosmos.LAYOUT_PREDICT2),
    stated=("anima",),
    kin="Cosmos-Predict2",
    blocks=(
        BlockList("adapter", ("llm_adapter.blocks.", "text_conditioner.blocks.")),
        *cosmos.BLOCKS,
    ),
    tokens=cosmos.TOKENS,
)
