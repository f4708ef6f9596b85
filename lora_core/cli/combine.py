"""``combine FILE=STRENGTH … -o OUT``: one LoRA of several."""

from __future__ import annotations

import argparse

from ..combining import METHODS
from ..workbench import combine
from .arguments import (
    LORA,
    LORA_HELP,
    Command,
    Commands,
    add_model,
    add_out,
    lora,
    recipes,
    saved,
    told_of,
)


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("combine", help="write one LoRA of several")
    command.add_argument("loras", metavar=LORA, type=lora, nargs="+", help=LORA_HELP)
    names = [name for name in METHODS if name != "resize"]
    command.add_argument("--method", choices=names, default="sum")
    command.add_argument(
        "--density", type=float, help="the share of the entries that ties, dare and knots keep"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="what the random choices of dare begin with"
    )
    command.add_argument("--rank", default="exact", help="exact, a rank, or an error such as 1%%")
    add_model(command)
    add_out(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Writes the LoRA."""
    parts = recipes(options.loras)
    recipe = combine(parts, options.method, density=options.density, seed=options.seed)
    return told_of(options, saved(options, recipe, options.rank))
