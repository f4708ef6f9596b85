"""A Ray cluster that is there already, of two machines, of which one goes away. Both are this one here."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.host import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Ray has clusters on Linux"),
]

# imported here, Ray would begin without what our own Ray is to be started with
ADDRESS = "import ray.util; print(ray.util.get_node_ip_address())"

JOINED = """
import sys, time, ray
ray.init(address=sys.argv[1], log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < 2:
    time.sleep(0.2)
"""

DRIVER = """
import json, os, signal, sys
from pathlib import Path
from harness.farm import descendants
from harness.painter import Painter
from lora_render import farm
from lora_render.comfy import Place
from lora_render.engine import RayEngine
from lora_render.item import Item, Job
from lora_render.journal import Journal

address, out, machine = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
items = [Item(index, {"seconds": 0.5}, {}, f"{index:064d}") for index in range(40)]
lost = []

class Watch(farm.Watch):
    def ended(self, worker, entry):
        if entry.index == 5:
            for pid in descendants(machine) | {machine}:  # with all that runs there
                os.kill(pid, signal.SIGKILL)

    def lost(self, worker, reason, for_good):
        lost.append((worker, reason))

places = [Place("w0", ""), Place("w1", "")]
with RayEngine(places, address=address, factory=Painter) as engine, Journal(out) as journal:
    while len(engine.ready) < 2:
        engine._calls.first_ready(300)
    summary = farm.run([Job((i,), i.prompt) for i in items], engine, journal, farm.Options("listed"), Watch())
print(json.dumps({"done": summary.done, "lost": lost, "stopped": summary.stopped}))
"""

PLACED = """
import json, sys, ray
from lora_render.cluster import Cluster
from lora_render.comfy import Place

class Where:
    def __init__(self, place):
        pass

    def machine(self):
        return ray.get_runtime_context().get_node_id()

cluster = Cluster(sys.argv[1], 0)
actors = cluster.actors([Place(f"w{number}", "") for number in range(8)], Where)
print(json.dumps([cluster.ask(actor.machine) for actor in actors]))
"""


@pytest.fixture
def machine():
    """``machine("--head", ...)`` is what ``ray start`` starts, in a process group of its own."""
    environment = os.environ | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "PYTHONPATH": str(REPOSITORY),
    }
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp"))

        def start(*arguments):
            ray = Path(sys.prefix) / "bin" / "ray"
            memory = ["--object-store-memory", str(100 << 20), "--num-cpus", "1", "--block"]
            log = stack.enter_context((Path(folder) / f"{len(arguments)}.log").open("w"))
            process = subprocess.Popen(
                [ray, "start", *arguments, *memory],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(end, process)
            return process

        start.environment, start.folder = environment, folder
        yield start


def end(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(machine, code, *arguments):
    """Runs a program on the first machine."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=machine.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


def two_machines(machine):
    """Starts a cluster; returns its address and its second machine."""
    here, port = run(machine, ADDRESS).stdout.strip(), 20_000 + os.getpid() % 10_000
    head = ("--head", "--port", str(port), "--include-dashboard", "false")
    machine(*head, "--temp-dir", machine.folder)
    other = machine("--address", f"{here}:{port}")
    run(machine, JOINED, f"{here}:{port}")
    return f"{here}:{port}", other


def test_a_machine_that_goes_away_leaves_its_work_to_the_others(machine, tmp_path):
    address, other = two_machines(machine)
    said = run(machine, DRIVER, address, tmp_path, str(other.pid))
    summary = json.loads(said.stdout.splitlines()[-1])
    assert (summary["done"], summary["stopped"]) == (40, None), said.stderr
    assert len({worker for worker, _ in summary["lost"]}) == 1, summary["lost"]


def test_workers_without_a_gpu_go_round_the_machines(machine):
    address, _ = two_machines(machine)
    machines = json.loads(run(machine, PLACED, address).stdout.splitlines()[-1])
    assert machines == [*machines[:2]] * 4
    assert machines[0] != machines[1]
