"""What a trainer's name for a layer means: a weight of the model, or some rows of one."""

from .architecture import Tokens
from .architectures import ARCHITECTURES, HEAD_BANKS, architecture_named
from .block_names import BlockNames
from .blocks import KINDS, PARTS, Layer, Layers
from .components import denoiser_architecture
from .model_names import ModelNames
from .possible import kin_of, possible_architectures
from .targets import Names, Part, Rows, Shape, Target, part_of
from .written_names import NAME_STYLES, NameStyle, WrittenName, WrittenNames

__all__ = [
    "ARCHITECTURES",
    "HEAD_BANKS",
    "KINDS",
    "NAME_STYLES",
    "PARTS",
    "BlockNames",
    "Layer",
    "Layers",
    "ModelNames",
    "NameStyle",
    "Names",
    "Part",
    "Rows",
    "Shape",
    "Target",
    "Tokens",
    "WrittenName",
    "WrittenNames",
    "architecture_named",
    "denoiser_architecture",
    "kin_of",
    "part_of",
    "possible_architectures",
]
