"""LoRA Rows that apply by themselves: the same image, the same report, and one node less."""

from __future__ import annotations

import pytest

from harness.workflows import Graph, apply_lora, in_turn, load, no_loras, render
from tests.host.files import assert_nothing_is_left, base_hash, make_loras
from tests.host.test_rows import row, saved


@pytest.fixture(scope="module")
def rows(host, tmp_path_factory):
    first, second, _ = make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 3)
    return saved(row(first, 0.7), row(second, -0.25, blocks="double 0: 0"))


def alone(rows):
    def chain(graph, model, clip):
        inputs = {"rows": rows, "model": model} | ({"clip": clip} if clip else {})
        node = graph.add("LoRARows", **inputs)
        return [node, 3], clip and [node, 4]

    return chain


def with_apply(rows):
    def chain(graph, model, clip):
        return apply_lora(graph, [graph.add("LoRARows", rows=rows), 0], model, clip)

    return chain


def image(host, chain):
    return host.run(render("flux", chain)).report("TKHash")["sha256"]


@pytest.mark.every_host
def test_it_makes_the_image_of_two_nodes(host, rows):
    base = base_hash(host, "flux")
    assert image(host, alone(rows)) == image(host, with_apply(rows)) != image(host, no_loras)
    assert image(host, in_turn(alone(rows), alone(rows))) == image(
        host, in_turn(with_apply(rows), with_apply(rows))
    )
    assert_nothing_is_left(host, "flux", base)


def test_it_reports_like_apply(host, rows):
    told = [
        host.run(render("flux", chain, seed=seed)).outputs[node]
        for seed, (chain, node) in enumerate(
            ((alone(rows), "LoRARows"), (with_apply(rows), "ApplyToModel")), 91
        )
    ]
    assert told[0] == told[1]


def test_its_report_is_in_the_order_of_the_rows(host, rows):
    first, second = rows["rows"]
    for order in ((first, second), (second, first)):
        told = host.run(render("flux", alone(saved(*order)), seed=95)).outputs["LoRARows"]
        assert [lora["name"] for lora in told["loras"]] == [each["name"] for each in order]
        assert told["text"][0].index(order[0]["name"]) < told["text"][0].index(order[1]["name"])


def test_without_a_model_it_is_a_value_and_says_nothing(host, rows):
    graph = Graph()
    node = graph.add("LoRARows", rows=rows)
    shown = graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt)
    assert len(result.report(shown)["terms"]) == 2
    assert node not in result.outputs


def test_what_is_applied_is_given_as_a_value_too(host, rows):
    graph = Graph()
    model = load(graph, "flux").model
    node = graph.add("LoRARows", rows=rows, model=model)
    twice, _ = apply_lora(graph, [node, 0], [node, 3])
    graph.add("TKSame", model_a=twice, model_b=model)
    shown = graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt)
    assert result.report("TKSame")["model"] is False
    assert len(result.report(shown)["terms"]) == 2


def test_a_refused_file_is_told_of_the_rows(host, rows):
    broken = saved(*rows["rows"], row("no such file.safetensors"))
    result = host.run(render("flux", alone(broken)), expect_error=True)
    assert "there is no such file" in str(result.validation_errors("LoRARows"))
