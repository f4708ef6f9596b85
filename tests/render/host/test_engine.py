"""Ray runs workers, and loses some. The workers here paint nothing; see harness/painter.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lora_render import farm
from lora_render.answers import failed
from lora_render.item import Job
from lora_render.journal import Journal
from tests.render.host.painted import Told, jobs

pytestmark = [
    pytest.mark.slow,  # Ray takes long to start
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture
def render(workers, tmp_path):
    """Runs jobs on workers; returns the summary, the watch and the entries, of which no key is there twice."""

    def run(todo, *names, **how):
        watch = Told()
        with Journal(tmp_path / "out") as journal:
            summary = farm.run(todo, workers(*names), journal, watch=watch, **how)
            entries = journal.entries()
        lines = (tmp_path / "out" / "journal.jsonl").read_text().splitlines()
        assert len(lines) == len({entry.key for entry in entries})
        return summary, watch, entries

    return run


def test_every_job_is_done_by_somebody(render):
    summary, watch, entries = render(jobs(20), "w0", "w1")
    assert (summary.done, summary.failed, summary.not_done, summary.stopped) == (20, (), (), None)
    assert [entry.index for entry in entries] == [*range(20)]
    assert sorted(index for _, index, _ in watch.ended_) == [*range(20)]
    assert set(watch.ready_) <= {"w0", "w1"}


def test_what_the_journal_has_is_not_rendered_again(render, workers, tmp_path):
    first, _, entries = render(jobs(4), "w0")
    assert first.done == 4
    (tmp_path / "out" / entries[2].files[0].path).unlink()
    lines = (tmp_path / "out" / "journal.jsonl").read_text().splitlines()
    watch = Told()
    with Journal(tmp_path / "out") as journal:
        farm.run(jobs(6), workers("w0"), journal, watch=watch)
    assert sorted(index for _, index, _ in watch.ended_) == [2, 4, 5]
    assert (tmp_path / "out" / "journal.jsonl").read_text().splitlines()[:4] == lines


def test_an_engine_may_be_used_for_another_run(workers, tmp_path):
    engine = workers("w0", "w1")
    with Journal(tmp_path) as journal:
        assert farm.run(jobs(3), engine, journal).done == 3
        assert farm.run(jobs(6), engine, journal).done == 3


def test_an_item_that_fails_does_not_stop_the_others_and_is_tried_again_next_time(render):
    summary, _, entries = render(jobs(6, {2: {"do": "fail"}}), "w0")
    assert summary.done == 5
    assert [(entry.index, entry.error.message) for entry in summary.failed] == [(2, "it fails")]
    assert [entry.status for entry in entries] == ["ok", "ok", "error", "ok", "ok", "ok"]


def test_a_worker_that_dies_with_a_job_is_started_again_and_the_job_is_given_up_after_three(render):
    summary, watch, _ = render(jobs(8, {3: {"do": "die"}}), "w0", "w1")
    assert summary.done == 7
    (entry,) = summary.failed
    assert (entry.index, entry.status) == (3, "lost")
    assert "lost 3 times" in entry.error.message
    assert len(watch.lost_) >= 3
    assert summary.stopped is None


@pytest.mark.slow
def test_a_neighbour_of_a_job_that_ends_workers_is_not_given_up(render):
    """All were lost with it at least once."""
    summary, _, _ = render(jobs(5, {0: {"do": "die"}, 4: {"do": "die"}}), "w0")
    assert [entry.index for entry in summary.failed] == [0, 4]
    assert summary.done == 3


def test_a_worker_that_leaves_for_good_leaves_its_jobs_to_the_others(render):
    """It takes a second job with it, which is not to blame."""
    asked = {index: {"do": "leave", "on": "w0"} for index in range(8)}
    summary, watch, _ = render(jobs(8, asked), "w0", "w1")
    assert (summary.done, summary.failed) == (8, ())
    assert {worker for worker, _, for_good in watch.lost_ if for_good} == {"w0"}
    assert {worker for worker, _, _ in watch.ended_} == {"w1"}


def test_when_nobody_is_left_it_ends_and_says_what_is_not_done(render):
    summary, _, entries = render(jobs(5, {0: {"do": "leave"}}), "w0", "never")
    assert summary.stopped.startswith("No worker is left. ")
    assert "w0: it leaves" in summary.stopped
    assert "never: it never starts" in summary.stopped
    left = [item.index for item in summary.not_done]
    assert left[0] == 0
    assert sorted([*left, *(entry.index for entry in entries)]) == [*range(5)]


def test_an_error_of_ours_in_a_worker_is_no_end_of_the_run(render):
    summary, _, _ = render(jobs(5, {1: {"do": "raise"}}), "w0")
    assert [entry.status for entry in summary.failed] == ["lost"]
    assert "ValueError" in summary.failed[0].error.message
    assert summary.done == 4


def test_a_worker_that_is_killed_is_started_again_and_nothing_is_lost(workers, tmp_path):
    """Its jobs are done again."""
    engine = workers("w0")
    watch = Told()
    slow = {index: {"seconds": 0.05} for index in range(30)}

    def ended(worker, entry):
        Told.ended(watch, worker, entry)
        if len(watch.ended_) == 5:
            engine.kill(0)

    watch.ended = ended
    with Journal(tmp_path) as journal:
        summary = farm.run(jobs(30, slow), engine, journal, watch=watch)
        assert [entry.index for entry in journal.entries()] == [*range(30)]
    assert (summary.done, summary.failed) == (30, ())
    assert {for_good for _, _, for_good in watch.lost_} == {False}
    assert watch.ready_ == ["w0", "w0"]


def batch(*singles):
    return Job(tuple(job.items[0] for job in singles), {})


def test_a_batch_is_split_into_its_items(render):
    def split(job, outcome):
        assert len(job.items) == len(outcome.outputs)
        return [replace(outcome, outputs=(output,)) for output in outcome.outputs]

    summary, _, entries = render([batch(*jobs(3))], "w0", split=split)
    assert summary.done == 3
    assert [Path(entry.files[0].path).name[:5] for entry in entries] == ["00001", "00002", "00003"]


def test_the_items_of_a_batch_that_cant_be_told_apart_are_run_one_by_one(render):
    summary, watch, entries = render([batch(*jobs(3))], "w0", split=lambda job, outcome: None)
    assert summary.done == 3
    assert all(len(entry.files) == 1 for entry in entries)
    assert len(watch.ended_) == 3


def test_the_items_of_a_batch_that_fails_are_run_one_by_one(render):
    """Only the one that is to blame has failed then."""
    first, *others = jobs(3, {0: {"do": "fail"}})
    summary, _, _ = render([batch(first, *others)], "w0", split=lambda job, outcome: None)
    assert [entry.index for entry in summary.failed] == [0]
    assert summary.done == 2


def test_ctrl_c_keeps_what_is_done(workers, tmp_path):
    watch = Told()

    def ended(worker, entry):
        Told.ended(watch, worker, entry)
        if len(watch.ended_) == 3:
            raise KeyboardInterrupt

    watch.ended = ended
    with Journal(tmp_path) as journal:
        summary = farm.run(jobs(9), workers("w0"), journal, watch=watch)
        assert len(journal.entries()) == summary.done == 3
    assert summary.stopped == "interrupted"
    assert len(summary.not_done) == 6


def test_a_full_disk_ends_the_run_with_a_sentence(workers, tmp_path):
    """Nothing can be written there, as on a disk without space."""
    with Journal(tmp_path) as journal:
        (tmp_path / "images").rmdir()
        (tmp_path / "images").write_text("in the way")
        summary = farm.run(jobs(4), workers("w0"), journal)
    assert summary.stopped.startswith("The journal can't be written: ")
    assert (summary.done, len(summary.not_done)) == (0, 4)


def test_space_that_comfyui_does_not_have_ends_the_run(workers, tmp_path):
    engine = workers("w0")
    wait = engine.calls.wait
    full = failed("error", "OSError: [Errno 28] No space left on device", "12", "SaveImage")

    def without_space(seconds):
        return [
            replace(event, outcome=full) if hasattr(event, "outcome") else event
            for event in wait(seconds)
        ]

    engine.wait = without_space
    with Journal(tmp_path) as journal:
        summary = farm.run(jobs(4), engine, journal)
    assert summary.stopped.startswith("There is no space left")
    assert len(summary.failed) == 1
