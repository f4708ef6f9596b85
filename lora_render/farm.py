"""Renders jobs on many workers until all have ended, whatever is lost on the way."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from . import answers
from .comfy import prompt_id
from .engine import PATIENCE_SECONDS, Event, Finished, Lost, Ready
from .item import Item, Job, Outcome
from .journal import Entry, Journal
from .order import OrderName, order_of

Split = Callable[[Job, Outcome], "list[Outcome] | None"]

_LOSSES: Final = 3
"""A job whose worker was lost this often is given up."""

_EACH: Final = 2
"""Jobs of one worker at a time: one is rendered, one waits in its ComfyUI."""

_WAIT_SECONDS: Final = 1.0

_LISTEN_SECONDS: Final = 15.0
"""How long a host that runs already may take to say what it has of an earlier run, once another worker is ready."""

_NO_SPACE: Final = "[Errno 28]"


@dataclass(frozen=True, slots=True)
class Options:
    """How to render.

    Attributes:
        order: "affinity" keeps jobs with the same weights together; "listed" is as the table has them.
        patience: After how many seconds without any worker that is ready the run ends.
    """

    order: OrderName = "affinity"
    patience: float = PATIENCE_SECONDS


class Engine(Protocol):
    """Workers."""

    @property
    def names(self) -> Sequence[str]:
        """What people call them."""
        ...

    @property
    def ready(self) -> frozenset[int]:
        """Those that wait for jobs."""
        ...

    @property
    def unheard(self) -> frozenset[int]:
        """Those that may have prompts of an earlier run, and have not said yet which."""
        ...

    def submit(self, worker: int, job: Job) -> None:
        """Gives a job to a worker that is ready."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """Returns what has happened, or nothing after that many seconds."""
        ...


class Watch:
    """Is told what happens; does nothing by itself."""

    def ready(self, worker: str) -> None:
        """A worker waits for jobs."""

    def ended(self, worker: str, entry: Entry) -> None:
        """An item has ended, well or not, and the journal has it."""

    def lost(self, worker: str, reason: str, for_good: bool) -> None:
        """A worker was lost. What it had to do is done again."""

    def tick(self) -> None:
        """About a second has passed."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run has done.

    Attributes:
        done: How many items are "ok" now that this run has rendered.
        failed: The entries of those that have failed.
        not_done: Items that nobody has tried to the end.
        seconds: How long the run took.
        stopped: Why it ended before all was tried; None if it did not. "interrupted" is Ctrl-C.
    """

    done: int
    failed: tuple[Entry, ...]
    not_done: tuple[Item, ...]
    seconds: float
    stopped: str | None = None


class _Stop(Exception):  # noqa: N818
    """The run can't go on."""


def run(
    jobs: Iterable[Job],
    engine: Engine,
    journal: Journal,
    options: Options | None = None,
    watch: Watch | None = None,
    split: Split | None = None,
) -> Summary:
    """Renders what the journal does not have yet, and writes it there.

    ``split`` makes outcomes of items of that of a batch; ``spread.split`` if it isn't given. The engine and the
    journal stay open. Ctrl-C, a full disk and the loss of all workers end it early; what is done is kept.
    """
    began = time.monotonic()
    todo = _missing(jobs, journal)
    state = _Run(todo, engine, journal, options or Options(), watch or Watch(), split or _split)
    stopped = None
    try:
        state.go()
    except _Stop as stop:
        stopped = str(stop)
    except OSError as error:
        stopped = f"The journal can't be written: {error}."
    except KeyboardInterrupt:
        stopped = "interrupted"
    return state.summary(time.monotonic() - began, stopped)


def _missing(jobs: Iterable[Job], journal: Journal) -> list[Job]:
    """Returns the jobs without what the journal has."""
    left: list[Job] = []
    for job in jobs:
        missing = [item for item in job.items if not journal.has(item.key)]
        jobs_left = [job] if len(missing) == len(job.items) else map(_single, missing)
        left += [replace(each, folder=journal.id) for each in jobs_left]
    return left


def _single(item: Item, folder: str = "") -> Job:
    return Job((item,), item.prompt, folder)


def _split(job: Job, outcome: Outcome) -> list[Outcome] | None:
    from .spread import split

    return split(job, outcome)


class _Run:
    """One run: who does what, and what has ended."""

    def __init__(
        self,
        jobs: list[Job],
        engine: Engine,
        journal: Journal,
        options: Options,
        watch: Watch,
        split: Split,
    ) -> None:
        self._engine, self._journal, self._options, self._watch = engine, journal, options, watch
        self._split = split
        self._items = [item for job in jobs for item in job.items]
        self._order = order_of(options.order, jobs)
        self._waiting = {prompt_id(job): job for job in jobs}
        self._kept_for: dict[int, dict[str, Job]] = {}
        self._suspects: deque[Job] = deque()
        self._holders: dict[str, int] = {}
        self._alone: set[int] = set()
        self._free: set[int] = set()
        self._gone: dict[int, str] = {}
        self._flying: Counter[int] = Counter()
        self._losses: Counter[str] = Counter()
        self._ended: dict[str, Entry] = {}
        self._last_ready = time.monotonic()
        self._begun = journal.is_new
        self._listen_until = math.inf

    def go(self) -> None:
        """Goes on until all jobs have ended."""
        todo = {item.key for item in self._items}
        for event in self._engine.wait(0):
            self._see(event)
        # those of whom an earlier run was told
        self._free |= self._engine.ready - self._engine.unheard
        while len(self._ended) < len(todo):
            self._hand_out()
            for event in self._engine.wait(_WAIT_SECONDS):
                self._see(event)
            self._journal.tick()
            self._watch.tick()
            self._see_who_is_left()

    def summary(self, seconds: float, stopped: str | None) -> Summary:
        """Returns what has become of all items."""
        failed = [entry for entry in self._ended.values() if entry.status != "ok"]
        failed.sort(key=lambda entry: entry.index)
        not_done = tuple(item for item in self._items if item.key not in self._ended)
        return Summary(len(self._ended) - len(failed), tuple(failed), not_done, seconds, stopped)

    # jobs out

    def _hand_out(self) -> None:
        """Gives everybody a first job before anybody gets a second one."""
        self._begun = self._begun or not self._listens()
        if not self._begun:
            return
        for turn in range(_EACH):
            for worker in sorted(self._free - self._alone):
                if not (self._waiting or self._kept_for or self._suspects):
                    return
                if self._flying[worker] == turn and (job := self._next(worker, first=not turn)):
                    self._flying[worker] += 1
                    self._engine.submit(worker, job)
        self._free = {worker for worker in self._free if self._flying[worker] < _EACH}

    def _listens(self) -> bool:
        """Returns whether somebody may yet say what it has. Given to another one, that would be rendered twice."""
        return bool(self._engine.unheard) and time.monotonic() < self._listen_until

    def _next(self, worker: int, *, first: bool) -> Job | None:
        """Returns what may have ended a worker, to be tried alone; or what the worker's ComfyUI has already;
        or the next job of all."""
        if first and (suspect := self._suspect(worker)):
            self._alone.add(worker)
            return suspect
        if kept := self._kept_for.get(worker):
            job = kept.pop(next(iter(kept)))
            if not kept:
                del self._kept_for[worker]
            return job
        while job := self._order.take(worker):
            if self._waiting.pop(prompt_id(job), None):
                return job
            # It is kept for another one, or was done by it.
        return None

    def _suspect(self, worker: int) -> Job | None:
        """Takes the first suspect that no other worker's ComfyUI has already."""
        if not self._suspects or self._listens():
            return None
        for job in self._suspects:
            if self._holders.get(prompt_id(job), worker) == worker:
                self._suspects.remove(job)
                return job
        return None

    def _put_back(self, job: Job) -> None:
        self._waiting[prompt_id(job)] = job
        self._order.back(job)

    # what happens

    def _see(self, event: Event) -> None:
        match event:
            case Ready():
                self._see_ready(event)
            case Finished():
                self._landed(event.worker)
                self._free.add(event.worker)
                self._end(event.job, event.outcome)
            case Lost():
                self._see_lost(event)

    def _landed(self, worker: int) -> None:
        self._flying[worker] -= 1
        self._alone.discard(worker)

    def _see_ready(self, event: Ready) -> None:
        self._free.add(event.worker)
        self._listen_until = min(self._listen_until, time.monotonic() + _LISTEN_SECONDS)
        self._holders |= dict.fromkeys(event.holds & self._losses.keys(), event.worker)
        held = [identity for identity in event.holds if identity in self._waiting]
        if held:
            self._kept_for[event.worker] = {each: self._waiting.pop(each) for each in held}
        self._watch.ready(self._engine.names[event.worker])

    def _see_lost(self, event: Lost) -> None:
        worker = event.worker
        self._free.discard(worker)
        self._order.leave(worker)
        for job in self._kept_for.pop(worker, {}).values():
            self._put_back(job)
        self._holders = {each: by for each, by in self._holders.items() if by != worker}
        if self._begun:
            self._listen_until = time.monotonic() + _LISTEN_SECONDS
        if event.for_good:
            self._gone[worker] = event.reason
        if event.job:
            self._landed(worker)
            self._again(event.job, event.reason)
        self._watch.lost(self._engine.names[worker], event.reason, event.for_good)

    def _again(self, job: Job, reason: str) -> None:
        """Lets a job be tried once more, alone: it may be what ends workers, or its neighbour was."""
        identity = prompt_id(job)
        self._losses[identity] += 1
        if self._losses[identity] < _LOSSES:
            self._suspects.append(job)
            return
        words = f"Its worker was lost {_LOSSES} times while this ran. {reason}"
        self._end(job, answers.failed("lost", words))

    def _end(self, job: Job, outcome: Outcome) -> None:
        """Writes what became of a job; the items of a batch that can't be told apart are run one by one."""
        if len(job.items) == 1:
            self._write(job.items[0], outcome)
            return
        outcomes = self._split(job, outcome) if outcome.status == "ok" else None
        if outcomes is None:
            for item in job.items:
                self._put_back(_single(item, self._journal.id))
            return
        for item, each in zip(job.items, outcomes, strict=True):
            self._write(item, each)

    def _write(self, item: Item, outcome: Outcome) -> None:
        entry = self._journal.add(item, outcome)
        self._ended[item.key] = entry
        self._watch.ended(outcome.worker, entry)
        if outcome.failure and _NO_SPACE in outcome.failure.message:
            raise _Stop(f"There is no space left for what ComfyUI saves: {outcome.failure.message}")

    def _see_who_is_left(self) -> None:
        """Ends the run if nobody can go on with it."""
        names = self._engine.names
        if len(self._gone) == len(names):
            reasons = " ".join(f"{names[w]}: {reason}" for w, reason in sorted(self._gone.items()))
            raise _Stop(f"No worker is left. {reasons}")
        now = time.monotonic()
        if self._free or sum(self._flying.values()):
            self._last_ready = now
        if now - self._last_ready > self._options.patience:
            raise _Stop(f"No worker was ready for {self._options.patience:g} seconds.")
