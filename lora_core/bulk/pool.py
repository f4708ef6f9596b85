"""One function on many things, in processes of its own: what ends one of them is found and reported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Thread
from types import FrameType
from typing import Final, TypeVar

import torch

from ..errors import LoraError
from ..text import sentence

T = TypeVar("T")
R = TypeVar("R")

WAITING_PER_WORKER: Final = 4
"""How many things are handed out for each worker: enough that none waits for the next."""

MOST_WORKERS: Final = 61
"""Windows waits for no more."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A thing that could not be done, and why."""

    error: str


DIED: Final = Failed("The process that worked on it has ended. It may have run out of memory.")


def cores() -> int:
    """Returns how many processes can run at a time."""
    there = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(there, MOST_WORKERS)


def each(
    work: Callable[[T], R], things: Iterable[T], workers: int
) -> Iterator[tuple[T, R | Failed]]:
    """Does ``work`` on each thing, and yields it with what came of it as soon as it is done.

    With one worker, everything is done in this process. Otherwise a worker that is killed takes one
    thing with it, no more: those that had been handed out are done again, each alone.

    Args:
        work: The work. Function, things and results go to other processes and back.
        things: What it is done on.
        workers: How many processes work.
    """
    source = iter(things)
    if workers == 1:
        for thing in source:
            yield thing, _done(work, thing)
        return
    while lost := (yield from _together(work, source, workers, WAITING_PER_WORKER)):
        suspects = iter(lost)
        while guilty := (yield from _together(work, suspects, 1, 1)):
            for thing in guilty:
                yield thing, DIED


def _together(
    work: Callable[[T], R], source: Iterator[T], workers: int, most_each: int
) -> Generator[tuple[T, R | Failed], None, list[T]]:
    """Works until ``source`` ends or a process dies; returns what was lost then."""
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(workers, context, _start)
    given: dict[Future[R | Failed], T] = {}
    left: list[T] = []
    try:
        while True:
            left = [*islice(source, workers * most_each - len(given))]
            with _interrupts_held():
                while left:
                    given[pool.submit(_in_worker, work, left[0])] = left[0]
                    del left[0]
            if not given:
                return []
            done = wait(given, return_when=FIRST_COMPLETED).done
            for future in sorted(done, key=_is_lost):
                result = future.result()
                yield given.pop(future), result
    except BrokenExecutor:
        return [*given.values(), *left]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _is_lost(future: Future[R]) -> bool:
    return future.exception() is not None


def _in_worker(work: Callable[[T], R], thing: T) -> R | Failed:
    try:
        return _done(work, thing)
    except SystemExit:  # of _stop: the work has cleared away what it had begun
        os._exit(0)


def _done(work: Callable[[T], R], thing: T) -> R | Failed:
    try:
        return work(thing)
    except LoraError as error:
        return Failed(str(error))
    except OSError as error:
        return Failed(sentence(str(error)))
    except Exception as error:  # noqa: BLE001 (one bad file must not stop the others)
        return Failed(sentence(f"{type(error).__name__}: {error}"))


@contextmanager
def _interrupts_held() -> Generator[None, None, None]:
    """Lets Ctrl-C wait: here until the end of the block, and in processes that are started in it until
    they are ready for it. Before that they would complain at length."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start() -> None:
    """Prepares a process: one thread, quiet when it is stopped, and gone when its parent is."""
    torch.set_num_threads(1)
    for each_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each_signal, _stop)
    sys.unraisablehook = _ignored
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent.join,), daemon=True).start()
    if hasattr(signal, "pthread_sigmask"):
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        except SystemExit:  # it had come already
            os._exit(0)


def _ignored(problem: sys.UnraisableHookArgs) -> None:
    """Ends the process if the signal came where nothing can be raised, such as in a callback of a weak reference."""
    if issubclass(problem.exc_type, SystemExit):
        os._exit(0)
    sys.__unraisablehook__(problem)


def _stop(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    sys.exit(0)


def _end_after(parent_ends: Callable[[], None]) -> None:
    parent_ends()
    os._exit(1)
