"""Injects faults at every line of planning, merging, live, schedule, spread, mask and keeping, in
ComfyUI's own process.

python -m tools.faults [--faults 10000] [--seed 1] [--host 0.28]: after each fault a clean run must
give the same bits as before. The host's own loader gets the same test, for comparison. It fails if
anything is wrong after a fault, except for a BaseException while the host writes weights, which the
host does not undo and does not raise itself; that is counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from harness.host import REPOSITORY, ensure_models
from harness.installs import HOSTS, HostInstall, find_host, skip_notice
from harness.samples import tensors
from harness.tiny_loras import write_lora
from harness.tiny_models import MODEL_FILES

INSIDE = Path(__file__).with_name("inside.py")
THEIRS = "the host's own loader"
LAYER = "transformer.single_transformer_blocks.0.proj_out"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--host", choices=HOSTS, default=HOSTS[0])
    asked = parser.parse_args()
    install = find_host(asked.host)
    if install is None:
        print(skip_notice(asked.host), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        found = _found(install, Path(folder), asked.faults, asked.seed)
    for case in found["cases"][:20]:
        print(f"  wrong: {json.dumps(case)}")
    ours = {name: count for name, count in found["faults"].items() if name != THEIRS}
    print(
        f"faults in ComfyUI {install.version}, seed {asked.seed}: {sum(ours.values())} injected "
        f"({', '.join(f'{name} {count}' for name, count in ours.items())}) at {found['lines']} lines "
        f"of {found['files']} files, {_sum(found, 'swallowed')} swallowed, {found['not_reached']} not reached; "
        f"wrong after: {_sum(found, 'wrong')}, of these in the middle of the host's patching "
        f"{_sum(found, 'wrong_while_patching')}; {THEIRS}: {found['faults'].get(THEIRS, 0)} injected, "
        f"wrong after: {_sum(found, 'wrong', ours=False)}"
    )
    return int(any(not _excused(case) for case in found["cases"]))


def _found(install: HostInstall, folder: Path, faults: int, seed: int) -> dict[str, Any]:
    _lay_out(install, folder)
    command = [install.python, INSIDE, install.path, folder, str(faults), str(seed)]
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def _lay_out(install: HostInstall, folder: Path) -> None:
    models = ensure_models(install, {"flux": MODEL_FILES["flux"]})
    (folder / "model.safetensors").symlink_to(models / MODEL_FILES["flux"])
    (folder / "pack").symlink_to(REPOSITORY, target_is_directory=True)
    for seed, name in enumerate(("one", "two"), 1):
        write_lora(folder / "loras" / f"{name}.safetensors", "flux", seed=seed)
    both = {
        name: tensor
        for name, tensor in load_file(folder / "loras" / "one.safetensors").items()
        if name.startswith(LAYER)
    }
    scale = tensors(3, scale=(128, 1))["scale"].abs() + 0.5
    save_file({**both, f"{LAYER}.dora_scale": scale}, folder / "loras" / "dora.safetensors")


def _sum(found: dict[str, Any], what: str, ours: bool = True) -> int:
    return sum(n for name, n in found[what].items() if name.startswith(THEIRS) != ours)


def _excused(case: dict[str, Any]) -> bool:
    patching = any(name.endswith(":patch_weight_to_device") for name in case["below"])
    return case["scenario"] == THEIRS or (case["kind"] == "BaseException" and patching)


if __name__ == "__main__":
    sys.exit(main())
