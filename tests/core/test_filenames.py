"""A name is what it says, or the only one it can mean; never a guess."""

import unicodedata

import pytest

from lora_core import LoraInputError
from lora_core.library.filenames import choose_name, close_names
from lora_core.short_names import without_suffix

NAMES = ["ink.safetensors", "Style/Ink.safetensors", "style/light.safetensors", "é.safetensors"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("ink.safetensors", "ink.safetensors"),
        ("INK.safetensors", "ink.safetensors"),
        ("style\\light.safetensors", "style/light.safetensors"),
        ("STYLE\\INK.SAFETENSORS", "Style/Ink.safetensors"),
        (unicodedata.normalize("NFD", "é.safetensors"), "é.safetensors"),
    ],
)
def test_what_is_meant(asked, meant):
    assert choose_name(asked, NAMES) == meant


@pytest.mark.parametrize(
    "asked",
    ["../ink.safetensors", "/ink.safetensors", "C:\\ink.safetensors", "C:ink.safetensors",
     "\\\\host\\ink.safetensors", "style/../ink.safetensors", "..\\ink.safetensors",
     "ink.safetensors\0", "x" * 5000],
)  # fmt: skip
def test_a_way_out_of_the_folder_is_no_name(asked):
    with pytest.raises(LoraInputError, match="not a name in the loras folder") as refused:
        choose_name(asked, NAMES)
    assert refused.value.key == "lora_name"


@pytest.mark.parametrize("end", ["/", "\\", "/.", "\\.", "//", "/./"])
@pytest.mark.parametrize("name", ["ink.safetensors", "INK.safetensors", "style/light.safetensors"])
def test_a_separator_at_the_end_makes_it_a_folder(name, end):
    with pytest.raises(LoraInputError, match="the name of a folder, not of a file"):
        choose_name(name + end, NAMES)


@pytest.mark.parametrize(
    "asked", ["light.safetensors", "ink", "in.safetensors", "", "%2e%2e/ink.safetensors"]
)
def test_a_name_is_never_completed(asked):
    with pytest.raises(LoraInputError, match="no such file"):
        choose_name(asked, NAMES)


@pytest.mark.parametrize("asked", [None, 5, True, ["ink.safetensors"], {"a": 1}])
def test_only_text_is_a_name(asked):
    with pytest.raises(LoraInputError, match="name must be text"):
        choose_name(asked, NAMES)


def test_an_exact_name_wins_over_its_likes():
    assert choose_name("a.safetensors", ["A.safetensors", "a.safetensors"]) == "a.safetensors"


def test_two_that_can_be_meant_are_both_named():
    with pytest.raises(LoraInputError, match=r"several such files: a\.st, A\.st"):
        choose_name("a.ST", ["a.st", "A.st"])


SPELLINGS = ["ink.st", "inK.st", "iNk.st", "iNK.st", "Ink.st", "InK.st"]


def test_of_many_that_can_be_meant_the_first_are_named():
    with pytest.raises(LoraInputError) as refused:
        choose_name("INK.st", [*SPELLINGS, "light.st"])
    assert str(refused.value).endswith("ink.st, inK.st, iNk.st, iNK.st, Ink.st, …")


def test_close_names_come_closest_first():
    with pytest.raises(LoraInputError, match=r"Close names: style/light\.safetensors"):
        choose_name("lights.safetensors", NAMES)


@pytest.mark.parametrize(
    "asked", ["lights", "lights.safetensors", "light.safetensorss", "d/Lite.pt"]
)
def test_close_names_are_found_with_and_without_suffix(asked):
    assert close_names(asked, NAMES)[0] == "style/light.safetensors"


def test_a_suffix_makes_no_names_alike():
    assert close_names("snow.safetensors", NAMES) == []


@pytest.mark.parametrize(
    ("name", "without"),
    [("a.safetensors", "a"), ("d/a.SafeTensors", "d/a"), ("a.pt", "a.pt"), ("v1.5", "v1.5")],
)
def test_names_without_suffix(name, without):
    assert without_suffix(name) == without
