"""What the page says, in every language: all of it, and nothing that is no longer said."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from lora_core.warning import SENTENCES

ROOT = Path(__file__).parents[2]
LOCALES = ROOT / "locales"
LANGUAGES = ("en", "zh", "ja", "fr", "de")
SCRIPTS = sorted((ROOT / "web").rglob("*.js"))
SCHEMAS = json.loads((ROOT / "tests" / "host" / "object_info.json").read_text(encoding="utf-8"))

STRING = r'"(?:[^"\\]|\\.)*"'
COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.DOTALL | re.MULTILINE)
SAID = re.compile(rf"(?<![\w.])t\(\s*({STRING})\s*[,)]")
CALLED = re.compile(r"(?<![\w.])t\(")
PLACEHOLDER = re.compile(r"\{\w+\}")
SYNTAX = re.compile(r"[{}@|]")
"""What vue-i18n, through which the host shows all but our own sentences, takes for commands."""


def words(language: str, section: str) -> dict:
    return json.loads((LOCALES / language / f"{section}.json").read_text(encoding="utf-8"))


def code(script: Path) -> str:
    return COMMENT.sub("", script.read_text(encoding="utf-8"))


def sentences() -> set[str]:
    """Those of the page, and those that the core has worded for it."""
    own = {json.loads(text) for script in SCRIPTS for text in SAID.findall(code(script))}
    return own | {*SENTENCES.values()}


def listed(script: str, name: str) -> list[dict[str, str]]:
    """What stands in a list of objects of a script, as far as it is text."""
    (block,) = re.findall(rf"const {name} = \[\n(.*?)\n\];", code(ROOT / "web" / script), re.DOTALL)
    objects = re.split(r"\n  [}{]|^  [}{]", block)
    pairs = [
        re.findall(rf"\b(key|id|name|label|tooltip|text): ({STRING})", each) for each in objects
    ]
    return [{key: json.loads(text) for key, text in each} for each in pairs if each]


def leaves(tree: object) -> list[str]:
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in leaves(branch)]
    return [str(tree)]


def shape(tree: object) -> object:
    return {key: shape(branch) for key, branch in tree.items()} if isinstance(tree, dict) else None


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_what_is_translated_stands_there_as_one_text(script):
    if script.name != "words.js":
        texts = len(SAID.findall(code(script))) + (script.name == "sentences.js")  # a warning's
        assert len(CALLED.findall(code(script))) == texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_of_the_page_has_its_words_and_no_other_has(language):
    assert len(sentences()) > 30
    assert words(language, "main")["loraAlgebra"].keys() == sentences()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_take_the_same_values_as_the_sentence(language):
    for sentence, said in words(language, "main")["loraAlgebra"].items():
        assert said.strip()
        assert sorted(PLACEHOLDER.findall(said)) == sorted(PLACEHOLDER.findall(sentence)), sentence


def test_english_says_the_sentences_themselves():
    assert all(key == said for key, said in words("en", "main")["loraAlgebra"].items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_node_and_each_of_its_sockets_has_words(language):
    told = words(language, "nodeDefs")
    assert told.keys() == SCHEMAS.keys()
    for node, schema in SCHEMAS.items():
        shown = {kind: group for kind, group in schema["inputs"].items() if kind != "hidden"}
        inputs = [name for group in shown.values() for name, _ in group]
        assert sorted(told[node]["inputs"]) == sorted(inputs)
        assert all(each["name"] and each["tooltip"] for each in told[node]["inputs"].values())
        assert list(told[node]["outputs"]) == [str(i) for i in range(len(schema["outputs"]))]
        assert told[node]["display_name"]
        assert told[node]["description"]


@pytest.mark.parametrize("section", ["main", "nodeDefs", "settings", "commands"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_speak_of_the_same_things(language, section):
    assert shape(words(language, section)) == shape(words("en", section))


@pytest.mark.parametrize("section", ["nodeDefs", "settings", "commands"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_host_finds_no_command_in_the_words(language, section):
    assert not [said for said in leaves(words(language, section)) if SYNTAX.search(said)]


def test_every_setting_has_words_and_the_english_ones_are_its_own():
    told = words("en", "settings")
    settings = listed("page/settings.js", "SETTINGS")
    assert len(settings) >= 6
    assert told.keys() == {f"LoraAlgebra_Rows_{each['key']}" for each in settings}
    for each in settings:
        said = told[f"LoraAlgebra_Rows_{each['key']}"]
        assert (said["name"], said["tooltip"]) == (each["name"], each["tooltip"])


def test_every_command_has_words_and_the_english_ones_are_its_own():
    commands = listed("commands.js", "COMMANDS")
    assert len(commands) >= 4
    assert words("en", "commands") == {
        each["id"].replace(".", "_"): {"label": each["label"]} for each in commands
    }


def node_ids(file: Path) -> set[str]:
    keywords = [
        n for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.keyword)
    ]
    return {
        k.value.value for k in keywords if k.arg == "node_id" and isinstance(k.value, ast.Constant)
    }


def test_only_our_nodes_have_names():
    ids = {node for file in (ROOT / "nodes").glob("*.py") for node in node_ids(file)}
    assert words("en", "nodeDefs").keys() == ids
