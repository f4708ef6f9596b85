"""Regions: which part of a recipe is for which places and prompts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from .mask import Mask
from .modifier import Axis, Modifier
from .modulation import Modulation
from .prompt import Prompt
from .recipe import Recipe

WHERE: Final[frozenset[Axis]] = frozenset(("place", "prompt"))
"""The axes that tell regions apart."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where a part of a recipe acts: the product of masks, for some prompts.

    Attributes:
        masks: The masks; everywhere if there are none.
        prompts: The names that a conditioning must carry, all of them; any if there are none.
    """

    masks: tuple[Mask, ...] = ()
    prompts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, modifiers: Collection[Modifier]) -> Region:
        """Returns the region that some modifiers mean."""
        return cls(
            tuple(own for own in modifiers if isinstance(own, Mask)),
            frozenset(own.name for own in modifiers if isinstance(own, Prompt)),
        )


def regions_of(recipe: Recipe) -> dict[Region, Recipe]:
    """Divides what a recipe does to the denoiser into regions.

    Returns:
        For each region, the recipe of what acts there, without masks and prompts. Their sum, each
        times its region, is the recipe.
    """
    parts: dict[Region, Recipe] = {}
    for term in recipe.terms:
        shares = [(Modulation(), term.strength_model), *term.modulated]
        for modulation, strength in shares:
            where = [own for own in modulation.modifiers if own.axes <= WHERE]
            rest = Modulation(tuple(own for own in modulation.modifiers if own not in where))
            own = replace(
                term,
                strength_model=Fraction(0),
                strength_clip=Fraction(0),
                modulated=((rest, strength),),
            )
            region = Region.of(where)
            parts[region] = parts.get(region, Recipe()) + Recipe((own,))
    return {region: own for region, own in parts.items() if own}
