"""The process of a worker."""

from __future__ import annotations

import subprocess
import sys


def test_it_imports_no_torch():
    """Each of them would take 230 MB and some seconds for that."""
    script = (
        "import sys, lora_render.worker; print([n for n in ('torch', 'numpy') if n in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"
