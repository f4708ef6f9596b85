"""``resize FILE --rank RULE -o OUT``: a smaller LoRA."""

from __future__ import annotations

import argparse
from functools import partial

from ..algebra import Recipe
from ..bulk import Rewrite
from .arguments import (
    Command,
    Commands,
    add_many_loras,
    add_model,
    add_out,
    recipes,
    saved,
    told_of,
)
from .many import add_workers, make_many, only


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("resize", help="write a smaller LoRA")
    add_many_loras(command)
    command.add_argument(
        "--rank",
        required=True,
        help="a rank, an error for the whole file such as 1%%, or one of sv_ratio, sv_cumulative, "
        "sv_fro and a number, or sv_knee",
    )
    add_model(command)
    add_out(command, many=True)
    add_workers(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Writes the LoRA, or one for each of many."""
    if options.out_dir is not None:
        return make_many(
            options, partial(Rewrite, rank=options.rank, dtype=options.dtype, names=options.names)
        )
    file = only(options.files, "--out-dir DIR")
    made = saved(options, Recipe.sum(recipes([file])), options.rank)
    return told_of(options, made)
