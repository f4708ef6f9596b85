"""The table of what was made: one row for each item, one column for each parameter, as Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .extra import needed
from .item import Scalar
from .new_file import new_file

if TYPE_CHECKING:
    from .journal import Entry

INT64: Final = 2**63
UINT64: Final = 2**64


def write_manifest(entries: Sequence[Entry], path: Path) -> None:
    """Writes the manifest of ``entries``, in the order of the table.

    A parameter keeps the type that its values have; if they have several, it is text. Who reads the
    file meanwhile sees the old one or the new one, whole.

    Raises:
        LoraInputError: pyarrow is not installed.
        OSError: The file can't be written.
    """
    arrow = needed("pyarrow")
    parquet = needed("pyarrow.parquet")
    rows = sorted(entries, key=lambda entry: entry.index)
    columns = {name: arrow.array(values, kind) for name, values, kind in _facts(rows, arrow)}
    for name in dict.fromkeys(name for entry in rows for name in entry.parameters):
        own = f"parameter {name}" if name in columns else name
        columns[own] = _parameter([entry.parameters.get(name) for entry in rows], arrow)
    with new_file(path) as new:
        parquet.write_table(arrow.table(columns), new)


def _facts(rows: Sequence[Entry], arrow: Any) -> list[tuple[str, list[Any], Any]]:
    """Returns the columns that every manifest has: name, values and type."""
    text, whole, real = arrow.string(), arrow.int64(), arrow.float64()
    file = [("node", text), ("kind", text), ("path", text), ("bytes", whole), ("sha256", text)]
    model = [("name", text), ("sha256", text)]
    seed = [("input", text), ("seed", arrow.uint64())]
    return [
        ("index", [row.index for row in rows], whole),
        ("key", [row.key for row in rows], text),
        ("status", [row.status for row in rows], text),
        ("files", [_files(row) for row in rows], arrow.list_(arrow.struct(file))),
        (
            "seeds",
            [_pairs(row.seeds, "input", "seed") for row in rows],
            arrow.list_(arrow.struct(seed)),
        ),
        (
            "models",
            [_pairs(row.models, "name", "sha256") for row in rows],
            arrow.list_(arrow.struct(model)),
        ),
        ("prompt_sha256", [row.prompt_sha256 for row in rows], text),
        ("base", [row.base for row in rows], text),
        ("recipe", [row.recipe for row in rows], text),
        ("seconds", [row.seconds for row in rows], real),
        ("started_at", [row.started_at for row in rows], text),
        ("finished_at", [row.finished_at for row in rows], text),
        ("worker", [row.worker for row in rows], text),
        ("attempts", [row.attempts for row in rows], whole),
        ("error", [row.error for row in rows], text),
    ]


def _files(row: Entry) -> list[dict[str, Any]]:
    return [
        {
            "node": file.node,
            "kind": file.kind,
            "path": file.path,
            "bytes": file.bytes,
            "sha256": file.sha256,
        }
        for file in row.files
    ]


def _pairs(values: Mapping[str, Any], key: str, value: str) -> list[dict[str, Any]]:
    return [{key: name, value: each} for name, each in values.items()]


def _parameter(values: Sequence[Scalar | None], arrow: Any) -> Any:
    """Returns a column of the type that all values have, or of text."""
    kinds = {type(value) for value in values if value is not None}
    kind = arrow.string()
    if kinds == {bool}:
        kind = arrow.bool_()
    elif kinds == {int}:
        kind = _whole([value for value in values if isinstance(value, int)], arrow)
    elif kinds <= {int, float} and all(_is_exact(value) for value in values):
        kind = arrow.float64()
    if kind == arrow.string():
        values = [None if value is None else str(value) for value in values]
    return arrow.array(values, kind)


def _whole(values: Sequence[int], arrow: Any) -> Any:
    """Returns the type that holds whole numbers such as seeds exactly."""
    if all(-INT64 <= value < INT64 for value in values):
        return arrow.int64()
    return arrow.uint64() if all(0 <= value < UINT64 for value in values) else arrow.string()


def _is_exact(value: Scalar | None) -> bool:
    return not isinstance(value, int) or float(value) == value
