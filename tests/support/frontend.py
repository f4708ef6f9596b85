"""The newer page that the host can be told to serve, fetched once. Standard library only."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NEWER = "1.58.1"
"""The version of comfyui-frontend-package that the tests know beside the host's own."""

INSIDE = "comfyui_frontend_package/static"
PATIENCE = 120.0

SKIPPED = (
    f"TESTS IN THE NEWER PAGE SKIPPED: comfyui-frontend-package {NEWER} is not in the cache "
    "and could not be fetched. Nothing ran in that page."
)


def ensure_frontend(version: str = NEWER) -> Path | None:
    """The folder to serve, kept between test runs; None where it cannot be had."""
    cache = Path(tempfile.gettempdir()) / f"lora-algebra-tests-frontend-{version}"
    if not cache.is_dir():
        with tempfile.TemporaryDirectory(prefix=f"{cache.name}-", dir=cache.parent) as fresh:
            if not _fetch(version, Path(fresh)):
                return None
            # In one step, so that a run that was cut short leaves nothing half there.
            (Path(fresh) / "unpacked").rename(cache)
    return cache / INSIDE


def _fetch(version: str, folder: Path) -> bool:
    """Download and unpack into ``folder``/unpacked."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--timeout", "15", "--retries", "1", "--dest", folder),
        f"comfyui-frontend-package=={version}",
    ]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode:
        return False
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "unpacked")
    return True
