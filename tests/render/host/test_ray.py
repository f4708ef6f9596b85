"""What our own Ray opens, what it needs, and what a worker in it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.farm import descendants
from lora_core.errors import LoraInputError
from lora_render.item import Outcome
from tests.render.host.painted import jobs

pytestmark = [
    pytest.mark.slow,  # Ray takes long to start
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


@pytest.mark.usefixtures("cluster")
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_ray_listens_on_loopback_only():
    """Whatever of it listens: its ports are those of processes that we started."""
    ours = {os.getpid(), *descendants(os.getpid())}
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


def test_gpus_that_are_not_there_are_refused(cluster, monkeypatch):
    there = int(cluster._ray.cluster_resources().get("GPU", 0))
    cluster.needs(100)  # without a GPU for any
    for share, room in ((1, there), (0.4, 2 * there), (2, there // 2)):
        monkeypatch.setattr(cluster, "_gpus", share)
        cluster.needs(room)
        with pytest.raises(LoraInputError) as error:
            cluster.needs(room + 1)
        assert (error.value.key, error.value.found) == ("gpus", f"{share * (room + 1):g}")


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
