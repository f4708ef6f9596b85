"""What a trainer's name for a layer means: a weight of the model, or some rows of one."""

from .model_names import ModelNames
from .targets import Names, Part, Rows, Shape, Target, part_of

__all__ = [
    "ModelNames",
    "Names",
    "Part",
    "Rows",
    "Shape",
    "Target",
    "part_of",
]
