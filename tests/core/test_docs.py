"""What the documents show is run, and what they name is there."""

import ast
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
from lora_core.algebra.block_weights import read_blocks
from lora_core.algebra.curve import Curve
from lora_core.algebra.spread import parse_spread
from lora_core.lists.rows import read_rows
from lora_core.lists.sweep import parse_values
from lora_core.lists.tags import read_tags

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")}
WORDS = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
MODULES = [m.name for m in pkgutil.walk_packages(lora_core.__path__, "lora_core.")]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the documents speak of, in the folder they are read in."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("ink", "light")):
        both = {**pair("unet.linear", 6, 8, seed=seed), **pair("text_encoder_2.linear", 6, 8)}
        write(tmp_path / f"{name}.safetensors", both)
        (tmp_path / "loras").mkdir(exist_ok=True)
        write(tmp_path / "loras" / f"{name}.safetensors", both)
    write(tmp_path / "base.safetensors", net().state_dict())


@pytest.mark.parametrize("name", [m for m in MODULES if not m.endswith("__main__")])
def test_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def python_of(text):
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return code


@pytest.mark.usefixtures("files")
def test_the_python_of_the_guide(capsys):
    pipe = SimpleNamespace(unet=net(), text_encoder_2=net())
    exec(python_of(PAGES["python"]), {"pipe": pipe})  # noqa: S102
    assert bits(pipe.unet) == bits(net())
    assert bits(pipe.text_encoder_2) != bits(net())
    assert "light.safetensors" in capsys.readouterr().out


@pytest.mark.usefixtures("files")
def test_the_python_of_the_readme():
    pipe = SimpleNamespace(unet=net())
    exec(python_of(README), {"pipe": pipe, "lora_core": lora_core})  # noqa: S102
    assert bits(pipe.unet) != bits(net())


@pytest.mark.usefixtures("files")
def test_the_commands_of_the_guide():
    commands = re.findall(r"^lora-algebra (.*)$", PAGES["python"], re.MULTILINE)
    assert len(commands) == 9
    for command in commands:
        alone = ("--workers", "1") if " loras " in command else ()
        assert main([*shlex.split(command), *alone]) == 0


def test_the_reference_has_all_that_is_public():
    (listed,) = re.findall(r"members: \[(.*)\]", PAGES["api"])
    assert sorted(listed.split(", ")) == sorted(lora_core.__all__)


def test_the_readme_is_short():
    assert len(README.encode()) <= 10_000


@pytest.mark.parametrize("page", ["README", *PAGES])
def test_links_and_pictures_exist(page):
    text, folder = (README, ROOT) if page == "README" else (PAGES[page], ROOT / "docs")
    for path in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
        assert (folder / path).exists(), path


def test_no_page_has_marks_of_a_merge():
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("web/docs/*.md")]:
        assert not re.search(r"^(<{7}|>{7}) ", path.read_text(encoding="utf-8"), re.MULTILINE), path


def test_every_page_of_the_site_is_in_its_navigation():
    """And none that is not there: `make docs` needs an environment of its own."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = set(re.findall(r"[\w/-]+\.md$", navigation, re.MULTILINE))
    assert named == {f"{page}.md" for page in PAGES} | {f"help/{node}.md" for node in WORDS}


SECTIONS = {
    "families",
    "dialects",
    "special dialects",
    "partial files",
    "text encoders",
    "pipelines",
}


def test_fidelity_has_a_place_for_every_table():
    """Its tool writes between these marks, and refuses where one is missing."""
    sources = (ROOT / "tools" / "fidelity").glob("*.py")
    written = {
        name
        for source in sources
        for name in re.findall(r"Section\(\s*\"(.*?)\"", source.read_text(encoding="utf-8"))
    }
    marks = re.findall(
        r"<!-- fidelity: (.*?) -->\n\|.*?<!-- fidelity: end -->", PAGES["fidelity"], re.DOTALL
    )
    assert written == SECTIONS
    assert sorted(marks) == sorted(SECTIONS)


JOINED = {
    *("the list of rows is version", "across_values:", "strength must be a number"),
    *("strength must be a finite number", "a tag needs > at its end"),
    *("which a tag cannot express", "which a LORA_STACK cannot express"),
}
"""Messages that no single text of the code holds, since they are put together when they are needed."""


def texts_of_the_code():
    for path in [*ROOT.glob("lora_core/**/*.py"), *ROOT.glob("nodes/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in ROOT.glob("web/**/*.js"):
        yield path.read_text(encoding="utf-8")


def test_the_messages_that_troubleshooting_lists_are_said():
    said = "\n".join(texts_of_the_code())
    rows = re.findall(r"^\| (`.*?) \|", PAGES["troubleshooting"], re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`(.*?)`", row)]
    assert len(messages) > 50
    for message in messages:
        for piece in filter(None, map(str.strip, message.split("…"))):
            assert piece in said or piece in JOINED, message


@pytest.mark.parametrize(
    ("page", "parse"),
    [
        ("ScheduleLoRA", Curve.parse),
        ("SpreadLoRA", parse_spread),
        ("SweepLoRA", parse_values),
        ("LoRABlockWeights", read_blocks),
        ("FromLoRATags", read_tags),
    ],
)
def test_the_texts_that_the_help_teaches_are_read(page, parse):
    text = (ROOT / "web" / "docs" / f"{page}.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| Text \| Meaning \|\n(.*?)\n\n", text, re.DOTALL)
    taught = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    assert len(taught) >= 3
    for each in taught:
        parse(each)


def test_the_rows_that_the_help_teaches_are_read():
    text = (ROOT / "web" / "docs" / "LoRARows.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert [(row.on, bool(row.blocks), bool(row.low), row.only) for row in read_rows(code)] == [
        (True, False, False, None),
        (False, False, False, None),
        (True, True, False, None),
        (True, False, True, None),
        (True, False, False, "high"),
    ]


def test_every_node_is_described():
    for node, words in WORDS.items():
        assert (ROOT / "web" / "docs" / f"{node}.md").exists()
        assert f"**{words['display_name']}**" in README
        assert f"[**{words['display_name']}**](../web/docs/{node}.md) `{node}`" in PAGES["nodes"]
