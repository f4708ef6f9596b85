"""Work on many files in many processes that are killed, or told to stop, in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.samples import pair, write
from lora_core.__main__ import main
from lora_core.bulk.pool import DIED, Failed, each

ROOT = Path(__file__).parents[2]
FILES = 300

DEADLINE_S = 120


def fragile(number: int) -> int:
    """What works, what raises, and what takes its process with it."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 12 // (number - 5)


@pytest.mark.thorough
def test_one_bad_thing_stops_no_other():
    found = [*each(fragile, range(20), 2)]
    assert sorted(number for number, _ in found) == [*range(20)]
    results = dict(found)
    assert results.pop(3) is DIED
    failed = results.pop(5)
    assert isinstance(failed, Failed)
    assert failed.error.startswith("ZeroDivisionError")
    assert results == {number: 12 // (number - 5) for number in results}


VERBS = {
    "inspect": lambda library, out: ("inspect", library, "--out", out / "library.jsonl"),
    "convert": lambda library, out: ("convert", library, "--dtype", "float16", "--out-dir", out),
}
JOURNALS = {"inspect": "library.jsonl.journal", "convert": "lora-algebra.jsonl"}


def whole_entries(journal: Path) -> int:
    """How many files are done; a line of what has only begun has no state."""
    return (
        sum('"state"' in line for line in journal.read_text().splitlines())
        if journal.exists()
        else 0
    )


def wait_until(condition) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def is_starting(driver: int) -> bool:
    """Whether a process of the driver has got to its imports."""
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    own = [Path("/proc", child) for child in children]
    return any(
        b"spawn_main"
        in (child / "cmdline").read_bytes()  # otherwise it still is a copy of the driver
        and b"libtorch" in (child / "maps").read_bytes()
        for child in own
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("verb", "how", "some"),
    [
        ("inspect", signal.SIGKILL, 20),
        pytest.param("convert", signal.SIGKILL, 20, marks=pytest.mark.slow),
        pytest.param("convert", signal.SIGINT, 20, marks=pytest.mark.slow),
        # while the processes start
        pytest.param("inspect", signal.SIGINT, 0, marks=pytest.mark.slow),
    ],
)
def test_the_same_command_goes_on(tmp_path, capsys, verb, how, some):
    """It is killed, or told to stop, when ``some`` files are done."""
    library, out = tmp_path / "library", tmp_path / "out"
    library.mkdir()
    out.mkdir()
    first = write(library / "0.safetensors", pair("linear", 6, 8))
    for number in range(1, FILES):
        os.link(first, library / f"{number}.safetensors")
    command = [*map(str, VERBS[verb](library, out)), "--json"]
    run = [sys.executable, "-m", "lora_core", *command, "--workers", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # a shell that runs the tests in the background lets all of them ignore Ctrl-C
    with_ctrl_c = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    driver = subprocess.Popen(
        run, cwd=ROOT, start_new_session=True, text=True, **pipes, **with_ctrl_c
    )
    journal = out / JOURNALS[verb]
    wait_until(lambda: whole_entries(journal) >= some and is_starting(driver.pid))
    if how == signal.SIGINT:
        os.killpg(driver.pid, how)  # as a terminal does
    else:
        driver.kill()
    said, complaints = driver.communicate(timeout=DEADLINE_S)  # no process holds the pipes any more
    assert not said
    if how == signal.SIGINT:
        assert driver.returncode == 130
        assert complaints.startswith("stopped: ")
        assert len(complaints.splitlines()) == 1
        assert not list(out.glob(".*"))
    done = whole_entries(journal)
    assert some <= done < FILES
    assert not (out / "library.jsonl").exists()

    assert main([*command, "--workers", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == told["done"] + told["kept"] == FILES
    assert told["kept"] >= done
    assert not list(out.glob(".*"))
    if verb == "convert":
        assert len(list(out.glob("[0-9]*.safetensors"))) == FILES
    else:
        assert len((out / "library.jsonl").read_text().splitlines()) == FILES
        assert not journal.exists()
