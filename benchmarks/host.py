"""The real ComfyUI, and the pack as a package of it, in this process."""

from __future__ import annotations

import importlib.util
import logging
import os
import platform
import sys
from datetime import date
from pathlib import Path

import torch

from harness.host import REPOSITORY
from harness.installs import HostInstall, find_host

PACK = "lora_algebra"
"""The name under which the pack is imported here, as the host gives a name to every pack's folder."""


def start(device: str) -> HostInstall:
    """Makes ``comfy``, the host's ``nodes`` and ``lora_algebra`` importable."""
    install = find_host()
    if install is None:
        raise SystemExit("no ComfyUI found: set COMFYUI_PATH (and COMFYUI_PYTHON)")
    # The host reads its options from the command line, and its modules have names like some of ours.
    sys.argv = [sys.argv[0], *(["--cpu"] if device == "cpu" else [])]
    sys.path.insert(0, str(install.path))
    from comfy import options

    options.enable_args_parsing()
    logging.getLogger().setLevel(logging.WARNING)
    _load_pack()
    return install


def add_our_packages() -> None:
    """Makes peft and diffusers of the tests' environment importable, after all of the host's own."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in (f".venv/lib/{version}/site-packages", ".venv/Lib/site-packages"):
        if (REPOSITORY / folder).is_dir() and str(REPOSITORY / folder) not in sys.path:
            sys.path.append(str(REPOSITORY / folder))


def machine(install: HostInstall | None, device: str) -> dict[str, str]:
    """Returns what the numbers hold for."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    return {
        "device": where,
        "CPU": f"{_cpu()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "RAM": f"{memory:.0f} GB",
        "torch": str(torch.__version__),
        "ComfyUI": install.version if install else "none",
        "date": date.today().isoformat(),
    }


def _load_pack() -> None:
    spec = importlib.util.spec_from_file_location(
        PACK, REPOSITORY / "__init__.py", submodule_search_locations=[str(REPOSITORY)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package at {REPOSITORY}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACK] = package
    spec.loader.exec_module(package)


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
