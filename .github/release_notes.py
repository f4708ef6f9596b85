"""Prints what CHANGELOG.md says of a tag's version; fails if pyproject.toml states another one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(tag: str) -> str:
    """The notes of the version, or SystemExit with what does not agree."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    stated = re.search(r'^version = "(.*?)"', project, re.MULTILINE)
    version = stated[1] if stated else "none"
    if tag != f"v{version}":
        sys.exit(f"the tag is {tag}, but pyproject.toml states version {version}")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    notes = re.search(
        rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## \[|\Z)", changelog, re.M | re.S
    )
    if notes is None:
        sys.exit(f"CHANGELOG.md has no section for version {version}")
    return notes[1].strip()


if __name__ == "__main__":
    print(main(sys.argv[1]))  # noqa: T201
