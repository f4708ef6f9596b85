"""``analyse FILE…``: what LoRAs change where, and what they do to each other."""

from __future__ import annotations

import argparse
import json

from ..algebra import Recipe
from ..reading import shared_cache
from ..workbench import analyse, plain, words
from .arguments import LORA, LORA_HELP, Command, Commands, add_model, lora, recipes, source


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("analyse", help="show what LoRAs change, and how alike they are")
    command.add_argument("loras", metavar=LORA, type=lora, nargs="+", help=LORA_HELP)
    add_model(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Prints the analysis."""
    recipe = Recipe.sum(recipes(options.loras))
    model = source(options, recipe)
    found = analyse(recipe, model.view, shared_cache, model.weight_of)
    print(json.dumps(plain(found)) if options.json else words(found))
    return 0
