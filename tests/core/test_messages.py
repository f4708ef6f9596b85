"""What errors say: one line that a person can read, whatever the names in it."""

from __future__ import annotations

import pytest
import torch

from harness.samples import net, pair, write
from lora_core import LoraError, LoraFileError, LoraInputError, apply, load
from lora_core.errors import LoraMismatchError
from lora_core.lists.tags import read_tags

NAMES = {
    # faults.md 6
    "letters": "x" * 5000,
    "words": "a layer of mine " * 300,
    "lines": "one\ntwo\r\nthree\u2028four\u2029" * 200,
    "dots": "blocks.0." * 600,
}


def check(error: LoraError) -> None:
    text = str(error)
    assert 0 < len(text) < 500
    assert len(text.splitlines()) == 1
    assert len(error.message) < 500


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_any_length_are_one_line_under_500_characters(tmp_path, name):
    contents = {
        "half a pair": {f"{name}.lora_up.weight": torch.ones(2, 2)},
        "ranks differ": pair(name, 6, 8) | {f"{name}.lora_up.weight": torch.ones(6, 3)},
        "not a number": pair(name, 6, 8) | {f"{name}.alpha": torch.tensor(float("nan"))},
        "twice": pair(name, 6, 8) | {f"{name}.lora_A.weight": torch.ones(4, 8)},
        "unread": pair(name, 6, 8) | {f"{name}.vblora_logits_A": torch.ones(1)},
        "no LoRA": {name: torch.ones(1), f"{name}2": torch.ones(1), f"{name}3": torch.ones(1)},
        "a stranger": pair(name, 6, 8),
        "of another shape": pair("linear", 7, 8) | {f"{name}.alpha": torch.tensor(1.0)},
        "dimensions": {f"{name}.diff": torch.ones([1] * 300)},
    }
    for what, content in contents.items():
        path = write(tmp_path / "a.safetensors", content)
        with pytest.raises(LoraError) as refused:
            apply(net(), load(path))
        check(refused.value)
        assert str(refused.value).startswith('"a.safetensors": '), what


def test_the_sentence_stays_readable(tmp_path):
    """Beginning and end of a name say which it is; what is wrong with it is said whole."""
    name = "first" + "x" * 5000 + "last"
    path = write(tmp_path / "a.safetensors", {f"{name}.lora_up.weight": torch.ones(2, 2)})
    with pytest.raises(LoraFileError) as refused:
        load(path)
    assert '"a.safetensors": firstxxx' in str(refused.value)
    assert "xxxlast has its up but not its down; the LoRA in the file is incomplete." in str(
        refused.value
    )
    assert refused.value.key == name


def test_every_class_and_every_way_of_adding_words():
    for kind in (LoraError, LoraFileError, LoraMismatchError, LoraInputError):
        error = kind("m\n" * 5000, file="f" * 5000, key="k" * 5000, row=3)
        for each in (error, error.in_file("g" * 5000, " More." * 500), error.in_row(7)):
            check(each)
            assert each.key == "k" * 5000
    with pytest.raises(LoraInputError) as refused:
        read_tags("<lora:" + "x" * 5000 + ":y>" * 50 + ">")
    check(refused.value)


def test_what_is_short_is_left_as_it_is():
    text = "styles/a-name-of-a-hundred-letters-" + "x" * 100 + ".safetensors is half  a LoRA."
    assert str(LoraError(text)) == text
