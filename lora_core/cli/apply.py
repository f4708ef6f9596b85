"""``apply BASE -l FILE -o OUT``: a checkpoint with LoRAs merged into it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..algebra import Recipe
from ..applying import bake
from .arguments import LORA, LORA_HELP, Command, Commands, bar, lora, recipes


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("apply", help="write a checkpoint with LoRAs merged into it")
    command.add_argument("base", metavar="BASE", type=Path, help="checkpoint, .safetensors")
    command.add_argument(
        "-l",
        "--lora",
        metavar=LORA,
        type=lora,
        action="append",
        required=True,
        help=f"{LORA_HELP}; can be repeated",
    )
    command.add_argument("-o", "--out", metavar="OUT", type=Path, required=True)
    return command


def run(options: argparse.Namespace) -> int:
    """Writes the checkpoint."""
    recipe = Recipe.sum(recipes(options.lora))
    report = bake(options.base, recipe, options.out, None if options.json else bar)
    written = str(options.out)
    print(json.dumps({"out": written, **report.to_dict()}) if options.json else report)
    if not options.json:
        print(f"written: {written}")
    return 0
