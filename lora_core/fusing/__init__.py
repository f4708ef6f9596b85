"""Step 3, fuse: all that a stack adds to one weight becomes one patch, added in one pass."""

from .fuse import Patch, fuse, resolved
from .merge import merge_, merged, wider_shape

__all__ = [
    "Patch",
    "fuse",
    "merge_",
    "merged",
    "resolved",
    "wider_shape",
]
