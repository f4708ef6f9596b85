"""Asks the host: a process of its own Python, with a file in and out."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from harness.installs import find_host

SCRIPT = Path(__file__).parent / "in_host"
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class HostFailedError(RuntimeError):
    """The host is there, but gave no answer."""


def ask_host(command: str, question: Any = None) -> Any:
    """Returns the host's answer to ``command``; None if no ComfyUI is found.

    Raises:
        HostFailedError: It ended without an answer.
    """
    install = find_host()
    if install is None:
        return None
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answer.json"
        file.write_text(json.dumps(question), encoding="utf-8")
        done = subprocess.run(
            [install.python, "-O", SCRIPT, install.path, command, file],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise HostFailedError(f"ComfyUI gave no answer to {command!r}:\n{done.stderr}")
        return json.loads(file.read_text(encoding="utf-8"))
