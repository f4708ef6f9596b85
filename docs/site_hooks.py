"""What MkDocs needs so that pages read well on GitHub and on the site; named in mkdocs.yml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).resolve().parents[1]
ON_GITHUB: Final = "https://github.com/lora-algebra/lora-algebra/blob/main/"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the nodes' help pages, which ComfyUI wants in web/docs."""
    for page in sorted((ROOT / "web" / "docs").glob("*.md")):
        files.append(File.generated(config, f"help/{page.name}", abs_src_path=str(page)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Leads links out of docs/ to their place on the site, and renders tables that can be folded."""
    markdown = markdown.replace("](../web/docs/", "](help/")
    markdown = re.sub(r"\]\(\.\./(?=[\w.])", f"]({ON_GITHUB}", markdown)
    return markdown.replace("<details>", '<details markdown="1">')
