"""New LoRA files from old ones, and what is in them."""

from .accuracy import Errors
from .change import WeightOf
from .save import DTYPES, EXACT, Format, Saved, Source, save

__all__ = ["DTYPES", "EXACT", "Errors", "Format", "Saved", "Source", "WeightOf", "save"]
