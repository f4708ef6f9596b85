"""The short names of files, as people call them."""

from __future__ import annotations

from pathlib import PureWindowsPath
from typing import Final

SUFFIX: Final = ".safetensors"


def without_suffix(name: str) -> str:
    """``name`` as it is written in tags."""
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name


def base_name(name: str) -> str:
    """``name`` without its folders, in the spelling of any system."""
    return PureWindowsPath(name).name
