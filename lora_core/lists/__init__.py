"""LoRAs as nodes and other packs list them: rows, tags, LORA_STACK, sweeps."""

from .block_presets import PRESETS, block_lines, elements, preset
from .block_sweep import Blocks, parse_blocks
from .block_vectors import from_block_select, from_vector
from .lora_stack import check_constant, listed, read_stack, written_stack
from .rows import (
    SIDES,
    Row,
    Side,
    active_rows,
    check_links,
    read_rows,
    rows_for,
    with_links,
)
from .sweep import ONE, Sweep, check_count, columns_of, headers, parse_values
from .sweep_each import PICKS, Pick, check_pick, each_alone, named_files, parse_seeds, picked
from .tags import ORDERS, Order, check_readable, hashes_line, read_tags, written_tags

__all__ = [
    "ONE",
    "ORDERS",
    "PICKS",
    "PRESETS",
    "SIDES",
    "Blocks",
    "Order",
    "Pick",
    "Row",
    "Side",
    "Sweep",
    "active_rows",
    "block_lines",
    "check_constant",
    "check_count",
    "check_links",
    "check_pick",
    "check_readable",
    "columns_of",
    "each_alone",
    "elements",
    "from_block_select",
    "from_vector",
    "hashes_line",
    "headers",
    "listed",
    "named_files",
    "parse_blocks",
    "parse_seeds",
    "parse_values",
    "picked",
    "preset",
    "read_rows",
    "read_stack",
    "read_tags",
    "rows_for",
    "with_links",
    "written_stack",
    "written_tags",
]
