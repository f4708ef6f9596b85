"""The page draws the curves that the model gets: web/curve.js against the shared vectors."""

import shutil
import subprocess
from pathlib import Path

import pytest

WEB_TESTS = Path(__file__).parents[1] / "web"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="no Node.js: web/curve.js is NOT TESTED")
@pytest.mark.parametrize("file", sorted(WEB_TESTS.glob("*.test.mjs")), ids=lambda file: file.name)
def test_in_node(file):
    run = subprocess.run([NODE, "--test", file], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
