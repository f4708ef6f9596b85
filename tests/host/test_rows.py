"""LoRA Rows in the real host: the same as the nodes it stands for, and nothing runs that is wrong."""

from __future__ import annotations

import json

import pytest

from harness.samples import pair, write
from harness.workflows import Graph, apply_lora, render, stack_loras
from tests.host.files import make_loras
from tests.host.rows import names, row, rows_give, saved, validation_error, values


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 3)


def fingerprint_of(host, make):
    """Of the recipe that ``make`` builds with other nodes."""
    graph = Graph()
    shown = graph.add("TKValue", value=make(graph))
    return host.run(graph.prompt).report(shown)["fingerprint"]


def by_hand(graph, first, second):
    """Row 1: 0.7 and 0.3; row 2: 0.1."""
    ink = [graph.add("LoadLoRA", lora_name=first, strength=1.0), 0]
    ink = [graph.add("ScaleLoRA", lora=ink, strength_model=0.7, strength_clip=0.3), 0]
    return stack_loras(graph, ink, [graph.add("LoadLoRA", lora_name=second, strength=0.1), 0])


def test_rows_are_the_recipe_of_the_nodes_they_stand_for(host, loras):
    first, second, third = loras
    rows = saved(
        row(first, 0.7, strength_clip=0.3),
        row(third, 5.0, on=False),
        row(second, 0.1),
        row("", 1.0),
    )
    given = rows_give(host, rows)["lora"]
    assert given["fingerprint"] == fingerprint_of(host, lambda g: by_hand(g, first, second))
    assert given["terms"] == [[first, "7/10", "3/10"], [second, "1/10", "1/10"]]


def test_rows_are_the_image_of_the_nodes_they_stand_for(host, loras):
    first, second, _ = loras

    def latent(make):
        def chain(graph, model, clip):
            return apply_lora(graph, make(graph), model, clip)

        return host.run(render("flux", chain)).report("TKHash")["sha256"]

    rows = saved(row(first, 0.7, strength_clip=0.3), row(second, 0.1))
    from_rows = latent(lambda graph: [graph.add("LoRARows", rows=rows), 0])
    assert from_rows == latent(lambda graph: by_hand(graph, first, second))
    assert from_rows != latent(lambda graph: [graph.add("LoRARows", rows=saved(row(first))), 0])


def test_a_row_with_block_weights_is_the_image_of_the_nodes_it_stands_for(host, loras):
    first, second, _ = loras
    lines = "double 0: 0; other: 0.5"

    def nodes(graph):
        ink = [graph.add("LoadLoRA", lora_name=first, strength=0.7), 0]
        ink = [graph.add("LoRABlockWeights", lora=ink, weights=lines), 0]
        return stack_loras(graph, ink, [graph.add("LoadLoRA", lora_name=second, strength=0.1), 0])

    def latent(make):
        def chain(graph, model, clip):
            return apply_lora(graph, make(graph), model, clip)

        return host.run(render("flux", chain)).report("TKHash")["sha256"]

    def from_rows(**others):
        rows = saved(row(first, 0.7, **others), row(second, 0.1))
        return lambda graph: [graph.add("LoRARows", rows=rows), 0]

    assert latent(from_rows(blocks=lines)) == latent(nodes) != latent(from_rows())


def test_a_row_with_block_weights_is_no_tag_and_keeps_its_words(host, loras):
    first, second, third = loras
    rows = saved(
        row(first, 0.5, blocks="double 0: 0", triggers=["ink"]),
        row(second, 0.5, blocks="ALL0.5", triggers=["light"]),
        row(third, 0.5, blocks="NONE", triggers=["night"]),
    )
    given = rows_give(host, rows)
    assert given["tags"] == "<lora:flux_2:0.25>"
    assert given["triggers"] == "ink, light, night"
    assert names(given) == [first, second]


FORMS = {
    "an object": lambda rows: {"version": 1, "rows": rows},
    "an object with keys from the future": lambda rows: {
        "version": 1, "folded": True, "rows": [{**each, "later": {"a": [1]}} for each in rows]
    },
    "a list, as the page sends it": lambda rows: {"__value__": rows},
    "an object, as the page might send it": lambda rows: {"__value__": saved(*rows)},
    "text": lambda rows: json.dumps({"version": 1, "rows": rows}),
    "text of a list": json.dumps,
    "numbers and switches as text": lambda rows: saved(
        *({**each, "strength": str(each["strength"]), "on": "true"} for each in rows)
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_value_runs_alike(host, loras, form):
    rows = [row(loras[0], 0.7), row(loras[1], -0.2)]
    expected = rows_give(host, saved(*rows))
    assert rows_give(host, FORMS[form](rows)) == expected
    assert len(expected["lora"]["terms"]) == 2


def test_rows_that_are_linked_are_read_when_they_come(host, loras):
    graph = Graph()
    text = [graph.add("TKText", text=json.dumps(saved(row(loras[0], 0.7)))), 0]
    shown = graph.add("TKValue", value=[graph.add("LoRARows", rows=text), 0])
    assert host.run(graph.prompt).report(shown)["terms"] == [[loras[0], "7/10", "7/10"]]


def test_no_rows_are_an_empty_lora(host):
    nothing = {"lora": fingerprint_of(host, lambda g: [g.add("StackLoRAs"), 0])}
    for rows in (saved(), {"__value__": []}, saved(row("gone", on=False))):
        given = rows_give(host, rows)
        assert given["lora"]["fingerprint"] == nothing["lora"]
        assert (given["triggers"], given["tags"]) == ("", "")


def test_what_comes_in_is_added_and_the_same_file_counts_once(host, loras):
    first, second, _ = loras
    graph = Graph()
    upstream = [graph.add("LoRARows", rows=saved(row(second, 0.25), row(first, 0.5))), 0]
    node = graph.add("LoRARows", rows=saved(row(first, 0.1), row(first, 0.2)), lora=upstream)
    shown = [graph.add("TKValue", value=[node, index]) for index in (0, 2)]
    result = host.run(graph.prompt)
    lora, tags = (result.report(each) for each in shown)
    assert lora["terms"] == [[first, "4/5", "4/5"], [second, "1/4", "1/4"]]
    assert tags == "<lora:flux_1:0.8> <lora:flux_2:0.25>"


def test_what_varies_passes_through_and_is_no_tag(host, loras):
    first, second, _ = loras
    graph = Graph()
    loaded = [graph.add("LoadLoRA", lora_name=second, strength=1.0), 0]
    curve = {"curve": "linear", "start_percent": 0.0, "end_percent": 1.0}
    varying = [graph.add("ScheduleLoRA", lora=loaded, **curve), 0]
    node = graph.add("LoRARows", rows=saved(row(first, 0.5)), lora=varying)
    shown = [graph.add("TKValue", value=[node, index]) for index in (0, 2)]
    result = host.run(graph.prompt)
    assert len(result.report(shown[0])["terms"]) == 2
    assert result.report(shown[1]) == "<lora:flux_1:0.5>"


def test_solo_rows_silence_the_others(host, loras):
    first, second, third = loras
    rows = saved(row(first), row(second, 0.5, solo=True), row(third, 0.5, solo=True, on=False))
    assert rows_give(host, rows)["lora"]["terms"] == [[second, "1/2", "1/2"]]


def test_triggers_are_those_of_the_rows_that_are_on_each_word_once(host, loras):
    first, second, third = loras
    rows = saved(
        row(third, triggers=["ink drawing", " line art "]),
        row(first, triggers=["line art", "", "墨"]),
        row(second, triggers=["never"], on=False),
    )
    assert rows_give(host, rows)["triggers"] == "ink drawing, line art, 墨"


def test_triggers_are_else_those_that_the_file_states(host, tmp_path):
    metadata = {"modelspec.trigger_phrase": "inkstyle"}
    file = write(tmp_path / "stated.safetensors", pair("layer", 6, 8), metadata)
    name = host.add_lora(file)
    stated = rows_give(host, saved(row(name)))["triggers"]
    assert stated == "inkstyle"
    assert rows_give(host, saved(row(name, triggers=[])))["triggers"] == ""


def test_tags_keep_the_folder_only_where_two_rows_need_it(host, loras):
    file = host.loras_dir / loras[0]
    for name in ("a/same.safetensors", "b/same.safetensors", "b/other.safetensors"):
        host.add_lora(file, name)
    rows = saved(
        row("b\\other.safetensors", 1),
        row("b/same.safetensors", 0.5, strength_clip=0),
        row("a/same.safetensors", -0.25),
    )
    tags = rows_give(host, rows)["tags"]
    assert tags == "<lora:other:1> <lora:b/same:0.5:0> <lora:a/same:-0.25>"


def test_tags_mean_their_files_among_all_that_are_listed(host, loras):
    for name in ("alike.safetensors", "deep/alike.safetensors"):
        host.add_lora(host.loras_dir / loras[0], name)
    for name, tag in (("alike", "alike.safetensors"), ("deep/alike", "deep/alike")):
        tags = rows_give(host, saved(row(f"{name}.safetensors")))["tags"]
        assert tags == f"<lora:{tag}:1>"
        read = values(host, "FromLoRATags", ("lora",), text=tags, order="model first")
        assert names(read) == [f"{name}.safetensors"]


def test_headers_are_read_for_words_only_where_a_row_has_chosen_none(host, loras):
    def opened(*rows):
        """Of a prompt that is in the cache already."""
        rows_give(host, saved(*rows))
        before = host.counters()["opened_files"]
        rows_give(host, saved(*rows))
        return host.counters()["opened_files"] - before

    assert opened(row(loras[0], triggers=["ink"]), row(loras[1], triggers=[])) == 0
    assert opened(row(loras[0])) > 0


BAD = {
    "NaN": (lambda name: saved(row(name), row(name, float("nan"))), "row 2: strength must be"),
    "a word": (lambda name: saved(row(name, "abc")), "row 1: strength must be a number"),
    "true": (lambda name: saved(row(name, True)), "row 1: strength must be a number"),
    "1e38": (lambda name: saved(row(name, 1e38)), "from -100 to 100"),
    "text strength": (lambda name: saved(row(name, strength_clip="x")), "row 1: strength_clip"),
    "block weights": (
        lambda name: saved(row(name), row(name, blocks="double 0: x")),
        "row 2: block weights: ‘double 0: x’ needs",
    ),
    "block weights that are no text": (
        lambda name: saved(row(name, blocks=[1, 0])),
        "row 1: blocks must be text",
    ),
    "a switch that is none": (lambda name: saved(row(name, on="off")), "row 1: on must be"),
    "a name that is none": (lambda name: saved(row(name), row(5)), "row 2: name must be text"),
    "a newer version": (
        lambda name: {"version": 7, "rows": [row(name)]},
        "version 7; this LoRA Algebra reads up to version 1",
    ),
    "no rows": (lambda _: {"a": 1}, "not in the right format"),
    "text that is no JSON": (lambda _: "[1", "unreadable"),
    "deep text": (lambda _: "[" * 50_000, "unreadable"),
    "too many": (lambda name: saved(*[row(name)] * 501), "at most 500 rows"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_rows_are_refused_before_anything_runs(host, loras, what, show):
    make, words = BAD[what]
    said = validation_error(host, make(loras[0]))
    show(f"rows, {what}: {said}")
    assert words in said


def test_missing_files_are_all_named_with_their_rows_and_close_names(host, loras, show):
    rows = saved(row(loras[0]), row("flux_1s.safetensors"), row("gone", on=False), row("x" * 300))
    said = validation_error(host, rows)
    show(f"rows, missing files: {said}")
    assert "row 2: LoRA “flux_1s.safetensors”: there is no such file" in said
    assert loras[0] in said
    assert "row 4: LoRA “xxx" in said
    assert "row 3" not in said


def test_of_many_missing_files_the_first_are_named(host):
    said = validation_error(host, saved(*(row(f"gone {n}") for n in range(20))))
    assert said.count("there is no such file") == 5
    assert said.endswith("\n…")


@pytest.mark.parametrize("name", ["../decoy.safetensors", "/etc/passwd", "C:\\x", "a\0b", "\udcff"])
def test_a_name_out_of_the_folder_is_refused(host, loras, name):
    decoy = host.loras_dir.parent / "decoy.safetensors"
    decoy.write_bytes((host.loras_dir / loras[0]).read_bytes())
    for known in ({}, {"hash": "0" * 64, "size": decoy.stat().st_size}):
        assert "row 1: LoRA" in validation_error(host, saved(row(name, **known)))


def test_a_file_that_is_no_lora_is_refused_with_its_row(host, tmp_path, loras):
    (tmp_path / "bad.safetensors").write_bytes(b"<!DOCTYPE html>" + b" " * 99)
    name = host.add_lora(tmp_path / "bad.safetensors")
    graph = Graph()
    node = graph.add("LoRARows", rows=saved(row(loras[0]), row(name)))
    graph.add("TKValue", value=[node, 0])
    result = host.run(graph.prompt, expect_error=True)
    assert result.error.startswith('row 2: "bad.safetensors": is not a safetensors file')
    assert result.error_node == "LoRARows"


def test_rows_run_again_when_a_file_or_a_row_changes_and_only_then(host, loras, tmp_path):
    name = host.add_lora(host.loras_dir / loras[0], "trained.safetensors")

    def ran(rows):
        graph = Graph()
        graph.add("TKValue", value=[graph.add("LoRARows", rows=rows), 0])
        return "LoRARows" in host.run(graph.prompt).executed

    assert ran(saved(row(name)))
    assert not ran(saved(row(name)))
    assert ran(saved(row(name, 0.5)))
    assert not ran(saved(row(name)))
    write(tmp_path / "new.safetensors", pair("layer", 6, 8))
    host.add_lora(tmp_path / "new.safetensors", name)
    assert ran(saved(row(name)))
    assert not ran(saved(row(name)))
