"""Trigger words: stated by the file, by the notes beside it, or by the captions it was trained on."""

import json
import os

import pytest

from harness.samples import pair, write
from lora_core.library.facts import stated_triggers
from lora_core.library.sidecars import Recommended, read_sidecars
from lora_core.library.triggers import triggers_of
from lora_core.reading.header import identify

TAGS = {"10_ink": {"ink style": 40, "1girl": 39, "solo": 12}, "5_more": {"ink style": 10, "sky": 9}}
FOLDERS = {"10_ink": {"n_repeats": 10, "img_count": 40}, "5_more": {"img_count": 10}}


def kohya(**notes: object) -> dict[str, str]:
    return {f"ss_{key}": json.dumps(value) for key, value in notes.items()}


@pytest.fixture
def stated(tmp_path):
    """The trigger words of a file with these notes in it, and these files beside it."""

    def of(metadata=None, **beside):
        path = write(tmp_path / "ink.v2.safetensors", pair("layer", 4, 4), metadata)
        for ending, content in beside.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / SIDECARS[ending]).write_text(text, encoding="utf-8")
        return stated_triggers(identify(path))

    return of


SIDECARS = {
    "a1111": "ink.v2.json",
    "manager": "ink.v2.metadata.json",
    "rgthree": "ink.v2.safetensors.rgthree-info.json",
    "text": "ink.v2.txt",
}


def test_the_files_own_phrase(stated):
    assert stated({"modelspec.trigger_phrase": "ink style, a  brush\tdrawing ,"}) == (
        "ink style",
        "a brush drawing",
    )


def test_each_sidecar(stated):
    assert stated(a1111={"activation text": "ink style, brush"}) == ("ink style", "brush")


def test_words_of_all_who_state_some_are_put_together_once(stated):
    assert stated(
        {"modelspec.trigger_phrase": "ink style"},
        a1111={"activation text": "Ink Style, brush"},
        manager={"civitai": {"trainedWords": ["brush", "paper, wet ink"]}},
        rgthree={"trainedWords": [{"word": "sumi"}, {"word": "paper"}, "no object", {"count": 3}]},
        text="only notes, no words",
    ) == ("ink style", "brush", "paper", "wet ink", "sumi")


def test_else_the_tags_of_nearly_every_image(stated):
    assert stated(kohya(tag_frequency=TAGS, dataset_dirs=FOLDERS)) == ("ink style",)


def test_tags_do_not_speak_where_words_are_stated(stated):
    notes = kohya(tag_frequency=TAGS, dataset_dirs=FOLDERS)
    assert stated(notes | {"modelspec.trigger_phrase": "sumi"}) == ("sumi",)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        (kohya(tag_frequency=TAGS), ()),  # nobody says how many images there were
        (kohya(tag_frequency=TAGS, num_train_images=50), ("ink style",)),
        (kohya(tag_frequency=TAGS, num_train_images=450), ()),  # each image was repeated
        (kohya(tag_frequency={"a": {"x": 1, "y": 1}}, dataset_dirs={"a": {"img_count": 1}}), ()),
        (
            kohya(
                tag_frequency={"ink": {"x": 20}, "others": {"y": 500}},
                dataset_dirs={"ink": {"img_count": 20}},
            ),
            ("x",),
        ),  # regularisation images have captions, too
        (
            kohya(
                tag_frequency={"a": {str(n): 9 for n in range(50)}},
                dataset_dirs={"a": {"img_count": 9}},
            ),
            ("0", "1", "2", "3", "4"),
        ),
    ],
)
def test_what_counts_as_nearly_every_image(stated, notes, expected):
    assert stated(notes) == expected


def test_a_damaged_file_still_has_the_words_beside_it(tmp_path):
    path = tmp_path / "ink.v2.safetensors"
    path.write_bytes(b"nothing much")
    assert stated_triggers(identify(path)) == ()
    (tmp_path / SIDECARS["a1111"]).write_text('{"activation text": "ink"}')
    assert stated_triggers(identify(path)) == ("ink",)


def test_all_triggers_are_listed_with_their_counts():
    metadata = kohya(tag_frequency=TAGS) | {"modelspec.trigger_phrase": "ink style, sumi"}
    told = [(t.word, t.count, t.source) for t in triggers_of(metadata, ["brush, solo"])]
    assert told == [
        ("ink style", 50, "modelspec"),
        ("sumi", None, "modelspec"),
        ("brush", None, "sidecar"),
        ("solo", 12, "sidecar"),
        ("1girl", 39, "tags"),
        ("sky", 9, "tags"),
    ]


def test_there_are_at_most_sixty():
    many = {"a": {f"tag {n}": n + 1 for n in range(100_000)}}
    told = triggers_of(kohya(tag_frequency=many), [])
    assert len(told) == 60
    assert told[0].count == 100_000


def test_a_text_that_is_cut_ends_in_a_whole_word(stated):
    phrase = "ink, " + "x" * 150 + ", " + ", ".join(["brush"] * 2000)
    assert phrase[:10_000].endswith(", b")
    assert stated({"modelspec.trigger_phrase": phrase}) == ("ink", "x" * 150, "brush")


def test_words_come_without_what_cannot_be_shown(stated):
    phrase = "safe\u202egpj, a\x00b, \x1b[31mred, \ud800x".encode("utf-8", "replace").decode()
    assert stated({"modelspec.trigger_phrase": phrase}) == ("safegpj", "ab", "[31mred", "?x")


NO_NOTES = [
    "",
    "[",
    "null",
    "[1, 2]",
    "[" * 100_000,
    "[" + "[]," * 200_000 + "[]]",
    '{"a":' * 100_000,
    '{"a": %s}' % ("9" * 100_000),
    '{"activation text": 5, "trainedWords": "x", "civitai": [], "preferred weight": "a"}',
    '{"activation text": null, "trainedWords": {"word": "x"}, "preferred weight": true}',
    '{"trainedWords": [null, 1, [], {"word": {}}], "civitai": {"trainedWords": [1, null, {}]}}',
    '{"preferred weight": NaN, "strengthMin": 1e999, "strengthMax": -Infinity}',
    '{"usage_tips": "{\\"strength\\": 1e999, \\"strength_range\\": \\"9-1\\"}"}',
    '{"usage_tips": {"strength": 1}}',
]


@pytest.mark.parametrize("name", ["a1111", "manager", "rgthree"])
@pytest.mark.parametrize("text", NO_NOTES, ids=range(len(NO_NOTES)))
def test_notes_that_make_no_sense_are_left_out(stated, tmp_path, name, text):
    assert stated(**{name: text}) == ()
    assert read_sidecars(tmp_path / "ink.v2.safetensors").recommended == Recommended()


@pytest.mark.parametrize(
    "table", [*NO_NOTES[:-1], '{"a": 5}', '{"a": {"x": "1", "y": -1, "z": 1e99}}']
)
def test_tables_that_make_no_sense_are_left_out(table):
    metadata = {"ss_tag_frequency": table, "ss_dataset_dirs": table, "ss_num_train_images": table}
    assert triggers_of(metadata, []) == ()


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"a1111": {"preferred weight": 0.7}}, Recommended(0.7)),
        ({"a1111": {"preferred weight": 0}}, Recommended()),
        ({"rgthree": {"strengthMin": 0.4, "strengthMax": "0.9"}}, Recommended(None, 0.4, 0.9)),
        ({"rgthree": {"strengthMin": 0.9, "strengthMax": 0.4}}, Recommended()),
        (
            {"manager": {"usage_tips": '{"strength": 0.8, "strength_range": "0.6-1.1"}'}},
            Recommended(0.8, 0.6, 1.1),
        ),
        (
            {"manager": {"usage_tips": '{"strength_min": 0.5, "strength_max": 1}'}},
            Recommended(None, 0.5, 1.0),
        ),
    ],
)
def test_recommended_strengths(stated, tmp_path, beside, expected):
    stated(**beside)
    assert read_sidecars(tmp_path / "ink.v2.safetensors").recommended == expected


def test_notes_and_base(stated, tmp_path):
    stated(
        a1111={"notes": "mine", "description": "of it", "sd version": "Unknown"},
        manager={"notes": "not first", "base_model": "Illustrious"},
        text="\ufeffthird",
    )
    said = read_sidecars(tmp_path / "ink.v2.safetensors")
    assert (said.notes, said.description, said.base) == ("mine", "of it", "Illustrious")
    (tmp_path / SIDECARS["a1111"]).unlink()
    (tmp_path / SIDECARS["manager"]).unlink()
    assert read_sidecars(tmp_path / "ink.v2.safetensors").notes == "third"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_that_are_not_too_long_are_read(tmp_path):
    path = tmp_path / "ink.v2.safetensors"
    os.mkfifo(tmp_path / SIDECARS["a1111"])
    (tmp_path / SIDECARS["manager"]).mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / SIDECARS["text"]).symlink_to(tmp_path / "secret")
    long = {"trainedWords": [{"word": "x"}], "filler": "x" * 2**20}
    (tmp_path / SIDECARS["rgthree"]).write_text(json.dumps(long))
    assert read_sidecars(path) == read_sidecars(tmp_path / "nothing.safetensors")
