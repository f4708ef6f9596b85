"""What Anima adds to Cosmos-Predict2: an adapter of its text, which diffusers keeps apart."""

from __future__ import annotations

from typing import Final

from .tables import Paths, Shapes, native_path
from .targets import Target

_HERE: Final = "llm_adapter."
_DIFFUSERS: Final = "text_conditioner."


def paths(shapes: Shapes) -> Paths:
    """The diffusers paths of the adapter."""
    for key in shapes:
        if key.startswith(_HERE):
            yield _DIFFUSERS + native_path(key).removeprefix(_HERE), Target(key)
