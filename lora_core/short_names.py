"""Short names of files, as people call them."""

from __future__ import annotations

from pathlib import PureWindowsPath
from typing import Final

SUFFIX: Final = ".safetensors"


def without_suffix(name: str) -> str:
    """Returns ``name`` without ".safetensors", as it is written in tags."""
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name


def base_name(name: str) -> str:
    """Returns ``name`` without its folders, whichever system's separators it uses."""
    return PureWindowsPath(name).name
