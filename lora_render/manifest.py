"""The table of what was made: one row for each item, one column for each parameter, as Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

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
    facts = _facts(rows, arrow)
    columns = {name: arrow.array(_sayable(values), kind) for name, values, kind in facts}
    for name in dict.fromkeys(name for entry in rows for name in entry.parameters):
        own = f"parameter {name}" if name in columns else name
        columns[_sayable(own)] = _parameter([entry.parameters.get(name) for entry in rows], arrow)
    with new_file(path) as new:
        parquet.write_table(arrow.table(columns), new)


def _facts(rows: Sequence[Entry], arrow: Any) -> list[tuple[str, list[Any], Any]]:
    """Returns the columns that every manifest has: name, values and type."""
    text, whole, real = arrow.string(), arrow.int64(), arrow.float64()
    file = [("node", text), ("kind", text), ("path", text), ("bytes", whole), ("sha256", text)]
    named = [("name", text), ("sha256", text)]
    lora = arrow.struct([("name", text), ("strength", real), ("strength_clip", real)])
    seed = _whole([seed for row in rows for seed in row.seeds], arrow)
    moment = arrow.timestamp("ms", tz="UTC")
    return [
        ("index", [row.index for row in rows], whole),
        ("key", [row.key for row in rows], text),
        ("status", [row.status for row in rows], text),
        ("files", [_files(row) for row in rows], arrow.list_(arrow.struct(file))),
        ("seeds", [_seeds(row, seed, arrow) for row in rows], arrow.list_(seed)),
        ("file_hashes", [_hashes(row) for row in rows], arrow.list_(arrow.struct(named))),
        ("loras", [[asdict(lora) for lora in row.loras] for row in rows], arrow.list_(lora)),
        ("prompt_hash", [row.prompt_hash for row in rows], text),
        ("base", [row.base for row in rows], text),
        ("recipe", [row.recipe for row in rows], text),
        ("seconds", [row.seconds for row in rows], real),
        ("started", [_moment(row.started) for row in rows], moment),
        ("finished", [_moment(row.finished) for row in rows], moment),
        ("worker", [row.worker for row in rows], text),
        ("attempts", [row.attempts for row in rows], whole),
        ("error", [row.error and row.error.message for row in rows], text),
        ("error_node", [row.error and row.error.node for row in rows], text),
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


def _hashes(row: Entry) -> list[dict[str, str]]:
    return [{"name": name, "sha256": each} for name, each in row.file_hashes.items()]


def _seeds(row: Entry, kind: Any, arrow: Any) -> list[Any]:
    return [str(seed) for seed in row.seeds] if kind == arrow.string() else [*row.seeds]


def _moment(seconds: float | None) -> int | None:
    """Returns seconds since 1970 as milliseconds."""
    return None if seconds is None else round(seconds * 1000)


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
        values = [None if value is None else _sayable(str(value)) for value in values]
    return arrow.array(values, kind)


def _sayable(value: Any) -> Any:
    """Returns a value whose texts can be written: JSON may hold halves of letters, which UTF-8 has not."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_sayable(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _sayable(each) for name, each in cast("dict[str, Any]", value).items()}
    return value


def _whole(values: Sequence[int], arrow: Any) -> Any:
    """Returns the type that holds whole numbers such as seeds exactly."""
    if all(-INT64 <= value < INT64 for value in values):
        return arrow.int64()
    return arrow.uint64() if all(0 <= value < UINT64 for value in values) else arrow.string()


def _is_exact(value: Scalar | None) -> bool:
    return not isinstance(value, int) or float(value) == value
