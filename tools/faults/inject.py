"""Makes a line of Python raise, at its n-th execution only."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

KINDS: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: RuntimeError("an injected fault"),
    "MemoryError": lambda: MemoryError("an injected fault"),
    "BaseException": lambda: KeyboardInterrupt("an injected fault"),
}
"""What is raised. The host's own interrupt is no Exception either."""


@dataclass(frozen=True)
class Point:
    """A line of a file, and which of its executions is meant."""

    file: str
    line: int
    time: int = 1


@dataclass
class Injection:
    """The result: whether the error was raised, and below which functions of the host."""

    point: Point
    raised: bool = False
    below: list[str] = field(default_factory=list)

    @property
    def while_patching(self) -> bool:
        """Tells whether the host was writing weights."""
        return any(name.endswith(":patch_weight_to_device") for name in self.below)


@contextmanager
def recorded(chosen: Callable[[str], bool]) -> Iterator[Counter[tuple[str, int]]]:
    """Counts how often each line of the chosen files is executed."""
    seen: Counter[tuple[str, int]] = Counter()

    def at(frame: FrameType) -> None:
        seen[frame.f_code.co_filename, frame.f_lineno] += 1

    with _traced(chosen, at):
        yield seen


@contextmanager
def injected(
    chosen: Callable[[str], bool], point: Point, kind: str, host: str
) -> Iterator[Injection]:
    """Raises an error of ``kind`` at a point."""
    injection = Injection(point)
    left = point.time

    def at(frame: FrameType) -> None:
        nonlocal left
        if (frame.f_code.co_filename, frame.f_lineno) != (point.file, point.line):
            return
        left -= 1
        if not left:
            injection.raised = True
            injection.below = list(_functions(frame, host))
            raise KINDS[kind]()

    with _traced(chosen, at):
        yield injection


@contextmanager
def _traced(chosen: Callable[[str], bool], at: Callable[[FrameType], None]) -> Iterator[None]:
    known: dict[str, bool] = {}

    def entered(frame: FrameType, _: str, __: Any) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if file not in known:
            known[file] = chosen(file)
        return _in_frame(file, at) if known[file] else None

    sys.settrace(entered)
    try:
        yield
    finally:
        sys.settrace(None)


def _in_frame(file: str, at: Callable[[FrameType], None]) -> Callable[..., Any]:
    """Skips the second visit to a ``with``, when its block is left.

    None of our code runs there, and an error there keeps Python from leaving the block at all.
    """
    inside: set[int] = set()

    def line(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        number = frame.f_lineno
        if event != "line":
            return line
        if number in inside:
            inside.discard(number)
            return line
        if number in _withs(file):
            inside.add(number)
        at(frame)
        return line

    return line


@cache
def _withs(file: str) -> frozenset[int]:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    kinds = (ast.With, ast.AsyncWith)
    return frozenset(node.lineno for node in ast.walk(tree) if isinstance(node, kinds))


def _functions(frame: FrameType | None, host: str) -> Iterator[str]:
    """Yields the host's functions that led to a frame, as file:function."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(host) and "site-packages" not in name:
            yield f"{name[len(host) :].lstrip('/')}:{frame.f_code.co_name}"
        frame = frame.f_back
