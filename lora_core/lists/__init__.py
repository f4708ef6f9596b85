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
from .sweep import ONE, check_count, columns_of, headers, parse_values, sweep
from .tags import ORDERS, Order, check_readable, hashes_line, read_tags, written_tags

__all__ = [
    "ONE",
    "ORDERS",
    "PRESETS",
    "SIDES",
    "Blocks",
    "Order",
    "Row",
    "Side",
    "active_rows",
    "block_lines",
    "check_constant",
    "check_count",
    "check_links",
    "check_readable",
    "columns_of",
    "elements",
    "from_block_select",
    "from_vector",
    "hashes_line",
    "headers",
    "listed",
    "parse_blocks",
    "parse_values",
    "preset",
    "read_rows",
    "read_stack",
    "read_tags",
    "rows_for",
    "sweep",
    "with_links",
    "written_stack",
    "written_tags",
]
