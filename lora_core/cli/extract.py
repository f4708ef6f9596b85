"""``extract TUNED BASE -o OUT``: the LoRA that makes one checkpoint of another."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..workbench import extract_lora
from .arguments import Command, Commands, add_out, progress, told


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("extract", help="take a LoRA out of a finished checkpoint")
    command.add_argument("tuned", metavar="TUNED", type=Path, help="the finished checkpoint")
    command.add_argument("base", metavar="BASE", type=Path, help="the one that it came from")
    command.add_argument("--rank", default="64", help="exact, a rank (64), or an error such as 5%%")
    add_out(command, "float16")
    return command


def run(options: argparse.Namespace) -> int:
    """Writes the LoRA."""
    form = {"rank": options.rank, "dtype": options.dtype, "names": options.names}
    found = extract_lora(
        options.tuned, options.base, options.out, **form, progress=progress(options)
    )
    if found.left_out and not options.json:
        print(
            f"left out: {found.left_out} weights that only one of the models has, "
            "that have a scale, or that a LoRA has no name for"
        )
    return told(options, found.path, found.layers, found.errors)
