"""Ray runs the workers: on this machine, or on those of a cluster.

Each worker is an actor with a ComfyUI. When its process or its machine is lost, Ray starts it anew, elsewhere if
need be; what it had to do is told to the farm.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from lora_core.errors import LoraInputError

from .cluster import Cluster, words
from .comfy import Place
from .item import Job, Outcome
from .worker import Gone, Worker

_LOSSES: Final = 3
"""A worker that was lost this often in a row, and has finished nothing in between, is given up."""

_AGAIN_SECONDS: Final = 2.0

PATIENCE_SECONDS: Final = 900.0
"""How long somebody waits for a worker that is ready: a ComfyUI with many packs takes minutes to start."""

_NOT_YET: Final = "ActorUnavailableError"
"""Ray raises it while it starts an actor anew, for as long as that takes."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker waits for jobs. ``holds`` are ids of prompts that its ComfyUI knows of earlier runs."""

    worker: int
    holds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finished:
    """A job has ended."""

    worker: int
    job: Job
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker was lost, and ``job`` with it, if it had one. It may be ready again, unless that is ``for_good``."""

    worker: int
    reason: str
    job: Job | None = None
    for_good: bool = False


Event = Ready | Finished | Lost


class RayEngine:
    """Gives jobs to workers and tells what becomes of them; a context manager.

    Args:
        places: One for each worker.
        factory: What runs in an actor.
        gpus: For each of them, by Ray's count; with 0, every worker sees all.
        address: Of a Ray cluster to join; without it, Ray runs on this machine only.
        dashboard: Whether Ray's own shows what goes on, on loopback.
    """

    def __init__(
        self,
        places: Sequence[Place],
        gpus: float = 0,
        address: str | None = None,
        *,
        dashboard: bool = False,
        factory: type = Worker,
    ) -> None:
        self.names = tuple(place.name for place in places)
        self._cluster = Cluster(address, gpus, dashboard=dashboard)
        try:
            self._cluster.needs(len(places))
            self._actors = self._cluster.actors(places, factory)
        except BaseException:
            self._cluster.close()
            raise
        urls = (number for number, place in enumerate(places) if isinstance(place.at, str))
        self._calls = Calls(self._actors, frozenset(urls))

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def ready(self) -> frozenset[int]:
        """The workers that wait for jobs, or have some."""
        return self._calls.ready

    @property
    def unheard(self) -> frozenset[int]:
        """The workers whose ComfyUI may have prompts of an earlier run, and that have not said yet which."""
        return self._calls.unheard

    def object_info(self, patience: float = PATIENCE_SECONDS) -> Mapping[str, Any]:
        """Returns the description of all nodes, of the worker that is first ready.

        LoraInputError if none can be, or none is for so many seconds.
        """
        reasons: list[str] = []
        while len(reasons) < len(self._actors):
            event = self._calls.first_ready(patience)
            if event is None:
                reasons.append(f"None was ready for {patience:g} seconds.")
                break
            if isinstance(event, Ready):
                found = self._cluster.ask(self._actors[event.worker].object_info)
                if not isinstance(found, Gone):
                    return found
                event = Lost(event.worker, found.reason)
            reasons.append(f"{self.names[event.worker]}: {event.reason}")
        raise LoraInputError(f"No worker can start. {' '.join(reasons)}", key="workers")

    def submit(self, worker: int, job: Job) -> None:
        """Gives a job to a worker that is ready."""
        self._calls.submit(worker, job)

    def wait(self, seconds: float) -> list[Event]:
        """Returns what has happened, as soon as anything has; nothing after that many seconds."""
        return self._calls.wait(seconds)

    def close(self) -> None:
        """Ends all workers, their ComfyUIs, and Ray, if it is ours."""
        self._calls.close()
        self._cluster.stop(self._actors)
        self._cluster.close()


class Calls:
    """Calls of actors that are under way. It costs the same for few of them and for thousands.

    ``urls`` are those whose ComfyUI is not their own: it may have prompts of an earlier run.
    """

    def __init__(self, actors: Sequence[Any], urls: frozenset[int] = frozenset()) -> None:
        self._actors = actors
        self._urls = urls
        self._unheard = {*urls}
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._kept: list[Event] = []
        self._losses: Counter[int] = Counter()
        self._starting = set(range(len(actors)))
        self._ready: set[int] = set()
        self._gone: set[int] = set()
        self._lock = threading.Lock()
        self._closed = False
        for worker in range(len(actors)):
            self._begin(worker)

    @property
    def ready(self) -> frozenset[int]:
        """The workers that are ready."""
        with self._lock:
            return frozenset(self._ready)

    @property
    def unheard(self) -> frozenset[int]:
        """Of ``urls`` those of which ``wait`` has not told yet that they are ready, or ready again, or given up."""
        return frozenset(self._unheard)

    def first_ready(self, seconds: float) -> Ready | Lost | None:
        """Waits for a worker that is ready, or is lost for good; None after that many seconds.

        What is told here is told by ``wait``, too.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                event = self._events.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return None
            self._kept.append(event)
            if isinstance(event, Ready) or (isinstance(event, Lost) and event.for_good):
                return event

    def submit(self, worker: int, job: Job) -> None:
        """Calls ``render``."""
        self._call(
            self._actors[worker].render, (job,), lambda answer: self._rendered(worker, job, answer)
        )

    def wait(self, seconds: float) -> list[Event]:
        """Returns what has happened since the last call."""
        events, self._kept = self._kept, []
        with contextlib.suppress(queue.Empty):
            if not events:
                events.append(self._events.get(timeout=seconds))
            while True:
                events.append(self._events.get_nowait())
        for event in events:
            self._hear(event)
        return events

    def close(self) -> None:
        """Calls nobody any more."""
        self._closed = True

    def _hear(self, event: Event) -> None:
        if isinstance(event, Ready) or (isinstance(event, Lost) and event.for_good):
            self._unheard.discard(event.worker)
        elif isinstance(event, Lost):
            self._unheard |= self._urls & {event.worker}

    def _call(self, method: Any, arguments: tuple[Any, ...], told: Callable[[Any], None]) -> None:
        """Calls an actor; ``told`` gets its answer or the exception, in a thread of Ray's."""
        future: Future[Any] = method.remote(*arguments).future()
        future.add_done_callback(lambda done: told(done.exception() or done.result()))

    def _begin(self, worker: int) -> None:
        """Waits for an actor to be ready. Ray starts it anew before it calls it, if it was lost."""
        if not self._closed:
            ready = self._actors[worker].ready
            self._call(ready, (), lambda answer: self._started(worker, answer))

    def _started(self, worker: int, answer: Any) -> None:
        started = isinstance(answer, list)
        with self._lock:
            self._starting.discard(worker)
            if started:
                self._ready.add(worker)
        if started:
            self._events.put(Ready(worker, frozenset(answer)))  # pyright: ignore[reportUnknownArgumentType]
        elif type(answer).__name__ == _NOT_YET:
            with self._lock:
                self._starting.add(worker)
            self._later(worker)
        else:
            self._lost(worker, None, answer)

    def _rendered(self, worker: int, job: Job, answer: Any) -> None:
        if isinstance(answer, Outcome):
            with self._lock:
                self._losses[worker] = 0
            self._events.put(Finished(worker, job, answer))
        else:
            self._lost(worker, job, answer)

    def _lost(self, worker: int, job: Job | None, answer: Any) -> None:
        gone = isinstance(answer, Gone)
        with self._lock:
            first = (
                worker not in self._starting | self._gone
            )  # two jobs that are lost together are one loss
            self._losses[worker] += first
            self._ready.discard(worker)
            if gone or self._losses[worker] >= _LOSSES:
                self._gone.add(worker)
            for_good = worker in self._gone
            again = first and not for_good
            if again:
                self._starting.add(worker)
        self._events.put(Lost(worker, answer.reason if gone else words(answer), job, for_good))
        if again:
            self._later(worker)

    def _later(self, worker: int) -> None:
        timer = threading.Timer(_AGAIN_SECONDS, self._begin, (worker,))
        timer.daemon = True
        timer.start()
