"""Ray runs workers, and loses some. The workers here paint nothing; see harness/painter.py."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.painter import Painter
from lora_core.errors import LoraInputError
from lora_render import farm
from lora_render.answers import failed
from lora_render.cluster import Cluster
from lora_render.comfy import Place, prompt_id
from lora_render.engine import Calls, Ready
from lora_render.item import Item, Job, Outcome
from lora_render.journal import Journal

pytestmark = [
    pytest.mark.slow,  # Ray takes long to start
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """Ray, once for all tests: it takes seconds to start."""
    running = Cluster(None, 0)
    yield running
    running.close()


class Workers:
    """An engine on the shared Ray."""

    def __init__(self, cluster, actors):
        self.names = [*actors]
        self.late = set()
        self._cluster = cluster
        self._actors = [*actors.values()]
        self.calls = Calls(self._actors, frozenset(range(len(actors))))
        self.submit, self.wait = self.calls.submit, self.calls.wait

    @property
    def ready(self):
        return self.calls.ready

    @property
    def unheard(self):
        return self.calls.unheard | self.late

    def kill(self, worker):
        pid = int(self._cluster.ask(self._actors[worker].object_info)["pid"])
        os.kill(pid, 9)


@pytest.fixture(scope="module")
def workers(cluster):
    """``workers("w0", "w1")`` are painters in actors of these names, which later tests get again."""
    actors = {}

    def start(*names):
        for name in {*names} - {*actors}:
            (actors[name],) = cluster.actors([Place(name, "")], Painter)
        started = Workers(cluster, {name: actors[name] for name in names})
        while len(started.calls._kept) < len(names):
            started.calls.first_ready(300)
        return started

    yield start
    cluster.stop([*actors.values()])


def jobs(count, asked=None):
    """Jobs that are painted, but for those whose index ``asked`` names: index -> what it is to do."""
    items = [
        Item(index, {"do": "paint"} | (asked or {}).get(index, {}), {}, f"{index:064d}")
        for index in range(count)
    ]
    return [Job((item,), item.prompt) for item in items]


class Told(farm.Watch):
    def __init__(self):
        self.ready_, self.ended_, self.lost_ = [], [], []

    def ready(self, worker):
        self.ready_.append(worker)

    def ended(self, worker, entry):
        self.ended_.append((worker, entry.index, entry.status))

    def lost(self, worker, reason, for_good):
        self.lost_.append((worker, reason, for_good))


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


@pytest.mark.usefixtures("cluster")
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_ray_listens_on_loopback_only():
    """Whatever of it listens: its ports are those of processes that we started."""
    ours = {os.getpid(), *children(os.getpid())}
    inodes = {
        target[8:-1]
        for pid in ours
        for target in links(Path(f"/proc/{pid}/fd"))
        if target.startswith("socket:[")
    }
    listening = [
        fields[1].rpartition(":")[0]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A" and fields[9] in inodes
    ]
    assert len(listening) >= 3
    assert set(listening) <= {"0100007F", "0000000000000000FFFF00000100007F", "0" * 24 + "01000000"}


def links(folder):
    found = []
    for path in folder.glob("*"):
        try:
            found.append(str(path.readlink()))
        except OSError:
            continue
    return found


def children(pid):
    """Processes whose ancestor ``pid`` is."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def test_gpus_that_are_not_there_are_refused(cluster):
    there = cluster._ray.cluster_resources().get("GPU", 0)
    with pytest.raises(LoraInputError) as error:
        cluster.needs(there + 1)
    assert (error.value.key, error.value.found) == ("gpus", f"{there + 1:g}")


def test_without_ray_a_sentence_says_what_to_install():
    script = """
import sys
sys.modules["ray"] = None
from lora_render.engine import RayEngine
RayEngine([])
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert 'pip install "lora-algebra[render]"' in said.stderr


def test_the_answer_of_a_worker_is_an_outcome(workers):
    engine = workers("w0")
    engine.submit(0, jobs(1)[0])
    (ready, *more) = engine.wait(5)
    events = more or engine.wait(30)
    assert ready.worker == 0
    assert isinstance(events[0].outcome, Outcome)
