"""Step 1, read: the bytes of a file become checked modules, or the file is refused."""

from .base_model import MadeFor, base_by_names, base_of_file, made_for
from .content import shared_hashes
from .digests import Digests, digests_of, read_scalars
from .file_faults import (
    LARGEST_HEADER_BYTES,
    SNIFFED_BYTES,
    check_beginning,
    check_size,
    explain,
    header_end,
)
from .header import Head, identify, read_head
from .provenance import dialects_of, disagreement, stated_base, trainer_of
from .reader import FileCache, LoraFile, check_file, outline_of, read_file, shared_cache

__all__ = [
    "LARGEST_HEADER_BYTES",
    "SNIFFED_BYTES",
    "Digests",
    "FileCache",
    "Head",
    "LoraFile",
    "MadeFor",
    "base_by_names",
    "base_of_file",
    "check_beginning",
    "check_file",
    "check_size",
    "dialects_of",
    "digests_of",
    "disagreement",
    "explain",
    "header_end",
    "identify",
    "made_for",
    "outline_of",
    "read_file",
    "read_head",
    "read_scalars",
    "shared_cache",
    "shared_hashes",
    "stated_base",
    "trainer_of",
]
