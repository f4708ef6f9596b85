"""<lora:…> tags in and out in the real host."""

from __future__ import annotations

import hashlib

import pytest

from harness.workflows import Graph, stack_loras
from tests.host.files import make_loras


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return make_loras(host, tmp_path_factory.mktemp("tags"), "flux", 2)


def read(host, text, order="model first", **inputs):
    """The terms that a text gives, and what is left of it."""
    graph = Graph()
    node = graph.add("FromLoRATags", text=text, order=order, **inputs)
    lora, rest = (graph.add("TKValue", value=[node, index]) for index in (0, 1))
    result = host.run(graph.prompt)
    return result.report(lora)["terms"], result.report(rest)


def test_a_prompt_is_a_lora_and_the_prompt_without_tags(host, loras):
    text = "a cat, <lora:flux_1:0.7>, sitting <lora:flux_2:.1:0.4>"
    terms, rest = read(host, text)
    assert terms == [[loras[0], "7/10", "7/10"], [loras[1], "1/10", "2/5"]]
    assert rest == "a cat, , sitting "


def test_of_two_numbers_the_order_is_a_choice(host, loras):
    text = "<lora:flux_1:0.7:0.2>"
    assert read(host, text)[0] == [[loras[0], "7/10", "1/5"]]
    assert read(host, text, "text encoder first")[0] == [[loras[0], "1/5", "7/10"]]


def test_the_same_file_twice_adds_up_with_what_comes_in(host, loras):
    graph = Graph()
    lora = [graph.add("LoadLoRA", lora_name=loras[0], strength=0.1), 0]
    node = graph.add("FromLoRATags", text="<lora:flux_1:0.1><lora:FLUX_1:0.1>", order="model first",
                     lora=lora)  # fmt: skip
    shown = graph.add("TKValue", value=[node, 0])
    assert host.run(graph.prompt).report(shown)["terms"] == [[loras[0], "3/10", "3/10"]]


def test_a_text_that_is_linked_is_read_when_it_comes(host, loras):
    graph = Graph()
    text = [graph.add("TKText", text="<lora:flux_2:1> on"), 0]
    node = graph.add("FromLoRATags", text=text, order="model first")
    lora, rest = (graph.add("TKValue", value=[node, index]) for index in (0, 1))
    result = host.run(graph.prompt)
    assert result.report(lora)["terms"] == [[loras[1], "1", "1"]]
    assert result.report(rest) == " on"


def test_what_is_told_of_a_tag_is_printable_and_short(host, loras):
    (name, _) = loras
    graph = Graph()
    node = graph.add(
        "FromLoRATags", text=f"<lora:{name}:1:1:\x1b[31m{'x' * 9000}>", order="model first"
    )
    graph.add("TKValue", value=[node, 0])
    (line,) = host.run(graph.prompt).outputs[node]["text"]
    assert line.startswith(f"{name}: ignored \ufffd[31mxxx")
    assert len(line) == 300
    assert line in host.log()


def test_what_is_not_understood_is_told_on_the_node_and_in_the_log(host, loras):
    text = "<lora:flux_1:0.7:0.2:lbw=XYZ:8>"
    graph = Graph()
    node = graph.add("FromLoRATags", text=text, order="model first")
    shown = graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt)
    assert result.report(shown)["terms"] == [[loras[0], "7/10", "1/5"]]
    assert result.outputs[node]["text"] == ["flux_1: ignored lbw=XYZ, 8"]
    assert "flux_1: ignored lbw=XYZ, 8" in host.log()


REFUSED = {
    "a missing file": ("<lora:flux_1s:1>", "LoRA “flux_1s”: there is no such file"),
    "two of one name": ("<lora:twin:1>", "several such files: a › twin.safetensors, b › twin"),
    "a part of a name": ("<lora:flux_:1>", "there is no such file"),
    "a strength that is none": ("<lora:flux_1:x>", "＜lora:flux_1:x＞: strength must be a number"),
    "no end": ("<lora:flux_1:1", "a tag needs ＞ at its end"),
    "no name": ("<lora::1>", "needs the name of a LoRA"),
    "a way out": ("<lora:../decoy:1>", "not a name in the loras folder"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_tag_that_cannot_be_meant_is_refused_before_anything_runs(host, loras, what, show):
    for twin in ("a/twin.safetensors", "b/twin.safetensors"):
        host.add_lora(host.loras_dir / loras[0], twin)
    text, words = REFUSED[what]
    graph = Graph()
    node = graph.add("FromLoRATags", text=text, order="model first")
    graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt, expect_error=True)
    assert result.status == "invalid"
    (said,) = result.validation_errors(node)
    show(f"tags, {what}: {said}")
    assert words in said


def test_a_folder_tells_twins_apart(host, loras):
    for twin in ("a/twin.safetensors", "b/twin.safetensors"):
        host.add_lora(host.loras_dir / loras[0], twin)
    assert read(host, "<lora:b\\twin:1>")[0] == [["b/twin.safetensors", "1", "1"]]


def two(graph, loras):
    scale = {"strength_model": 0.7, "strength_clip": -0.3}
    ink = [graph.add("LoadLoRA", lora_name=loras[0], strength=1.0), 0]
    light = [graph.add("LoadLoRA", lora_name=loras[1], strength=0.1), 0]
    return stack_loras(graph, [graph.add("ScaleLoRA", lora=ink, **scale), 0], light)


@pytest.mark.parametrize(
    ("order", "tags"),
    [
        ("model first", "<lora:flux_1:0.7:-0.3> <lora:flux_2:0.1>"),
        ("text encoder first", "<lora:flux_1:-0.3:0.7> <lora:flux_2:0.1>"),
    ],
)
def test_a_lora_goes_out_as_tags_with_hashes_and_comes_back(host, loras, order, tags, show):
    graph = Graph()
    lora = two(graph, loras)
    out = graph.add("ToLoRATags", lora=lora, order=order)
    back = graph.add("FromLoRATags", text=[out, 0], order=order)
    shown = [graph.add("TKValue", value=v) for v in (lora, [back, 0], [out, 0], [out, 1])]
    result = host.run(graph.prompt)
    before, after, written, hashes = (result.report(each) for each in shown)
    assert after == before
    assert written == tags
    assert hashes == 'Lora hashes: "' + ", ".join(
        f"flux_{n}: {behind_header(host.loras_dir / name)[:12]}" for n, name in enumerate(loras, 1)
    ) + '"'  # fmt: skip
    show(f"{order}: {written}  {hashes}")


def behind_header(path):
    content = path.read_bytes()
    return hashlib.sha256(content[8 + int.from_bytes(content[:8], "little") :]).hexdigest()


def test_nothing_is_no_tags(host):
    graph = Graph()
    node = graph.add("ToLoRATags", order="model first")
    shown = [graph.add("TKValue", value=[node, index]) for index in (0, 1)]
    result = host.run(graph.prompt)
    assert [result.report(each) for each in shown] == ["", ""]
    assert read(host, "a cat") == ([], "a cat")


def test_a_strength_that_no_tag_is_read_with_is_refused(host, loras, show):
    graph = Graph()
    lora = [graph.add("LoadLoRA", lora_name=loras[0], strength=10.0), 0]
    for model, clip in ((10.0, -10.0), (1.0, 1.05)):
        lora = [graph.add("ScaleLoRA", lora=lora, strength_model=model, strength_clip=clip), 0]
    graph.add("TKValue", value=[graph.add("ToLoRATags", lora=lora, order="model first"), 0])
    said = host.run(graph.prompt, expect_error=True).error
    show(f"ToLoRATags, a large strength: {said.strip()}")
    assert loras[0] in said
    assert "must be a number from -100 to 100, not -105.0" in said


def test_a_linked_text_is_read_again_when_a_file_is_replaced_and_only_then(host, loras):
    name = host.add_lora(host.loras_dir / loras[0], "retrained.safetensors")

    def ran():
        graph = Graph()
        text = [graph.add("TKText", text="<lora:retrained:1>"), 0]
        node = graph.add("FromLoRATags", text=text, order="model first")
        graph.add("TKValue", value=[node, 0])
        return node in host.run(graph.prompt).executed

    assert ran()
    assert not ran()
    host.add_lora(host.loras_dir / loras[1], name)
    assert ran()
    assert not ran()


def test_a_file_that_is_replaced_is_read_again(host, loras):
    name = host.add_lora(host.loras_dir / loras[0], "replaced.safetensors")

    def hashes():
        graph = Graph()
        made = graph.add("FromLoRATags", text="<lora:replaced:1>", order="model first")
        out = graph.add("ToLoRATags", lora=[made, 0], order="model first")
        shown = graph.add("TKValue", value=[out, 1])
        return host.run(graph.prompt).report(shown)

    before = hashes()
    host.add_lora(host.loras_dir / loras[1], name)
    assert behind_header(host.loras_dir / loras[1])[:12] in hashes()
    assert hashes() != before
