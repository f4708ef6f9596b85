"""``convert FILE -o OUT --names STYLE --dtype TYPE``: the same LoRA, written differently."""

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
    command = commands.add_parser(
        "convert", help="write a LoRA with other names, or in another type"
    )
    add_many_loras(command)
    add_model(command)
    add_out(command, many=True)
    add_workers(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Writes the LoRA, or one for each of many."""
    if options.out_dir is not None:
        return make_many(
            options, partial(Rewrite, rank="exact", dtype=options.dtype, names=options.names)
        )
    file = only(options.files, "--out-dir DIR")
    made = saved(options, Recipe.sum(recipes([file])), "exact")
    return told_of(options, made)
