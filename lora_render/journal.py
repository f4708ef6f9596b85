"""What was rendered: a line of JSON for each item that has ended, and its files beside it.

A line is written only when its files are safely there, so a run may end at any moment. It is on the disk itself about a
second later: what a power cut takes of the last lines is rendered again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any, Final

from lora_core.errors import LoraFileError, LoraInputError
from lora_core.lock import lock

from .item import Failure, Item, Outcome, Output, Prompt, Scalar, Status
from .named_loras import NamedLora, loras_of
from .new_file import new_file
from .server import as_list, as_object

JOURNAL: Final = "journal.jsonl"
IMAGES: Final = "images"

_LOCK: Final = "journal.lock"
_ID: Final = "journal.id"
_KEY_CHARS: Final = 16
_SEEDS: Final = frozenset({"seed", "noise_seed"})
_SYNC_SECONDS: Final = 1.0
_ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file of an item: its path below the journal's folder, and what it was in ComfyUI."""

    path: str
    bytes: int
    sha256: str
    node: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of an item, as the journal keeps it.

    Attributes:
        key, index, parameters, base, recipe: Those of the item.
        seeds: All whole numbers in inputs that are called ``seed`` or ``noise_seed``.
        prompt_hash: SHA-256 in hex of the prompt without titles.
        file_hashes: SHA-256 in hex of each file that the prompt names, where known.
        files: What it has saved.
        status, error, worker, attempts: Those of the outcome.
        seconds: How long it ran; for an item of a batch, its part of that.
        started, finished: In seconds since 1970, by ComfyUI's clock, or by ours where it says nothing.
        loras: The LoRAs that the prompt names.
    """

    key: str
    index: int
    parameters: Mapping[str, Scalar]
    seeds: tuple[int, ...]
    prompt_hash: str
    file_hashes: Mapping[str, str]
    base: str
    recipe: str
    status: Status
    files: tuple[SavedFile, ...] = ()
    error: Failure | None = None
    seconds: float | None = None
    started: float | None = None
    finished: float | None = None
    worker: str = ""
    attempts: int = 1
    loras: tuple[NamedLora, ...] = ()

    def to_json(self) -> str:
        """Returns one line, without its end."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Entry:
        """Returns the entry of a line; ValueError, TypeError or KeyError if it isn't one."""
        read: dict[str, Any] = dict(json.loads(line))
        error = read["error"]
        read["error"] = error and Failure(**as_object(error))
        read["seeds"] = tuple(as_list(read["seeds"]))
        read["files"] = tuple(SavedFile(**as_object(each)) for each in as_list(read["files"]))
        read["loras"] = tuple(NamedLora(**as_object(each)) for each in as_list(read["loras"]))
        if not all(_inside(file.path) for file in read["files"]):
            raise ValueError("a file is not below the folder")
        return cls(**read)


def _inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\\" not in path


@dataclass(slots=True)
class _Kept:
    """All entries by key, the latest of each, and how many bytes of the file are whole."""

    latest: dict[str, Entry] = field(default_factory=dict[str, Entry])
    size: int = 0


class Journal:
    """The journal of one folder; a context manager. It has one writer at a time.

    LoraInputError if another process writes here, LoraFileError if a line was damaged.

    Attributes:
        folder: Where it is.
        id: That of the folder, by chance. Prompts have it in theirs.
        is_new: Whether no run has begun here before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
        self._lock = locked(folder, folder)
        try:
            self.id = _folder_id(folder / _ID)
            self.is_new = not (folder / JOURNAL).exists()
            self._kept = _read(folder / JOURNAL)
            self._file = (folder / JOURNAL).open("ab")
            self._file.truncate(self._kept.size)  # a last line that was cut off by a crash
            self._synced, self._synced_at = self._kept.size, time.monotonic()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets another process write."""
        try:
            self._sync()
        finally:
            self._file.close()
            self._lock.close()

    def has(self, key: str) -> bool:
        """Returns whether an item was rendered and all its files are there, with the size that they had."""
        entry = self._kept.latest.get(key)
        return entry is not None and entry.status == "ok" and all(map(self._there, entry.files))

    def entries(self) -> list[Entry]:
        """Returns the latest entry of each item, by index."""
        return sorted(self._kept.latest.values(), key=lambda entry: entry.index)

    def add(self, item: Item, outcome: Outcome) -> Entry:
        """Writes the files of an item, then its line.

        OSError if that is not possible, for example on a full disk; the journal is then as before.
        """
        number = enumerate(outcome.outputs)
        files = tuple(self._saved(item, output, place) for place, output in number)
        entry = _entry(item, outcome, files)
        line = entry.to_json().encode() + b"\n"
        try:
            self._file.write(line)
            self._file.flush()
        except OSError:
            self._undo()
            raise
        self._kept.latest[item.key] = entry
        self._kept.size += len(line)
        self.tick()
        return entry

    def tick(self) -> None:
        """Lets the lines get onto the disk itself, if that is due. OSError if that is not possible."""
        if time.monotonic() - self._synced_at >= _SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        if self._synced < self._kept.size:
            os.fsync(self._file.fileno())
        self._synced, self._synced_at = self._kept.size, time.monotonic()

    def _undo(self) -> None:
        """Takes back a line that is only partly there, and what Python still holds of it."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._file = (self.folder / JOURNAL).open("ab")
        self._file.truncate(self._kept.size)

    def _there(self, file: SavedFile) -> bool:
        path = self.folder / file.path
        with contextlib.suppress(OSError):
            return path.is_file() and path.stat().st_size == file.bytes
        return False

    def _saved(self, item: Item, output: Output, place: int) -> SavedFile:
        ending = PurePosixPath(output.name).suffix
        ending = ending if _ENDING.fullmatch(ending) else ".bin"  # it is another host's word
        number = f"-{place + 1}" if place else ""
        name = f"{item.index + 1:05d}-{item.key[:_KEY_CHARS]}{number}{ending}"
        _write(self.folder / IMAGES / name, output.content)
        digest = hashlib.sha256(output.content).hexdigest()
        size = len(output.content)
        return SavedFile(f"{IMAGES}/{name}", size, digest, output.node, output.kind, output.name)


def _entry(item: Item, outcome: Outcome, files: tuple[SavedFile, ...]) -> Entry:
    now = time.time()
    return Entry(
        key=item.key,
        index=item.index,
        parameters=item.parameters,
        seeds=_seeds(item.prompt),
        prompt_hash=_prompt_hash(item.prompt),
        file_hashes=item.files,
        base=item.base,
        recipe=item.recipe,
        status=outcome.status,
        files=files,
        error=outcome.failure,
        seconds=outcome.seconds,
        started=now if outcome.started is None else outcome.started,
        finished=now if outcome.finished is None else outcome.finished,
        worker=outcome.worker,
        attempts=outcome.attempts,
        loras=loras_of(item.prompt),
    )


def _inputs(prompt: Prompt) -> Iterator[tuple[str, Any]]:
    for node in prompt.values():
        yield from node["inputs"].items()


def _seeds(prompt: Prompt) -> tuple[int, ...]:
    named = (value for name, value in _inputs(prompt) if name in _SEEDS)
    return tuple(value for value in named if isinstance(value, int))


def _prompt_hash(prompt: Prompt) -> str:
    bare = {node: [each["class_type"], each["inputs"]] for node, each in prompt.items()}
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _read(path: Path) -> _Kept:
    kept = _Kept()
    for number, line in enumerate(_lines(path), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            entry = Entry.from_json(line.decode())
        except (ValueError, TypeError, KeyError) as error:
            raise LoraFileError(
                f"Line {number} was damaged. Remove it, and its item is rendered again.",
                file=str(path),
                key=str(number),
                found=str(error),
            ) from error
        kept.latest[entry.key] = entry
        kept.size += len(line)
    return kept


def check_free(folder: Path) -> None:
    """LoraInputError if another process writes a journal in ``folder``."""
    if (folder / _LOCK).exists():
        locked(folder, folder).close()


def _lines(path: Path) -> Sequence[bytes]:
    return path.read_bytes().splitlines(keepends=True) if path.exists() else ()


def _folder_id(path: Path) -> str:
    """Returns the id that is kept at ``path``, and makes one where there is none."""
    if not path.exists():
        with new_file(path) as new:
            new.write_text(secrets.token_hex(16), encoding="ascii")
    return path.read_text(encoding="ascii", errors="replace")


def locked(folder: Path, named: Path) -> IO[bytes]:
    """Returns the open lock of a folder; LoraInputError about ``named`` if another process has it."""
    file = (folder / _LOCK).open("ab")
    try:
        lock(file)
    except BlockingIOError as error:
        file.close()
        raise LoraInputError(
            f'Another run writes into "{named}". Wait until it has ended, or choose another folder.',
            key="out",
            expected="a folder that no other run uses",
            found=str(named),
        ) from error
    return file
