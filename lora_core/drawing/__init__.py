"""Pictures for people. Whoever draws needs Pillow, which ComfyUI has."""

from .heat_map import draw_analysis
from .lettering import Lettering, fitted

__all__ = ["Lettering", "draw_analysis", "fitted"]
