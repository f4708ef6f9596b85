"""The command line makes the same prompts of saved workflows as the page."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright")

from lora_render.ui_workflow import convert
from tests.render import saved
from tests.render.recorded import WORKFLOWS, computes

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
