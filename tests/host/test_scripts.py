"""The page about agents and scripts, run as it is written."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.tiny_loras import write_lora
from harness.tiny_models import MODEL_FILES

PAGE = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text(encoding="utf-8")
OWN = "script_"
"""Before the names of files, of which the shared host has others that are called alike."""
INK = f"{OWN}ink.safetensors"
BASH = shutil.which("bash") or ""
ADDRESS = "http://127.0.0.1:8188"

pytestmark = pytest.mark.usefixtures("clip_models_dir")


def code(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found.replace("ink.safe", f"{OWN}ink.safe").replace("light.safe", f"{OWN}light.safe")


@pytest.fixture
def folder(host, tmp_path, monkeypatch):
    """Where the prompt of the page is, with a small model of ours and few steps."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate((f"{OWN}ink", f"{OWN}light"), 1):
        write_lora(tmp_path / f"{name}.safetensors", "sd15", seed=seed)
        host.add_lora(tmp_path / f"{name}.safetensors")
    prompt = json.loads(code("json"))
    prompt["1"]["inputs"]["ckpt_name"] = Path(MODEL_FILES["sd15clip"]).name
    prompt["5"]["inputs"] |= {"width": 64, "height": 64}
    prompt["6"]["inputs"]["steps"] = 1
    (tmp_path / "prompt.json").write_text(json.dumps(prompt))
    return tmp_path


def finished(host, prompt_id):
    result = host.result(prompt_id)
    assert result.status == "success"
    assert result.outputs["8"]["images"]
    return [(lora["name"], lora["applied"] > 0) for lora in result.outputs["2"]["loras"]]


@pytest.mark.usefixtures("folder")
def test_python(host):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code("python").replace(ADDRESS, f"http://127.0.0.1:{host.port}"), {})  # noqa: S102
    assert finished(host, said.getvalue().strip()) == [(INK, True)]


@pytest.mark.skipif(not (BASH and shutil.which("curl")), reason="there is no bash or no curl")
def test_curl(host, folder):
    line = code("bash").replace(ADDRESS, f"http://127.0.0.1:{host.port}")
    said = subprocess.run([BASH, "-c", line], cwd=folder, capture_output=True, check=True).stdout
    loras = finished(host, json.loads(said)["prompt_id"])
    assert loras == [(INK, True), (f"{OWN}light.safetensors", True)]


@pytest.mark.parametrize(
    "rows",
    [
        {"version": 1, "rows": [{"name": INK, "strength": 0.8}]},
        {"rows": [{"name": INK, "strength": 0.8}]},
        f"<lora:{OWN}ink:0.8>",
        f'[{{"name": "{INK}", "strength": 0.8}}]',
    ],
    ids=["object", "without a version", "tags", "text"],
)
def test_every_form_of_rows(host, folder, rows):
    prompt = json.loads((folder / "prompt.json").read_text())
    prompt["2"]["inputs"]["rows"] = rows
    result = host.run(prompt)
    (lora,) = result.outputs["2"]["loras"]
    assert lora["name"] == INK
    assert "11 of 11 layers at strength 0.8" in result.outputs["2"]["text"][0]
