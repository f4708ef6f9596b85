"""``convert FILE -o OUT --names STYLE --dtype TYPE``: the same LoRA, written differently."""

from __future__ import annotations

import argparse

from ..algebra import Recipe
from ..errors import LoraInputError
from ..reading import shared_cache
from ..workbench import save
from .arguments import (
    LORA,
    LORA_HELP,
    Command,
    Commands,
    add_model,
    add_out,
    form,
    lora,
    progress,
    recipes,
    source,
    told,
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
    if options.names and options.model is None:
        raise LoraInputError(
            "Other names follow from the model's. Give it as --model; only its header is read.",
            key="model",
            expected="--model BASE",
            found="none",
        )
    recipe = Recipe.sum(recipes([options.file]))
    how = form(options, "exact")
    saved = save(
        recipe, [source(options, recipe)], options.out, shared_cache, how, progress(options)
    )
    return told(options, saved.path, saved.layers, saved.errors)
