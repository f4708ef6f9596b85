"""What is known about the user's files without applying them, and which file a name means."""

from .block_sizes import BlockSizes, block_sizes
from .entry import Entry, entry_of
from .facts import Facts, facts_of, stated_triggers
from .filenames import choose_name, close_names, folded
from .glance import Glance, glance_of, model_architecture
from .inspect import inspect_file
from .overview import News, Overview
from .resolve import Asked, Found, resolve, warnings_of
from .surroundings import Listed, find_listed

__all__ = [
    "Asked",
    "BlockSizes",
    "Entry",
    "Facts",
    "Found",
    "Glance",
    "Listed",
    "News",
    "Overview",
    "block_sizes",
    "choose_name",
    "close_names",
    "entry_of",
    "facts_of",
    "find_listed",
    "folded",
    "glance_of",
    "inspect_file",
    "model_architecture",
    "resolve",
    "stated_triggers",
    "warnings_of",
]
