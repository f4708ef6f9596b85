"""The packages that only this part needs."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Final

from lora_core.errors import LoraInputError

EXTRA: Final = "lora-algebra[render]"


def needed(name: str, by: str = "rendering", package: str = EXTRA) -> ModuleType:
    """Imports a module of a package that is not always there.

    Args:
        name: The module.
        by: What needs it.
        package: What brings it, for pip.

    Raises:
        LoraInputError: It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = error.name or name
        raise LoraInputError(
            f'{by} needs {missing}; install it with pip install "{package}".',
            key=missing,
            expected=missing,
            found="nothing",
        ) from error
