"""New LoRA files from old ones, and what is in them."""

from .accuracy import Errors
from .analyse import Analysis, Cell, analyse, fights, plain
from .by_path import analyse_loras, combine, extract_lora, resize, save_lora
from .change import WeightOf
from .checkpoint import checkpoint
from .extract import Extracted, extract, extract_files
from .places import OTHER
from .save import DTYPES, EXACT, Format, Saved, save
from .source import Source
from .steps import Progress
from .words import words

__all__ = [
    "DTYPES",
    "EXACT",
    "OTHER",
    "Analysis",
    "Cell",
    "Errors",
    "Extracted",
    "Format",
    "Progress",
    "Saved",
    "Source",
    "WeightOf",
    "analyse",
    "analyse_loras",
    "checkpoint",
    "combine",
    "extract",
    "extract_files",
    "extract_lora",
    "fights",
    "plain",
    "resize",
    "save",
    "save_lora",
    "words",
]
