"""That all that is measured on a GPU runs, on tiny sizes and without one; what it measures is no test."""

import io
import json
import math
import sys
import time

import pytest
import torch

from benchmarks import __main__, gpu, gpu_merge, gpu_model, gpu_process, gpu_readings, gpu_steps
from benchmarks.gpu_readings import Reading, Setting

TINY = Setting("cpu", quick=True)
ALONE = [name for name in gpu.LIMITS if not name.startswith(gpu.IN_HOST)]
PARTS = {**gpu_merge.MEASURES, **gpu_steps.MEASURES}
COMPILES = pytest.mark.slow


def test_each_measurement_is_found():
    assert {*ALONE} == PARTS.keys()
    assert [gpu.find(name)[0] for name in ALONE] == [PARTS[name] for name in ALONE]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[COMPILES] * (name == "compiled")) for name in ALONE]
)
def test_a_measurement_gives_finite_numbers_and_a_table(name):
    out = io.StringIO()
    gpu.measure_here(name, TINY, 600, out)
    outcome = gpu_process.Outcome(name)
    for line in out.getvalue().splitlines():
        outcome.take(line)
    cells = [cell for reading in outcome.readings for cell in reading.cells.items()]
    numbers = [(column, cell) for column, cell in cells if not isinstance(cell, str)]
    assert len(numbers) > 4
    assert all(math.isfinite(number) and number >= 0 for _, number in numbers)
    assert all(number > 0 for column, number in numbers if column.endswith(" ms"))
    (table,) = gpu_readings.tables(outcome.readings, outcome.notes)
    assert len(table.rows) == len(outcome.readings)
    assert table.note
    assert str(table).count("\n| ") == 2 + len(table.rows)


def test_what_is_not_finite_is_no_reading():
    with pytest.raises(ValueError, match="JSON"):
        Reading("a table", {"a ms": math.nan}).written()


# --- that the right thing is measured -------------------------------------------------------------


@pytest.fixture
def live():
    with torch.inference_mode():
        made = gpu_model.model(TINY)
        loras = gpu_model.random_loras(made, 2, 4, TINY)
        yield gpu_model.Live.of(made, loras, TINY)


@torch.inference_mode()
def test_masks_are_left_and_right(live):
    grid = gpu_model.QUICK.grids[0]
    x = gpu_model.seen(TINY, grid)
    live = gpu_steps._masked(live, grid)
    tokens = gpu_model.QUICK.text + grid * grid
    key = "blocks.0.qkv.weight"
    layer = live.model.blocks[0].qkv
    places = live.gate.places(key, layer, x, layer(x))
    assert places.shape == (1, tokens, 2)
    picture = places[0, gpu_model.QUICK.text :].view(grid, grid, 2)
    assert picture[:, : grid // 2].tolist() == [[[1, 0]] * (grid // 2)] * grid
    assert picture[:, grid // 2 :].tolist() == [[[0, 1]] * (grid // 2)] * grid
    assert not places[0, : gpu_model.QUICK.text].any()


@torch.inference_mode()
def test_a_stack_is_only_there_while_it_is_timed(live):
    x = gpu_model.seen(TINY, gpu_model.QUICK.grids[0])
    found = []
    contender = live.opened().contender(lambda: found.append(live.model(x)))
    bare = live.model(x)
    contender.before()
    contender.run()
    contender.after()
    assert torch.equal(live.model(x), bare)
    assert gpu_model.apart(found[0], bare) > 1e-3


@torch.inference_mode()
def test_errors_are_those_of_the_number_formats():
    weights = {"w": torch.randn(64, 64, dtype=torch.bfloat16)}
    lora = gpu_model.random_loras(torch.nn.Linear(64, 64, bias=False), 1, 16, TINY)[0]
    lora = {"w": lora["weight"]}
    ways = gpu_merge.ways_on("cpu")
    found = {name: gpu_merge._errors(weights, lora, way)["error"] for name, way in ways.items()}
    assert found["float32"] < 1e-6
    assert found["TF32, up in two parts"] < 1e-6
    assert 1e-4 < found["TF32"] < 1e-3
    assert 1e-3 < found["bfloat16"] < 1e-2
    assert 1e-6 < found["bfloat16, in three products"] < 1e-5


# --- processes ------------------------------------------------------------------------------------

READING = Reading("a table", {"what": "a case", "ours ms": 1.5})


def ran(code, seconds=60.0):
    outcome, told = gpu_process.Outcome("a measurement"), []
    gpu_process.run([sys.executable, "-c", code], outcome, seconds, lambda: told.append(1))
    return outcome, len(told)


SAYS = f"print({READING.written()!r}, flush=True)\n"


def test_what_a_measurement_gave_before_it_failed_is_kept(capsys):
    outcome, told = ran("print('[0] warm')\n" + SAYS + "raise MemoryError('none is left')")
    assert outcome.readings == [READING]
    assert outcome.ended == "MemoryError: none is left"
    assert told == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_measurement_that_hangs_is_stopped_with_its_children():
    child = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])\n"
    begun = time.monotonic()
    outcome, _ = ran(SAYS + child + "import time; time.sleep(99)", 3.0)
    assert time.monotonic() - begun < 60  # the child has the same output, and would keep it open
    assert outcome.readings == [READING]
    assert outcome.ended == "stopped after 3 s"


def test_a_process_that_dies_says_how():
    outcome, _ = ran("import os; os.kill(os.getpid(), 11)")
    assert outcome.ended == "ended with code -11."


def test_the_time_of_one_ends_it_after_a_reading():
    out = io.StringIO()
    with pytest.raises(SystemExit, match="were over"):
        gpu.measure_here("sums", TINY, 0, out)
    notes, reading = out.getvalue().splitlines()
    assert "Sums" in json.loads(notes)["notes"]
    assert Reading.read(reading).table == "Sums"


@pytest.mark.thorough
def test_one_that_cannot_run_leaves_the_others_alone(tmp_path):
    asked = gpu._parsed(
        ["--device", "cpu", "--quick", "--only", "host_live", "sums", "--out", str(tmp_path)]
    )
    gpu.measure_all(asked, None)
    written = json.loads((tmp_path / "benchmarks_gpu.json").read_text())
    first, second = written["measurements"]
    assert "no ComfyUI" in first["ended"]
    assert second["ended"] == "complete"
    assert len(second["readings"]) == len(gpu_merge.TOTAL_RANKS) * len(gpu_merge.ways_on("cpu"))
    page = (tmp_path / "benchmarks_gpu.md").read_text()
    assert "### Sums" in page
    assert "*host_live*: no ComfyUI" in page


def test_when_the_time_of_all_is_over_nothing_more_is_begun(tmp_path):
    asked = gpu._parsed(["--device", "cpu", "--seconds", "1", "--out", str(tmp_path)])
    results = gpu.measure_all(asked, None)
    ended = {own.ended for own in results.outcomes if not own.name.startswith(gpu.IN_HOST)}
    assert ended == {"the 1 s for all were over"}


@pytest.mark.parametrize(
    ("arguments", "on_gpu"),
    [
        (["--device", "cuda"], True),
        (["--device=cuda", "--quick"], True),
        (["--device", "cuda", "--only", "live", "nodes"], False),
        (["--device", "cpu"], False),
        ([], False),
    ],
)
def test_make_bench_on_a_gpu(arguments, on_gpu):
    assert __main__._is_for_gpu(arguments) == on_gpu


def test_results_of_a_dry_run_are_not_in_the_documentation(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert gpu._parsed(["--device", "cpu"]).out.parent == tmp_path
    assert gpu._parsed(["--quick"]).out.parent == tmp_path
    assert gpu._parsed([]).out.name == "docs"
