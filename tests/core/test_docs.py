"""What the documents show is run."""

import doctest
import importlib
import json
import pkgutil
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

import lora_core
from harness.samples import bits, net, pair, write
from lora_core.__main__ import main
from lora_core.algebra.curve import Curve
from lora_core.algebra.spread import parse_spread
from lora_core.lists.rows import read_rows
from lora_core.lists.sweep import parse_values
from lora_core.lists.tags import read_tags

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = [m.name for m in pkgutil.walk_packages(lora_core.__path__, "lora_core.")]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the README speaks of, in the folder it is read in."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("ink", "light")):
        both = {**pair("unet.linear", 6, 8, seed=seed), **pair("text_encoder_2.linear", 6, 8)}
        write(tmp_path / f"{name}.safetensors", both)
    write(tmp_path / "base.safetensors", net().state_dict())


@pytest.mark.parametrize("name", [m for m in MODULES if not m.endswith("__main__")])
def test_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.usefixtures("files")
def test_the_readmes_python(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    pipe = SimpleNamespace(unet=net(), text_encoder_2=net())
    exec(code, {"pipe": pipe})  # noqa: S102
    assert bits(pipe.unet) == bits(net())
    assert bits(pipe.text_encoder_2) != bits(net())
    assert "light.safetensors" in capsys.readouterr().out


@pytest.mark.usefixtures("files")
def test_the_readmes_commands():
    commands = re.findall(r"^python -m lora_core (.*)$", README, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert main(shlex.split(command)) == 0


def test_the_readmes_files_exist():
    """Links and pictures within the repository."""
    for path in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("page", "parse"),
    [
        ("ScheduleLoRA", Curve.parse),
        ("SpreadLoRA", parse_spread),
        ("SweepLoRA", parse_values),
        ("FromLoRATags", read_tags),
    ],
)
def test_the_texts_that_the_help_teaches_are_read(page, parse):
    text = (ROOT / "web" / "docs" / f"{page}.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| text \| meaning \|\n(.*?)\n\n", text, re.DOTALL)
    taught = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    assert len(taught) >= 3
    for each in taught:
        parse(each)


def test_the_rows_that_the_help_teaches_are_read():
    text = (ROOT / "web" / "docs" / "LoRARows.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert [row.on for row in read_rows(code)] == [True, False]


def test_every_node_has_a_help_page_and_words():
    words = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text())
    for node in ("LoadLoRA", "ScaleLoRA", "StackLoRAs", "ApplyToModel"):
        assert (ROOT / "web" / "docs" / f"{node}.md").exists()
        assert words[node]["display_name"]
        assert f"`{node}`" in README
