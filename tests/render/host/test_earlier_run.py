"""What a host may have of an earlier run waits for that host. The workers here paint nothing; see harness/painter.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lora_render import farm
from lora_render.comfy import prompt_id
from lora_render.engine import Ready
from lora_render.journal import Journal
from tests.render.host.painted import Told, jobs

pytestmark = [
    pytest.mark.slow,  # Ray takes long to start
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


def ids(folder, *todo):
    """The ids of jobs as prompts of a run into a folder."""
    with Journal(folder) as journal:
        return {prompt_id(replace(job, folder=journal.id)) for job in todo}


def test_a_prompt_that_a_host_has_already_is_given_to_that_host(workers, tmp_path):
    todo = jobs(6)
    engine = workers("w0", "w1")
    wait = engine.calls.wait
    held = ids(tmp_path, todo[0], todo[4]) | {"of somebody else"}

    def holding(seconds):
        return [
            replace(event, holds=frozenset(held))
            if isinstance(event, Ready) and event.worker == 1
            else event
            for event in wait(seconds)
        ]

    engine.wait = holding
    watch = Told()
    with Journal(tmp_path) as journal:
        farm.run(todo, engine, journal, watch=watch)
    assert {index for worker, index, _ in watch.ended_ if worker == "w1"} >= {0, 4}
    assert len(watch.ended_) == 6


def late(engine, worker, held, calls):
    """Lets the farm hear only at the ``calls``-th time that it asks that a worker is ready, and holds some prompts."""
    wait, kept, count = engine.wait, [], iter(range(1, 10_000))
    engine.late = {worker}

    def waiting(seconds):
        for event in wait(min(seconds, 0.2)):
            ready = isinstance(event, Ready) and event.worker == worker
            kept.append(replace(event, holds=frozenset(held)) if ready else event)
        if next(count) >= calls:
            engine.late = set()
        told = [event for event in kept if event.worker not in engine.late]
        kept[:] = [event for event in kept if event.worker in engine.late]
        return told

    engine.wait = waiting


def test_what_a_host_may_still_have_of_an_earlier_run_waits_for_it(workers, tmp_path):
    todo = jobs(7)
    engine = workers("w0", "w1")
    with Journal(tmp_path) as journal:
        farm.run(todo[:1], workers("w0"), journal)
    late(engine, 1, ids(tmp_path, *todo[5:]), 8)
    watch = Told()
    with Journal(tmp_path) as journal:
        farm.run(todo, engine, journal, watch=watch)
    assert {index: worker for worker, index, _ in watch.ended_ if index > 4} == {5: "w1", 6: "w1"}
    assert len(watch.ended_) == 6


@pytest.mark.parametrize("first", [True, False])
def test_a_host_that_says_nothing_is_not_waited_for_forever(workers, tmp_path, monkeypatch, first):
    """In the first run of a folder it is not waited for at all."""
    monkeypatch.setattr(farm, "_LISTEN_SECONDS", 10**6 if first else 0.5)
    engine = workers("w0", "w1")
    with Journal(tmp_path) as journal:
        pass
    if first:
        (tmp_path / "journal.jsonl").unlink()
    late(engine, 1, set(), 10**6)
    with Journal(tmp_path) as journal:
        assert farm.run(jobs(4), engine, journal).done == 4


def test_what_was_lost_with_a_worker_waits_for_it_if_its_host_may_have_it(workers, tmp_path):
    engine = workers("w0", "w1")
    todo = jobs(3, {1: {"seconds": 3}})
    late(engine, 1, ids(tmp_path, todo[1]), 1)
    watch = Told()

    def ended(worker, entry):
        Told.ended(watch, worker, entry)
        if entry.index == 0:
            engine.kill(1)

    watch.ended = ended
    with Journal(tmp_path) as journal:
        assert farm.run(todo, engine, journal, farm.Options("listed"), watch).done == 3
    assert [worker for worker, *_ in watch.lost_] == ["w1"]
    assert ("w1", 1, "ok") in watch.ended_
