"""``convert FILE -o OUT --names STYLE --dtype TYPE``: the same LoRA, written differently."""

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
    command = commands.add_parser(
        "convert", help="write a LoRA with other names, or in another type"
    )
    command.add_argument("file", metavar=LORA, type=lora, help=LORA_HELP)
    add_model(command)
    add_out(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Writes the LoRA."""
    made = saved(options, Recipe.sum(recipes([options.file])), "exact")
    return told_of(options, made)
