"""What is told of a file from its header: of any file whatever, in bounded time and memory."""

import json
import random
import re
import subprocess
import sys
import textwrap
from functools import partial

import pytest
import torch

from harness.samples import pair, raw, tensors, write
from lora_core.library.facts import facts_of
from lora_core.reading.header import identify
from tests.core.test_files import BYTES

GOOD = {
    "lora_unet_a.lora_up.weight": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
    "lora_unet_a.lora_down.weight": {"dtype": "F32", "shape": [1, 2], "data_offsets": [8, 16]},
}


@pytest.fixture
def facts(tmp_path):
    def of(content, metadata=None, **beside):
        path = tmp_path / "style.safetensors"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            write(path, content, metadata)
        for ending, text in beside.items():
            (tmp_path / f"style.{ending}").write_text(json.dumps(text))
        found = facts_of(identify(path))
        json.dumps(found.to_dict(), allow_nan=False).encode()
        return found

    return of


def test_everything_that_a_good_file_tells(facts):
    content = {
        **pair("lora_unet_down_blocks_0_attentions_0_attn2_to_k", 8, 2048, rank=4, alpha=2.0),
        **pair("lora_unet_down_blocks_0_attentions_0_attn1_to_k", 8, 8, rank=2),
        **pair("lora_te2_text_model_encoder_layers_0_mlp_fc1", 8, 8, rank=8),
    }
    metadata = {
        "modelspec.title": "Ink",
        "modelspec.author": "<b>Ann</b>",
        "modelspec.description": "first\nsecond",
        "modelspec.trigger_phrase": "ink style",
        "ss_network_module": "networks.lora",
        "ss_tag_frequency": json.dumps({"a": {"ink style": 7, "sky": 2}}),
    }
    found = facts(content, metadata, json={"notes": "mine", "preferred weight": 0.6})
    told = found.to_dict()
    assert told.pop("size") == found.size > 0
    assert told.pop("modified") > 1_700_000_000_000
    assert told.pop("metadata").keys() == metadata.keys()
    assert told == {
        "hash": None,
        "base": "SDXL",
        "families": ("LoRA",),
        "ranks": (2, 8),
        "trainer": "kohya (networks.lora)",
        "dialects": ("kohya",),
        "model_layers": 2,
        "clip_layers": 1,
        "triggers": (
            {"word": "ink style", "count": 7, "source": "modelspec"},
            {"word": "sky", "count": 2, "source": "tags"},
        ),
        "stated_triggers": ("ink style",),
        "title": "Ink",
        "author": "<b>Ann</b>",
        "description": "first\nsecond",
        "notes": "mine",
        "recommended": {"strength": 0.6, "least": None, "most": None},
        "civitai": None,
    }
    assert found.error is None


def test_what_stands_beside_it_fills_what_the_file_leaves_open(facts):
    beside = {"sd version": "SDXL", "description": "of it"}
    found = facts(pair("some_layer", 4, 4), json=beside)
    assert (found.base, found.description) == ("SDXL", "of it")
    metadata = {"ss_base_model_version": "sd_v1", "modelspec.description": "its own"}
    found = facts(pair("some_layer", 4, 4), metadata, json=beside)
    assert (found.base, found.description) == ("SD 1.5", "its own")


PAGES = {
    "civitai.info": {"id": 7, "modelId": 5, "baseModel": "Pony", "trainedWords": ["ink"]},
    "metadata.json": {
        "civitai": {"id": 7, "modelId": 5, "trainedWords": ["ink"]},
        "base_model": "Pony",
    },
    "safetensors.rgthree-info.json": {
        "links": [
            "https://example.com/models/9",
            "https://civitai.com/models/5/a-name?modelVersionId=7",
        ],
        "trainedWords": [{"word": "ink"}],
        "baseModel": "Pony",
    },
}


@pytest.mark.parametrize("ending", PAGES)
def test_its_page_at_civitai_is_told_by_numbers(facts, ending):
    found = facts(pair("some_layer", 4, 4), **{ending: PAGES[ending]})
    assert found.to_dict()["civitai"] == "https://civitai.com/models/5?modelVersionId=7"
    assert (found.base, found.stated_triggers) == ("Pony", ("ink",))


@pytest.mark.parametrize(
    "noted",
    [
        {},
        {"modelId": "5"},
        {"modelId": -1, "id": 7},
        {"modelId": True},
        {"modelId": 2**60},
        {"modelId": "javascript:alert(1)"},
    ],
    ids=str,
)
def test_what_is_no_number_of_a_page_is_none(facts, noted):
    assert facts(pair("some_layer", 4, 4), **{"civitai.info": noted}).civitai is None


@pytest.mark.parametrize(
    "link",
    [
        "https://civitai.com.evil.org/models/5",
        "http://civitai.com/models/5",
        "//civitai.com/models/5",
        "x" * 999,
        5,
    ],
)
def test_other_links_are_no_page(facts, link):
    beside = {"safetensors.rgthree-info.json": {"links": [link]}}
    assert facts(pair("some_layer", 4, 4), **beside).civitai is None


@pytest.mark.parametrize("fault", BYTES)
def test_of_a_damaged_file_it_is_told_why(facts, fault):
    content, words = BYTES[fault]
    found = facts(content)
    assert found.size == len(content)
    assert re.search(words, found.error or "")


def test_of_a_file_with_one_bad_layer_the_rest_is_told(facts):
    bad = {
        **pair("lora_unet_single_blocks_0_linear1", 8, 8),
        **pair("lora_te1_text_model_encoder_layers_0_mlp_fc1", 8, 8),
        "lora_unet_single_blocks_1_linear1.lora_up.weight": torch.zeros(8, 4),
    }
    found = facts(bad, {"modelspec.trigger_phrase": "ink", "ss_network_module": "networks.lora"})
    assert "lora_unet_single_blocks_1_linear1" in (found.error or "")
    assert (found.model_layers, found.clip_layers, found.base) == (2, 1, "Flux")
    assert (found.trainer, found.stated_triggers) == ("kohya (networks.lora)", ("ink",))


def test_a_checkpoint_is_told_to_be_no_lora(facts):
    found = facts(tensors(0, **{"model.diffusion_model.out.weight": (4, 4)}))
    assert "is not a LoRA" in (found.error or "")
    assert found.model_layers == 0


NASTY = (
    '<img src=x onerror="alert(1)">',
    "</script><script>alert(1)</script>",
    "safe\u202egpj.exe \u2066\u2069",
    "\x00\x07\x1b[31m\x9f",
    "{{constructor.constructor('alert(1)')()}}",
    "__proto__",
)


def test_texts_are_printable_and_bounded(facts):
    metadata = {f"note {number}": text for number, text in enumerate(NASTY)}
    metadata |= dict.fromkeys(NASTY, "x")
    metadata |= {f"modelspec.{key}": "<b>\u202e" + 5000 * "x" for key in ("title", "description")}
    found = facts(pair("some_layer", 4, 4), metadata)
    assert found.title == "<b>\ufffd" + 176 * "x" + "… (5,004 characters)"
    assert found.metadata is not None
    assert found.metadata["note 0"] == NASTY[0]
    assert found.metadata["note 2"] == "safe\ufffdgpj.exe \ufffd\ufffd"
    assert found.metadata["note 3"] == "\ufffd\ufffd\ufffd[31m\ufffd"
    assert all(map(str.isprintable, found.metadata.values()))
    assert all(map(str.isprintable, found.metadata))
    assert len(found.description or "") == 2000


def test_a_lone_surrogate_does_not_break_the_answer(facts):
    header = {"__metadata__": {"modelspec.title": "a"}, **GOOD}
    text = json.dumps(header).replace('"a"', r'"\ud83d"').encode()
    assert "unexpected end of hex escape" in (facts(raw(0, bytes(16), text=text)).error or "")
    found = facts(
        pair("some_layer", 4, 4), json={"notes": "a\ud83db", "activation text": "\ud83dc"}
    )
    assert (found.notes, found.stated_triggers) == ("a\ufffdb", ("c",))


@pytest.mark.parametrize(
    "number", ["NaN", "1e999", "-Infinity", "9" * 5000, "[" * 10_000], ids=lambda n: n[:9]
)
def test_json_in_its_notes_may_hold_anything(facts, number):
    notes = ("ss_tag_frequency", "ss_dataset_dirs", "ss_num_train_images", "software")
    text = '{"a": {"b": ' + number + "}}"
    found = facts(pair("some_layer", 4, 4), dict.fromkeys(notes, text))
    assert (found.error, found.triggers) == (None, ())


def test_what_people_write_is_shown_before_a_trainers_settings(facts):
    many = {f"ss_{number}": "x" for number in range(100)}
    found = facts(pair("some_layer", 4, 4), many | {"zz comment": "hello", "modelspec.hash": "1"})
    assert list(found.metadata or {})[:3] == ["modelspec.hash", "zz comment", "ss_0"]
    assert len(found.metadata or {}) == 60


def test_random_headers_are_told_of_or_refused(facts):
    chance = random.Random(0)
    for _ in range(300):
        text = bytearray(json.dumps({"__metadata__": {"a": "b"}, **GOOD}).encode())
        for _ in range(chance.randint(1, 4)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        facts(raw(0, bytes(16), text=bytes(text)))


def with_note(text: str) -> str:
    return json.dumps({"__metadata__": {"note": f"<b>{text}"}, **GOOD}, ensure_ascii=False)


def with_noted_config(value: str, times: int) -> str:
    config = json.dumps({"r": [json.loads(value)] * times})
    return json.dumps({"__metadata__": {"lora_adapter_metadata": config}, **GOOD})


def with_long_name(name: str) -> str:
    long = name * (8_000_000 // len(name))
    return json.dumps({key.replace("lora_unet_a", long): entry for key, entry in GOOD.items()})


HUGE = {
    "one value of 50 MB": lambda: with_note("x" * 50_000_000),
    "60 MB of emoji": lambda: with_note("😀" * 15_000_000),
    "keys": lambda: json.dumps({"__metadata__": {str(number): "" for number in range(1_100_000)}}),
    "dimensions": lambda: (
        '{"a":{"dtype":"F32","shape":[' + "1," * 20_000_000 + '1],"data_offsets":[0,4]}}'
    ),
    "lists in lists": lambda: with_noted_config("[" * 900 + "]" * 900, 33_000),
    "70 MB": lambda: with_note("x" * 70_000_000),
    "4 million lists": lambda: with_noted_config("[" * 900 + "]" * 900, 4_400),
    **{
        f"a name of 8 MB: {name}": partial(with_long_name, name)
        for name in ("up_blocks.", "unet.attn2_to_", ".processor.", "blocks_1_")
    },
}
"""Functions that make the headers, which take half a minute."""

MEGABYTES = 500
CPU_SECONDS = 120
"""For all of them. They take about ten; what is not linear in the bytes takes hours."""


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
    """The facts of huge files, by a process that may use little more memory than torch itself.

    The system ends it if it does not come to an end of its own.
    """
    folder = tmp_path_factory.mktemp("huge")
    for kind, text in HUGE.items():
        (folder / f"{kind}.safetensors").write_bytes(raw(0, bytes(16), text=text().encode()))
    script = f"""
        import json, resource
        from lora_core.library import facts_of
        from lora_core.reading import identify
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, [used + {MEGABYTES} * 2**20] * 2)
        resource.setrlimit(resource.RLIMIT_CPU, [{CPU_SECONDS}] * 2)
        told = {{}}
        for kind in {list(HUGE)!r}:
            found = facts_of(identify(f"{folder}/{{kind}}.safetensors"))
            told[kind] = found.to_dict(), found.error
        print(json.dumps(told))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr[-500:]
    return json.loads(said.stdout)


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("kind", ["one value of 50 MB", "60 MB of emoji"])
def test_giant_metadata_is_cut(huge, kind):
    told, error = huge[kind]
    assert told["metadata"]["note"].startswith("<b>")
    assert told["metadata"]["note"].endswith("000,003 characters)")
    assert len(told["metadata"]["note"]) == 200
    assert (told["model_layers"], told["families"]) == (1, ["LoRA"])
    assert "header" in error  # which is larger than that of a LoRA that can be applied


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("kind", ["keys", "dimensions", "lists in lists", "70 MB"])
def test_what_would_take_too_much_memory_is_not_read(huge, kind):
    told, error = huge[kind]
    assert "has a header" in error
    assert (told["size"] > 10_000_000, told["metadata"]) == (True, {})


@pytest.mark.slow
@needs_proc
def test_notes_of_millions_of_lists_are_not_read(huge):
    told, error = huge["4 million lists"]
    assert (told["families"], error) == (["LoRA"], None)


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("kind", [kind for kind in HUGE if kind.startswith("a name")])
def test_a_name_of_8_mb_is_looked_at_once(huge, kind):
    told, _ = huge[kind]
    assert (told["model_layers"] + told["clip_layers"], told["families"]) == (1, ["LoRA"])


def test_a_hundred_thousand_notes(facts):
    found = facts(pair("some_layer", 4, 4), {f"key {n}": "x" for n in range(100_000)})
    assert len(found.metadata or {}) == 60
    assert found.error is None


@pytest.mark.slow
def test_more_tensors_than_any_lora_has_are_counted_but_not_looked_at(facts):
    entry = '"l%d.lora_up.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    text = "{" + ",".join(entry % number for number in range(100_001)) + "}"
    found = facts(raw(0, text=text.encode()))
    assert "has 100001 tensors" in (found.error or "")
    assert found.model_layers == 100_001
