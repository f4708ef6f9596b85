"""What people install: the wheel's facts, the command, and the registry's archive."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lora_core
from lora_core.__main__ import main

ROOT = Path(__file__).parents[2]
NEEDED = {
    *("__init__.py", "entrypoint.py", "pyproject.toml", "README.md", "LICENSE"),
    *("lora_core", "nodes", "web", "locales", "example_workflows"),
}
"""What the archive must have at its top: what ComfyUI loads, and what says what it is."""


@pytest.fixture
def project():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere(project):
    version = project["project"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)  # as the registry wants it
    assert lora_core.__version__ == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_wheel_is_the_typed_core_with_its_command(project):
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [
        "lora_core",
        "lora_render",
    ]
    assert (ROOT / "lora_core" / "py.typed").exists()
    assert project["project"]["dependencies"] == []  # ComfyUI would install them
    module, function = project["project"]["scripts"]["lora-algebra"].split(":")
    assert getattr(importlib.import_module(module), function) is main


def test_the_registrys_pictures_are_there(project):
    for field in ("Icon", "Banner"):
        address = project["tool"]["comfy"][field]
        assert (ROOT / address.partition("/main/")[2]).is_file(), address


@pytest.mark.parametrize(
    ("called", "shown"),
    [("/usr/bin/lora-algebra", "lora-algebra"), ("lora_core/__main__.py", "python -m lora_core")],
)
def test_version_and_usage_carry_the_name_that_was_called(monkeypatch, capsys, called, shown):
    monkeypatch.setattr(sys, "argv", [called])
    for option, expected in (
        ("--version", f"lora-algebra {lora_core.__version__}\n"),
        ("--help", f"usage: {shown} "),
    ):
        with pytest.raises(SystemExit) as left:
            main([option])
        assert left.value.code == 0
        assert capsys.readouterr().out.startswith(expected)


def test_the_registrys_archive_holds_what_comfyui_needs_and_no_more():
    """comfy-cli packs what git tracks, without what .comfyignore names in git's own syntax."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    left_out = git("ls-files", "--cached", "--ignored", "--exclude-from=.comfyignore")
    packed = git("ls-files") - left_out
    assert {path.partition("/")[0] for path in packed} >= NEEDED
    loaded = tuple(f"{folder}/" for folder in NEEDED if "." not in folder)
    assert not {path for path in left_out if path.startswith(loaded)}
    extra = {path.partition("/")[0] for path in packed} - NEEDED
    assert extra <= {"CHANGELOG.md", "SECURITY.md"}


def git(*arguments: str) -> set[str]:
    command = ["git", "-C", str(ROOT), *arguments]
    return {
        *subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    } - {""}
