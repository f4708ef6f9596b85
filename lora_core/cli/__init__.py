"""The command line: ``lora-algebra inspect``, ``apply``, ``combine``, ``resize``, ``extract``, ``analyse``, ``convert``,
``render``.

``python -m lora_core`` is the same where the package is not installed. One module per verb.
Exit status: 0 done, 1 refused, 2 wrong usage, 3 some of many files or renderings failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from ..errors import LoraError
from . import analyse, apply, combine, convert, extract, inspect, render, resize

VERBS = (inspect, apply, combine, resize, extract, analyse, convert, render)


def main(version: str, arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    options = _parser(version).parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name may hold what the terminal can't show
    try:
        return options.command(options)
    except (LoraError, OSError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1


def _parser(version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_called_as(), description=__doc__)
    parser.add_argument("--version", action="version", version=f"lora-algebra {version}")
    commands = parser.add_subparsers(required=True)
    for verb in VERBS:
        command = verb.add_to(commands)
        command.add_argument("--json", action="store_true", help="print JSON, for programs")
        command.set_defaults(command=verb.run, version=version)
    return parser


def _called_as() -> str:
    """Returns the name that the usage line shows: the installed script's, or the module's."""
    script = Path(sys.argv[0]).stem
    return script if script == "lora-algebra" else "python -m lora_core"
