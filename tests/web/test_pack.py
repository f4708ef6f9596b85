"""The files that the pack gives to the page: harmless, found by it, and of one mind with the nodes."""

from __future__ import annotations

import json
import posixpath
import re
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
ENGLISH = ROOT / "locales" / "en"
NODES = tuple(
    json.loads((ROOT / "tests" / "host" / "object_info.json").read_text(encoding="utf-8"))
)
SERVED = "/extensions/lora-algebra"
QUIET_IMPORTS = {"/scripts/api.js", "/scripts/app.js"}

DANGEROUS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|v-html|\beval\b|new Function"
    r"|https?://(?!www\.w3\.org/2000/svg\b)|setAttribute\(.on"
)
"""The one address that may stand there is a name: of SVG, without which nothing can be drawn."""


def address(file):
    """Where a page finds a file of ours."""
    return posixpath.normpath(f"{SERVED}/{file.relative_to(WEB).as_posix()}")


OURS = {address(file) for file in WEB.rglob("*.js")}


def english(name):
    return json.loads((ENGLISH / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def schemas(any_host):
    return {name: any_host.object_info(name)[name] for name in NODES}


@pytest.mark.parametrize("file", sorted(WEB.rglob("*.*")), ids=lambda file: file.name)
def test_nothing_in_it_can_turn_text_into_code(file):
    assert not DANGEROUS.search(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted(WEB.rglob("*.js")), ids=lambda file: file.name)
def test_it_imports_only_itself_and_what_the_host_means_to_be_imported(file):
    imports = re.findall(r'^(?:import|export) .* from "(.*)";', file.read_text(), re.MULTILINE)
    assert {address(file.parent / imported) for imported in imports} <= QUIET_IMPORTS | OURS


@pytest.mark.every_page
@pytest.mark.usefixtures("page")
def test_the_host_has_nothing_to_say_about_it(host):
    said = [line for line in host.log().splitlines() if "deprecat" in line.lower()]
    assert not [line for line in said if "lora" in line.lower()]


def test_the_names_in_the_locale_are_those_of_the_nodes(schemas):
    told = english("nodeDefs")
    assert told.keys() == schemas.keys()
    for name, schema in schemas.items():
        assert told[name]["display_name"] == schema["display_name"]
        assert told[name]["description"] == schema["description"]
        outputs = [told[name]["outputs"][str(i)]["name"] for i in range(len(schema["output"]))]
        assert outputs == schema["output_name"]


def test_the_inputs_in_the_locale_are_those_of_the_nodes(schemas):
    told = english("nodeDefs")
    for name, schema in schemas.items():
        inputs = {**schema["input"]["required"], **schema["input"].get("optional", {})}
        assert told[name]["inputs"].keys() == inputs.keys()
        for key, (_, options) in inputs.items():
            assert told[name]["inputs"][key]["name"] == options.get("display_name", key)
            assert told[name]["inputs"][key].get("tooltip") == options.get("tooltip")


def test_every_type_of_ours_has_a_name_for_people(schemas):
    types = {output for schema in schemas.values() for output in schema["output"]}
    assert {name for name in types if name.startswith("LORA")} == english("main")[
        "dataTypes"
    ].keys()


@pytest.mark.parametrize("node", NODES)
def test_every_node_has_a_help_page(any_host, node):
    url = f"http://127.0.0.1:{any_host.port}/extensions/lora-algebra/docs/{node}.md"
    with urllib.request.urlopen(url) as answer:
        assert answer.read().startswith(b"# ")


def test_the_page_shows_the_help(page, shoot):
    page.open_help(page.add("ApplyToModel"))
    page.expect_text("Adds a LoRA, or a whole stack, to a model and its text encoder")
    page.expect_text("the report is dimmed until it is updated")
    shoot("help")
    page.close_help()
