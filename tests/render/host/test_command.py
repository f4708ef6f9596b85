"""The whole command, with real Ray and real ComfyUIs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.tiny import in_host
from harness.installs import environment_of
from harness.workflows import stacked_loras

parquet = pytest.importorskip("pyarrow.parquet")

# Ray takes long to start. It is only looked for: how it listens is decided when it is imported.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray"),
]

ROOT = Path(__file__).parents[3]
STRENGTHS = (0.0, 0.5, 1.0)
ROWS = [(strength, seed, "landscapes") for seed in (1, 2) for strength in STRENGTHS]


@pytest.fixture(scope="module")
def layout(host_install, tmp_path_factory):
    """A server that does not run yet: its folders, with the tiny model, its LoRAs and the nodes."""
    return in_host.start(host_install, tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    chain = stacked_loras((in_host.lora_name("ink"), 1.0), mode="auto")
    prompt = in_host.prompt(in_host.XY_SCENE, 7, chain, steps=2)
    path = tmp_path_factory.mktemp("workflow") / "workflow.json"
    path.write_text(json.dumps(prompt))
    return path


def table(path, *rows):
    lines = ["LoadLoRA.strength,KSampler.seed,UNETLoader.unet_name"]
    path.write_text(
        "\n".join([*lines, *(f"{s},{seed},{model}.safetensors" for s, seed, model in rows)])
    )
    return path


def rendered(workflow, rows, out, *arguments, environment=None):
    """Runs the command; its exit status, and what it tells programs."""
    command = [sys.executable, "-m", "lora_core", "render", workflow, rows, "--out", out, "--json"]
    ran = subprocess.run(
        [*map(str, command), *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, 3), ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def pictures(out):
    rows = parquet.read_table(out / "manifest.parquet").to_pylist()
    images = {}
    for row in rows:
        for file in row["files"]:
            with Image.open(out / file["path"]) as image:
                key = row["LoadLoRA.strength"], row["KSampler.seed"]
                images[key] = np.array(image).astype(int), json.loads(image.text["prompt"])
    return images


def test_a_table_is_rendered_by_a_running_host_and_goes_on_where_it_was(layout, workflow, tmp_path):
    out = tmp_path / "out"
    with layout as host:
        asked = ("--host", f"http://127.0.0.1:{host.port}")
        rows = table(tmp_path / "short.csv", *ROWS[:4], (1.0, 3, "gone"))
        status, told = rendered(workflow, rows, out, *asked)
        assert (status, told["rendered"], len(told["failed"])) == (3, 4, 1)
        assert told["failed"][0]["node"] == "UNETLoader"
        assert "gone.safetensors" in told["failed"][0]["message"]
        first = {path: path.stat().st_mtime_ns for path in (out / "images").iterdir()}
        rows = table(tmp_path / "long.csv", *ROWS)
        status, told = rendered(workflow, rows, out, *asked, "--spread", "auto")
    assert (status, told["done_before"], told["rendered"], told["batches"]) == (0, 4, 2, 1)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    made = pictures(out)
    assert [*made] == [row[:2] for row in ROWS]
    for (strength, seed), (_, prompt) in made.items():
        assert prompt["LoadLoRA"]["inputs"]["strength"] == strength
        assert prompt["KSampler"]["inputs"]["seed"] == seed
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width > 3 * 64
        assert sheet.height > 2 * 64


def test_spread_or_not_the_pictures_are_the_same(layout, workflow, tmp_path, show):
    rows = table(tmp_path / "table.csv", *ROWS)
    made = {}
    with layout as host:
        for spread, batches in (("auto", 2), ("off", 0)):
            asked = ("--host", f"http://127.0.0.1:{host.port}", "--spread", spread)
            status, told = rendered(workflow, rows, tmp_path / spread, *asked)
            assert (status, told["rendered"], told["batches"]) == (0, 6, batches)
            made[spread] = pictures(tmp_path / spread)
    worst = max(
        np.abs(made["auto"][key][0] - image).max() for key, (image, _) in made["off"].items()
    )
    show(f"six pictures by the command, spread and not: they differ by {worst} of 255")
    assert len(made["auto"]) == len(made["off"]) == 6
    assert worst <= 1


def test_a_table_is_rendered_by_two_hosts_that_the_command_starts(
    host_install, layout, workflow, tmp_path
):
    rows = [(strength, seed, "landscapes") for seed in range(4) for strength in STRENGTHS]
    path = table(tmp_path / "table.csv", *rows)
    asked = (
        f"--comfyui-args=--cpu --disable-api-nodes --base-directory {layout.folder}",
        *("--models", str(layout.folder / "models"), "--workers", "2"),
    )
    environment = environment_of(host_install)
    status, plan = rendered(
        workflow, path, tmp_path / "out", *asked, "--dry-run", environment=environment
    )
    assert (status, plan["to_do"], plan["recipes"]) == (0, 12, 3)
    assert not (tmp_path / "out" / "journal.jsonl").exists()
    status, told = rendered(workflow, path, tmp_path / "out", *asked, environment=environment)
    assert (status, told["rendered"]) == (0, 12)
    manifest = parquet.read_table(tmp_path / "out" / "manifest.parquet")
    assert {name.partition("@")[0] for name in manifest["worker"].to_pylist()} <= {
        "worker-1",
        "worker-2",
    }
    assert {"ink_kohya.safetensors", "landscapes.safetensors"} == {
        each["name"] for each in manifest["file_hashes"].to_pylist()[0]
    }
    status, told = rendered(workflow, path, tmp_path / "out", *asked, environment=environment)
    assert (status, told["done_before"], told["rendered"]) == (0, 12, 0)
