"""LoRA Algebra without the host: a LoRA is a value to compute with.

look = 0.5 * load("ink.safetensors") + 1.0 * load("light.safetensors")
with applied(model, look) as report:
    print(report)
"""

from .apply import applied, apply, load
from .errors import LoraError, LoraFileError, LoraInputError, LoraMismatchError
from .recipe import Recipe
from .report import Report

__version__ = "0.5.0"

__all__ = [
    "LoraError",
    "LoraFileError",
    "LoraInputError",
    "LoraMismatchError",
    "Recipe",
    "Report",
    "applied",
    "apply",
    "load",
]
