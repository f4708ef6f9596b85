"""Tags in texts: the page reads the same table, tests/data/tags.json."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_core.errors import LoraInputError
from lora_core.tags import ORDERS, hashes_line, read_tags, written_tags
from lora_core.term import FileId, Term

TABLE = json.loads((Path(__file__).parents[1] / "data" / "tags.json").read_text("utf-8"))


def called(entry):
    return f"{entry['text'][:40]!r} {entry['order']}"


@pytest.mark.parametrize("entry", TABLE["good"], ids=called)
def test_tags_say_what_the_table_says(entry):
    tags, rest = read_tags(entry["text"], entry["order"])
    assert rest == entry["rest"]
    assert [(tag.name, list(tag.ignored)) for tag in tags] == [
        (each["name"], each["ignored"]) for each in entry["entries"]
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
    assert written_tags(terms, order) == tags


names = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='<>"/\\'), min_size=1
).filter(lambda name: name == name.strip() and "\u202a" not in name)
strengths = st.decimals(-100, 100, places=4).map(Fraction)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(names.map(str.casefold), st.tuples(strengths, strengths), max_size=4),
    st.sampled_from(ORDERS),
)
def test_what_is_written_is_read(entries, order):
    terms = [term(f"dir/{name}.safetensors", *each) for name, each in entries.items()]
    tags, rest = read_tags(written_tags(terms, order), order)
    assert rest.strip() == ""
    assert [(tag.model, tag.clip) for tag in tags] == list(entries.values())
    assert [tag.name for tag in tags if tag.name.isprintable()] == [
        name for name in entries if name.isprintable()
    ]


def test_hashes_are_written_as_a1111_does():
    terms = [term("style/my: ink, v2.safetensors"), term("light.safetensors")]
    line = hashes_line(terms, lambda file: hashlib.sha256(file.name.encode()).hexdigest())
    first, second = (hashlib.sha256(t.file.name.encode()).hexdigest()[:12] for t in terms)
    assert line == f'Lora hashes: "my ink v2: {first}, light: {second}"'
    assert hashes_line([], str) == ""
