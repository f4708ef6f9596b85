"""Each piece of work is done once: what the disk is asked, and what is read out of a prompt."""

from __future__ import annotations

import json

import pytest

from harness.tiny_loras import write_lora
from harness.workflows import Graph

OUTSIDE, INSIDE, BOTH = "out", "in", "both.safetensors"
COUNT = 4


@pytest.fixture(scope="module")
def two_folders(start_host, tmp_path_factory):
    """A host with a second folder of LoRAs, and a file that lies in both."""
    second = tmp_path_factory.mktemp("second")
    settings = second / "folders.yaml"
    settings.write_text(f"second:\n  base_path: {second}\n  loras: loras\n", encoding="utf-8")
    with start_host("--extra-model-paths-config", str(settings)) as host:
        for folder, name in ((host.loras_dir, INSIDE), (second / "loras", OUTSIDE)):
            (folder / name).mkdir(parents=True)
            for number in range(COUNT):
                write_lora(folder / name / f"{number}.safetensors", "flux", seed=number)
            write_lora(folder / BOTH, "flux", seed=9)
        yield host, second / "loras"


def stack():
    """A node that is told only when it runs which files are meant."""
    graph = Graph()
    made = [graph.add("TKStacked", name=f"{INSIDE}/0.safetensors", model=1.0, clip=1.0), 0]
    graph.add("TKValue", value=[graph.add("FromLoRAStack", lora_stack=made), 0])
    return graph.prompt


def asked(host, prompt):
    """What a prompt asks of the disk, and the nodes that it runs."""
    before = host.counters()["asked_states"]
    executed = host.run(prompt).executed
    return host.counters()["asked_states"] - before, executed


def test_the_state_of_every_listed_file_is_asked_once_and_only_where_it_lies(two_folders):
    host, _ = two_folders
    host.run(stack())
    found, executed = asked(host, stack())
    assert executed == ["TKValue"]
    assert found == 2 * COUNT + 1


@pytest.mark.parametrize("where", ["first", "second"])
def test_a_change_of_a_file_in_any_folder_is_seen(two_folders, where):
    host, second = two_folders
    file = {
        "first": host.loras_dir / INSIDE / "1.safetensors",
        "second": second / OUTSIDE / "1.safetensors",
    }[where]
    host.run(stack())
    write_lora(file, "flux", seed=20, rank=3)
    assert "FromLoRAStack" in asked(host, stack())[1]


def test_a_link_that_leads_nowhere_hides_no_file_of_the_next_folder(two_folders):
    """The host passes over it, and takes the file of the next folder."""
    host, second = two_folders
    write_lora(second / "linked.safetensors", "flux", seed=1)
    (host.loras_dir / "linked.safetensors").symlink_to(host.loras_dir / "nothing")
    host.run(stack())
    write_lora(second / "linked.safetensors", "flux", seed=2, rank=3)
    assert "FromLoRAStack" in asked(host, stack())[1]


def test_a_list_of_rows_is_read_once_for_a_prompt_however_often_the_host_asks(host):
    rows = {"version": 1, "rows": [{"name": "gone", "on": False, "strength": 0.125}]}
    counts = [host.counters()["read_rows"]]
    for value in (rows, json.loads(json.dumps(rows)), rows | {"folded": True}):
        graph = Graph()
        graph.add("TKValue", value=[graph.add("LoRARows", rows=value), 0])
        host.run(graph.prompt)
        counts.append(host.counters()["read_rows"])
    assert [count - counts[0] for count in counts] == [0, 1, 1, 2]
