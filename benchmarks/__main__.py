"""``python -m benchmarks``: measures in the host's own Python, whichever this one is."""

from __future__ import annotations

import os
import subprocess
import sys

from harness.host import REPOSITORY
from harness.installs import find_host

OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def main() -> int:
    install = find_host()
    if install is None:
        print("no ComfyUI found: set COMFYUI_PATH (and COMFYUI_PYTHON)", file=sys.stderr)
        return 1
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    command = [install.python, "-W", "ignore", "-m", "benchmarks.run", *sys.argv[1:]]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
