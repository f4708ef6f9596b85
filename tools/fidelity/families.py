"""The table of families: how far each adapter's change, ours and the host's, is from its trainer's
own."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file

import lora_core
from harness.oracles import CASES, Case, Made
from harness.oracles.measure import TOLERANCES, measure
from lora_core.errors import LoraError

from .host import ask_host
from .table import Section, number, table

HOST_STRENGTHS: Final = (1.0, 0.5)
ROUNDINGS: Final = 0.51
"""Allowed steps for a bfloat16 weight: a half is the rounding itself; the sum is formed in float32."""

FLOAT32: Final = 2.0**-21
"""A few roundings of the float32 sum, which count where weight and change nearly cancel."""

DROPS: Final = "drops it"


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        errors: The relative error of the delta in float64 and float32.
        roundings: How far a bfloat16 weight is from the exact sum, in its own last place.
        problem: Why there are no errors, or what else is wrong.
        refused: Whether the problem is a refusal that says why.
        host: The result of the host's loader: an error, or words.
    """

    case: Case
    errors: Mapping[torch.dtype, float]
    roundings: float | None
    problem: str
    refused: bool
    host: str | float = "not run"

    @property
    def gap(self) -> str:
        """What is wrong with our result; empty if nothing is."""
        if self.problem:
            return "" if self.refused else f"{self.case}: {self.problem}"
        high = [
            f"{d}: {self.errors[d]:.1e}" for d, most in TOLERANCES.items() if self.errors[d] > most
        ]
        if self.roundings is not None and self.roundings > ROUNDINGS:
            high.append(f"bfloat16: {self.roundings:.2f} roundings")
        return f"{self.case}: {', '.join(high)}" if high else ""


def sections() -> list[Section]:
    """Returns the table of families, short for a page and long for printing."""
    with _quiet(), tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
        made = [_question(case, Path(folder) / str(i)) for i, case in enumerate(CASES)]
        answer = pool.submit(ask_host, "families", [question for question, _ in made])
        rows = [_row(case, Path(folder) / f"{i}-ours") for i, case in enumerate(CASES)]
        answers = answer.result()
        if answers is not None:
            rows = [
                Row(
                    r.case,
                    r.errors,
                    r.roundings,
                    r.problem,
                    r.refused,
                    _theirs(question, adapter, *a),
                )
                for r, (question, adapter), a in zip(rows, made, answers, strict=True)
            ]
    gaps = tuple(row.gap for row in rows if row.gap)
    return [Section("families", _short(rows), _long(rows), gaps)]


@contextlib.contextmanager
def _quiet() -> Any:
    """Silences the oracles, which print a lot."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)


def _row(case: Case, folder: Path) -> Row:
    errors: dict[torch.dtype, float] = {}
    try:
        for dtype in TOLERANCES:
            errors[dtype] = measure(case, _fresh(folder / str(dtype)), dtype)
        roundings = _roundings(case, _fresh(folder / "bfloat16"))
    except LoraError as error:
        return Row(case, {}, None, str(error), refused=True)
    except AssertionError as error:
        return Row(case, {}, None, str(error) or "an assertion", refused=False)
    return Row(case, errors, roundings, "", refused=False)


def _fresh(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _roundings(case: Case, folder: Path) -> float:
    """Returns how far the weights are from the exact sum, if file and weights are bfloat16."""
    made = case.build(folder, 0, torch.bfloat16)
    weights = {key: value.clone() for key, value in made.weights.items()}
    lora_core.apply(weights, lora_core.load(made.file))
    return max(_last_places(made, weights, key) for key in made.delta)


def _last_places(made: Made, weights: Mapping[str, torch.Tensor], key: str) -> float:
    """Returns the largest distance in last places, less what float32 may lose while it adds."""
    base, delta = made.weights[key].double(), made.delta[key]
    exact = base + delta
    _, exponent = torch.frexp(exact)
    place = torch.ldexp(torch.ones_like(exact), exponent - 8)  # of 8 significant bits
    lost = FLOAT32 * (base.abs() + delta.abs())
    distance = (weights[key].double() - exact).abs() - lost
    return float((distance.clamp_min(0) / place).max())


# --- the host's side ------------------------------------------------------------------------------


def _question(case: Case, folder: Path) -> tuple[dict[str, Any], Made]:
    made = case.build(_fresh(folder), 0, torch.float32)
    weights = folder / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in made.weights.items()}, weights)
    results = {str(s): str(folder / f"{s}.safetensors") for s in HOST_STRENGTHS}
    return {"adapter": str(made.file), "weights": str(weights), "results": results}, made


def _theirs(question: Mapping[str, Any], made: Made, patches: int, error: str) -> str | float:
    """Returns the host's largest error, or why there is none."""
    if error:
        return "error"
    if not patches:
        return DROPS
    worst = 0.0
    for strength, path in question["results"].items():
        after = load_file(path)
        for key, delta in made.delta.items():
            wanted = float(strength) * delta
            change = after[key].double() - made.weights[key].double()
            worst = max(worst, float((change - wanted).norm() / wanted.norm()))
    return worst


# --- tables ---------------------------------------------------------------------------------------


def _long(rows: Iterable[Row]) -> str:
    headers = ["family", "oracle", "layer", "variant", "float64", "float32", "bfloat16", "ComfyUI"]
    return table(headers, [[*_names(row), *_numbers([row]), _host([row])] for row in rows])


def _short(rows: Iterable[Row]) -> str:
    """Returns one row for each family and oracle: the worst of its cases."""
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.case.family, row.case.oracle].append(row)
    headers = ["family", "oracle", "cases", "float64", "float32", "bfloat16", "ComfyUI"]
    return table(
        headers,
        [[*key, str(len(group)), *_numbers(group), _host(group)] for key, group in groups.items()],
    )


def _names(row: Row) -> list[str]:
    return [row.case.family, row.case.oracle, row.case.kind, row.case.variant or "-"]


def _numbers(rows: list[Row]) -> list[str]:
    done = [row for row in rows if not row.problem]
    if not done:
        return ["refused" if rows[0].refused else "fails", "", ""]
    worst = [number(max(row.errors[dtype] for row in done)) for dtype in TOLERANCES]
    return [*worst, f"{max(row.roundings or 0 for row in done):.2f} ulp"]


def _host(rows: list[Row]) -> str:
    """Returns the worst error of those that the host loads, and how many it does not load."""
    errors = [row.host for row in rows if isinstance(row.host, float)]
    words = [row.host for row in rows if isinstance(row.host, str)]
    parts = [number(max(errors))] if errors else []
    for word in dict.fromkeys(words):
        count = words.count(word)
        parts.append(word if count == len(rows) else f"{word} ({count})")
    return ", ".join(parts)
