"""Who gets which job next.

Jobs with the same weights are a line. A worker stays in its line, so that it patches its model as seldom as
possible.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, NamedTuple, Protocol

from .item import Job

OrderName = Literal["affinity", "listed"]


class Order(Protocol):
    """Jobs that wait for a worker."""

    def take(self, worker: int) -> Job | None:
        """Returns the next job for a worker, or None if there is none."""
        ...

    def back(self, job: Job) -> None:
        """Puts a job in front again: its worker was lost."""
        ...

    def leave(self, worker: int) -> None:
        """Forgets what a worker did before: it starts anew, or not at all."""
        ...

    def __iter__(self) -> Iterator[Job]:
        """Yields all jobs that wait."""
        ...


def order_of(name: OrderName, jobs: Iterable[Job]) -> Order:
    """Returns the jobs in an order by its name."""
    return Lines(jobs) if name == "affinity" else Listed(jobs)


class Listed:
    """The jobs as they are listed, whoever asks."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = deque(jobs)

    def take(self, worker: int) -> Job | None:  # noqa: ARG002
        """Returns the first job that waits."""
        return self._jobs.popleft() if self._jobs else None

    def back(self, job: Job) -> None:
        """Puts a job in front again."""
        self._jobs.appendleft(job)

    def leave(self, worker: int) -> None:
        """Does nothing: no worker has a place here."""

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)


class _Name(NamedTuple):
    base: str
    recipe: str


class Lines:
    """A worker stays in its line. Then it takes the fullest one that nobody works on, one of the same base if
    there is one; then it helps in the fullest one.

    Taking a job costs the logarithm of the number of lines, or the number of workers once all lines have one.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._lines: dict[_Name, deque[Job]] = {}
        self._workers: dict[_Name, int] = {}
        self._place: dict[int, _Name] = {}
        self._free: Final = _Fullest()
        for job in jobs:
            self._lines.setdefault(_name(job), deque()).append(job)
        for name in self._lines:
            self._offer(name)

    def take(self, worker: int) -> Job | None:
        """Returns the next job of the worker's line, or of its next line."""
        name = self._place.get(worker)
        if name is None or not self._lines[name]:
            self.leave(worker)
            name = self._next(name)
            if name is None:
                return None
            self._place[worker] = name
            self._workers[name] = self._workers.get(name, 0) + 1
        return self._lines[name].popleft()

    def back(self, job: Job) -> None:
        """Puts a job in front of its line again."""
        name = _name(job)
        self._lines.setdefault(name, deque()).appendleft(job)
        self._offer(name)

    def leave(self, worker: int) -> None:
        """Lets a worker's line be one that others may take."""
        name = self._place.pop(worker, None)
        if name is not None:
            self._workers[name] -= 1
            self._offer(name)

    def __iter__(self) -> Iterator[Job]:
        return itertools.chain.from_iterable(self._lines.values())

    def _offer(self, name: _Name) -> None:
        if self._lines[name] and not self._workers.get(name):
            self._free.add(name, len(self._lines[name]))

    def _next(self, before: _Name | None) -> _Name | None:
        # A line that somebody has taken from since it was offered has another size.
        name = self._free.pop(before.base if before else None, self._size)
        if name is not None:
            return name
        busy = {name for name in self._place.values() if self._lines[name]}
        same = {name for name in busy if before and name.base == before.base}
        return max(sorted(same or busy), key=self._size, default=None)

    def _size(self, name: _Name) -> int:
        return len(self._lines[name])


class _Entry(NamedTuple):
    """Sorted as a heap wants it: the fullest first, then the one that came first."""

    emptiness: int
    number: int
    name: _Name


class _Fullest:
    """The fullest of many lines, among all and among those of one base.

    A line that has changed is added again; what was said of it before is passed over when it comes up.
    """

    def __init__(self) -> None:
        self._count = itertools.count()
        self._all: list[_Entry] = []
        self._of: dict[str, list[_Entry]] = {}

    def add(self, name: _Name, size: int) -> None:
        entry = _Entry(-size, next(self._count), name)
        heapq.heappush(self._all, entry)
        heapq.heappush(self._of.setdefault(name.base, []), entry)

    def pop(self, base: str | None, size_of: Callable[[_Name], int]) -> _Name | None:
        """Returns the fullest line of ``base``, or of all, that is still as full as it was when it was added."""
        for heap in (self._of.get(base, []) if base is not None else [], self._all):
            while heap:
                entry = heapq.heappop(heap)
                if size_of(entry.name) == -entry.emptiness:
                    return entry.name
        return None


def _name(job: Job) -> _Name:
    return _Name(job.items[0].base, job.items[0].recipe)
