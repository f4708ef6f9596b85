"""The table of pipelines: files saved by diffusers, against diffusers' own fused weights."""

from __future__ import annotations

import warnings

from lora_core.errors import LoraError

from .pipelines import CASES, PIPELINES, Row, measure
from .table import Section, number, table

MOST = 1e-12


def sections() -> list[Section]:
    """Returns the one table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [_row(case) for case in CASES]
    text = table(
        ["model", "saved by", "layers", "float64", "the same weights by"],
        [[r.name, r.pipeline, str(r.layers), r.problem or number(r.error), r.source] for r in rows],
    )
    return [Section("pipelines", text, gaps=tuple(filter(None, map(_gap, rows))))]


def _row(case: str) -> Row:
    try:
        return measure(case)
    except LoraError as error:
        return Row(case, PIPELINES[CASES[case][0]], 0, float("nan"), "", str(error))


def _gap(row: Row) -> str:
    if row.problem:
        return f"{row.name}: {row.problem}"
    return "" if row.error <= MOST else f"{row.name}: {row.error:.1e}"
