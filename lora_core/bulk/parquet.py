"""Tables as Parquet, by pyarrow: the only part that needs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ..errors import LoraInputError
from .columns import COLUMNS, Row


def check_parquet() -> None:
    """Refuses if pyarrow is not installed (LoraInputError)."""
    if importlib.util.find_spec("pyarrow") is None:
        raise LoraInputError(
            'A .parquet file needs pyarrow. Install it with: pip install "lora-algebra[render]" '
            "Without it, tables are written as .csv or .jsonl.",
            key="out",
            expected="pyarrow",
            found="nothing",
        )


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Writes rows into a new file."""
    import pyarrow  # pyright: ignore[reportMissingTypeStubs]
    from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]

    arrow = cast(Any, pyarrow)
    types = {
        "text": arrow.string(),
        "whole": arrow.int64(),
        "number": arrow.float64(),
        "truth": arrow.bool_(),
        "texts": arrow.list_(arrow.string()),
    }
    schema = arrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    table = arrow.Table.from_pylist(list(rows), schema=schema)
    cast(Any, parquet).write_table(table, path, compression="zstd")


def read_parquet(path: Path) -> list[Mapping[str, Any]]:
    """Reads rows; ValueError if it is no Parquet, or a table of something else."""
    from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]

    with path.open("rb") as file:
        table = cast(Any, parquet).ParquetFile(file).read()
    if not {"path", "state"} <= {*table.column_names}:
        raise ValueError("not a table of files")
    return table.to_pylist()
