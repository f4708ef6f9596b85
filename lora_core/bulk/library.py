"""A table of all files of a library, a row for each: what was read once is not read again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .columns import Row, row_of
from .files import Input, find_inputs, no_files
from .journal import Journal, read_journal
from .leftovers import clear_leftovers
from .look import look, path_of, refused_row, state_of
from .pool import Failed, each
from .tables import check_table, read_table, write_table
from .tally import Failure, Tally, Watch


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be listed, and how.

    Attributes:
        named: Files and folders.
        out: The table, .parquet, .csv or .jsonl.
        hashed: Whether the files are hashed, for which all of them is read, and not only their headers.
        workers: How many processes read; 1 for this one alone.
        version: That of the program; what another one has read is read again.
    """

    named: Sequence[Path]
    out: Path
    hashed: bool
    workers: int
    version: str


def list_library(listing: Listing, watch: Watch) -> Tally:
    """Writes a table with a row for each file, and keeps the rows of files that are as they were.

    A row with an error is always tried again. While it works, the rows are in a journal next to the
    table; the next call goes on from there if this one is stopped.

    Raises:
        LoraInputError: There is no file at all, there can be no table at ``out``, or another process
            writes it.
        OSError: It cannot be written.
    """
    check_table(listing.out)
    before = read_table(listing.out)
    files = find_inputs(listing.named)
    if not files:
        raise no_files(listing.named)
    path = listing.out.with_name(f"{listing.out.name}.journal")
    with Journal(path) as journal:
        clear_leftovers([listing.out])
        tally = _list(listing, files, _known([*before, *_rows(path)]), journal, watch)
        journal.done()
    return tally


def _list(
    listing: Listing,
    files: Sequence[Input],
    known: Mapping[object, Row],
    journal: Journal,
    watch: Watch,
) -> Tally:
    """Writes the table, with what is ``known`` of files that are as they were."""
    states = {file.path: state_of(file, (listing.version, listing.hashed)) for file in files}
    rows = {
        file.path: row
        for file in files
        if (row := known.get(path_of(file))) and row["state"] == states[file.path]
    }
    tally = Tally(len(files), kept=len(rows))
    watch(tally)
    todo = [file for file in files if file.path not in rows]
    for file, found in each(partial(look, listing.hashed), todo, listing.workers):
        row = _row(file, found, states[file.path])
        journal.add(row)
        rows[file.path] = row
        _count(tally, row)
        watch(tally)
    write_table([rows[file.path] for file in files], listing.out)
    return tally


def _rows(journal: Path) -> Iterator[Row]:
    """Yields the rows of a journal, without lines of anything else."""
    for entry in read_journal(journal):
        with suppress(ValueError, TypeError):
            yield row_of(entry)


def _known(rows: Sequence[Row]) -> Mapping[object, Row]:
    """Returns the sound rows by path, the latest of each."""
    return {row["path"]: row for row in rows if row["error"] is None}


def _row(file: Input, found: Row | Failed, state: str) -> Row:
    row = refused_row(file, found.error) if isinstance(found, Failed) else found
    return row_of({**row, "state": state})


def _count(tally: Tally, row: Row) -> None:
    if row["error"] is None:
        tally.done += 1
    else:
        tally.failures.append(Failure(str(row["path"]), str(row["error"])))
