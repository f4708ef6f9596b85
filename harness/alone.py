"""Imports modules of nodes/ that need no host, without the modules next to them that do."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
PACKAGES = {"alone": ROOT, "alone.nodes": ROOT / "nodes"}


def node_module(name: str) -> ModuleType:
    """Returns nodes/NAME.py, imported as part of a package that holds only what is asked for."""
    for package, folder in PACKAGES.items():
        if package not in sys.modules:
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = [str(folder)]
    return importlib.import_module(f"alone.nodes.{name}")
