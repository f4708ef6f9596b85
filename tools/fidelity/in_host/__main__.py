"""What only ComfyUI can say. It is run by its own Python: ``python -O in_host HOST COMMAND FILE``.

``-O``, since one of its models asserts the real width. FILE is where the answer goes, as JSON; for
some commands it also holds the question.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    host, command, file = sys.argv[1:]
    sys.argv = [sys.argv[0], "--cpu"]
    sys.path.insert(1, host)
    import comfy.options

    comfy.options.enable_args_parsing()
    logging.disable(logging.WARNING)
    Path(file).write_text(json.dumps(_commands()[command](file)), encoding="utf-8")


def _commands() -> dict[str, Callable[[str], object]]:
    import banks
    import dump
    import loader

    return {
        "banks": banks.banks,
        "dump": dump.dump,
        "dialects": loader.dialects,
        "families": loader.families,
    }


if __name__ == "__main__":
    main()
