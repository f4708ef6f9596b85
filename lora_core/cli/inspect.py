"""``inspect FILE``: what is in a LoRA file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..library import inspect_file
from ..reading import identify, read_file
from .arguments import Command, Commands


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("inspect", help="show what is in a LoRA file")
    command.add_argument("file", metavar="FILE", type=Path)
    return command


def run(options: argparse.Namespace) -> int:
    """Prints the summary of a file."""
    summary = inspect_file(read_file(identify(options.file)))
    print(json.dumps(summary.to_dict()) if options.json else summary)
    return 0
