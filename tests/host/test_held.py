"""A moved strength costs no reading, though the host drops the patched model before it is patched anew."""

from __future__ import annotations

import pytest

from harness import workflows
from harness.workflows import one_after_another, render, stacked_loras
from tests.host.files import make_loras


@pytest.fixture(scope="module")
def host(shared_host):
    """A server with the host's own default cache, which drops what the prompt does not use."""
    return shared_host()


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 3)


def opened(host, prompt):
    """How many files a prompt has opened, and its latent."""
    before = host.counters()["opened_files"]
    latent = host.run(prompt).report("TKHash")["sha256"]
    return host.counters()["opened_files"] - before, latent


def stack(loras, *strengths):
    return render("flux", stacked_loras(*zip(loras, strengths, strict=False)))


def test_a_moved_strength_opens_no_file(host, loras, show):
    first, latent = opened(host, stack(loras, 0.5, 1.0))
    moved = [opened(host, stack(loras, strength, 1.0)) for strength in (0.25, 0.75, 0.5)]
    show(f"files opened: first {first}, then by each of three moved strengths {moved}")
    assert first >= 2
    assert [count for count, _ in moved] == [0, 0, 0]
    assert moved[-1][1] == latent
    assert len({found for _, found in moved}) == 3


def test_nor_in_a_chain_of_nodes(host, loras):
    chain = [
        render("flux", one_after_another((loras[0], strength), (loras[1], 1.0)))
        for strength in (0.1, 0.2)
    ]
    opened(host, chain[0])
    assert opened(host, chain[1])[0] == 0


def test_two_recipes_in_turn_stay_what_they_are(host, loras):
    one, other = stack(loras[:2], 0.5, 1.0), stack(loras[2:], -1.0)
    found = [opened(host, prompt)[1] for prompt in (one, other, one, other)]
    assert found[:2] == found[2:]
    assert found[0] != found[1]


def test_a_file_that_has_changed_is_read_anew(host, loras, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    name = host.add_lora(host.loras_dir / loras[0], "changing.safetensors")
    before = opened(host, stack([name], 0.5))[1]
    (host.loras_dir / name).unlink()
    host.add_lora(host.loras_dir / loras[1], name)
    count, after = opened(host, stack([name], 0.5))
    assert count
    assert after == opened(host, stack([loras[1]], 0.5))[1] != before


def test_it_goes_with_the_model(host, loras):
    host.run(stack(loras, 0.5, 1.0))
    assert held_files(host) >= 2
    host.free()
    assert held_files(host) == 0


def held_files(host):
    graph = workflows.Graph()
    graph.add("TKCounters")
    return host.run(graph.prompt).report("TKCounters")["lora_files"]
