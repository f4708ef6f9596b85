"""Tags in texts: the page reads the same table, tests/data/tags.json."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_core.algebra.file_id import FileId
from lora_core.algebra.term import Term
from lora_core.errors import LoraInputError
from lora_core.library.resolve import Asked, resolve
from lora_core.lists.block_presets import block_lines
from lora_core.lists.tags import (
    ORDERS,
    check_readable,
    hashes_line,
    read_tags,
    written_tags,
)

TABLE = json.loads((Path(__file__).parents[1] / "data" / "tags.json").read_text("utf-8"))


def called(entry):
    return f"{entry['text'][:40]!r} {entry['order']}"


@pytest.mark.parametrize("entry", TABLE["good"], ids=called)
def test_tags_say_what_the_table_says(entry):
    tags, rest = read_tags(entry["text"], entry["order"])
    assert rest == entry["rest"]
    assert [(tag.name, [*tag.ignored], tag.blocks) for tag in tags] == [
        (each["name"], each["ignored"], block_lines(each.get("blocks", "")))
        for each in entry["entries"]
    ]
    assert [(tag.model, tag.clip) for tag in tags] == [
        (Fraction(str(each["model"])), Fraction(str(each["clip"]))) for each in entry["entries"]
    ]


@pytest.mark.parametrize("entry", TABLE["bad"], ids=called)
def test_a_tag_that_says_nothing_sure_is_refused(entry):
    with pytest.raises(LoraInputError) as refused:
        read_tags(entry["text"], entry["order"])
    assert refused.value.key == ("strength" if entry["why"] == "strength" else "text")
    assert refused.value.expected
    assert refused.value.found


def test_a_long_text_is_refused():
    with pytest.raises(LoraInputError, match="at most 1000000 characters"):
        read_tags("x" * 1_000_001)
    with pytest.raises(LoraInputError, match="at most 500 tags"):
        read_tags("<lora:ink:1>" * 501)


@pytest.mark.parametrize("text", ["<" * 300_000, "<lora" + " " * 300_000, "< " * 300_000])
def test_no_text_takes_long(text):
    assert read_tags(text) == ((), text)


def term(name, model=1, clip=None, inode=0):
    model = Fraction(str(model))
    file = FileId(f"/loras/{name}", 1, 1, inode, name)
    return Term(file, model, model if clip is None else Fraction(str(clip)))


@pytest.mark.parametrize(
    ("terms", "order", "tags"),
    [
        ([term("ink.safetensors", 0.8)], ORDERS[0], "<lora:ink:0.8>"),
        ([term("ink.safetensors", 0.8)], ORDERS[1], "<lora:ink:0.8>"),
        ([term("ink.safetensors", 0.8, 0.4)], ORDERS[0], "<lora:ink:0.8:0.4>"),
        ([term("ink.safetensors", 0.8, 0.4)], ORDERS[1], "<lora:ink:0.4:0.8>"),
        ([term("ink.safetensors", 0, 1)], ORDERS[0], "<lora:ink:0:1>"),
        ([term("ink.safetensors", 1e-7, -100)], ORDERS[0], "<lora:ink:0.0000001:-100>"),
        ([term("style\\sub\\ink.SAFETENSORS")], ORDERS[0], "<lora:ink:1>"),
        (
            [term("a/ink.safetensors"), term("b\\Ink.safetensors"), term("c/light.safetensors")],
            ORDERS[0],
            "<lora:a/ink:1> <lora:b/Ink:1> <lora:light:1>",
        ),
        ([term("my: ink.safetensors")], ORDERS[0], '<lora:"my: ink":1>'),
        (
            [term('a<b>"c"\nd.safetensors')],
            ORDERS[0],
            "<lora:a\ufffdb\ufffd\ufffdc\ufffd\ufffdd:1>",
        ),
        ([], ORDERS[0], ""),
    ],
)
def test_tags_are_written_for_those_who_read_them(terms, order, tags):
    assert written_tags(terms, [], order) == tags


@pytest.mark.parametrize("entry", TABLE["written"], ids=lambda entry: entry["tag"])
def test_files_are_called_as_the_table_says(entry):
    listed = [*entry["others"], entry["name"]]
    assert written_tags([term(entry["name"])], listed) == entry["tag"]
    assert found(entry["tag"], listed) == [entry["name"]]


def found(tags, listed):
    """The files that are meant by a text."""
    nothing_known = {}.get
    tags, _ = read_tags(tags)
    return [resolve(Asked(t.name), listed, nothing_known, nothing_known).name for t in tags]


def is_sayable(name):
    """Names of nothing but dots are never listed, and a drive is none of the host's folders."""
    return name.strip(".") and all(map(str.isprintable, name)) and name[1:2] != ":"


letters = st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='<>"/\\')
names = st.one_of(st.text(letters, min_size=1), st.text("iI .:", min_size=1)).filter(is_sayable)
endings = st.sampled_from(
    [".safetensors", ".SAFETENSORS", ".safetensors.safetensors", " .safetensors"]
)
paths = st.builds(lambda folder, name, end: folder + name + end,
                  st.sampled_from(["", "a/", "A/", "b/c/", "d\\e\\", " /"]), names, endings)  # fmt: skip
strengths = st.decimals(-100, 100, places=4).map(Fraction)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(paths, st.tuples(strengths, strengths), max_size=4),
    st.sets(paths, max_size=4),
    st.sampled_from(ORDERS),
)
def test_what_is_written_is_read_and_means_the_same_files(entries, others, order):
    terms = [term(name, *each) for name, each in entries.items()]
    listed = sorted(others.union(entries))
    written = written_tags(terms, listed, order)
    tags, rest = read_tags(written, order)
    assert rest.strip() == ""
    assert [(tag.model, tag.clip) for tag in tags] == list(entries.values())
    assert found(written, listed) == list(entries)


@pytest.mark.parametrize("each", [term("a/ink.safetensors", 100.5, 1), term("ink", 1, -101)])
def test_strengths_that_no_tag_is_read_with_are_refused(each):
    with pytest.raises(LoraInputError, match="from -100 to 100") as refused:
        check_readable(each)
    assert refused.value.file == each.file.name
    check_readable(term("ink", 100, -100))


def test_hashes_are_written_as_a1111_does():
    terms = [term("style/my: ink, v2.safetensors"), term("light.safetensors")]
    line = hashes_line(terms, [], lambda file: hashlib.sha256(file.name.encode()).hexdigest())
    first, second = (hashlib.sha256(t.file.name.encode()).hexdigest()[:12] for t in terms)
    assert line == f'Lora hashes: "my ink v2: {first}, light: {second}"'
    assert hashes_line([], [], str) == ""
    listed = ["style/light.safetensors"]
    assert hashes_line(terms[1:], listed, lambda _: "f" * 64).endswith(
        '"light.safetensors: ffffffffffff"'
    )
