"""LoRA Algebra without ComfyUI: a LoRA is a value that you can scale, add, and apply to a model.

```python
look = 0.5 * load("ink.safetensors") + 1.0 * load("light.safetensors")
with applied(model, look) as report:
    print(report)
save_lora(look, "look.safetensors")
```
"""

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
