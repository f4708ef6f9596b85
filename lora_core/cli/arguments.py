"""What several commands take: LoRAs with strengths, a model for names, and how a file is written."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from ..algebra import Recipe, read_blocks
from ..errors import LoraError
from ..lists import block_lines
from ..naming import NAME_STYLES
from ..reading import identify
from ..workbench import DTYPES, Errors, Progress, Saved, save_lora

Command: TypeAlias = argparse.ArgumentParser


class Commands(Protocol):
    """What commands are added to."""

    def add_parser(self, name: str, *, help: str) -> Command:
        """Adds a command."""
        ...


class Arguments(Protocol):
    """What arguments are added to: a command, or a group of which one is given."""

    def add_argument(self, *names: str, **how: Any) -> object:
        """Adds an argument."""
        ...


LORA = "FILE[=STRENGTH[@BLOCKS]]"
"""How a LoRA is written."""

LORA_HELP = (
    "a LoRA file, its strength (1 by default) and its block weights: a preset, numbers, or "
    "lines with ; between them"
)

Asked: TypeAlias = tuple[Path, float, str]
"""A file, a strength and block weights."""


def lora(text: str) -> Asked:
    """Reads FILE, FILE=STRENGTH or FILE=STRENGTH@BLOCKS; a file whose own name holds "=" can be
    given as it is."""
    path, equals, numbers = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), 1.0, ""
    strength, at, blocks = numbers.partition("@")
    try:
        return Path(path), float(strength), _blocks(blocks) if at else ""
    except ValueError:
        raise argparse.ArgumentTypeError(f"{strength!r} is not a valid strength") from None


def _blocks(text: str) -> str:
    try:
        lines = block_lines(text)
        read_blocks(lines)
    except LoraError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return lines


def recipes(asked: Sequence[Asked]) -> list[Recipe]:
    """Returns one recipe for each LoRA that was asked for."""
    return [Recipe.of(identify(path), strength).blocks(blocks) for path, strength, blocks in asked]


def add_out(command: Command, dtype: str | None = None, *, many: bool = False) -> None:
    """Adds where a new LoRA goes, or with ``many`` the folder where new ones go, and how it is
    written: in the type ``dtype`` if none is given."""
    group = command.add_mutually_exclusive_group(required=True)
    group.add_argument("-o", "--out", metavar="OUT", type=Path)
    if many:
        add_out_dir(group)
    command.add_argument(
        "--dtype",
        choices=DTYPES,
        default=dtype,
        help=f"type of the numbers; {dtype or 'that of the files'} if not given",
    )
    command.add_argument(
        "--names", choices=NAME_STYLES, help="whose names; those of the files if not given"
    )


def add_many_loras(command: Command) -> None:
    """Adds the LoRAs of a command that also makes a file for each of many."""
    command.add_argument(
        "files",
        metavar=LORA,
        type=lora,
        nargs="+",
        help=f"{LORA_HELP}; or a folder of them, with --out-dir",
    )


def add_out_dir(command: Arguments) -> None:
    """Adds the folder for new files that are made of many."""
    command.add_argument(
        "--out-dir",
        metavar="DIR",
        type=Path,
        help="for several files or folders: write a new file for each into this folder, with its "
        "name and sub folders; what was made before is kept",
    )


def add_model(command: Command) -> None:
    """Adds the model that names belong to."""
    command.add_argument(
        "--model",
        metavar="BASE",
        type=Path,
        help="the checkpoint that the LoRAs are for, .safetensors; needed where they call their "
        "layers differently, for other names, and for DoRA, OFT and the like",
    )


def saved(options: argparse.Namespace, recipe: Recipe, rank: str) -> Saved:
    """Writes a recipe as the options say."""
    return save_lora(
        recipe,
        options.out,
        model=options.model,
        rank=rank,
        dtype=options.dtype,
        names=options.names,
        progress=progress(options),
    )


def told_of(options: argparse.Namespace, made: Saved) -> int:
    """Prints what became of the parts of a new file, and how exact it is; returns the exit status."""
    if not options.json:
        print(made.report)
    return told(options, made.path, made.layers, made.errors)


def told(options: argparse.Namespace, path: Path, layers: int, errors: Errors) -> int:
    """Prints what was written, and how exact it is; returns the exit status."""
    worst, most = errors.worst
    if options.json:
        values: dict[str, Any] = {
            "out": str(path),
            "layers": layers,
            "bytes": path.stat().st_size,
            "error": errors.total,
            "worst": {"layer": worst, "error": most},
        }
        print(json.dumps(values))
        return 0
    size = path.stat().st_size / 2**20
    print(f"written: {path} ({layers} layers, {size:.1f} MiB)")
    print(f"error: {errors.total:.2g} of the whole; at most {most:.2g}, in {worst}")
    return 0


def progress(options: argparse.Namespace) -> Progress | None:
    """Returns what shows people how far it is; programs get none."""
    return None if options.json else bar


def bar(done: int, total: int) -> None:
    """Draws a progress bar if the output is a terminal."""
    if sys.stderr.isatty():
        filled = 30 * done // max(1, total)
        end = "\n" if done == total else ""
        print(f"\r[{'#' * filled:30}] {done}/{total} weights", end=end, file=sys.stderr, flush=True)
