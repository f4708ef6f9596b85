"""LoRAs by the host's nodes and by ours, from the same files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from lora_algebra.lora_core.algebra import Recipe

STRENGTH = 0.7


def use_folder(folder: Path) -> None:
    """Lets the host list the LoRAs of one more folder."""
    import folder_paths

    folder_paths.add_model_folder_path("loras", str(folder))


class HostChain:
    """The host's loaders, one after the other; each keeps the file that it has loaded last."""

    def __init__(self, names: Sequence[str]) -> None:
        from nodes import LoraLoaderModelOnly

        self._loaders = [(LoraLoaderModelOnly(), name) for name in names]

    def apply(self, model: ModelPatcher, strength: float = STRENGTH) -> ModelPatcher:
        for loader, name in self._loaders:
            (model,) = loader.load_lora_model_only(model, name, strength)
        return model


def host_bypass(model: ModelPatcher, path: Path, strength: float = STRENGTH) -> ModelPatcher:
    """Returns what the host's bypass loader gives; it can hold one LoRA, and a second one replaces
    the first."""
    import comfy.sd
    import comfy.utils

    lora = comfy.utils.load_torch_file(str(path), safe_load=True)
    return comfy.sd.load_bypass_lora_for_models(model, None, lora, strength, 0.0)[0]


def our_recipe(names: Sequence[str], strength: float = STRENGTH) -> Recipe:
    """Returns what LoRA File nodes and a Stack LoRAs node give."""
    from lora_algebra.lora_core.algebra import Recipe
    from lora_algebra.nodes.load_lora import LoadLoRA

    return Recipe.sum(LoadLoRA.execute(name, strength).args[0] for name in names)


def our_apply(recipe: Recipe, model: ModelPatcher, mode: Any = "merge") -> ModelPatcher:
    """Returns what an Apply LoRA To Model node gives."""
    from lora_algebra.nodes.host import apply_recipe

    applied, _, _ = apply_recipe(recipe, model, None, mode)
    if applied is None:
        raise RuntimeError("nothing came back")
    return applied
