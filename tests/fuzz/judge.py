"""One file after the other: read, planned, merged and put beside layers, and judged.

A refusal is one line that a LoraError says before anything is computed; else all that comes out is finite.
Whatever else happens is a fault of ours.
"""

from __future__ import annotations

import resource
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random

import torch

from lora_core import LoraError, LoraFileError, Recipe, load
from lora_core.algebra.curve import Curve
from lora_core.algebra.modifier import Moment
from lora_core.algebra.spread import Spread
from lora_core.algebra.term import strength_of
from lora_core.applying.live import Gate, Stack
from lora_core.families.base_weight import sum_type
from lora_core.fusing.fuse import fuse
from lora_core.fusing.merge import merged
from lora_core.matching.match import WeightTerm
from lora_core.matching.plan import Plan, make_plan
from lora_core.reading.reader import FileCache

from .grammar import Draft, Part, draw
from .model import DTYPES, TARGETS, example, model, net
from .mutations import mutate
from .oracle import expected, is_close
from .written import written

STRENGTHS = (1, 1, 1, -0.5, 0.25, 3, 100, 1e10, 1e25, 1e-20)
LONGEST = 500
IN_MEMORY = "/dev/shm"  # noqa: S108 (a folder of its own in it)

Weights = dict[str, torch.Tensor]


CURVE = Curve.parse("0:1, 0.5:-2, 1:30")
SPREAD = Spread((Fraction(1), Fraction(-2)))


class FaultError(Exception):
    """What must not happen."""


@dataclass
class Case:
    """One file, on a model of some type, at some strength.

    Attributes:
        weights: Those that change, with all of it in them.
    """

    draft: Draft
    dtype: torch.dtype
    strength: float
    summary: Summary
    weights: Weights = field(default_factory=dict)
    cache: FileCache = field(default_factory=FileCache)

    @property
    def is_known(self) -> bool:
        """Whether there is an oracle for it, and a strength that leaves digits of both sides."""
        return self.draft.sound and 0.1 < abs(self.strength) < 10 and bool(self.weights)

    @property
    def eps(self) -> float:
        """The steps of the weights' type, or of the file's, which some sums are formed in."""
        return max(torch.finfo(self.dtype).eps, 2**-24)


@dataclass
class Summary:
    """What became of all files.

    Attributes:
        outcomes: How many by class.
        faults: What must not have happened, by the file's number.
        compared: With an oracle.
        families: How many were applied, of each.
        slowest: (seconds, number) of the file that took longest.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[int, str] = field(default_factory=dict)
    compared: int = 0
    families: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)

    def add(self, other: Summary) -> None:
        """Those of other files."""
        self.outcomes += other.outcomes
        self.families += other.families
        self.faults |= other.faults
        self.compared += other.compared
        self.slowest = max(self.slowest, other.slowest)

    def lines(self) -> list[str]:
        """As a person reads it."""
        kinds = Counter(text.split(":")[0] for text in self.faults.values())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        told = [f"{count:>9,}  {what}" for what, count in self.outcomes.most_common()]
        return [
            *told,
            f"{self.compared:>9,}  compared with an oracle",
            f"largest memory of the process {memory:,} MiB",
            f"slowest {1000 * self.slowest[0]:.0f} ms (file {self.slowest[1]})",
            f"not finite {kinds['not finite']}, other exceptions {kinds['exception']}, "
            f"wrong {kinds['wrong']}, messages {kinds['message']}",
            *(f"  file {number}: {text}" for number, text in sorted(self.faults.items())[:20]),
        ]


def run(numbers: range, seed: int) -> Summary:
    """Judges the files of these numbers, in memory where the system has a folder there."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if Path(IN_MEMORY).is_dir() else None) as folder:
        return _run(numbers, seed, Path(folder))


def _run(numbers: range, seed: int, folder: Path) -> Summary:
    summary = Summary()
    for number in numbers:
        started = time.perf_counter()
        try:
            outcome = judge(Random(f"{seed} {number}"), folder, summary)
        except FaultError as fault:
            outcome = f"FAULT {fault}".split(":")[0]
            summary.faults[number] = str(fault)
        except Exception as error:  # noqa: BLE001 (that is the question)
            outcome = f"FAULT exception {type(error).__name__}"
            place = traceback.extract_tb(error.__traceback__)[-1]
            summary.faults[number] = (
                f"exception: {type(error).__name__} {str(error)[:150]!r} at {place.filename}:{place.lineno}"
            )
        summary.outcomes[outcome] += 1
        summary.slowest = max(summary.slowest, (time.perf_counter() - started, number))
    return summary


def draft_of(dice: Random) -> Draft:
    """The next file."""
    draft = draw(dice)
    mutate(dice, draft)
    return draft


def judge(dice: Random, folder: Path, summary: Summary) -> str:
    """What becomes of one file."""
    draft = draft_of(dice)
    path = written(draft, folder)
    case = Case(draft, dice.choice(DTYPES), dice.choice(STRENGTHS), summary)
    try:
        recipe = load(path, case.strength)
    except LoraError as error:
        return _refused(error, "while its header is read")
    try:
        plan = make_plan(recipe, [model(case.dtype)], case.cache)
    except LoraFileError as error:
        return _refused(error, "while it is read")
    except LoraError as error:
        outcome = _refused(error, "before it is merged")
    else:
        outcome = "applied"
        case.weights |= _merged(plan, case.dtype)
        summary.families.update(
            f for r in plan.files for m in r.modules.values() for f in m.families
        )
        _compare(case)
    return f"{outcome}, {_live(dice, recipe, case)} live"


def _refused(error: LoraError, when: str) -> str:
    text = str(error)
    if len(text) >= LONGEST or len(text.splitlines()) != 1:
        raise FaultError(
            f"message: of {len(text)} characters, {len(text.splitlines())} lines: {text[:80]!r}"
        )
    return f"{type(error).__name__} {when}"


def _merged(plan: Plan, dtype: torch.dtype) -> Weights:
    """The weights that change."""
    (own,) = plan.models
    weight_terms = own.merged
    return {key: _changed(key, own, dtype) for key, own in weight_terms.items()}


def _changed(key: str, weight_terms: tuple[WeightTerm, ...], dtype: torch.dtype) -> torch.Tensor:
    weight = net(dtype).get_parameter(key).detach().clone()
    changed = merged(weight, fuse(weight_terms, sum_type(dtype)))
    if not changed.isfinite().all():
        raise FaultError(f"not finite: {key} in {dtype}, merged")
    return changed


def _live(dice: Random, recipe: Recipe, case: Case) -> str:
    """The same beside the layers, as far as they take it, perhaps varying: "applied" or "refused"."""
    varied = dice.choice((recipe, recipe, recipe, recipe.scheduled(CURVE), recipe.spread(SPREAD)))
    try:
        plan = make_plan(varied, [model(case.dtype)], case.cache, mode="live")
    except LoraError as error:
        _refused(error, "")
        return "refused"
    beside = _merged(plan, case.dtype)
    live_terms = plan.models[0].live
    if live_terms:
        stack = Stack(live_terms, model(case.dtype).shapes, case.dtype)
        for layer, output in _outputs(stack, varied, beside, case.dtype).items():
            if not output.isfinite().all():
                raise FaultError(f"not finite: {layer} in {case.dtype}, live")
            if varied is recipe:
                _compare_live(case, layer, output)
    return "applied"


def _outputs(stack: Stack, recipe: Recipe, beside: Weights, dtype: torch.dtype) -> Weights:
    """What the layers give with branches, and with ``beside`` in their weights."""
    gate, layers = Gate(), net(dtype)
    terms = {term.file: term for term in recipe.terms}
    gate.rows = stack.gate_rows(lambda file, _: strength_of(terms[file], Moment(0.5)))
    handles = stack.attach(layers.get_submodule, gate)
    try:
        names = {key.rpartition(".")[0] for key in stack.files_by_key}
        return {name: _output(name, beside, dtype) for name in names}
    finally:
        for handle in handles:
            handle.remove()


def _output(layer: str, weights: Weights, dtype: torch.dtype) -> torch.Tensor:
    own = {key.split(".")[1]: value for key, value in weights.items() if key.split(".")[0] == layer}
    return torch.func.functional_call(net(dtype)[layer], own, (example(layer, dtype),))


# with an oracle


def _compare(case: Case) -> None:
    """With what the formulas say."""
    if not case.is_known:
        return
    for part in case.draft.parts:
        key, rows = _place(part)
        if part.name in ("halves", "whole") or key not in case.weights:
            continue
        base = net(case.dtype).get_parameter(key).detach().double()
        own = base if rows is None else base.narrow(0, *rows)
        delta = expected(part, own)
        if delta is None:
            continue
        found = case.weights[key] if rows is None else case.weights[key].narrow(0, *rows)
        size = float(own.abs().max() + 100 * (delta.abs().max() + _spread(part)))
        if not is_close(found, own + case.strength * delta.reshape(own.shape), size, case.eps):
            raise FaultError(f"wrong: {part.family} on {part.name} in {case.dtype}")
        case.summary.compared += 1


def _compare_live(case: Case, layer: str, output: torch.Tensor) -> None:
    """With the layer that has all of it in its weights."""
    if not case.is_known or case.dtype not in (torch.float32, torch.float64):
        return
    wanted = _output(layer, case.weights, case.dtype).double()
    changed = [value for key, value in case.weights.items() if key.startswith(f"{layer}.")]
    size = 1000 * float(max(value.abs().max() for value in [wanted, *changed]))
    if not is_close(output, wanted, size, 2**-24):
        raise FaultError(f"wrong: {layer} in {case.dtype}, live")
    case.summary.compared += 1


def _spread(part: Part) -> float:
    """Of a DoRA, whose rows may be far shorter than their magnitudes."""
    return 100.0 if part.magnitude else 0.0


def _place(part: Part) -> tuple[str, tuple[int, int] | None]:
    target = TARGETS.get(part.name)
    return (f"{part.name}.weight", None) if target is None else (target.key, target.rows)
