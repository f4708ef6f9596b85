"""The page's modules that need no page: every tests/web/*.test.mjs, in Node.js."""

import shutil
import subprocess
from pathlib import Path

import pytest

WEB_TESTS = Path(__file__).parents[1] / "web"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="no Node.js: the page's modules are NOT TESTED")
@pytest.mark.parametrize("file", sorted(WEB_TESTS.glob("*.test.mjs")), ids=lambda file: file.name)
def test_in_node(file: Path) -> None:
    command = [NODE, "--test", "--test-reporter=tap", file]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "\n# fail 0" in run.stdout, "Node.js has run no test"
