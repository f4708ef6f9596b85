"""LoRA Algebra without the host: a LoRA is a value to compute with.

look = 0.5 * load("ink.safetensors") + 1.0 * load("light.safetensors")
with applied(model, look) as report:
    print(report)
"""

from .algebra import Recipe
from .applying import applied, apply, load
from .errors import LoraError, LoraFileError, LoraInputError, LoraMismatchError
from .matching import Report

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
