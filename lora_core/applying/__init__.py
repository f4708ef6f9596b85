"""Step 4, apply: weights are changed, or branches are put next to their layers.

No file can make it fail.
"""

from .apply import applied, apply, load, model_of
from .bake import SCALES, bake
from .branches import Branch, Factor, takes_branch
from .latent_masks import on_latent
from .live import Gate, PlacesOf, Stack
from .places import Places, Scene
from .reach import Reach, Route, Seen, Watch

__all__ = [
    "SCALES",
    "Branch",
    "Factor",
    "Gate",
    "Places",
    "PlacesOf",
    "Reach",
    "Route",
    "Scene",
    "Seen",
    "Stack",
    "Watch",
    "applied",
    "apply",
    "bake",
    "load",
    "model_of",
    "on_latent",
    "takes_branch",
]
