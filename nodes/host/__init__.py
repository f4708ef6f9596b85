"""All code that touches ComfyUI's models and folders: files, views of models, applying, live."""

from .apply import apply_recipe
from .files import (
    Library,
    content_of,
    current,
    find_lora,
    listed_states,
    lora_names,
    resolve_lora,
)

__all__ = [
    "Library",
    "apply_recipe",
    "content_of",
    "current",
    "find_lora",
    "listed_states",
    "lora_names",
    "resolve_lora",
]
