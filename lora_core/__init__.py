"""LoRA Algebra without ComfyUI: a LoRA is a value that you can scale, add, and apply to a model.

```python
look = 0.5 * load("ink.safetensors") + 1.0 * load("light.safetensors")
with applied(model, look) as report:
    print(report)
save_lora(look, "look.safetensors")
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .algebra import Recipe
    from .applying import applied, apply, load
    from .errors import LoraError, LoraFileError, LoraInputError, LoraMismatchError
    from .matching import Report
    from .workbench import analyse_loras, combine, extract_lora, resize, save_lora

__all__ = [
    "LoraError",
    "LoraFileError",
    "LoraInputError",
    "LoraMismatchError",
    "Recipe",
    "Report",
    "analyse_loras",
    "applied",
    "apply",
    "combine",
    "extract_lora",
    "load",
    "resize",
    "save_lora",
]

__version__ = "0.5.0"

_ROOMS: Final = {
    "algebra": ("Recipe",),
    "applying": ("applied", "apply", "load"),
    "errors": ("LoraError", "LoraFileError", "LoraInputError", "LoraMismatchError"),
    "matching": ("Report",),
    "workbench": ("analyse_loras", "combine", "extract_lora", "resize", "save_lora"),
}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first asked for: torch takes seconds, and an error's text needs none of it."""
    room = next((room for room, names in _ROOMS.items() if name in names), None)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{room}", __name__), name)
