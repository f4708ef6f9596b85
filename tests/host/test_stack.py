"""LORA_STACK in and out in the real host, with what other packs do in between."""

from __future__ import annotations

import pytest

from harness.workflows import Graph, apply_lora, render, stack_loras
from tests.host.files import make_loras


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return make_loras(host, tmp_path_factory.mktemp("stacks"), "flux", 2)


def look(graph, loras):
    """A stack of two, with strengths that no floating point number says."""
    ink, light = ([graph.add("LoadLoRA", lora_name=name, strength=0.1), 0] for name in loras)
    scale = {"strength_model": 0.7, "strength_clip": -0.3}
    return stack_loras(graph, [graph.add("ScaleLoRA", lora=ink, **scale), 0], light)


def shown(host, graph, *values):
    """What the values are."""
    nodes = [graph.add("TKValue", value=value) for value in values]
    result = host.run(graph.prompt)
    return [result.report(node) for node in nodes]


def through(graph, lora, *ways):
    """The LORA, out to a LORA_STACK, through other packs' nodes, and back."""
    stack = [graph.add("ToLoRAStack", lora=lora), 0]
    for way in ways:
        stack = [graph.add("TKStack", lora_stack=stack, way=way), 0]
    return [graph.add("FromLoRAStack", lora_stack=stack), 0]


WAYS = [
    (),
    ("filtered",),
    ("deep copied", "deep copied"),
    ("unpacked",),
    ("as lists",),
    ("of five fields",),
    ("with nothing chosen",),
]


@pytest.mark.parametrize("ways", WAYS, ids=" ".join)
def test_a_lora_comes_back_as_it_was(host, loras, ways):
    graph = Graph()
    lora = look(graph, loras)
    before, after = shown(host, graph, lora, through(graph, lora, *ways))
    assert after == before
    assert [terms[1:] for terms in before["terms"]] == [["7/100", "-3/100"], ["1/10", "1/10"]]


def test_the_image_is_the_same_with_and_without(host, loras):
    def latent(*ways):
        def chain(graph, model, clip):
            lora = look(graph, loras)
            return apply_lora(graph, through(graph, lora, *ways) if ways else lora, model, clip)

        return host.run(render("flux", chain)).report("TKHash")["sha256"]

    assert latent("unpacked") == latent() != latent("halved")


def test_others_see_listed_names_and_plain_numbers(host, loras):
    graph = Graph()
    stack = [graph.add("ToLoRAStack", lora=look(graph, loras)), 0]
    strict = [graph.add("TKStack", lora_stack=stack, way="unpacked"), 0]
    given, unpacked = shown(host, graph, stack, strict)
    assert given == unpacked == [[loras[0], 0.07, -0.03], [loras[1], 0.1, 0.1]]


def test_numbers_that_others_change_count(host, loras):
    graph = Graph()
    (halved,) = shown(host, graph, through(graph, look(graph, loras), "halved"))
    assert [terms[1:] for terms in halved["terms"]] == [["7/200", "-3/200"], ["1/20", "1/20"]]


def test_an_object_has_one_strength(host, loras):
    graph = Graph()
    (given,) = shown(host, graph, through(graph, look(graph, loras), "as objects"))
    assert [terms[1:] for terms in given["terms"]] == [["7/100", "7/100"], ["1/10", "1/10"]]


def test_what_is_upstream_comes_first(host, loras):
    graph = Graph()
    upstream = [graph.add("TKStacked", name=loras[1], model=2.0, clip=0.5), 0]
    lora = [graph.add("LoadLoRA", lora_name=loras[0], strength=1.0), 0]
    stack = [graph.add("ToLoRAStack", lora=lora, lora_stack=upstream), 0]
    back = [graph.add("FromLoRAStack", lora_stack=stack, lora=lora), 0]
    out, given, untouched = shown(host, graph, stack, back, upstream)
    assert out == [[loras[1], 2.0, 0.5], [loras[0], 1.0, 1.0]]
    assert given["terms"] == [[loras[0], "2", "2"], [loras[1], "2", "1/2"]]
    assert untouched == [[loras[1], 2.0, 0.5]]


@pytest.mark.parametrize("inputs", [{}, {"way": "None"}])
def test_nothing_is_an_empty_lora(host, inputs):
    graph = Graph()
    stack = {"lora_stack": [graph.add("TKStack", **inputs), 0]} if inputs else {}
    node = [graph.add("FromLoRAStack", **stack), 0]
    again = [graph.add("ToLoRAStack", **stack), 0]
    lora, empty = shown(host, graph, node, again)
    assert lora["terms"] == []
    assert empty == []


def test_a_stack_is_read_again_when_a_file_is_replaced_and_only_then(host, loras):
    name = host.add_lora(host.loras_dir / loras[0], "stacked.safetensors")

    def ran():
        graph = Graph()
        stack = [graph.add("TKStacked", name=name, model=1.0, clip=1.0), 0]
        node = graph.add("FromLoRAStack", lora_stack=stack)
        graph.add("TKValue", value=[node, 0])
        return node in host.run(graph.prompt).executed

    assert ran()
    assert not ran()
    host.add_lora(host.loras_dir / loras[1], name)
    assert ran()
    assert not ran()


NAMES = {
    "another spelling": "STYLE\\Only.safetensors",
    "without suffix": "style/only",
    "the only one of that base name": "elsewhere/only.safetensors",
    "a word": "only",
}


@pytest.mark.parametrize("what", NAMES)
def test_names_of_other_systems_are_understood(host, loras, what):
    host.add_lora(host.loras_dir / loras[0], "style/only.safetensors")
    graph = Graph()
    stack = [graph.add("TKStacked", name=NAMES[what], model=1.0, clip=1.0), 0]
    (given,) = shown(host, graph, [graph.add("FromLoRAStack", lora_stack=stack), 0])
    assert given["terms"] == [["style/only.safetensors", "1", "1"]]


def refusal(host, graph, output):
    graph.add("TKValue", value=output)
    return host.run(graph.prompt, expect_error=True).error


def test_a_missing_file_is_refused_with_its_place_and_close_names(host, loras, show):
    graph = Graph()
    stack = [graph.add("TKStacked", name="flux_1s.safetensors", model=1.0, clip=1.0), 0]
    said = refusal(host, graph, [graph.add("FromLoRAStack", lora_stack=stack), 0])
    show(f"LORA_STACK, missing file: {said.strip()}")
    assert said.startswith('row 1: LoRA "flux_1s.safetensors": there is no such file')
    assert loras[0] in said


def test_what_is_no_stack_is_refused(host):
    graph = Graph()
    stack = [graph.add("TKStack", way="a text"), 0]
    said = refusal(host, graph, [graph.add("FromLoRAStack", lora_stack=stack), 0])
    assert "lora_stack must be a list of (name, strength, strength), not ink" in said


@pytest.mark.parametrize("node", ["ToLoRAStack", "ToLoRATags"])
def test_a_strength_that_varies_is_refused_and_not_flattened(host, loras, node, show):
    graph = Graph()
    lora = [graph.add("LoadLoRA", lora_name=loras[0], strength=1.0), 0]
    curve = {"curve": "linear", "start_percent": 0.0, "end_percent": 1.0}
    varying = [graph.add("ScheduleLoRA", lora=lora, **curve), 0]
    order = {"order": "model first"} if node == "ToLoRATags" else {}
    said = refusal(host, graph, [graph.add(node, lora=varying, **order), 0])
    show(f"{node}, a schedule: {said.strip()}")
    assert loras[0] in said
    assert "cannot express. Use the LORA from before" in said


def test_fields_that_are_not_read_are_told_on_the_node(host, loras):
    graph = Graph()
    back = through(graph, look(graph, loras), "of five fields")
    graph.add("TKValue", value=back)
    host.free()
    result = host.run(graph.prompt)
    assert result.outputs["FromLoRAStack"]["text"] == [
        f"{name}: ignored all, all" for name in loras
    ]
