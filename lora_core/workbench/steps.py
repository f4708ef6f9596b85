"""Tells how far a work over many weights has come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import count

from ..matching import Progress
from .change import Change, ModelChanges


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """Changes of which somebody counts how often they are asked for."""

    inner: ModelChanges
    step: Callable[[], None]

    @property
    def keys(self) -> Collection[str]:
        return self.inner.keys

    def of(self, key: str) -> Change:
        self.step()
        return self.inner.of(key)


def watched(
    changes: Sequence[ModelChanges], times: int, progress: Progress
) -> Sequence[ModelChanges]:
    """Returns the same changes, and calls ``progress`` before each of them.

    Args:
        changes: What is added to each model.
        times: How often each of them will be asked for.
        progress: Is called with how many were asked for, and of how many.
    """
    total = times * sum(len(own.keys) for own in changes)
    done = count()
    return [_Watched(own, lambda: progress(min(next(done), total), total)) for own in changes]
