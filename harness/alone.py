"""Imports modules of nodes/ that need no host, without the modules next to them that do."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

NODES = Path(__file__).parents[1] / "nodes"
PACKAGE = "nodes_alone"


def node_module(name: str) -> ModuleType:
    """Returns nodes/NAME.py, imported as part of a package that holds only what is asked for."""
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = [str(NODES)]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.{name}")
