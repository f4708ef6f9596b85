"""What the tests of the farm render: one prompt of two nodes, with nothing behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from lora_render.item import Item, Job


@pytest.fixture(scope="session")
def make_item() -> Callable[..., Item]:
    """``make_item(3, recipe="a")``: an item whose key follows from its index."""

    def make(index: int, base: str = "model", recipe: str = "") -> Item:
        inputs = {"seed": index, "text": "a hill", "filename_prefix": "p"}
        prompt = {"1": {"class_type": "Paint", "inputs": inputs, "_meta": {"title": "Painter"}}}
        key = hashlib.sha256(f"{index} {base} {recipe}".encode()).hexdigest()
        return Item(index, {"Painter.seed": index}, prompt, key, {"a.bin": "0" * 64}, base, recipe)

    return make


@pytest.fixture(scope="session")
def make_job(make_item: Callable[..., Item]) -> Callable[..., Job]:
    """``make_job(3, recipe="a")``: the job of one such item."""

    def make(index: int, base: str = "model", recipe: str = "") -> Job:
        item = make_item(index, base, recipe)
        return Job((item,), item.prompt)

    return make
