"""A file that has moved is found by what is known of it, and never guessed."""

import pytest

from lora_core.errors import LoraInputError
from lora_core.library.resolve import Asked, Found, resolve, warnings_of

FILES = {  # name to size and content
    "ink.safetensors": (10, "a"),
    "style/ink.safetensors": (10, "b"),
    "style/light.safetensors": (20, "c"),
    "new/moved.safetensors": (30, "d"),
    "copy/light2.safetensors": (20, "c"),
    "broken.safetensors": (None, None),
    "v1.5.safetensors": (10, "e"),
    "flux/adapter_model.safetensors": (40, "f"),
    "wan/pytorch_lora_weights.safetensors": (40, "g"),
}
NAMES = [*FILES]


class Library:
    """What is asked of the files, and how often."""

    def __init__(self):
        self.hashed = []

    def hash_of(self, name):
        self.hashed.append(name)
        return FILES[name][1]

    def find(self, name, content=None, size=None):
        return resolve(Asked(name, content, size), NAMES, lambda n: FILES[n][0], self.hash_of)


FOUND = {
    "the very path": (("ink.safetensors",), ("ink.safetensors", "path")),
    "the very path, whatever the hash": (
        ("ink.safetensors", "d", 30),
        ("ink.safetensors", "path"),
    ),
    "another spelling": (("STYLE\\Light.safetensors",), ("style/light.safetensors", "spelling")),
    "a path without suffix": (("style/ink",), ("style/ink.safetensors", "spelling")),
    "the same content under another name": (
        ("old/was.safetensors", "d", 30),
        ("new/moved.safetensors", "content"),
    ),
    "of two of one content, that of the same base name": (
        ("old/light2.safetensors", "c", 20),
        ("copy/light2.safetensors", "content"),
    ),
    "of two of one content, else the first": (
        ("old/was.safetensors", "c", 20),
        ("copy/light2.safetensors", "content"),
    ),
    "the only one of that base name": (
        ("old/moved.safetensors",),
        ("new/moved.safetensors", "basename"),
    ),
    "the only one of that word": (("MOVED",), ("new/moved.safetensors", "basename")),
    "a name that trainers give to every file, without a folder": (
        ("adapter_model",),
        ("flux/adapter_model.safetensors", "basename"),
    ),
    "the same with its folder": (
        ("flux/adapter_model",),
        ("flux/adapter_model.safetensors", "spelling"),
    ),
    "a word with a dot": (("v1.5",), ("v1.5.safetensors", "basename")),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_is_meant(what):
    asked, (name, how) = FOUND[what]
    assert Library().find(*asked) == Found(name, how)


ELSEWHERE = {
    ("old/was.safetensors", "d", 30): "found_by_content",
    ("old/moved.safetensors",): "found_by_basename",
    ("moved.safetensors",): "found_by_basename",
    ("old/moved",): "found_by_basename",
}


@pytest.mark.parametrize("asked", ELSEWHERE)
def test_a_file_found_under_another_name_is_said_with_both(asked):
    found = Library().find(*asked)
    (said,) = warnings_of(Asked(*asked), found)
    assert said.code == ELSEWHERE[asked]
    assert said.fields == {"asked": asked[0], "name": "new/moved.safetensors"}


@pytest.mark.parametrize(
    "asked", ["ink.safetensors", "STYLE\\Light.safetensors", "style/ink", "MOVED", "v1.5"]
)
def test_nothing_is_said_of_a_name_in_another_spelling_nor_of_a_bare_word(asked):
    """Which is how tags name files."""
    assert warnings_of(Asked(asked), Library().find(asked)) == ()


REFUSED = {
    "nothing like it": (("snow.safetensors",), "no such file"),
    "another content of the right size": (("old/ink.safetensors", "z", 10), "no such file"),
    "the right content but another size": (("old/was.safetensors", "d", 31), "no such file"),
    "a hash without a size": (("old/was.safetensors", "d"), "no such file"),
    "the base name, but another content": (("old/moved.safetensors", "z", 1), "no such file"),
    "two of the base name": (("old/ink.safetensors",), "several such files: ink.safetensors, style/ink"),
    "another folder's file of a name that trainers give": (("wan/adapter_model.safetensors",), "no such file"),
    "the same without suffix": (("flux\\PyTorch_lora_weights",), "no such file"),
    "a word for two": (("ink",), "several such files"),
    "a part of a name": (("mov",), "no such file"),
    "a way out": (("../ink.safetensors", "a", 10), "not a name in the loras folder"),
    "nothing": (("",), "no such file"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_certain_is_refused(what):
    asked, words = REFUSED[what]
    with pytest.raises(LoraInputError, match=words) as refused:
        Library().find(*asked)
    assert refused.value.key == "lora_name"
    assert refused.value.found == asked[0]


def test_close_names_are_told():
    with pytest.raises(LoraInputError, match=r"Close names: style/light\.safetensors"):
        Library().find("lights.safetensors")


def test_only_files_of_the_right_size_are_hashed_and_only_if_nothing_else_tells():
    library = Library()
    library.find("ink.safetensors", "a", 10)
    assert library.hashed == []
    library.find("gone.safetensors", "d", 30)
    assert library.hashed == ["new/moved.safetensors"]


def test_once_the_content_is_found_nothing_else_is_hashed():
    library = Library()
    library.find("old/light2.safetensors", "c", 20)
    assert library.hashed == ["copy/light2.safetensors"]


def test_two_spellings_are_told_apart_by_content():
    names = ["A.safetensors", "a.safetensors"]
    asked = Asked("a.SAFETENSORS", "x", 1)
    sizes, contents = dict.fromkeys(names, 1), {"A.safetensors": "y", "a.safetensors": "x"}
    assert resolve(asked, names, sizes.get, contents.get) == Found("a.safetensors", "content")
    with pytest.raises(LoraInputError, match="several such files"):
        resolve(Asked("a.SAFETENSORS", "z", 1), names, sizes.get, contents.get)


@pytest.mark.parametrize("end", ["/", "/.", "\\"])
@pytest.mark.parametrize(
    "asked", [("ink.safetensors",), ("style/light",), ("moved",), ("old/was.safetensors", "d", 30)]
)
def test_a_name_that_ends_like_a_folder_means_no_file(asked, end):
    """Neither by its path nor by its content or base name (faults.md 7)."""
    name, *content = asked
    with pytest.raises(LoraInputError, match="the name of a folder"):
        Library().find(name + end, *content)
