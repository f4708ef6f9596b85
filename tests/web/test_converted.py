"""The command line makes the same prompts of saved workflows as the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")

from harness.installs import HOSTS, find_host
from lora_core.errors import LoraInputError
from lora_render.plan import canonical
from lora_render.ui_widgets import specs_of
from lora_render.ui_workflow import convert
from tests.render import saved
from tests.render.recorded import WORKFLOWS, computes
from tests.web.stage import unfolded

OTHER_HOST = "xy_plot"
"""Has a node that only the host of the tiny model has."""


def check(page, host, workflow):
    page.load(workflow)
    assert computes(convert(workflow, host.object_info())) == computes(page.prompt())


@pytest.mark.parametrize("case", saved.SAME_IN_EVERY_PAGE, ids=lambda case: case.__name__)
def test_a_rule_of_every_page(page, host, case):
    check(page, host, case())


@pytest.mark.newest_page
@pytest.mark.parametrize("case", saved.CASES, ids=lambda case: case.__name__)
def test_a_rule_of_newer_pages(page, host, stand, case):
    if stand.served.page == "1.45":
        pytest.skip("its subgraph nodes have no values of their own")
    check(page, host, case())


@pytest.mark.parametrize("name", sorted({*WORKFLOWS} - {OTHER_HOST}))
def test_a_saved_workflow(page, host, name):
    check(page, host, json.loads(WORKFLOWS[name].read_text(encoding="utf-8")))


@pytest.mark.slow
def test_the_templates_of_comfyui(page, host, stand):
    """Each is the same, or refused. The page calls nodes in subgraphs anew where two have one id."""
    if (stand.renderer, stand.served.page) != ("classic", "1.49"):
        pytest.skip("hundreds of workflows; the rules are tested in every page")
    info = host.object_info()
    same, refused = 0, 0
    for file in templates():
        workflow = json.loads(file.read_text(encoding="utf-8"))
        try:
            ours = convert(workflow, info)
        except LoraInputError:
            refused += 1
            continue
        page.load(workflow)
        assert meant(ours, info) == meant(page.prompt(), info), file.name
        same += 1
    page.complaints.clear()  # of models that are not there
    assert same > refused / 2 > 0, (same, refused)


def templates() -> Iterator[Path]:
    """Workflows that come with ComfyUI, where the templates are installed; half of them are for services.

    It is every sixth, for the sake of time.
    """
    name = ".venv/lib/*/site-packages/comfyui_workflow_templates_json/templates/*.json"
    installs = [install for install in map(find_host, HOSTS) if install]
    files = sorted(file for install in installs for file in install.path.glob(name))
    for file in files[::6]:
        if '"nodes"' in file.read_text(encoding="utf-8"):
            yield file


def meant(prompt: Mapping[str, Any], info: Mapping[str, Any]) -> list[str]:
    """What a prompt computes, without ids, and without what only the page shows."""
    bare = {
        node: {"class_type": each["class_type"], "inputs": declared(each, info)}
        for node, each in prompt.items()
    }
    return sorted(json.dumps(canonical(unfolded(bare, node)), sort_keys=True) for node in bare)


def declared(node: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs without values that the page adds and the node does not know, such as those of previews."""
    known = {spec.name for spec in specs_of(info[node["class_type"]])}
    return {
        name: value
        for name, value in node["inputs"].items()
        if name in known or "." in name or isinstance(value, list)
    }
