"""Two models, for high and for low noise: each gets from one list what its own chain would give it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.tiny_loras import targets, write_lora
from harness.tiny_models import MODEL_FILES
from harness.workflows import Graph, apply_lora, load, sample_parts
from tests.host.files import assert_nothing_is_left, base_hash, saved
from tests.host.rows import row, rows_give, validation_error
from tests.host.rows import saved as listed

KIND = "wan"
KEYS = json.dumps(sorted({target.weight for target in targets(KIND)}))
HIGH, LOW, BOTH = "look_high_noise", "look_low_noise", "speed"


@pytest.fixture(scope="module")
def files(host, tmp_path_factory):
    """The names of a pair, and of a file for both models."""
    folder, names = tmp_path_factory.mktemp("loras"), []
    for seed, name in enumerate((HIGH, LOW, BOTH), 31):
        file = folder / f"{name}.safetensors"
        write_lora(file, KIND, seed=seed)
        names.append(host.add_lora(file))
    return names


@pytest.fixture(scope="module")
def rows(files):
    high, low, both = files
    pair = row(high, 0.75, low={"name": low, "strength": -0.5}, blocks="block 0: 0.5")
    return listed(pair, row(both, 0.25), row(low, 0.125, only="high"), row(high, 2, only="low"))


def two_models(graph):
    """Two models of their own, as a high-noise and a low-noise one are."""
    high = load(graph, KIND).model
    return high, [graph.add("TKLoadModel", file=MODEL_FILES[KIND], dtype="float32"), 0]


def sums(graph, files):
    """What the two models should get, by single nodes."""
    high, low, both = files

    def file(name, strength, blocks=None):
        lora = [graph.add("LoadLoRA", lora_name=name, strength=strength), 0]
        return [graph.add("LoRABlockWeights", lora=lora, weights=blocks), 0] if blocks else lora

    def sum_of(*loras):
        sockets = {f"loras.lora_{index}": lora for index, lora in enumerate(loras)}
        return [graph.add("StackLoRAs", **sockets), 0]

    block = "block 0: 0.5"
    return (
        sum_of(file(high, 0.75, block), file(both, 0.25), file(low, 0.125)),
        sum_of(file(low, -0.5, block), file(both, 0.25), file(high, 2.0)),
    )


def weights(host, of):
    """The weights of the model that ``of(graph)`` gives."""
    graph = Graph()
    graph.add("TKWeights", model=of(graph), keys=KEYS, name="pairs")
    return saved(host, graph.prompt)


def by_rows(rows, output):
    def of(graph):
        high, low = two_models(graph)
        return [graph.add("LoRARows", rows=rows, model=high, model_low=low), output]

    return of


def by_nodes(files, side):
    def of(graph):
        model, lora = two_models(graph)[side], sums(graph, files)[side]
        return apply_lora(graph, lora, model)[0]

    return of


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.every_host
def test_each_model_gets_what_single_nodes_give_it(host, files, rows):
    base = base_hash(host, KIND)
    high, low = (weights(host, by_rows(rows, output)) for output in (3, 6))
    assert_same(high, weights(host, by_nodes(files, 0)))
    assert_same(low, weights(host, by_nodes(files, 1)))
    assert not all(torch.equal(high[key], low[key]) for key in high)
    assert_nothing_is_left(host, KIND, base)


@pytest.mark.every_host
def test_lora_low_is_a_value_like_any_other(host, files, rows):
    def of(graph):
        lora = [graph.add("LoRARows", rows=rows), 7]
        return apply_lora(graph, lora, two_models(graph)[1])[0]

    assert_same(weights(host, of), weights(host, by_nodes(files, 1)))


def test_without_pairs_both_models_get_the_same(host, files):
    plain = listed(row(files[0], 0.5), row(files[2], 0.25))
    assert_same(*(weights(host, by_rows(plain, output)) for output in (3, 6)))
    graph = Graph()
    node = graph.add("LoRARows", rows=plain)
    shown = [graph.add("TKValue", value=[node, output]) for output in (0, 7)]
    result = host.run(graph.prompt)
    high, low = map(result.report, shown)
    assert high == low


def test_the_lora_that_comes_in_goes_into_both(host, files, rows):
    def with_more(output):
        def of(graph):
            high, low = two_models(graph)
            more = [graph.add("LoadLoRA", lora_name=files[2], strength=0.5), 0]
            inputs = {"rows": rows, "lora": more, "model": high, "model_low": low}
            return [graph.add("LoRARows", **inputs), output]

        return of

    stronger = json.loads(json.dumps(rows))
    stronger["rows"][1]["strength"] = 0.75
    for output in (3, 6):
        assert_same(weights(host, with_more(output)), weights(host, by_rows(stronger, output)))


def test_with_one_model_a_pair_is_its_file_for_high_noise(host, files):
    low = {"name": files[1]}

    def of(graph):
        model = load(graph, KIND).model
        return [graph.add("LoRARows", rows=listed(row(files[0], 0.5, low=low)), model=model), 3]

    def alone(graph):
        lora = [graph.add("LoadLoRA", lora_name=files[0], strength=0.5), 0]
        return apply_lora(graph, lora, load(graph, KIND).model)[0]

    assert_same(weights(host, of), weights(host, alone))
    graph = Graph()
    graph.add("TKWeights", model=of(graph), keys=KEYS, name="pairs_one")
    told = host.run(graph.prompt).outputs["LoRARows"]
    assert [(lora["name"], lora.get("side")) for lora in told["loras"]] == [(files[0], None)]
    assert "low: " not in told["text"][0]


def test_one_report_tells_of_both_models_in_the_order_of_the_rows(host, files, rows):
    graph = Graph()
    high, low = two_models(graph)
    pair, both = rows["rows"][:2]
    plain = listed({**pair, "blocks": None}, both)
    node = graph.add("LoRARows", rows=plain, model=high, model_low=low)
    graph.add("TKSame", model_a=[node, 3], model_b=[node, 6])
    text = graph.add("TKValue", value=[node, 5])
    result = host.run(graph.prompt)
    told = result.outputs[node]
    one, other, both = files
    found = [(lora.get("side"), lora["name"]) for lora in told["loras"]]
    assert found == [(None, one), ("low", other), (None, both), ("low", both)]
    assert told["loras"][1]["parts"][0]["strength"] == -0.5
    (report,) = told["text"]
    places = [report.index(f"{start} (") for start in (one, f"low: {other}", both, f"low: {both}")]
    assert places == sorted(places)
    assert result.report(text) == report


def test_a_live_part_tells_of_its_own_model(host, files):
    """What a run shows of the layers of one model is added to the report of both."""
    graph = Graph()
    high, low = two_models(graph)
    lora = [graph.add("LoadLoRA", lora_name=files[2], strength=1.0), 0]
    curve = {"curve": "0:0, 1:1", "start_percent": 0.0, "end_percent": 1.0}
    lora = [graph.add("ScheduleLoRA", lora=lora, **curve), 0]
    inputs = {"rows": listed(row(files[0], low={"name": files[1]})), "lora": lora}
    node = graph.add("LoRARows", **inputs, model=high, model_low=low)
    parts = [([node, 3], 0, 2), ([node, 6], 2, 4)]
    graph.add("TKHash", latent=sample_parts(graph, KIND, parts, steps=4))
    told = host.run(graph.prompt).outputs[node]
    found = [(lora.get("side"), lora["name"]) for lora in told["loras"]]
    assert found == [(None, files[0]), ("low", files[1]), (None, files[2]), ("low", files[2])]
    assert [lora["parts"][0]["live"] > 0 for lora in told["loras"]] == [False, False, True, True]


@pytest.mark.every_host
def test_a_wrong_low_file_is_refused_with_the_rows_number(host, files):
    good = row(files[2])
    said = validation_error(host, listed(good, row(files[0], low={"name": "gone.safetensors"})))
    assert "row 2: LoRA “gone.safetensors”: there is no such file" in said
    said = validation_error(host, listed(good, row(files[0], low={"name": files[1], "size": "x"})))
    assert "row 2: low.size must be a number of bytes" in said
    said = validation_error(host, listed(good, row(files[0], only="middle")))
    assert "row 2: only must be “high” or “low”" in said


def test_a_low_file_that_does_not_fit_is_refused_and_leaves_no_trace(host, files, tmp_path):
    write_lora(tmp_path / "flux_low.safetensors", "flux", seed=41)
    other = host.add_lora(tmp_path / "flux_low.safetensors")
    base = base_hash(host, KIND)
    graph = Graph()
    high, low = two_models(graph)
    inputs = {"rows": listed(row(files[0], low={"name": other})), "model": high, "model_low": low}
    graph.add("TKSame", model_a=[graph.add("LoRARows", **inputs), 3], model_b=high)
    result = host.run(graph.prompt, expect_error=True)
    assert other in (result.error or "")
    assert_nothing_is_left(host, KIND, base)


def test_a_low_file_that_is_trained_again_is_read_again(host, files, tmp_path):
    write_lora(tmp_path / "again_low.safetensors", KIND, seed=51)
    name = host.add_lora(tmp_path / "again_low.safetensors")
    again = listed(row(files[0], low={"name": name}))
    before = weights(host, by_rows(again, 6))
    write_lora(tmp_path / "new.safetensors", KIND, seed=52)
    (tmp_path / "new.safetensors").replace(host.loras_dir / name)
    after = weights(host, by_rows(again, 6))
    assert not all(torch.equal(before[key], after[key]) for key in before)


def test_trigger_words_of_both_files_come_once(host, tmp_path):
    notes = {"modelspec.trigger_phrase": "inked"}, {"modelspec.trigger_phrase": "Inked, dusk"}
    names = []
    for name, own in zip(("words_high", "words_low"), notes, strict=True):
        file = tmp_path / f"{name}.safetensors"
        write_lora(file, KIND, seed=61)
        save_file(load_file(file), file, metadata=own)
        names.append(host.add_lora(file))
    pair = row(names[0], low={"name": names[1]})
    assert rows_give(host, listed(pair))["triggers"] == "inked, dusk"
    assert rows_give(host, listed({**pair, "triggers": ["ink"]}))["triggers"] == "ink"
    assert rows_give(host, listed({**pair, "only": "low"}))["triggers"] == "Inked, dusk"
