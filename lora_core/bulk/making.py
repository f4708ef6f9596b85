"""New files from many others, a file for each: what was made before is not made again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from ..algebra import FileId
from ..errors import LoraError, LoraInputError
from ..library import folded
from ..reading import identify
from .files import Input, find_inputs, no_files
from .journal import Entry, Journal, read_journal
from .leftovers import clear_leftovers
from .look import path_of
from .pool import Failed, each
from .tally import Failure, Tally, Watch

JOURNAL: Final = "lora-algebra.jsonl"
"""The list of what was made in a folder, and of what."""


class Maker(Protocol):
    """Makes one file of another. It goes to other processes; its repr says all of its settings."""

    @property
    def suffix(self) -> str:
        """How the names of the new files end."""
        ...

    def __call__(self, source: FileId, out: Path) -> Mapping[str, Any]:
        """Writes ``out``, whole or not at all, and returns what is worth noting about it.

        Raises:
            LoraError: The file is damaged, or cannot be made into this.
            OSError: The new one cannot be written.
        """
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """Files and folders, and how a new file is made of each."""

    named: Path
    make: Maker


@dataclass(frozen=True, slots=True)
class _Job:
    source: Input
    make: Maker
    out: str


@dataclass(frozen=True, slots=True)
class _Ready:
    """A job whose source is in a state that is known."""

    job: _Job
    file: FileId
    key: str


def make_all(orders: Sequence[Order], folder: Path, workers: int, watch: Watch) -> Tally:
    """Makes a new file in ``folder`` for each that was named, with its name and its sub folders.

    What is there and was made of the same file in the same way is kept. No file is replaced: what is
    there otherwise is a failure. The journal in ``folder`` says what was made of what.

    Args:
        orders: What is made; files in ``folder`` itself are none of it.
        folder: Where; it is made if it is not there.
        workers: How many processes work; 1 for this one alone.
        watch: Is called after each file.

    Raises:
        LoraInputError: There is no file at all, or another process makes files there.
        OSError: Nothing can be written there.
    """
    jobs = [*dict.fromkeys(_jobs(orders, folder))]
    if not jobs:
        named = [order.named for order in orders]
        is_named = folder.resolve() in [path.resolve() for path in named]
        raise _in_place(folder) if is_named else no_files(named)
    folder.mkdir(parents=True, exist_ok=True)
    with Journal(folder / JOURNAL) as journal:
        return _make_all(jobs, folder, journal, workers, watch)


def _make_all(
    jobs: Sequence[_Job], folder: Path, journal: Journal, workers: int, watch: Watch
) -> Tally:
    made = _made(folder)
    clear_leftovers(folder / out for out in made)
    tally = Tally(len(jobs))
    found = [job for job in jobs if _is_found(job, tally)]
    known = [ready for job in _single(found, folder, tally) if (ready := _ready(job, tally))]
    todo = [ready for ready in known if _is_new(ready, folder, made.get(ready.job.out), tally)]
    watch(tally)
    for ready, told in each(partial(_make, folder), _begin(todo, journal), workers):
        if isinstance(told, Failed):
            tally.failures.append(Failure(path_of(ready.job.source), told.error))
        else:
            journal.add({**_begun(ready), **told})
            tally.done += 1
        watch(tally)
    return tally


def _in_place(folder: Path) -> LoraInputError:
    return LoraInputError(
        f"New files can't be made in {folder}, where the LoRAs are. Choose another folder.",
        key="out_dir",
        expected="another folder",
        found=str(folder),
    )


def _made(folder: Path) -> Mapping[str, Entry]:
    """Returns what the journal says of each new file, without lines of anything else."""
    entries = read_journal(folder / JOURNAL)
    return {out: entry for entry in entries if isinstance(out := entry.get("out"), str)}


def _jobs(orders: Sequence[Order], folder: Path) -> Iterator[_Job]:
    for order in orders:
        for file in find_inputs([order.named], without=folder):
            out = "" if file.problem else Path(file.name).with_suffix(order.make.suffix).as_posix()
            yield _Job(file, order.make, out)


def _is_found(job: _Job, tally: Tally) -> bool:
    if job.source.problem:
        tally.failures.append(Failure(path_of(job.source), job.source.problem))
    return not job.source.problem


def _single(jobs: Sequence[_Job], folder: Path, tally: Tally) -> Iterator[_Job]:
    """Yields jobs of which each makes another file."""
    seen: dict[str, _Job] = {}
    # the journal itself shows whether two spellings are one file here
    folds = (folder / JOURNAL.upper()).exists()
    for job in jobs:
        first = seen.setdefault(folded(job.out) if folds else job.out, job)
        if first is job:
            yield job
        else:
            problem = f"{job.out} is already what {path_of(first.source)} becomes."
            tally.failures.append(Failure(path_of(job.source), problem))


def _ready(job: _Job, tally: Tally) -> _Ready | None:
    try:
        file = identify(job.source.path, job.source.name)
    except (LoraError, OSError) as error:
        tally.failures.append(Failure(path_of(job.source), str(error)))
        return None
    state = (file.mtime_ns, file.size, file.inode, file.config_mtime_ns)
    key = hashlib.sha256(repr((state, job.make)).encode("utf-8", "replace")).hexdigest()[:32]
    return _Ready(job, file, key)


def _is_new(ready: _Ready, folder: Path, before: Entry | None, tally: Tally) -> bool:
    """Tells whether a file is to be made; counts it if it is there."""
    out = folder / ready.job.out
    if not (out.exists() or out.is_symlink()):
        return True
    # without a state we were stopped after it got its name: it is whole
    if (
        before is not None
        and before.get("key") == ready.key
        and before.get("state") in (None, _state(out))
    ):
        tally.kept += 1
    else:
        problem = f"There is a file {out} already, and it is not what this would become. Delete it or choose another folder."
        tally.failures.append(Failure(path_of(ready.job.source), problem))
    return False


def _begin(todo: Sequence[_Ready], journal: Journal) -> Iterator[_Ready]:
    """Yields what is handed out next, and notes before that it is about to be made."""
    for ready in todo:
        journal.add(_begun(ready))
        yield ready


def _begun(ready: _Ready) -> Entry:
    return {"out": ready.job.out, "key": ready.key, "of": path_of(ready.job.source)}


def _state(out: Path) -> list[int]:
    status = out.lstat()
    return [status.st_mtime_ns, status.st_size]


def _make(folder: Path, ready: _Ready) -> Mapping[str, Any]:
    out = folder / ready.job.out
    out.parent.mkdir(parents=True, exist_ok=True)
    # if it is there, which it was not before, a worker that has ended since had made it
    told: Mapping[str, Any] = {} if out.exists() else ready.job.make(ready.file, out)
    return {"state": _state(out), **told}
