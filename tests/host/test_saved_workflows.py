"""Saved workflows, as people keep them, through the queue to a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.tiny_loras import KINDS
from tests.host.files import make_loras

WORKFLOWS = Path(__file__).parents[1] / "workflows"


def saved_workflow(kind):
    return json.loads((WORKFLOWS / f"{kind}.api.json").read_text())


def by_class(prompt, class_type):
    return [key for key, node in prompt.items() if node["class_type"] == class_type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_workflow_renders_and_reports(host, tmp_path, kind, show):
    names = make_loras(host, tmp_path, kind)
    prompt = saved_workflow(kind)
    result = host.run(prompt)
    (apply,), (save,) = by_class(prompt, "ApplyToModel"), by_class(prompt, "SaveImage")
    report = result.outputs[apply]["text"][0]
    assert all(name in report for name in names)
    assert "unknown" not in report
    image = result.outputs[save]["images"][0]
    png = (host.output_dir / image["subfolder"] / image["filename"]).read_bytes()
    assert png.startswith(b"\x89PNG")
    show(f"{kind}.api.json: queued, {image['filename']} with {len(png):,} bytes")


def test_a_batch_of_strengths_queued_at_once(host, tmp_path):
    """A queued batch render: the same workflow, a slider moved from prompt to prompt."""
    make_loras(host, tmp_path, "flux")
    pictures = set()
    for strength in (0.0, 0.5, 1.0, 0.5):
        prompt = saved_workflow("flux")
        for loader in by_class(prompt, "LoadLoRA"):
            prompt[loader]["inputs"]["strength"] = strength
        result = host.run(prompt)
        (save,) = by_class(prompt, "SaveImage")
        if save in result.executed:
            image = result.outputs[save]["images"][0]
            pictures.add((host.output_dir / image["subfolder"] / image["filename"]).read_bytes())
    assert len(pictures) == 3
