"""LoRA Algebra without ComfyUI: a LoRA is a value that you can scale, add, and apply to a model.

```python
look = 0.5 * load("ink.safetensors") + 1.0 * load("light.safetensors")
with applied(model, look) as report:
    print(report)
```
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

__version__ = "0.5.0"
