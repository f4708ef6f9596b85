"""Makes sure that every change of a live stack reaches the model.

Layers that the host computes without their ``forward`` are found while it computes, and changed
where the host takes the weight from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import torch

from ...lora_core.applying import Branch, Gate, Reach, Route, Seen, Stack, Watch
from ...lora_core.errors import LoraInputError, LoraMismatchError

T = TypeVar("T")

Place: TypeAlias = "tuple[torch.nn.Module, str]"
"""A layer, and the name of one of its parameters."""

log: Final = logging.getLogger("lora-algebra")


class Routes:
    """For each model, the parameters that are used without their layers, for as long as the model
    lives."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[torch.nn.Module, dict[str, Route]] = WeakKeyDictionary()

    def of(self, model: torch.nn.Module) -> dict[str, Route]:
        return self._known.setdefault(model, {})


class Again(Exception):  # noqa: N818 (nothing is wrong: a sampler has to begin again)
    """A layer was used without its ``forward`` before the first evaluation of a run."""


class Run:
    """One run of a sampler with a stack next to a model: what is missed is found and done again.

    Attributes:
        reach: What is known of the stack's parameters on the model.
        first: Whether it has been evaluated once.
    """

    def __init__(self, routes: dict[str, Route]) -> None:
        self.reach = Reach(routes)
        self.first = False
        self._begun = False
        self._unused: set[str] = set()
        self._preparing = ExitStack()
        self._before = Seen()

    def prepare(self, model: torch.nn.Module, stack: Stack, gate: Gate) -> None:
        """Prepares for what the host computes only once, between here and the first evaluation."""
        self.end()
        self.reach.begin(stack.files_by_key)
        self._begun = False
        self._before = self._preparing.enter_context(_changed(model, stack, gate, self.reach))

    def end(self) -> None:
        """Removes what ``prepare`` has put in place."""
        self._preparing.close()

    def evaluate(
        self,
        model: torch.nn.Module,
        stack: Stack,
        gate: Gate,
        run: Callable[[], T],
        *,
        compiled: bool = False,
    ) -> T:
        """Returns the result of an evaluation in which no change of ``stack`` is missing.

        It is repeated when a layer turns out to be used without its ``forward``. This ends, since
        each time a parameter gets its first or second route, or is known to be unused.

        Args:
            model: The host's model, with the branches in place.
            stack: The stack next to it.
            gate: An open gate.
            run: Evaluates the model.
            compiled: Whether the host runs compiled code, which may be older than the branches and
                ignore them.

        Raises:
            Again: The missing change was used earlier, so the sampler has to begin again.
            LoraInputError: Such a layer cannot have a strength for each image.
            LoraMismatchError: Such a layer keeps its weight in so few bits that changes can only be
                merged into it.
        """
        self.end()
        self.first, self._begun = not self._begun, True
        while True:
            with _changed(model, stack, gate, self.reach) as seen:
                result = run()
            missed = self.reach.learn(seen | self._before, partial(_has_function, model))
            if missed & self._before.read:
                raise Again
            if not missed and not (compiled and self._is_stale(seen)):
                self._before = Seen()
                return result

    def _is_stale(self, seen: Seen) -> bool:
        """Tells whether compiled code had to be dropped, since it may be older than the branches.

        torch runs code from before a hook was added as if the hook were not there. What fresh code
        does not reach either is not used by the model.
        """
        doubtful = self.reach.pending | (self.reach.branches - seen.reached)
        doubtful -= self._unused
        self._unused |= doubtful
        if doubtful:
            torch.compiler.reset()
        return bool(doubtful)


def until_complete(guider: Any, sample: Callable[[], T]) -> T:
    """Returns a sampler's result; the sampler begins again if a run asks for it because it found
    another route."""
    conds = _copied(guider.conds)
    while True:
        try:
            return sample()
        except Again:
            log.info("a layer is used past its forward: sampling begins once more")
            guider.conds = _copied(conds)  # which the host fills in while it samples


def _copied(conds: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {kind: [*map(dict, own)] for kind, own in conds.items()}


@contextmanager
def _changed(model: torch.nn.Module, stack: Stack, gate: Gate, reach: Reach) -> Generator[Seen]:
    """Applies a change on every known route, and watches for others."""
    seen = Seen()
    elsewhere = [key for key in stack.files_by_key if key in reach.routes]
    try:
        gate.elsewhere, gate.reached = frozenset(elsewhere), seen.reached
        with Watch(_places(model, reach.pending), seen.read), ExitStack() as changes:
            for key, (layer, name) in _places(model, elsewhere).items():
                change = _Change(key, stack.branch(key), gate, seen.moved)
                way = _by_function if reach.routes[key] == "weight" else _by_tensor
                changes.enter_context(way(layer, name, change))
            yield seen
    finally:
        gate.elsewhere, gate.reached = frozenset(), None


class _Change:
    """What a stack adds to one parameter; the host calls it with the parameter."""

    def __init__(self, key: str, branch: Branch, gate: Gate, moved: set[str]) -> None:
        self.key, self._branch, self._gate, self._moved = key, branch, gate, moved

    def __call__(self, weight: torch.Tensor) -> torch.Tensor:
        self._moved.add(self.key)
        rows = self._gate.rows_when_closed() if self._gate.rows is None else self._gate.rows
        if rows is None:
            return weight
        if len(rows) > 1 or rows.ndim > 2:
            raise LoraInputError(
                f"ComfyUI computes {self.key} together with the layers around it, so images, places and "
                "prompts cannot have different strengths there. Use one strength for all.",
                key=self.key,
                expected="one strength",
                found="several strengths",
            )
        return self._branch.merged(weight, rows)


def _places(model: torch.nn.Module, keys: Iterable[str]) -> Mapping[str, Place]:
    parts = ((key, *key.rpartition(".")[::2]) for key in keys)
    return {key: (model.get_submodule(layer), name) for key, layer, name in parts}


def _has_function(model: torch.nn.Module, key: str) -> bool:
    """Tells whether the host takes a parameter through a function that can be added to."""
    ((layer, name),) = _places(model, [key]).values()
    return hasattr(layer, f"{name}_function")


@contextmanager
def _by_function(layer: Any, name: str, change: _Change) -> Generator[None]:
    """Adds functions that the host applies to its copy of a weight before it computes."""
    functions, own = f"{name}_function", f"{name}_function" in vars(layer)
    setattr(layer, functions, [*getattr(layer, functions), change])
    try:
        yield
    finally:
        rest = [other for other in getattr(layer, functions) if other is not change]
        if own or rest:
            setattr(layer, functions, rest)
        else:
            delattr(layer, functions)


@contextmanager
def _by_tensor(layer: torch.nn.Module, name: str, change: _Change) -> Generator[None]:
    """Puts another tensor in place of the parameter, which itself is not touched."""
    parameters = vars(layer)["_parameters"]
    weight = parameters[name]
    if not _is_plain(weight):
        raise LoraMismatchError(
            f"ComfyUI uses {change.key} directly, as {str(weight.dtype).removeprefix('torch.')} numbers, "
            "to which nothing can be added without rounding. Set the mode to merge.",
            key=change.key,
            expected="a weight of 16 bits or more",
            found=str(weight.dtype),
        )
    changed = torch.nn.Parameter(change(weight.detach()), requires_grad=False)
    parameters[name] = changed
    try:
        yield
    finally:
        vars(layer)["_parameters"][name] = weight


def _is_plain(weight: torch.Tensor) -> bool:
    known = type(weight) in (torch.Tensor, torch.nn.Parameter) and not weight.is_meta
    return known and weight.dtype.is_floating_point and weight.dtype.itemsize > 1
