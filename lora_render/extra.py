"""The packages that only this part needs."""

from __future__ import annotations

import importlib
from types import ModuleType

from lora_core.errors import LoraInputError


def needed(name: str) -> ModuleType:
    """Imports a package of the extra ``render``.

    Raises:
        LoraInputError: It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise LoraInputError(
            f'rendering needs {package}; install it with pip install "lora-algebra[render]".',
            key=package,
            expected=package,
            found="nothing",
        ) from error
