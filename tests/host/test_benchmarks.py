"""That the benchmarks run; what they measure is no test."""

import os
import re
import subprocess
import sys

import pytest

from harness.host import REPOSITORY
from harness.installs import environment_of

SECTIONS = (
    "Patching",
    "Outside the host",
    "Node side",
    "Cold",
    "Live",
    "Varying",
    "Regions",
    "Keeping",
    "Memory",
    "Scale",
    "On a GPU",
)


@pytest.mark.slow
def test_the_benchmarks_run(host_install, tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "--out", tmp_path]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | environment_of(host_install),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert re.findall("^## (.*)$", page, re.MULTILINE) == list(SECTIONS)
    assert host_install.version in page
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
