"""Workflows as the page saves them become the prompts that the real page makes of them."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core.errors import LoraInputError
from lora_render.ui_workflow import convert
from tests.render import recorded, saved

INFO = recorded.object_info()
PROMPTS = recorded.prompts()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
BY_HAND = {case.__name__: case for case in saved.CASES}


def workflow(name):
    if name in BY_HAND:
        return BY_HAND[name]()
    return json.loads(recorded.WORKFLOWS[name].read_text(encoding="utf-8"))


def node(made, kind):
    return next(each for each in made["nodes"] if each["type"] == kind)


def refusal(made, info=INFO):
    with pytest.raises(LoraInputError) as caught:
        convert(made, info)
    return str(caught.value)


class TestAsThePage:
    @pytest.mark.parametrize("name", sorted(PROMPTS))
    def test_it_is_the_prompt_that_the_page_sends(self, name):
        ours = convert(workflow(name), INFO)
        assert recorded.computes(ours) == recorded.computes(PROMPTS[name])

    def test_every_workflow_was_recorded(self):
        assert sorted(PROMPTS) == sorted([*recorded.WORKFLOWS, *BY_HAND])

    def test_titles_are_those_of_the_workflow_or_of_the_class(self):
        titles = {each["_meta"]["title"] for each in convert(saved.plain(), INFO).values()}
        assert {"The model", "The picture", "Save Image"} <= titles

    def test_converting_changes_nothing_in_the_workflow(self):
        made = saved.nested()
        before = copy.deepcopy(made)
        convert(made, INFO)
        assert made == before

    def test_a_new_input_gets_its_usual_value(self):
        made = saved.plain()
        node(made, "KSampler")["widgets_values"] = [3]
        (sampler,) = (
            each for each in convert(made, INFO).values() if each["class_type"] == "KSampler"
        )
        assert sampler["inputs"]["seed"] == 3
        assert sampler["inputs"]["steps"] == 20

    def test_the_value_of_an_input_that_was_a_widget_once_is_dropped(self):
        latent = copy.deepcopy(INFO["EmptyLatentImage"])
        latent["input"]["required"]["width"][1]["forceInput"] = True
        made = saved.plain()
        node(made, "EmptyLatentImage")["widgets_values"] = [1, 2, 3]
        ours = convert(made, INFO | {"EmptyLatentImage": latent})
        (found,) = (each for each in ours.values() if each["class_type"] == "EmptyLatentImage")
        assert found["inputs"] == {"height": 2, "batch_size": 3}


class TestRefused:
    def test_a_type_that_nobody_knows(self):
        made = saved.plain()
        node(made, "VAEDecode")["type"] = "FancyDecode"
        assert 'has the type "FancyDecode", which this ComfyUI does not know' in refusal(made)

    def test_a_group_node(self):
        made = saved.plain()
        node(made, "VAEDecode")["type"] = "workflow>mine"
        assert "is a group node" in refusal(made)

    def test_more_values_than_widgets_in_another_pack(self):
        info = {
            **INFO,
            "EmptyLatentImage": INFO["EmptyLatentImage"] | {"python_module": "custom_nodes.x"},
        }
        made = saved.plain()
        node(made, "EmptyLatentImage")["widgets_values"] = [64, 64, 1, "?"]
        assert "it has 4 saved values for 3 widgets" in refusal(made, info)

    def test_values_that_have_slipped(self):
        made = saved.plain()
        node(made, "KSampler")["widgets_values"] = [7, 20, 4, 7, "euler", "simple", 1]
        assert "its values do not fit its widgets" in refusal(made)

    def test_widgets_that_grow(self):
        stack = copy.deepcopy(INFO["StackLoRAs"])
        stack["input"]["optional"]["loras"][1]["template"]["input"] = {
            "required": {"lora": ["FLOAT", {}]}
        }
        assert '"loras" grows by widgets' in refusal(saved.growing(), INFO | {"StackLoRAs": stack})

    def test_values_by_name(self):
        made = saved.plain()
        node(made, "KSampler")["widgets_values"] = {"seed": 7}
        assert "its pack saves values by names" in refusal(made)

    def test_a_choice_by_chance(self):
        made = saved.plain()
        node(made, "CLIPTextEncode")["widgets_values"] = ["a {red|blue} house"]
        text = refusal(made)
        assert "CLIPTextEncode" in text
        assert "by chance" in text

    def test_the_time_in_a_name(self):
        made = saved.plain()
        node(made, "SaveImage")["widgets_values"] = ["%date:yyyy-MM-dd%/made"]
        assert "%date:yyyy-MM-dd%" in refusal(made)

    def test_a_name_that_means_two_nodes(self):
        made = saved.primitives()
        for each in made["nodes"]:
            each["title"] = "same" if each["type"] == "KSampler" else ""
        node(made, "SaveImage")["widgets_values"] = ["%same.steps%"]
        assert "a name that means one node" in refusal(made)

    def test_a_primitive_on_a_subgraph(self):
        made = saved.subgraphs()
        graph = saved.Made()
        graph.nodes, graph.links = made["nodes"], []
        number = graph.add("PrimitiveNode", [9, "fixed"])
        instance = next(each for each in made["nodes"] if len(each["type"]) == 36)
        instance["inputs"].append({"name": "steps", "type": "INT", "link": 900})
        made["links"].append([900, number, 0, instance["id"], 3, "INT"])
        assert "a primitive is linked to" in refusal(made)

    def test_a_primitive_that_a_subgraph_shows(self):
        made = saved.proxies()
        (inside,) = made["definitions"]["subgraphs"]
        inside["nodes"].append({"id": 70, "type": "PrimitiveNode", "widgets_values": [1, "fixed"]})
        instance = next(each for each in made["nodes"] if len(each["type"]) == 36)
        instance["properties"]["proxyWidgets"].append(["70", "value"])
        instance["widgets_values"].append(5)
        assert "keeps the value of a primitive" in refusal(made)

    def test_a_subgraph_in_itself(self):
        made = saved.subgraphs()
        (inside,) = made["definitions"]["subgraphs"]
        inside["nodes"].append({"id": 80, "type": inside["id"]})
        assert "one in itself" in refusal(made)

    def test_links_in_a_circle(self):
        made = saved.reroutes()
        first = node(made, "Reroute")
        entry = next(each for each in made["links"] if each[0] == first["inputs"][0]["link"])
        entry[1] = first["id"]
        assert "circle" in refusal(made)

    def test_an_empty_one(self):
        assert "no node that runs" in refusal({"nodes": [], "links": []})

    @pytest.mark.parametrize(
        "broken",
        [{"nodes": [1]}, {"nodes": [{"id": 1}]}, {"nodes": [], "links": [[1, 2]]}, {"nodes": {}}],
    )
    def test_a_damaged_one(self, broken):
        assert "damaged" in refusal(broken)


class TestHostile:
    @given(st.data())
    def test_anything_in_a_workflow_is_read_or_refused(self, data):
        """Some value in a workflow is another."""
        made = BY_HAND[data.draw(st.sampled_from(sorted(BY_HAND)))]()
        at: Any = made
        while True:
            keys = sorted(at) if isinstance(at, dict) else [*range(len(at))]
            key = data.draw(st.sampled_from(keys))
            if not (isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans())):
                break
            at = at[key]
        at[key] = data.draw(ANYTHING)
        with contextlib.suppress(LoraInputError):
            assert json.dumps(convert(made, INFO))

    def test_a_thousand_nodes_in_a_row(self):
        made = saved.Made()
        last = made.add("CheckpointLoaderSimple", ["tiny.safetensors"])
        for _ in range(2000):
            last = made.add("Reroute", links={"": (last, 0)})
        saved.picture(made, (last, 0), (1, 1), (1, 2))
        assert "fewer nodes in a row" in refusal(made.saved())


class TestOff:
    @pytest.mark.parametrize("mode", [saved.MUTED, saved.BYPASSED])
    def test_an_unknown_node_that_is_off_does_not_matter(self, mode):
        made = saved.plain()
        made["nodes"].append(
            {"id": 90, "type": "Nobody's", "mode": mode, "widgets_values": {"a": 1}}
        )
        ours = recorded.computes(convert(made, INFO))
        assert ours == recorded.computes(PROMPTS["plain"])
