"""All code that touches ComfyUI's models and folders: files, views of models, applying, live."""

from .apply import apply_for_prompts, apply_recipe
from .files import (
    MODEL_KINDS,
    Library,
    content_of,
    current,
    find_lora,
    find_model,
    listed_files,
    listed_states,
    lora_names,
    resolve_lora,
)
from .keep import analyse_recipe, extract_recipe, save_recipe
from .regions import named

__all__ = [
    "MODEL_KINDS",
    "Library",
    "analyse_recipe",
    "apply_for_prompts",
    "apply_recipe",
    "content_of",
    "current",
    "extract_recipe",
    "find_lora",
    "find_model",
    "listed_files",
    "listed_states",
    "lora_names",
    "named",
    "resolve_lora",
    "save_recipe",
]
