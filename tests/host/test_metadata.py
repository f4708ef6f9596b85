"""The metadata of a LoRA on the model, as the host's own loaders leave it for nodes behind them."""

from __future__ import annotations

import pytest

from harness import workflows
from harness.samples import pair, write
from harness.workflows import host_loras, in_turn, stacked_loras

pytestmark = pytest.mark.every_host

LAYER = pair("diffusion_model.transformer_blocks.0.attn1.to_q", 128, 128)


@pytest.fixture
def factor(host):
    """What "Get IC-LoRA Parameters" reads behind a chain, and the report."""

    def read(chain):
        graph = workflows.Graph()
        built = graph.add("TKBuilt", kind="ltx", weights="float32")
        model, _ = chain(graph, [built, 0], None)
        parameters = graph.add("GetICLoRAParameters", iclora_model=model)
        graph.add("PreviewAny", source=[parameters, 0])
        result = host.run(graph.prompt)
        (told,) = result.outputs["PreviewAny"]["text"]
        number = int(told.rpartition(":")[2].strip(" }\n"))
        return number, result.outputs.get("ApplyToModel", {}).get("text", [""])[0]

    return read


@pytest.fixture
def files(host, tmp_path):
    made = {
        "a small": {"reference_downscale_factor": "2"},
        "b big": {"reference_downscale_factor": "3"},
        "z style": {"ss_network_dim": "4"},
        "z plain": None,
    }
    return {
        name: host.add_lora(write(tmp_path / f"{name}.safetensors", LAYER, metadata))
        for name, metadata in made.items()
    }


@pytest.mark.parametrize("mode", ["merge", "live"])
@pytest.mark.parametrize("name", ["a small", "b big", "z style", "z plain"])
def test_one_file_is_read_as_behind_the_hosts_loader(factor, files, name, mode):
    theirs, _ = factor(host_loras((files[name], 1.0)))
    ours, _ = factor(stacked_loras((files[name], 1.0), mode=mode))
    assert ours == theirs == {"a small": 2, "b big": 3}.get(name, 1)


def test_of_several_the_ic_lora_is_read_and_the_report_says_which(factor, files):
    found, report = factor(stacked_loras((files["z style"], 1.0), (files["a small"], 1.0)))
    assert found == 2
    assert report.count("nodes for IC-LoRAs") == 1
    assert report.index("a small") < report.index("nodes for IC-LoRAs") < report.index("z style")


def test_of_two_ic_loras_the_last_by_name(factor, files):
    both = [(files["b big"], 0.5), (files["a small"], 0.5)]
    assert factor(stacked_loras(*both))[0] == factor(host_loras(*reversed(both)))[0] == 3


def test_what_is_taken_back_is_carried_no_more(factor, files):
    small, theirs = (files["a small"], 1.0), (files["b big"], 1.0)
    gone = in_turn(stacked_loras(small), stacked_loras((files["a small"], -1.0)))
    assert factor(gone)[0] == 1
    assert factor(in_turn(host_loras(theirs), gone))[0] == 3
    assert factor(in_turn(stacked_loras((files["z plain"], 1.0)), stacked_loras(small)))[0] == 2
