"""The JSON form of one file of a recipe; read, it may come from anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TypeVar

from ..errors import LoraInputError
from ..strict_json import Json
from .course import Course
from .curve import Curve
from .file_id import FileId
from .spread import Range
from .strength import bounded, read_strength, written
from .term import Term, Varying

T = TypeVar("T", str, int)


def written_term(term: Term) -> dict[str, Json]:
    """What ``read_term`` reads."""
    file = term.file
    entry: dict[str, Json] = {
        "path": file.path,
        "mtime_ns": file.mtime_ns,
        "size": file.size,
        "inode": file.inode,
        "name": file.name,
        "beside": file.beside,
        "model": written(term.model),
        "clip": written(term.clip),
    }
    return entry | ({"varying": written_varying(term.varying)} if term.varying else {})


def written_varying(varying: Varying) -> Json:
    return [
        {
            "strength": written(strength),
            "curves": [_written_curve(curve) for curve in course.curves],
            "spread": [written(value) for value in course.spread],
            **_written_ranges(course),
        }
        for course, strength in varying
    ]


def _written_ranges(course: Course) -> dict[str, Json]:
    """Nothing without any, so that all else is written as before there were ranges."""
    ranges: list[Json] = [
        {"first": written(each.first), "last": written(each.last)} for each in course.ranges
    ]
    return {"ranges": ranges} if ranges else {}


def read_term(entry: Json) -> Term:
    """The term that is written as ``entry``; LoraInputError if it is none."""
    if not isinstance(entry, dict):
        raise LoraInputError("a term of a recipe must be an object", found=type(entry).__name__)
    path, name = (_field(entry, key, str) for key in ("path", "name"))
    mtime_ns, size, inode = (_field(entry, key, int) for key in ("mtime_ns", "size", "inode"))
    beside = _field(entry, "beside", int) if "beside" in entry else 0
    file = FileId(path, mtime_ns, size, inode, name, beside)
    varying = tuple(map(_read_varying, _objects(entry, "varying")))
    return Term(file, read_strength(entry, "model"), read_strength(entry, "clip"), varying)


def _written_curve(curve: Curve) -> Json:
    return {"curve": str(curve), "start": written(curve.start), "end": written(curve.end)}


def _read_varying(entry: dict[str, Json]) -> tuple[Course, Fraction]:
    """With constant curves and ranges where they belong, in the strength."""
    curves = [*map(_read_curve, _objects(entry, "curves"))]
    ranges = [*map(_read_range, _objects(entry, "ranges"))]
    constants = [each.constant for each in (*curves, *ranges) if each.constant is not None]
    varying = tuple(sorted(curve for curve in curves if curve.constant is None))
    open_ = tuple(sorted(each for each in ranges if each.constant is None))
    spread = tuple(
        bounded(read_strength({"spread": value}, "spread")) for value in _list(entry, "spread")
    )
    strength = math.prod(constants, start=read_strength(entry, "strength"))
    return Course(varying, spread, open_), strength


def _read_curve(entry: dict[str, Json]) -> Curve:
    start, end = (float(read_strength(entry, key)) for key in ("start", "end"))
    return Curve.parse(_field(entry, "curve", str), start, end)


def _read_range(entry: dict[str, Json]) -> Range:
    return Range(*(bounded(read_strength(entry, key)) for key in ("first", "last")))


def _objects(entry: dict[str, Json], key: str) -> Iterator[dict[str, Json]]:
    for item in _list(entry, key):
        if not isinstance(item, dict):
            raise _misplaced(key, "a list of objects", type(item).__name__)
        yield item


def _list(entry: dict[str, Json], key: str) -> list[Json]:
    value = entry.get(key, [])
    if not isinstance(value, list):
        raise _misplaced(key, "a list", type(value).__name__)
    return value


def _field(entry: dict[str, Json], key: str, kind: type[T]) -> T:
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _misplaced(key, kind.__name__, type(value).__name__)
    return value


def _misplaced(key: str, expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f"a term of a recipe needs {key} as {expected}, found {found}",
        key=key,
        expected=expected,
        found=found,
    )
