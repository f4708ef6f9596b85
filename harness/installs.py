"""Finds ComfyUI: the oldest version that the pack supports, and a newer one.

Standard library only.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

OLDEST, NEWER = "0.28", "0.33"
"""The hosts that the tests run in."""


@dataclass(frozen=True)
class HostInstall:
    """A ComfyUI checkout and the Python that runs it."""

    path: Path
    python: Path
    version: str


@dataclass(frozen=True)
class _Place:
    """Where a host is looked for: what names it in the environment, and its usual folder."""

    path: str
    python: str
    folder: str
    skipped: str


_PLACES = {
    OLDEST: _Place("COMFYUI_PATH", "COMFYUI_PYTHON", "ComfyUI", "HOST TESTS"),
    NEWER: _Place(
        "COMFYUI_PATH_NEW", "COMFYUI_PYTHON_NEW", "ComfyUI-0.33", f"TESTS IN COMFYUI {NEWER}"
    ),
}

HOSTS = tuple(_PLACES)


def find_host(name: str = OLDEST) -> HostInstall | None:
    """Returns the install that the environment names, or the one at its usual place."""
    place = _PLACES[name]
    path = Path(os.environ.get(place.path) or Path.home() / "comfy" / place.folder)
    scripts = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    python = Path(os.environ.get(place.python) or path / ".venv" / scripts)
    version_file = path / "comfyui_version.py"
    if not (version_file.is_file() and python.is_file()):
        return None
    version = re.search(r'__version__ = "([^"]+)"', version_file.read_text(encoding="utf-8"))
    return HostInstall(path, python, version[1] if version else "unknown")


def environment_of(install: HostInstall) -> dict[str, str]:
    """Returns an environment in which our programs find ``install``."""
    place = _PLACES[OLDEST]
    return {place.path: str(install.path), place.python: str(install.python)}


def skip_notice(name: str = OLDEST) -> str | None:
    """Returns what a test run without a host must say at its end; None if there is one."""
    if find_host(name):
        return None
    place = _PLACES[name]
    return (
        f"{place.skipped} SKIPPED: no such ComfyUI found. Nothing ran in the real host. "
        f"Set {place.path} (and {place.python}, if it is not in PATH/.venv)."
    )
