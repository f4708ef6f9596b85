"""The templates run, with a tiny model and text encoder in place of the user's."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from harness.workflows import KINDS
from tests.host.files import make_loras
from tests.web.templates import TEMPLATES

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("clip_models_dir")]

SMALL = {"width": 64, "height": 64, "steps": 2}
ROW = {"name": "", "strength": 0.5}
ALL_LAYERS = "model: 11 of 11 layers at strength"
"""What the report says of the tiny LoRA where nothing of it is lost."""


@pytest.mark.parametrize("each", [t for t in TEMPLATES if t.runs], ids=lambda each: each.name)
def test_a_template_runs_and_saves_a_picture(host, tmp_path, each):
    lora, other = make_loras(host, tmp_path, "sd15")
    own = {
        "ckpt_name": KINDS["sd15clip"].file,
        "lora_name": lora,
        "rows": {"version": 1, "rows": [ROW | {"name": lora}]},
        "files": f"{lora}\n{other}",
    }
    prompt = each.prompt()
    for node in prompt.values():
        inputs = node["inputs"]
        inputs |= {name: value for name, value in (SMALL | own).items() if name in inputs}
    result = host.run(prompt)
    (save,) = (number for number, node in prompt.items() if node["class_type"] == "SaveImage")
    assert result.outputs[save]["images"]
    reports = [each["text"][0] for each in result.outputs.values() if "text" in each]
    assert reports
    assert [report for report in reports if ALL_LAYERS not in report] == []
