"""A LoRA as a value: recipes, their strengths, and what makes strengths vary.

No tensor is read here.
"""

from .block_weights import BlockWeights, read_blocks
from .curve import Curve
from .file_id import FileId
from .making import Making
from .mask import Mask
from .modifier import Moment
from .progress import progress_at
from .prompt import Prompt
from .recipe import Recipe
from .recipe_json import check_version
from .region import Region, regions_of
from .spread import Values, parse_list, parse_spread
from .strength import LARGEST_TYPED, NUMBER, exact_strength, typed_strength
from .term import Term, check_layers, strength_of

__all__ = [
    "LARGEST_TYPED",
    "NUMBER",
    "BlockWeights",
    "Curve",
    "FileId",
    "Making",
    "Mask",
    "Moment",
    "Prompt",
    "Recipe",
    "Region",
    "Term",
    "Values",
    "check_layers",
    "check_version",
    "exact_strength",
    "parse_list",
    "parse_spread",
    "progress_at",
    "read_blocks",
    "regions_of",
    "strength_of",
    "typed_strength",
]
