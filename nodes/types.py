"""The graph type of a recipe."""

from comfy_api.latest import io

from ..lora_core.recipe import Recipe

CATEGORY = "LoRA Algebra"


@io.comfytype(io_type="LORA_RECIPE")
class Lora(io.ComfyTypeIO):
    """A recipe, shown to people as LORA; other packs use that very name for other things."""

    Type = Recipe
