"""The command ``render`` as far as it goes without a ComfyUI: what it is asked, what it plans, what it says."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lora_core.__main__ import main
from lora_core.cli import render as cli
from lora_core.errors import LoraInputError
from lora_render import command
from lora_render.command import Asked, Plan, Result
from lora_render.farm import Summary, Watch
from lora_render.item import Failure, Item, Job, Outcome
from lora_render.journal import Journal
from lora_render.server import NoAnswerError, Server
from tests.render.made import entry

HERE = ("w.json", "t.csv", "--out", "out")
WORKFLOW = {
    "1": {"class_type": "LoadLoRA", "inputs": {"lora_name": "ink.safetensors", "strength": 1.0}},
    "2": {"class_type": "KSampler", "inputs": {"lora": ["1", 0], "seed": 7}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
}


def info(output, saves=False, **inputs):
    required = {name: [kind, {}] for name, kind in inputs.items()}
    return {
        "input": {"required": required},
        "input_order": {"required": [*required]},
        "output": output,
        "output_node": saves,
    }


OBJECT_INFO = {
    "LoadLoRA": info(["LORA_RECIPE"], lora_name="STRING", strength="FLOAT"),
    "KSampler": info(["IMAGE"], lora="LORA_RECIPE", seed="INT"),
    "SaveImage": info([], saves=True, images="IMAGE"),
}


@pytest.fixture(autouse=True)
def _no_comfyui(monkeypatch, tmp_path):
    for name in ("COMFYUI_PATH", "COMFYUI_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(command, "INSTALLS", (str(tmp_path / "no ComfyUI"),))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _files(tmp_path):
    given(tmp_path, TABLE)


def began(asked):
    with command.start(asked):
        pass


def said(capsys, *arguments):
    try:
        status = main(["render", *map(str, arguments)])
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ("w.json", "t.csv"),
        (*HERE, "--workers", "0"),
        (*HERE, "--workers", "two"),
        (*HERE, "--order", "random"),
        (*HERE, "--spread", "always"),
        (*HERE, "--limit", "soon"),
        (*HERE, "--limit", "0"),
        (*HERE, "--gpus", "-1"),
        (*HERE, "--gpus", "nan"),
        (*HERE, "--comfyui-args", "'open"),
    ],
    ids=str,
)
def test_wrong_usage_is_2(capsys, wrong):
    status, error = said(capsys, *wrong)
    assert status == 2
    assert error.startswith("usage: ")
    assert "invalid _" not in error
    assert "invalid split" not in error


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "there is no ComfyUI in"),
        (
            ("--comfyui", "nowhere"),
            "there is no ComfyUI in nowhere. Say where it is with --comfyui",
        ),
        (("--host", "127.0.0.1:8188"), "is not the address of a ComfyUI"),
        (("--host", "http://a:1", "--host", "http://a:1/"), "one host is given twice"),
        (("--comfyui", "here", "--address", "auto"), "say with --workers"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("_files")
def test_who_cannot_render_is_refused_before_anything_starts(capsys, tmp_path, asked, words):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "main.py").touch()
    status, error = said(capsys, *HERE, *asked)
    assert status == 1
    assert words in error
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("_files")
def test_a_dashboard_that_is_not_installed_is_said(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp_cors", None)
    status, error = said(capsys, *HERE, "--host", "http://127.0.0.1:1", "--dashboard")
    assert status == 1
    assert 'pip install "ray[default]"' in error


def test_files_are_read_before_anything_starts(capsys, tmp_path):
    given(tmp_path, "")
    for wrong, words in ((("no.json", "t.csv"), "no.json"), (("w.json", "t.csv"), "t.csv")):
        status, error = said(capsys, *wrong, "--out", "out")
        assert status == 1
        assert words in error


def test_without_its_packages_it_says_how_to_install_them(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "lora_render", None)
    status, error = said(capsys, *HERE)
    assert status == 1
    assert 'pip install "lora-algebra[render]"' in error


def install(folder, python=""):
    for name in ("main.py", python):
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    return folder.resolve()


@pytest.mark.parametrize("python", command.PYTHONS)
def test_a_comfyui_runs_with_the_python_of_its_own_environment(tmp_path, python):
    folder = install(tmp_path / "ComfyUI", python)
    assert command._python(folder) == folder / python


def test_a_comfyui_without_one_runs_with_ours(tmp_path):
    assert command._python(install(tmp_path / "ComfyUI")) == Path(sys.executable)


def test_a_comfyui_is_found_where_people_have_it_or_where_the_environment_says(
    tmp_path, monkeypatch
):
    usual, named = install(tmp_path / "usual"), install(tmp_path / "named")
    monkeypatch.setattr(command, "INSTALLS", ("~/nowhere", str(usual)))
    asked = Asked(Path("w"), Path("t"), Path("out"))
    assert command._comfyui(asked) == usual
    monkeypatch.setenv("COMFYUI_PATH", str(named))
    assert command._comfyui(asked) == named


@pytest.mark.parametrize(
    ("here", "workers", "gpus", "expected"),
    [
        (0, None, None, (1, 0)),
        (0, 3, None, (3, 0)),
        (2, None, None, (2, 1)),
        (2, 1, None, (1, 1)),
        (2, 4, None, (4, 0.5)),
        (2, None, 0.5, (4, 0.5)),
        (4, None, 2.0, (2, 2)),
        (2, 3, 0.0, (3, 0)),
    ],
)
def test_workers_share_the_gpus_of_this_machine(monkeypatch, here, workers, gpus, expected):
    monkeypatch.setattr(command, "_gpus_here", lambda: here)
    asked = Asked(Path("w"), Path("t"), Path("out"), workers=workers, gpus=gpus)
    assert command._share(asked) == expected


def given(tmp_path, table):
    (tmp_path / "w.json").write_text(json.dumps(WORKFLOW))
    (tmp_path / "t.csv").write_text(table)
    return Asked(tmp_path / "w.json", tmp_path / "t.csv", tmp_path / "out", hosts=("http://a",))


def planned(asked):
    return command.plan(asked, command.read(asked), OBJECT_INFO)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"workers": 2, "gpus": 0.5}, "--workers, --gpus"),
        ({"comfyui": Path("c")}, "--comfyui"),
        ({"python": Path("p"), "arguments": ("--lowvram",)}, "--python, --comfyui-args"),
    ],
)
def test_what_is_about_comfyuis_of_its_own_is_refused_beside_hosts(tmp_path, more, named):
    with pytest.raises(LoraInputError, match="starts no ComfyUI: leave out --") as error:
        began(replace(given(tmp_path, TABLE), **more))
    assert (error.value.key, error.value.found) == ("host", named)


TABLE = "LoadLoRA.strength,KSampler.seed\n0.5,1\n1,1\n1,1\n0.5,2\n"


def test_a_plan_has_each_row_that_differs_once_and_makes_no_folder(tmp_path):
    plan = planned(given(tmp_path, TABLE))
    facts = plan.to_dict()
    assert (facts["rows"], facts["different"], facts["to_do"]) == (4, 3, 3)
    assert facts["jobs"] == [[0], [1], [3]]
    assert not (tmp_path / "out").exists()


def test_a_plan_leaves_out_what_the_journal_has(tmp_path):
    asked = given(tmp_path, TABLE)
    first, second, _ = planned(asked).items
    with Journal(asked.out) as journal:
        journal.add(first, Outcome("ok"))
        journal.add(second, Outcome("error", failure=Failure("out of memory")))
    facts = planned(asked).to_dict()
    assert (facts["done_before"], facts["to_do"]) == (1, 2)
    assert facts["jobs"] == [[1], [3]]


def test_a_changed_file_is_another_item(tmp_path):
    (tmp_path / "models" / "loras").mkdir(parents=True)
    file = tmp_path / "models" / "loras" / "ink.safetensors"
    keys = []
    for content in (b"one", b"two", b"one"):
        file.write_bytes(content)
        asked = given(tmp_path, "KSampler.seed\n1\n")
        asked = replace(asked, models=(tmp_path / "models",))
        plan = planned(asked)
        keys.append(plan.items[0].key)
    assert keys[0] == keys[2] != keys[1]


def test_entries_have_the_place_that_they_have_in_the_table_of_today():
    items = [Item(0, {"a.x": 1}, {}, "key 5"), Item(1, {"a.x": 2}, {}, "key 9")]
    kept = command._of_table(items, [entry(5, {"b.y": 1}), entry(7, {})])
    assert [(each.key, each.index, each.parameters) for each in kept] == [("key 5", 0, {"a.x": 1})]


def test_a_host_is_called_without_what_may_be_a_secret(tmp_path):
    hosts = ("http://a:1", "https://b/key/secret", "https://B/key/other", "http://[::1]:8188/x")
    places = command._hosts(replace(given(tmp_path, TABLE), hosts=hosts))
    assert [place.name for place in places] == ["a:1", "b-2", "b-3", "[::1]:8188"]
    assert tuple(place.at for place in places) == hosts
    with pytest.raises(LoraInputError, match="twice"):
        command._hosts(replace(given(tmp_path, TABLE), hosts=("http://a:1", "http://A:1/")))
    with pytest.raises(NoAnswerError) as error:
        Server("http://127.0.0.1:9/secret").get("/queue")
    assert "secret" not in str(error.value)


class Nobody:
    """An engine of no workers."""

    names, ready, unheard = (), frozenset(), frozenset()

    def wait(self, _):
        return []


def test_a_manifest_that_cant_be_written_does_not_hide_what_became_of_the_items(tmp_path):
    asked = given(tmp_path, TABLE)
    items = planned(asked).items
    with Journal(asked.out) as journal:
        for item in items:
            journal.add(item, Outcome("ok"))
    plan = planned(asked)
    (asked.out / "manifest.parquet").mkdir()
    (asked.out / "manifest.parquet" / "in the way").touch()
    made = command.render(asked, plan, Nobody(), Watch())
    assert not made.is_whole
    assert made.summary.stopped.startswith("The manifest or the sheet can't be written: ")
    assert (made.manifest, made.sheet) == (None, None)


@pytest.mark.parametrize("module", ["pyarrow.parquet", "PIL.Image"])
def test_what_is_needed_at_the_end_is_looked_for_before_anything_starts(
    tmp_path, monkeypatch, module
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LoraInputError, match=re.escape(f"needs {module}")):
        began(given(tmp_path, TABLE))


def result(*failed, not_done=(), stopped=None):
    summary = Summary(2, failed, not_done, 61.4, stopped)
    return Result(summary, failed, Path("out/manifest.parquet"), Path("out/sheet.png"))


BROKEN = entry(
    4,
    {"Ink.strength": 0.5, "KSampler.seed": 7},
    status="error",
    error=Failure("out of memory", "12", "KSampler"),
)


def test_what_failed_is_said_with_row_parameters_node_and_message(capsys):
    cli._tell_result(result(BROKEN))
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "rendered: 2 in 61 s, failed: 1",
        "written: out/manifest.parquet",
        "written: out/sheet.png",
    ]
    assert told.err.splitlines() == [
        "failed: row 5 (Ink.strength = 0.5, KSampler.seed = 7): error in node 12 (KSampler): out of memory"
    ]


def test_what_a_table_holds_does_not_steer_the_terminal(capsys):
    text = "\x1b[2J\ud800" + "x" * 5000
    cli._tell_result(result(replace(BROKEN, parameters={"\x1b.text": text}), stopped="\x1b[2J"))
    told = capsys.readouterr().err
    assert told.encode()
    assert "\x1b" not in told
    assert len(told) < 600


def test_many_failures_are_counted(capsys):
    cli._tell_result(result(*[BROKEN] * 25))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "failed: 5 more; the manifest has them all"


def test_what_was_not_reached_is_said(capsys):
    left = Item(0, {}, {}, "key")
    cli._tell_result(result(not_done=(left, left), stopped="No worker is left."))
    told = capsys.readouterr().err
    assert told == "stopped: No worker is left. Left: 2. Run the same command again to go on\n"


def test_where_nothing_is_left_nobody_is_told_to_go_on(capsys):
    cli._tell_result(result(stopped="The manifest or the sheet can't be written: no space."))
    told = capsys.readouterr().err
    assert (
        told == "stopped: The manifest or the sheet can't be written: no space. Nothing is left\n"
    )


def test_it_is_whole_only_if_nothing_failed_and_nothing_is_left():
    left = Item(0, {}, {}, "key")
    assert result().is_whole
    assert not result(BROKEN).is_whole
    assert not result(not_done=(left,), stopped="interrupted").is_whole


def test_for_programs_it_is_all_there():
    told = json.loads(json.dumps(result(BROKEN).to_dict()))
    assert told["failed"] == [
        {
            "index": 4,
            "parameters": {"Ink.strength": 0.5, "KSampler.seed": 7},
            "status": "error",
            "node": "12",
            "message": "out of memory",
        }
    ]
    assert told["rendered"] == 2


def test_a_plan_is_told_in_three_lines(capsys):
    items = tuple(Item(n, {}, {}, str(n), base="a", recipe=str(n % 2)) for n in range(4))
    jobs = (Job(items[1:3], {}), Job(items[3:], {}))
    cli._tell_plan(Plan(5, items, items[1:], jobs))
    assert capsys.readouterr().out.splitlines() == [
        "rows: 5, of them different: 4",
        "done before: 1, to do: 3",
        "prompts: 2, of them batches: 1; models: 1, different sets of LoRAs: 2",
    ]


def test_a_plan_without_anything_to_do_is_told_in_two(capsys):
    items = (Item(0, {}, {}, "key"),)
    cli._tell_plan(Plan(2, items, (), ()))
    assert capsys.readouterr().out.splitlines() == [
        "rows: 2, of them different: 1",
        "done before: 1, to do: 0",
    ]


@pytest.mark.parametrize(
    ("arguments", "models", "pictures"),
    [
        ((), "comfy/models", "comfy/input"),
        (("--cpu", "--base-directory", "b"), "b/models", "b/input"),
        (("--base-directory=a", "--base-directory=b"), "b/models", "b/input"),
        (("--input-directory", "i", "--base-directory"), "comfy/models", "i"),
    ],
)
def test_models_are_where_the_arguments_of_comfyui_say(tmp_path, arguments, models, pictures):
    (tmp_path / "comfy").mkdir()
    (tmp_path / "comfy" / "main.py").touch()
    asked = Asked(Path("w"), Path("t"), Path("out"), comfyui=Path("comfy"), arguments=arguments)
    assert [path.absolute() for path in command._folders(asked)] == [
        tmp_path / models,
        tmp_path / pictures,
    ]


@pytest.mark.parametrize(
    ("workers", "gpus", "share"),
    [(1, 1, 1), (2, 1, 0.5), (3, 2, 0.5), (3, 1, 0.3333), (7, 3, 0.3333), (2, 4, 1), (3, 0, 0)],
)
def test_every_worker_finds_room_on_one_gpu(workers, gpus, share):
    assert command._fair(workers, gpus) == share
    assert not gpus or gpus * int(1 / share) >= workers


def test_a_folder_in_use_is_refused_before_anything_is_started(tmp_path):
    asked = Asked(Path("w"), Path("t"), tmp_path / "out")

    def also():
        with command.alone(asked, None):
            pass

    for holding in (Journal(asked.out), command.alone(asked, None)):
        with holding, pytest.raises(LoraInputError, match=re.escape(str(asked.out))):
            also()
    also()
    on_hosts = replace(asked, hosts=("h",))  # they and a dry run use no folder of ComfyUIs
    with command.alone(asked, None), command.alone(asked, tmp_path), command.alone(on_hosts, None):
        pass


def test_a_refusal_is_an_error_with_fields():
    with pytest.raises(LoraInputError) as caught:
        began(Asked(Path("w"), Path("t"), Path("out")))
    assert caught.value.key == "comfyui"
    assert caught.value.expected == "a folder with ComfyUI's main.py"
