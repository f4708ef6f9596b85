"""Modules of nodes/ that need no host, without those beside them, which do."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

NODES = Path(__file__).parents[1] / "nodes"
PACKAGE = "nodes_alone"


def node_module(name: str) -> ModuleType:
    """nodes/NAME.py, imported as a part of a package that holds no more than is asked for."""
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = [str(NODES)]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.{name}")
