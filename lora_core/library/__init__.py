"""What is known about the user's files without applying them, and which file a name means."""

from .block_sizes import BlockSizes, block_sizes
from .facts import Facts, facts_of, stated_triggers
from .filenames import choose_name, close_names, folded
from .inspect import inspect_file
from .resolve import Asked, Found, resolve, warnings_of

__all__ = [
    "Asked",
    "BlockSizes",
    "Facts",
    "Found",
    "block_sizes",
    "choose_name",
    "close_names",
    "facts_of",
    "folded",
    "inspect_file",
    "resolve",
    "stated_triggers",
    "warnings_of",
]
