"""``python -m benchmarks``: measures in the host's own Python, whichever this one is.

``--device cuda`` without ``--only`` measures what a GPU is asked (``benchmarks.gpu``), and parts of the page otherwise. What
a GPU is asked needs no host: without one, this Python measures what it can.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from harness.host import REPOSITORY
from harness.installs import find_host

OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def main(arguments: Sequence[str]) -> int:
    install, on_gpu = find_host(), _is_for_gpu(arguments)
    if install is None and not on_gpu:
        print("no ComfyUI found: set COMFYUI_PATH (and COMFYUI_PYTHON)", file=sys.stderr)
        return 1
    python = install.python if install else sys.executable
    module = "benchmarks.gpu" if on_gpu else "benchmarks.run"
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    command = [python, "-W", "ignore", "-m", module, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode


def _is_for_gpu(arguments: Sequence[str]) -> bool:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--device")
    parser.add_argument("--only", nargs="+")
    asked, _ = parser.parse_known_args(arguments)
    return asked.device == "cuda" and not asked.only


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
