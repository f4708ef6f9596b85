"""``inspect FILE``: what is in a LoRA file; ``inspect DIR… --out TABLE``: a row for each of many."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..bulk import Listing, Tally, Watch, list_library
from ..library import inspect_file
from ..reading import identify, read_file
from .arguments import Command, Commands
from .many import add_workers, only, told_of_many


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("inspect", help="show what is in a LoRA file, or list a library")
    command.add_argument(
        "files", metavar="FILE", type=Path, nargs="+", help="or a folder, with --out"
    )
    command.add_argument(
        "--out",
        metavar="TABLE",
        type=Path,
        help="write a table with a row for each file, .parquet, .csv or .jsonl; rows of files that "
        "have not changed are kept",
    )
    command.add_argument(
        "--no-hashes", action="store_true", help="read only the headers, which is far faster"
    )
    add_workers(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Prints the summary of a file, or writes the table."""
    if options.out is not None:
        return told_of_many(options, options.out, lambda watch: _list(options, watch))
    path, *_ = only([(path, 1.0, "") for path in options.files], "--out library.parquet")
    summary = inspect_file(read_file(identify(path)))
    print(json.dumps(summary.to_dict()) if options.json else summary)
    return 0


def _list(options: argparse.Namespace, watch: Watch) -> Tally:
    hashed = not options.no_hashes
    listing = Listing(options.files, options.out, hashed, options.workers, options.version)
    return list_library(listing, watch)
