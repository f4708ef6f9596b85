"""Rows are read in every form they come in, and what is wrong is refused by row and key."""

import json
import re
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_core.algebra import FileId, Recipe
from lora_core.errors import LoraInputError
from lora_core.library.resolve import Asked
from lora_core.lists import rows as reader
from lora_core.lists.block_presets import PRESETS
from lora_core.lists.block_vectors import from_vector
from lora_core.lists.rows import (
    Low,
    active_rows,
    check_links,
    read_rows,
    rows_for,
    with_links,
)

INK = Recipe.of(FileId("/loras/ink.safetensors", 1, 1, 1, "ink.safetensors"))
HASH = "0a" * 32
ROW = {"on": True, "name": "ink.safetensors", "strength": 0.8}


def value(*rows, **others):
    return {"version": 1, "rows": list(rows), **others}


def test_a_row_is_read_with_all_that_it_says():
    (row,) = read_rows(
        value(ROW | {"strength_clip": 0.4, "solo": True, "hash": HASH.upper(), "size": 9,
                     "triggers": ["ink", "line art"], "note": "mine", "from_the_future": [1]})
    )  # fmt: skip
    assert row.asked == Asked("ink.safetensors", HASH, 9, row=1)
    assert (row.on, row.solo) == (True, True)
    assert (row.model, row.clip) == (Fraction(4, 5), Fraction(2, 5))
    assert row.triggers == ("ink", "line art")


FORMS = {
    "an object": value(ROW),
    "an object without a version": {"rows": [ROW]},
    "an object with keys from the future": value(ROW, folded=True),
    "a list": [ROW],
    "a list as the page sends it": {"__value__": [ROW]},
    "an object, wrapped": {"__value__": value(ROW)},
    "text": json.dumps(value(ROW)),
    "text of a list": json.dumps([ROW]),
    "text, wrapped": {"__value__": json.dumps(value(ROW))},
    "text of something wrapped": json.dumps({"__value__": [ROW]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_alike(form):
    assert read_rows(FORMS[form]) == read_rows(value(ROW))
    assert len(read_rows(FORMS[form])) == 1


def test_tags_are_rows():
    text = " <lora:ink:0.8> <lora:light:1:0.5:lbw=MIDD>\n"
    ink, light = read_rows(text)
    assert (ink.asked, ink.model, ink.clip, ink.blocks) == (
        Asked("ink", row=1), Fraction(4, 5), Fraction(4, 5), "",
    )  # fmt: skip
    assert (light.model, light.clip) == (1, Fraction(1, 2))
    assert light.blocks == read_rows([{"name": "light", "blocks": "MIDD"}])[0].blocks
    assert read_rows(json.dumps(text)) == read_rows(text)
    assert read_rows(value({"name": "<lora:odd"}))[0].asked.name == "<lora:odd"


@pytest.mark.parametrize(
    "text", ["<lora:ink:0.8> a cat", "<lora:ink:0.8:heat=2>", "<lora:ink", "<lora::1>"]
)
def test_text_that_is_not_only_tags_is_refused(text):
    with pytest.raises(LoraInputError):
        read_rows(text)


@pytest.mark.parametrize("nothing", [None, [], value(), "[]", {"__value__": []}], ids=repr)
def test_no_rows_are_no_rows(nothing):
    assert read_rows(nothing) == ()


@pytest.mark.parametrize(
    ("written", "strength"),
    [(0.1, "1/10"), (1, "1"), ("0.5", "1/2"), (" -.5 ", "-1/2"), ("1e-1", "1/10"), (-100, "-100"),
     (0, "0"), (-0.0, "0"), (100.0, "100")],
)  # fmt: skip
def test_a_strength_is_what_was_typed(written, strength):
    (row,) = read_rows([ROW | {"strength": written}])
    assert row.model == row.clip == Fraction(strength)


@pytest.mark.parametrize(("written", "on"), [("false", False), ("TRUE", True), (False, False)])
def test_a_switch_may_be_written_as_a_word(written, on):
    assert read_rows([ROW | {"on": written}])[0].on is on


@pytest.mark.parametrize("noted", ["ink.safetensors", "INK.safetensors", None])
def test_hash_and_size_speak_for_the_name_they_were_noted_for(noted):
    (row,) = read_rows([ROW | {"hash": HASH, "size": 9, "noted": noted}])
    assert row.asked == Asked("ink.safetensors", HASH, 9, row=1)


@pytest.mark.parametrize("noted", ["light.safetensors", "style/ink.safetensors", ""])
def test_hash_and_size_say_nothing_of_another_name(noted):
    (row,) = read_rows([ROW | {"hash": HASH, "size": 9, "noted": noted}])
    assert row.asked == Asked("ink.safetensors", row=1)


def test_what_is_left_out_has_a_default():
    (row,) = read_rows([{"name": "ink.safetensors", "strength_clip": None, "hash": None,
                         "size": None, "triggers": None}])  # fmt: skip
    assert (row.on, row.solo, row.model, row.clip, row.triggers) == (True, False, 1, 1, None)
    assert row.asked == Asked("ink.safetensors", row=1)


BAD_ROWS = {
    "strength": [float("nan"), float("inf"), -float("inf"), "nan", "abc", "", "1_0", "0x1", True,
                 {}, [], None, 100.001, -101, 1e38, 10**400, "1e999"],
    "strength_clip": [float("nan"), "abc", False, [], 1e9],
    "on": ["no", "", 1, 0, None, [], {}],
    "solo": ["yes", 1, None],
    "name": [None, 5, True, ["ink"], {"content": "ink"}],
    "hash": ["", "0a", "g" * 64, 5, HASH + "0"],
    "size": [-1, 1.5, "5", True],
    "noted": [5, True, ["ink"], {}],
    "triggers": ["ink", [1], {}, [None]],
    "blocks": [0, False, ["mid: 0"], {"mid": 0}],
    "link": ["", "strength", "strength_0", "strength_1000", "lora", 1, True, ["strength_1"]],
}  # fmt: skip


@pytest.mark.parametrize(("key", "bad"), [(k, v) for k, vs in BAD_ROWS.items() for v in vs])
def test_a_bad_value_is_refused_by_row_and_key(key, bad):
    with pytest.raises(LoraInputError) as refused:
        read_rows([ROW, ROW | {key: bad}])
    error = refused.value
    assert (error.row, error.key) == (2, key)
    assert str(error).startswith(f"row 2: {key} ")
    assert error.expected
    assert error.found
    assert error.expected in str(error)


@pytest.mark.parametrize("row", [None, 5, "ink.safetensors", ["ink"], True])
def test_what_is_no_row_is_refused_by_its_number(row):
    with pytest.raises(LoraInputError, match="row 3: a row must be an object") as refused:
        read_rows([ROW, ROW, row])
    assert refused.value.row == 3


BAD_VALUES = {
    "a number": (5, "not in the right format"),
    "an object without rows": ({}, "not in the right format"),
    "rows that are no list": ({"version": 1, "rows": {}}, "not in the right format"),
    "a newer version": (value(ROW) | {"version": 2}, "reads up to version 1. Update LoRA Algebra"),
    "a version that is none": (value() | {"version": "1"}, "without a valid version"),
    "a version of 0": (value() | {"version": 0}, "without a valid version"),
    "a version that is true": (value() | {"version": True}, "without a valid version"),
    "no JSON": ("[", "unreadable"),
    "empty text": ("", "unreadable"),
    "NaN in JSON": (
        '[{"name": "ink", "strength": NaN}]',
        "is not valid: expected finite numbers, found NaN",
    ),
    "a key twice": ('[{"name": "ink", "name": "light"}]', "ambiguous"),
    "deep text": ("[" * 100_000, "unreadable"),
    "long text": ('[{"note": "' + "x" * 1_000_000 + '"}]', "too long"),
    "a long object": ([ROW | {"note": "x" * 1_000_000}], "too long"),
    "an object of no JSON": ([ROW | {"note": {1, 2}}], "unreadable"),
    "501 rows": ([ROW] * 501, "at most 500 rows"),
}


@pytest.mark.parametrize("what", BAD_VALUES)
def test_a_bad_list_is_refused(what):
    bad, words = BAD_VALUES[what]
    with pytest.raises(LoraInputError, match="the list of rows is") as refused:
        read_rows(bad)
    assert words in str(refused.value)
    assert refused.value.expected
    assert refused.value.found


def test_a_deep_object_is_refused():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(LoraInputError, match="unreadable"):
        read_rows([ROW | {"note": deep}])
    while deep:  # it would be freed by recursion
        deep = deep[0]


BLOCKS = {
    "double 0-6: 0": "double 0-6: 0",
    "in: 0; mid: 1\nout 3-: 0.2..1": "in: 0; mid: 1\nout 3-: 0.2..1",
    "FLUX-FACE\nother: 0.5": f"{PRESETS['FLUX-FACE']}\nother: 0.5",
    "1,0,0,0,0,0,0,0,0,0,0,0": from_vector("1,0,0,0,0,0,0,0,0,0,0,0"),
}


@pytest.mark.parametrize("written", BLOCKS)
def test_block_weights_are_lines_a_preset_or_numbers(written):
    (row,) = read_rows(json.dumps(value(ROW | {"blocks": written})))
    assert row.blocks == BLOCKS[written]
    assert INK.blocks(row.blocks) == INK.blocks(BLOCKS[written]) != INK


@pytest.mark.parametrize("nothing", [{}, {"blocks": ""}, {"blocks": None}], ids=repr)
def test_a_row_without_block_weights_is_as_it_was(nothing):
    assert read_rows([ROW | nothing]) == read_rows([ROW])
    assert INK.blocks(read_rows([ROW | nothing])[0].blocks) == INK


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("double 0-6", "row 2: there are no block weights called 'double 0-6'"),
        ("double 0: much", "row 2: block weights: 'double 0: much' needs a name and a factor"),
        ("1,0,0", "row 2: a vector of block weights needs"),
        ("text: 0..1", "row 2: block weights: 'text: 0..1' needs one factor"),
    ],
)
def test_block_weights_that_cannot_be_read_are_refused_by_row(written, words):
    with pytest.raises(LoraInputError) as refused:
        read_rows([ROW, ROW | {"blocks": written}])
    assert refused.value.row == 2
    assert str(refused.value).startswith(words)


def test_500_rows_are_read():
    assert len(read_rows([ROW] * 500)) == 500


def active(*rows):
    return [row.asked.row for row in active_rows(read_rows(list(rows)))]


OFF, SOLO, UNCHOSEN = ROW | {"on": False}, ROW | {"solo": True}, ROW | {"name": ""}


@pytest.mark.parametrize(
    ("rows", "those"),
    [
        ((ROW, OFF, ROW, UNCHOSEN), [1, 3]),
        ((ROW, SOLO, OFF, SOLO), [2, 4]),
        ((ROW, SOLO | OFF), []),
        ((ROW, ROW | {"solo": False}), [1, 2]),
        ((), []),
    ],
)
def test_rows_that_count(rows, those):
    assert active(*rows) == those


words = st.text(max_size=20)
rows = st.fixed_dictionaries(
    {"on": st.booleans(), "name": words, "strength": st.decimals(-100, 100, places=3).map(float)},
    optional={
        "strength_clip": st.decimals(-100, 100, places=3).map(float),
        "solo": st.just(True),
        "hash": st.just(HASH),
        "size": st.integers(0, 2**40),
        "noted": words,
        "note": words,
        "triggers": st.lists(words, max_size=3),
        "blocks": st.sampled_from(["", "MIDD", "in: 0\nout: 0.5", "mid: 0; in 3-: 2 # more"]),
        "later": st.recursive(st.none() | words, lambda inner: st.lists(inner, max_size=2)),
    },
)


@settings(deadline=None, max_examples=50)
@given(st.lists(rows, max_size=5))
def test_what_the_page_saves_is_read_whichever_way_it_comes(saved):
    read = read_rows(value(*saved))
    assert [row.asked.name for row in read] == [row["name"] for row in saved]
    assert [float(row.model) for row in read] == [row["strength"] for row in saved]
    assert read == read_rows(json.dumps(value(*saved))) == read_rows({"__value__": saved})


@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | words,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["rows", "version", "__value__", "on", "name", "strength"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_anything_else_is_read_or_refused_but_never_a_surprise(anything):
    try:
        read_rows(anything)
    except LoraInputError as error:
        assert error.expected


# --- two models, for high and for low noise ----------------------------------------------------------

PAIR = ROW | {"low": {"name": "ink_low.safetensors", "strength": 0.5, "hash": HASH, "size": 7}}


def of(side, *rows):
    """What one of the two models gets: file and strengths."""
    seen = rows_for(side, read_rows(list(rows)))
    return [(row.asked.name, float(row.model), float(row.clip)) for row in seen]


def test_a_pair_is_another_file_for_low_noise():
    (row,) = read_rows([PAIR])
    assert row.low == Low(Asked("ink_low.safetensors", HASH, 7, row=1), Fraction(1, 2))
    assert row.asked == Asked("ink.safetensors", row=1)
    assert of("high", PAIR) == [("ink.safetensors", 0.8, 0.8)]
    assert of("low", PAIR) == [("ink_low.safetensors", 0.5, 0.5)]


def test_without_a_strength_of_its_own_it_has_those_of_the_row():
    pair = ROW | {"strength_clip": 0.3, "low": {"name": "low", "strength": None}}
    assert of("low", pair) == [("low", 0.8, 0.3)]


def test_what_else_is_said_of_a_row_counts_for_both_files():
    pair = PAIR | {"triggers": ["ink"], "blocks": "late: 0"}
    (high,), (low,) = (rows_for(side, read_rows([ROW, pair])[1:]) for side in ("high", "low"))
    assert (high.triggers, high.blocks) == (low.triggers, low.blocks) == (("ink",), high.blocks)
    assert high.asked.row == low.asked.row == 2


def test_a_row_goes_into_both_models_unless_it_says_otherwise():
    rows = [ROW, ROW | {"only": "high"}, ROW | {"only": "low"}, ROW | {"only": None}]
    read = read_rows(rows)
    assert [row.asked.row for row in rows_for("high", read)] == [1, 2, 4]
    assert [row.asked.row for row in rows_for("low", read)] == [1, 3, 4]
    plain = read_rows([ROW])
    assert rows_for("high", plain) == rows_for("low", plain) == plain


def test_a_solo_row_for_one_model_leaves_the_other_as_it_is():
    active = active_rows(read_rows([ROW, PAIR | {"solo": True, "only": "low"}]))
    assert rows_for("high", active) == ()
    assert len(rows_for("low", active)) == 1


def test_the_hash_of_the_low_file_speaks_for_its_own_name():
    low = {"name": "ink_low.safetensors", "hash": HASH, "size": 7}
    for noted, known in (("INK_LOW.safetensors", HASH), ("ink.safetensors", None)):
        (row,) = read_rows([ROW | {"low": low | {"noted": noted}}])
        assert row.low.asked == Asked(low["name"], known, 7 if known else None, row=1)


BAD_LOWS = {
    "low": [5, "ink", [], True],
    "low.name": [{}, {"name": 5}, {"name": ""}, {"name": None}],
    "low.strength": [{"name": "a", "strength": bad} for bad in ("x", 101, True, float("nan"))],
    "low.hash": [{"name": "a", "hash": "0a"}],
    "low.size": [{"name": "a", "size": -1}],
    "low.noted": [{"name": "a", "noted": 5}],
}


@pytest.mark.parametrize(("key", "bad"), [(k, v) for k, vs in BAD_LOWS.items() for v in vs])
def test_a_bad_low_file_is_refused_by_row_and_key(key, bad):
    with pytest.raises(LoraInputError) as refused:
        read_rows([ROW, ROW | {"low": bad}])
    error = refused.value
    assert (error.row, error.key) == (2, key)
    assert str(error).startswith(f"row 2: {key} must be ")
    assert error.expected
    assert error.found


@pytest.mark.parametrize("bad", ["both", "HIGH", 5, True, ["high"], ""])
def test_only_is_one_of_the_two_models(bad):
    with pytest.raises(LoraInputError, match='row 1: only must be "high" or "low"') as refused:
        read_rows([ROW | {"only": bad}])
    assert refused.value.key == "only"


# --- strengths that come by a link -------------------------------------------------------------------

LINKED = ROW | {"link": "strength_1"}


@pytest.mark.parametrize(
    ("came", "strength"), [(0.1, "1/10"), (2, "2"), (-100.0, "-100"), (0, "0")]
)
def test_a_strength_that_comes_by_a_link_is_the_rows(came, strength):
    rows = read_rows([LINKED, ROW, LINKED | {"strength_clip": 0.3, "low": {"name": "low"}}])
    one, other, pair = with_links(rows, {"strength_1": came, "strength_2": 5, "lora": 7})
    assert one.model == one.clip == Fraction(strength)
    assert other == rows[1]
    assert (pair.model, pair.clip) == (Fraction(strength), Fraction(3, 10))
    assert rows_for("low", [pair])[0].model == Fraction(strength)


def test_where_nothing_comes_a_row_has_its_own_strength():
    rows = read_rows([LINKED])
    assert with_links(rows, {}) == with_links(rows, {"strength_2": 1.0}) == rows


@pytest.mark.parametrize("came", [None, "much", True, float("nan"), float("inf"), 100.5, [0.5], {}])
def test_what_is_no_strength_is_refused_by_row_and_file(came):
    with pytest.raises(LoraInputError) as refused:
        with_links(read_rows([ROW, LINKED]), {"strength_1": came})
    error = refused.value
    assert (error.row, error.key, error.file) == (2, "strength_1", "ink.safetensors")
    assert str(error).startswith('row 2: "ink.safetensors": strength_1 must be a number from -100')


def test_a_strength_that_no_row_takes_is_refused():
    rows = read_rows([LINKED | {"on": False}])
    check_links(
        rows, ["strength_1", "rows", "lora", "model", "strength_x", "strength_0", "strength"]
    )
    with pytest.raises(LoraInputError, match="no row takes its strength from strength_2"):
        check_links(rows, ["strength_1", "strength_2"])


# --- the schema in the documentation ----------------------------------------------------------------

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "rows.schema.json").read_text())

FINE = [
    value(ROW),
    [ROW],
    [],
    {"rows": [], "folded": True},
    value({"name": ""}),
    value(
        ROW | {"strength_clip": None, "triggers": None, "blocks": None, "hash": None, "size": None}
    ),
    value(ROW | {"strength": -100, "strength_clip": 100, "solo": True, "hash": HASH, "size": 0}),
    value(
        ROW
        | {"triggers": ["a"], "blocks": "double 0-6: 0", "noted": "ink.safetensors", "note": [1]}
    ),
    value(LINKED, ROW | {"link": None}, ROW | {"link": "strength_999"}),
    value(PAIR | {"only": "low"}, ROW | {"only": "high", "low": None}, ROW | {"only": None}),
    value(ROW | {"low": {"name": "a", "strength": None, "hash": None, "size": None, "x": 1}}),
]
WRONG = [
    1,
    {},
    {"version": 2, "rows": []},
    {"rows": {}},
    value({}),
    value(1),
    value(ROW | {"name": None}),
    value(ROW | {"strength": "a"}),
    value(ROW | {"strength": 101}),
    value(ROW | {"strength_clip": -101}),
    value(ROW | {"strength": True}),
    value(ROW | {"on": "perhaps"}),
    value(ROW | {"triggers": "a"}),
    value(ROW | {"triggers": [1]}),
    value(ROW | {"blocks": 1}),
    value(ROW | {"hash": "abc"}),
    value(ROW | {"size": -1}),
    value(ROW | {"size": 1.5}),
    value(ROW | {"link": "model"}),
    value(ROW | {"link": "strength_0"}),
    value(ROW | {"only": "both"}),
    value(ROW | {"low": "a"}),
    value(ROW | {"low": {}}),
    value(ROW | {"low": {"name": ""}}),
    value(ROW | {"low": {"name": "a", "strength": 101}}),
    value(ROW | {"low": {"name": "a", "hash": "abc"}}),
    value(ROW | {"low": {"name": "a", "size": -1}}),
    value(*[ROW] * 501),
]


@pytest.mark.parametrize("document", FINE, ids=str)
def test_the_schema_allows_what_is_read(document):
    jsonschema.validate(document, SCHEMA)
    read_rows(document)


@pytest.mark.parametrize("document", WRONG, ids=lambda each: str(each)[:60])
def test_the_schema_refuses_what_is_refused(document):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)
    with pytest.raises(LoraInputError):
        read_rows(document)


@pytest.mark.parametrize("part", ["row", "low"])
def test_the_schema_knows_every_key(part):
    read = set(re.findall(rf'{part}\.get\("(\w+)"', Path(reader.__file__).read_text()))
    assert read
    assert read <= SCHEMA["$defs"][part]["properties"].keys()
