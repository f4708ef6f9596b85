"""``resize FILE --rank RULE -o OUT``: a smaller LoRA."""

from __future__ import annotations

import argparse

from ..algebra import Recipe
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
    command = commands.add_parser("resize", help="write a smaller LoRA")
    command.add_argument("file", metavar=LORA, type=lora, help=LORA_HELP)
    command.add_argument(
        "--rank",
        required=True,
        help="a rank, an error for the whole file such as 1%%, or one of sv_ratio, sv_cumulative, "
        "sv_fro and a number, or sv_knee",
    )
    add_model(command)
    add_out(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Writes the LoRA."""
    made = saved(options, Recipe.sum(recipes([options.file])), options.rank)
    return told_of(options, made)
