"""``python -m lora_core``: the command line, see ``cli``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import __version__, cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    return cli.main(__version__, arguments)


if __name__ == "__main__":
    sys.exit(main())
