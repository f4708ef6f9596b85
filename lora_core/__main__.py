"""The command line: ``lora-algebra inspect FILE`` and ``lora-algebra apply …``.

``python -m lora_core`` is the same where the package is not installed.
Exit status: 0 done, 1 refused, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from . import __version__
from .algebra import Recipe, read_blocks
from .applying import bake
from .errors import LoraError
from .library import inspect_file
from .lists import block_lines
from .reading import identify, read_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name may hold what the terminal can't show
    try:
        return options.command(options)
    except (LoraError, OSError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_called_as(), description=__doc__)
    parser.add_argument("--version", action="version", version=f"lora-algebra {__version__}")
    commands = parser.add_subparsers(required=True)

    inspect = commands.add_parser("inspect", help="show what is in a LoRA file")
    inspect.add_argument("file", metavar="FILE", type=Path)
    inspect.set_defaults(command=_inspect)

    apply = commands.add_parser("apply", help="write a checkpoint with LoRAs merged into it")
    apply.add_argument("base", metavar="BASE", type=Path, help="checkpoint, .safetensors")
    apply.add_argument(
        "-l",
        "--lora",
        metavar="FILE[=STRENGTH[@BLOCKS]]",
        type=_lora,
        action="append",
        required=True,
        help="a LoRA file, its strength (1 by default) and its block weights: a preset, numbers, or "
        "lines with ; between them; can be repeated",
    )
    apply.add_argument("-o", "--out", metavar="OUT", type=Path, required=True)
    apply.set_defaults(command=_apply)

    for command in (inspect, apply):
        command.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser


def _called_as() -> str:
    """Returns the name that the usage line shows: the installed script's, or the module's."""
    script = Path(sys.argv[0]).stem
    return script if script == "lora-algebra" else "python -m lora_core"


def _lora(text: str) -> tuple[Path, float, str]:
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


def _inspect(options: argparse.Namespace) -> int:
    summary = inspect_file(read_file(identify(options.file)))
    print(json.dumps(summary.to_dict()) if options.json else summary)
    return 0


def _apply(options: argparse.Namespace) -> int:
    recipe = Recipe.sum(
        Recipe.of(identify(path), strength).blocks(blocks)
        for path, strength, blocks in options.lora
    )
    report = bake(options.base, recipe, options.out, None if options.json else _bar)
    written = str(options.out)
    print(json.dumps({"out": written, **report.to_dict()}) if options.json else report)
    if not options.json:
        print(f"written: {written}")
    return 0


def _bar(done: int, total: int) -> None:
    """Draws a progress bar if the output is a terminal."""
    if sys.stderr.isatty():
        filled = 30 * done // max(1, total)
        end = "\n" if done == total else ""
        print(f"\r[{'#' * filled:30}] {done}/{total} weights", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
