"""Refuses what only a run can know: strengths that depend on steps, images, places or prompts."""

from __future__ import annotations

from ..algebra import Recipe
from ..errors import LoraInputError


def refuse_varying(recipe: Recipe, what: str) -> None:
    """Refuses a recipe of which some strengths vary (LoraInputError); ``what`` has no place for
    them."""
    for term in recipe.terms:
        for modulation, _ in term.modulated:
            if modulation.needs_live:
                raise LoraInputError(
                    f"{term.file.name} is {modulation}, and {what} has no place for that. "
                    "Take it off first.",
                    key="lora",
                    expected="strengths and block weights",
                    found=str(modulation),
                )
