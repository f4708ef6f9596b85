"""Pictures for people. Whoever draws needs Pillow, which ComfyUI has."""

from .grid import Look, Words, draw_grid, frames_of, labels_of, near_square
from .heat_map import draw_analysis
from .lettering import Lettering, fitted

__all__ = [
    "Lettering",
    "Look",
    "Words",
    "draw_analysis",
    "draw_grid",
    "fitted",
    "frames_of",
    "labels_of",
    "near_square",
]
