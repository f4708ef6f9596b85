"""The mathematics of every family of adapters: one module's tensors become deltas.

``registry.py`` lists the families, each of which has a ``Family`` in its own module. ``delta.py`` has what
they become.
"""

from .balance import UNBALANCED, balanced_pair, shifted
from .base_weight import CHUNK_ENTRIES, BaseWeight, sum_type
from .delta import Delta, Dense, Diagonal, LowRank, Replacement, Slot, Static
from .finite import BITS, COMPUTABLE, finite, largest_magnitude, largest_magnitudes
from .interleaved import ADAPTER, regrouped
from .linear_algebra import norm, numbers_of, qr, singular_values, svd, triangle
from .modules import read_module
from .number_range import Room, check_delta, room_of
from .registry import KEYS, PEFT_TYPES, SCALARS, SHARED
from .source import Source
from .unread import unread_family
from .weight_dependent import WeightDependent

__all__ = [
    "ADAPTER",
    "BITS",
    "CHUNK_ENTRIES",
    "COMPUTABLE",
    "KEYS",
    "PEFT_TYPES",
    "SCALARS",
    "SHARED",
    "UNBALANCED",
    "BaseWeight",
    "Delta",
    "Dense",
    "Diagonal",
    "LowRank",
    "Replacement",
    "Room",
    "Slot",
    "Source",
    "Static",
    "WeightDependent",
    "balanced_pair",
    "check_delta",
    "finite",
    "largest_magnitude",
    "largest_magnitudes",
    "norm",
    "numbers_of",
    "qr",
    "read_module",
    "regrouped",
    "room_of",
    "shifted",
    "singular_values",
    "sum_type",
    "svd",
    "triangle",
    "unread_family",
]
