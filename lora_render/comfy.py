"""One ComfyUI that renders: a process of our own, or a server that runs already.

Two prompts may be under way at a time, so that the next one waits in ComfyUI while one is rendered.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar

from lora_core.text import shortened

from . import answers
from .item import Job, Outcome, Output, Prompt
from .process import Own, Process
from .server import (
    FILE_BYTES,
    NoAnswerError,
    Server,
    TooLongError,
    WorkerGoneError,
    as_list,
    as_object,
)
from .turns import Turns

_T = TypeVar("_T")

_NAMESPACE: Final = uuid.UUID("0b6f8a52-7d3e-4c55-9f0a-6a1f7f6f2c11")
_PATIENCE_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 20.0
_TAKE_BACK_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25
_RECENT: Final = (256, 32, 4)
_PENDING, _RUNNING = "pending", "running"
_ID_CHARS: Final = 16
_MOST_FILES: Final = 10_000

_TRIES_ALONE: Final = 2
"""An item that has ended ComfyUI this often while nothing else ran is given up."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to render.

    Attributes:
        name: What people and the journal call it.
        at: The URL of a ComfyUI that runs, or how to start one.
        limit: How many seconds one item may run; None for no limit.
        patience: How many seconds a ComfyUI may be silent before it is given up.
    """

    name: str
    at: str | Own
    limit: float | None = None
    patience: float = _PATIENCE_SECONDS


class _Lost(Exception):  # noqa: N818
    """ComfyUI ended, or forgot the prompt, while it ran."""


class _TookTooLong(Exception):  # noqa: N818
    """The prompt ran for longer than its limit."""


def prompt_id(job: Job) -> str:
    """Returns the id that a job's prompt has in every ComfyUI: by it, a later run into the same folder finds it again.

    Into another folder, it is rendered anew: a key may hold no more of a file than its name.
    """
    return str(uuid.uuid5(_NAMESPACE, "\n".join([job.folder, *(item.key for item in job.items)])))


class Comfy:
    """Renders jobs. Nothing is started before the first call."""

    def __init__(self, place: Place) -> None:
        self.name = f"{place.name}@{socket.gethostname()}"
        self._place = place
        at = place.at
        self._at = Process(at, place.name) if isinstance(at, Own) else Server(at)
        self._starting = threading.Lock()
        self._turns = Turns()
        self._under_way: set[str] = set()
        self._gone = ""

    def ready(self) -> str:
        """Waits until ComfyUI answers, and returns the worker's name; WorkerGoneError if it never will."""
        self._at_once(lambda server: server.get("/system_stats"))
        return self.name

    def object_info(self) -> Mapping[str, Any]:
        """Returns the host's description of all nodes."""
        return answers.described(self._at_once(lambda server: server.get("/object_info")))

    def holds(self) -> list[str]:
        """Returns the ids of the prompts that it has now, and of the last ones that it had."""

        def ask(server: Server) -> list[str]:
            now = _queue(server)  # first: what leaves the queue is in the history then
            return [*now, *_recent(server)]

        return self._at_once(ask)

    def render(self, job: Job) -> Outcome:
        """Returns what became of a job. WorkerGoneError is about this ComfyUI, and never about the job."""
        reason = ""
        tries = 1 + (_TRIES_ALONE if len(job.items) == 1 else 1)
        for attempt in range(1, tries + 1):
            with self._turns.shared() if attempt == 1 else self._turns.alone():
                try:
                    outcome = self._attempt(job, attempt == 1)
                    return replace(outcome, worker=self.name, attempts=attempt)
                except _Lost as lost:
                    reason = str(lost)
        words = f"ComfyUI was lost each of the {tries} times that this ran, {tries - 1} of them alone. {reason}"
        return replace(answers.failed("lost", words), worker=self.name, attempts=tries)

    def stop(self) -> None:
        """Ends our own ComfyUI; takes what is under way back from one of the user's."""
        self._gone = self._gone or "It was stopped."
        if isinstance(self._at, Process):
            self._at.close()
            return
        with contextlib.suppress(NoAnswerError, WorkerGoneError):
            for identity in tuple(self._under_way):
                _take_back(self._at, identity)

    # one attempt

    def _attempt(self, job: Job, first: bool) -> Outcome:
        identity, server = prompt_id(job), self._server()
        self._under_way.add(identity)
        try:
            earlier = self._of_earlier_run(server, job, identity) if first else None
            if earlier:
                return earlier
            refused = self._ask(server, lambda server: _queue_up(server, job, identity))
            return refused or self._outcome(server, identity, self._entry(server, job, identity))
        except _TookTooLong:
            limit = (self._place.limit or 0) * len(job.items)
            return answers.failed("timeout", f"It ran for longer than {limit:g} seconds.")
        finally:
            self._under_way.discard(identity)

    def _of_earlier_run(self, server: Server, job: Job, identity: str) -> Outcome | None:
        """Returns what an earlier run has asked for and not fetched, as soon as it has ended; None if it isn't there,
        or not all of it."""
        if isinstance(self._at, Process):
            return None  # ours ends with its run
        # Who asks the history first misses what ends meanwhile, and runs it once more.
        if identity in self._ask(server, _queue):
            outcome = self._outcome(server, identity, self._entry(server, job, identity))
            # the earlier run may have taken it back just now
            return None if outcome.status == "interrupted" else outcome
        entry = self._history(server, identity)
        if not answers.succeeded(entry):
            return None
        outcome = self._outcome(server, identity, entry)
        return outcome if outcome.status == "ok" else None

    def _entry(self, server: Server, job: Job, identity: str) -> Mapping[str, Any]:
        """Waits for the end of a prompt; returns its entry in the history."""
        limit = None if self._place.limit is None else self._place.limit * len(job.items)
        pause, looked, began = _FIRST_PAUSE, time.monotonic(), None
        while not (entry := self._history(server, identity)):
            now = time.monotonic()
            if began is not None and limit is not None and now - began > limit:
                return self._interrupted(server, identity)
            if now - looked > _LOOK_SECONDS:
                looked, where = now, self._ask(server, _queue).get(identity)
                if where is None and not self._history(server, identity):
                    raise _Lost(f"{self.name} has forgotten the prompt.")
                began = now if where == _RUNNING and began is None else began
            time.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE)
        return entry

    def _interrupted(self, server: Server, identity: str) -> Mapping[str, Any]:
        """Ends a prompt that runs for too long, and ComfyUI, too, if that is what it takes.

        Returns its entry if it comes to its end meanwhile; else raises _TookTooLong.
        """
        self._ask(server, lambda server: server.post("/interrupt", {"prompt_id": identity}))
        end = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < end:
            if entry := self._history(server, identity):
                if answers.succeeded(entry):
                    return entry
                raise _TookTooLong
            time.sleep(_LONGEST_PAUSE)
        if isinstance(self._at, Process):
            with self._starting:
                self._at.stop()
        else:
            self._gone = f"{self.name} does not stop a prompt that runs for longer than its limit."
        raise _TookTooLong

    def _outcome(self, server: Server, identity: str, entry: Mapping[str, Any]) -> Outcome:
        """Returns the outcome of a prompt that has ended, with the bytes of its files."""
        when = answers.times(entry)
        succeeded = answers.succeeded(entry)
        outcome = self._saved(server, identity, entry) if succeeded else answers.failure_of(entry)
        return replace(outcome, seconds=when.seconds, started=when.started, finished=when.finished)

    def _saved(self, server: Server, identity: str, entry: Mapping[str, Any]) -> Outcome:
        names = answers.saved_names(entry)
        if len(names) > _MOST_FILES:
            return answers.failed("no output", f"It has saved more than {_MOST_FILES:,} files.")
        outputs: list[Output] = []
        for found in names:
            content = self._fetched(server, found)
            if content is None:
                words = f'ComfyUI has saved "{found.name}", but it can\'t be fetched.'
                return answers.failed("no output", words, found.node)
            node, kind = (shortened(name, answers.NAME_CHARS) for name in (found.node, found.kind))
            outputs.append(Output(node, kind, found.name, content))
            if sum(len(each.content) for each in outputs) > FILE_BYTES:
                return answers.failed("no output", f"It has saved more than {FILE_BYTES:,} bytes.")
        if not outputs:
            return answers.failed("no output", "The prompt ran, but no node has saved a file.")
        if isinstance(self._at, Process):
            for found in names:
                # Removing a file frees its name. If ComfyUI's cache still answers that name, it may be another picture's.
                if _ending(identity) in found.name:
                    _remove(self._at.output, found)
        return Outcome("ok", tuple(outputs))

    # ComfyUI

    def _fetched(self, server: Server, found: answers.SavedName) -> bytes | None:
        if not found.is_name():
            return None
        return self._ask(server, lambda server: server.saved_file(found.name, found.subfolder))

    def _history(self, server: Server, identity: str) -> Mapping[str, Any]:
        found = self._ask(server, lambda server: server.get(f"/history/{identity}"))
        return as_object(as_object(found).get(identity))

    def _server(self) -> Server:
        """Returns the running ComfyUI, and starts ours if it does not run."""
        if self._gone:
            raise WorkerGoneError(self._gone)
        if isinstance(self._at, Server):
            return self._at
        with self._starting:
            if self._at.server and self._at.alive():
                return self._at.server
            return self._at.start()

    def _at_once(self, ask: Callable[[Server], _T]) -> _T:
        try:
            return self._ask(self._server(), ask)
        except _Lost as lost:
            raise WorkerGoneError(str(lost)) from lost

    def _ask(self, server: Server, ask: Callable[[Server], _T]) -> _T:
        """Asks until there is an answer. _Lost if our own ComfyUI has ended, or is silent for too long."""
        end = time.monotonic() + self._place.patience
        while True:
            if self._gone:
                raise WorkerGoneError(self._gone)
            try:
                return ask(server)
            except NoAnswerError as error:
                self._still_there(server, str(error), overdue=time.monotonic() > end)
            time.sleep(_LONGEST_PAUSE)

    def _still_there(self, server: Server, error: str, *, overdue: bool) -> None:
        if isinstance(self._at, Server):
            if overdue:
                raise WorkerGoneError(error)
            return
        with self._starting:
            current = self._at.server is server and self._at.alive()
            if current and overdue:
                self._at.stop()
            if overdue or not current:
                raise _Lost(error)


def _queue(server: Server) -> dict[str, str]:
    """Returns the ids of all prompts in the host's queue, and whether each is running or pending."""
    queue = as_object(server.get("/queue"))
    return {
        str(each[1]): where
        for name, where in (("queue_pending", _PENDING), ("queue_running", _RUNNING))
        for each in map(as_list, as_list(queue.get(name)))
        if len(each) > 1
    }


def _recent(server: Server) -> Mapping[str, Any]:
    """Returns the end of the host's history: fewer entries where each has a huge workflow in it."""
    for count in _RECENT:
        with contextlib.suppress(TooLongError):
            return as_object(server.get(f"/history?max_items={count}"))
    return {}


def _queue_up(server: Server, job: Job, identity: str) -> Outcome | None:
    """Puts a job's prompt into the queue, unless it is there. Returns an outcome if it is refused."""
    if identity in _queue(server):
        return None
    prefix = _ending(identity)
    if server.get(f"/history/{identity}"):
        # Of an earlier run: it has failed, or its files are gone. With another name of the files, ComfyUI
        # saves them anew, whatever is in its cache.
        server.post("/history", {"delete": [identity]})
        prefix += f"_{int(time.time())}"
    body = {"prompt": _with_prefix(job.prompt, prefix), "prompt_id": identity}
    status, answer = server.post("/prompt", body)
    if status == HTTPStatus.OK and not as_object(answer).get("node_errors"):
        return None
    if status == HTTPStatus.OK:  # a part of it would run, which is not what was asked for
        _take_back(server, identity)
    return answers.refusal(status, answer)


def _ending(identity: str) -> str:
    """Returns what the names of all files of a prompt have in them."""
    return f"_{identity.replace('-', '')[:_ID_CHARS]}"


def _take_back(server: Server, identity: str) -> None:
    """Removes a prompt from the queue, or ends it: again and again, as ComfyUI forgets what came before its start."""
    end = time.monotonic() + _TAKE_BACK_SECONDS
    while True:
        server.post("/queue", {"delete": [identity]})
        server.post("/interrupt", {"prompt_id": identity})
        if identity not in _queue(server) or time.monotonic() > end:
            return
        time.sleep(_LONGEST_PAUSE)


def _with_prefix(prompt: Prompt, ending: str) -> dict[str, dict[str, Any]]:
    """Returns a prompt whose files get ``ending`` in their names, so that nobody else's are mixed with them.

    A name that comes by a link is replaced: what it would be is only known when it runs.
    """
    own: dict[str, dict[str, Any]] = {node: dict(each) for node, each in prompt.items()}
    for each in own.values():
        prefix = each["inputs"].get("filename_prefix")
        if prefix is not None:
            start = prefix if isinstance(prefix, str) else "ComfyUI"
            each["inputs"] = {**each["inputs"], "filename_prefix": start + ending}
    return own


def _remove(folder: Path, found: answers.SavedName) -> None:
    """Removes a file that was fetched from our own ComfyUI, so that nothing is on the disk twice."""
    path = (folder / found.subfolder / found.name).resolve()
    if path.is_relative_to(folder.resolve()):
        with contextlib.suppress(OSError):
            path.unlink()
