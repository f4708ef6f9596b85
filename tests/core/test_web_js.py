"""The page's modules that need no page: every tests/web/*.test.mjs, in Node.js."""

import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from lora_core.library.filenames import folded

WEB_TESTS = Path(__file__).parents[1] / "web"
FILENAMES = Path(__file__).parents[2] / "web" / "model" / "filenames.js"
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(
    NODE is None, reason="no Node.js: the page's modules are NOT TESTED"
)

FOLD_ALL = """
import { readFileSync } from "node:fs";
const { sameName } = await import(process.argv[1]);
const fold = (name) => (/\\p{Unassigned}/u.test(name) ? null : sameName(name));
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(fold)));
"""
"""Gives the names of a list, in JSON, as the page compares them; null for what this Node.js does not know."""


@needs_node
@pytest.mark.parametrize("file", sorted(WEB_TESTS.glob("*.test.mjs")), ids=lambda file: file.name)
def test_in_node(file: Path) -> None:
    command = [NODE, "--test", "--test-reporter=tap", file]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "\n# fail 0" in run.stdout, "Node.js has run no test"


def folded_by_page(names: list[str]) -> list[str | None]:
    command = [NODE, "--input-type=module", "--eval", FOLD_ALL, FILENAMES.as_uri()]
    run = subprocess.run(
        command, input=json.dumps(names), capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


@needs_node
def test_the_page_and_the_nodes_agree_on_which_names_are_the_same():
    """For every character that both know."""
    every = map(chr, range(sys.maxunicode + 1))
    names = [each for each in every if unicodedata.category(each) not in {"Cn", "Cs"}]
    both = zip(map(folded, names), folded_by_page(names), strict=True)
    pairs = {(ours, theirs) for ours, theirs in both if theirs is not None}
    assert len(pairs) > 100_000
    assert len(pairs) == len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs})
