"""Ink against light on the tiny model: the saved workflow of examples/tiny, through the queue."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

pytest.importorskip("playwright")

from PIL import Image

from examples.tiny import in_host
from harness.workflows import stacked_loras
from tests.support.pixels import places
from tests.web.page import Page
from tests.web.save_workflows import XY_PLOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def host(host_install, tmp_path_factory):
    with in_host.start(host_install, tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture
def page(browser, host):
    opened = Page(browser, host, "nodes2")
    yield opened
    opened.close()
    assert opened.complaints == []


def strengths(text):
    return [float(value) for value in text.split(",")]


def test_every_cell_is_the_image_of_its_two_strengths(page, host):
    page.load(json.loads(XY_PLOT.read_text(encoding="utf-8")))
    page.expect_no_error()
    page.run()
    (file,) = host.output_dir.glob("xy_plot*.png")
    plot = torch.from_numpy(np.array(Image.open(file)))
    found = []
    for light in strengths(in_host.XY_LIGHT):
        for ink in strengths(in_host.XY_INK):
            loras = ((in_host.lora_name("ink"), ink), (in_host.lora_name("light"), light))
            prompt = in_host.prompt(in_host.XY_SCENE, in_host.XY_SEED, stacked_loras(*loras))
            (alone,) = in_host.images(host, prompt)
            found += places(plot, torch.from_numpy(alone))
    rows = sorted({y for _, y in found})
    columns = sorted({x for x, _ in found})
    assert (len(columns), len(rows)) == (4, 3)
    assert found == [(x, y) for y in rows for x in columns]
