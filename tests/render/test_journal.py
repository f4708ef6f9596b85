"""The journal: nothing is lost, nothing is there twice."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core.errors import LoraFileError, LoraInputError
from lora_render.item import Failure, Outcome, Output
from lora_render.journal import JOURNAL, Entry, Journal, SavedFile
from lora_render.named_loras import NamedLora


def painted(*contents, name="p_00001_.png"):
    outputs = tuple(Output("1", "images", name, content) for content in contents)
    return Outcome("ok", outputs, seconds=1.5, worker="w0@here", started=10.0, finished=11.5)


def test_an_entry_says_everything_of_an_item(tmp_path, make_item):
    with Journal(tmp_path) as journal:
        entry = journal.add(make_item(6, recipe="ink"), painted(b"picture", b"second"))
    assert (entry.index, entry.parameters, entry.seeds) == (6, {"Painter.seed": 6}, (6,))
    assert (entry.base, entry.recipe, entry.file_hashes) == ("model", "ink", {"a.bin": "0" * 64})
    assert (entry.status, entry.error, entry.worker) == ("ok", None, "w0@here")
    assert (entry.seconds, entry.started, entry.finished) == (1.5, 10.0, 11.5)
    paths = [f"images/00007-{entry.key[:16]}.png", f"images/00007-{entry.key[:16]}-2.png"]
    assert [file.path for file in entry.files] == paths
    for file, content in zip(entry.files, (b"picture", b"second"), strict=True):
        assert (tmp_path / file.path).read_bytes() == content
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == sorted(
        path.removeprefix("images/") for path in paths
    )


def test_it_is_there_again_when_it_is_opened_again(tmp_path, make_item):
    failure = Outcome("error", failure=Failure("it fails", "13", "TKTrouble"), attempts=2)
    with Journal(tmp_path) as journal:
        added = [journal.add(make_item(1), painted(b"x")), journal.add(make_item(0), failure)]
    with Journal(tmp_path) as journal:
        assert journal.entries() == [added[1], added[0]]
        assert journal.has(added[0].key)
        assert not journal.has(added[1].key)
        assert not journal.has("unknown")


def test_a_folder_has_one_id_and_another_folder_another(tmp_path):
    with Journal(tmp_path / "one") as one:
        first = one.id
    with Journal(tmp_path / "one") as one, Journal(tmp_path / "two") as two:
        assert first == one.id != two.id
    assert len(first) == 32


def test_the_latest_line_of_an_item_counts(tmp_path, make_item):
    with Journal(tmp_path) as journal:
        journal.add(make_item(0), Outcome("timeout", failure=Failure("too long")))
        journal.add(make_item(0), painted(b"x"))
        assert [entry.status for entry in journal.entries()] == ["ok"]
    with Journal(tmp_path) as journal:
        assert [entry.status for entry in journal.entries()] == ["ok"]


@pytest.mark.parametrize("change", ["gone", "shorter"])
def test_an_item_whose_file_was_changed_is_not_there(tmp_path, make_item, change):
    with Journal(tmp_path) as journal:
        entry = journal.add(make_item(0), painted(b"picture"))
        path = tmp_path / entry.files[0].path
        path.unlink() if change == "gone" else path.write_bytes(b"pic")
        assert not journal.has(entry.key)


@pytest.mark.parametrize("cut", [1, 20])
def test_a_last_line_that_was_cut_off_is_taken_away(tmp_path, make_item, cut):
    with Journal(tmp_path) as journal:
        kept = journal.add(make_item(0), painted(b"x"))
        torn = journal.add(make_item(1), painted(b"y"))
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(tmp_path) as journal:
        assert journal.entries() == [kept]
        assert not journal.has(torn.key)
        journal.add(make_item(1), painted(b"y"))
    assert [json.loads(line)["index"] for line in path.read_text().splitlines()] == [0, 1]


@pytest.mark.parametrize("damage", ["}", "[]", '{"key": "x"}', "no JSON"])
def test_a_damaged_line_in_between_is_refused(tmp_path, make_item, damage):
    with Journal(tmp_path) as journal:
        journal.add(make_item(0), painted(b"x"))
    path = tmp_path / "journal.jsonl"
    path.write_text(damage + "\n" + path.read_text())
    before = path.read_bytes()
    with pytest.raises(LoraFileError, match="Remove it") as error:
        Journal(tmp_path)
    assert (error.value.file, error.value.key) == (str(path), "1")
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.png", "images/../../x.png", "..\\x.png"])
def test_a_line_that_leads_out_of_the_folder_is_refused(tmp_path, make_item, path):
    with Journal(tmp_path) as journal:
        entry = journal.add(make_item(0), painted(b"x"))
    elsewhere = replace(entry, files=(replace(entry.files[0], path=path),))
    (tmp_path / "journal.jsonl").write_text(elsewhere.to_json() + "\n")
    with pytest.raises(LoraFileError):
        Journal(tmp_path)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("video.mp4", ".mp4"),
        ("x.p/../n", ".bin"),
        ("x", ".bin"),
        ("x.png\n", ".bin"),
        ("x." + "a" * 99, ".bin"),
    ],
)
def test_the_host_does_not_say_where_a_file_goes(tmp_path, make_item, name, ending):
    with Journal(tmp_path) as journal:
        entry = journal.add(make_item(0), painted(b"x", name=name))
    assert entry.files[0].path == f"images/00001-{entry.key[:16]}{ending}"
    assert entry.files[0].name == name


def test_a_second_run_in_the_folder_is_refused(tmp_path):
    with Journal(tmp_path):
        script = f"from pathlib import Path; from lora_render.journal import Journal; Journal(Path({str(tmp_path)!r}))"
        command = [sys.executable, "-c", script]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert other.returncode
        assert "LoraInputError: Another run writes into" in other.stderr
        with pytest.raises(LoraInputError):
            Journal(tmp_path)
    Journal(tmp_path).close()


def test_after_kill_9_every_line_has_its_files(tmp_path):
    """And the folder is free again."""
    script = f"""
import itertools, sys
from pathlib import Path
from lora_render.item import Item, Outcome, Output
from lora_render.journal import Journal
journal = Journal(Path({str(tmp_path)!r}))
for number in itertools.count():
    output = Output("1", "images", "x.png", bytes([number % 256]) * 50_000)
    journal.add(Item(number, {{}}, {{}}, f"{{number:064d}}"), Outcome("ok", (output,) * 3))
    print(number, flush=True)
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        while int(writer.stdout.readline()) < 20:
            pass
        writer.send_signal(signal.SIGKILL)
        said = [20, *map(int, writer.stdout.read().split())]
    with Journal(tmp_path) as journal:
        entries = journal.entries()
        assert [entry.index for entry in entries] == [*range(len(entries))]
        assert len(entries) > said[-1]
        for entry in entries:
            assert journal.has(entry.key)
            for file in entry.files:
                content = (tmp_path / file.path).read_bytes()
                assert hashlib.sha256(content).hexdigest() == file.sha256


def test_an_item_waits_for_the_disk_once(tmp_path, make_item, monkeypatch):
    """The lines of many items get there together, and the last ones at the end."""
    synced = []
    sync = os.fsync
    monkeypatch.setattr("os.fsync", lambda file: (synced.append(kind(file)), sync(file)))
    monkeypatch.setattr("lora_render.journal._SYNC_SECONDS", 10**6)

    def kind(file):
        return "line" if os.fstat(file).st_ino == (tmp_path / JOURNAL).stat().st_ino else "file"

    with Journal(tmp_path) as journal:
        for number in range(5):
            journal.add(make_item(number), painted(b"x"))
        journal.tick()
        assert synced == ["file"] * 5
        monkeypatch.setattr("lora_render.journal._SYNC_SECONDS", 0)
        journal.tick()
        journal.tick()
        assert synced[5:] == ["line"]
        monkeypatch.setattr("lora_render.journal._SYNC_SECONDS", 10**6)
        journal.add(make_item(5), painted(b"x"))
    assert synced[6:] == ["file", "line"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "none", folder]
    if not unmount or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run([unmount, folder], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk is a tmpfs")
@pytest.mark.parametrize("what", ["a file", "a line"])
def test_a_full_disk_leaves_the_journal_as_it_was(small_disk, make_item, what):
    """The line that does not fit is partly there at first."""
    outcome = Outcome("error", failure=Failure("x" * 3001))
    added = []
    with Journal(small_disk) as journal:
        with pytest.raises(OSError, match="No space left"):
            for number in range(1000):
                item = make_item(number)
                added.append(
                    journal.add(item, painted(b"x" * 10_000) if what == "a file" else outcome)
                )
        assert 3 <= len(added) < 1000
        assert journal.entries() == added
        assert not [*small_disk.rglob("*.part")]
        written = (small_disk / "journal.jsonl").read_text()
        assert [Entry.from_json(line) for line in written.splitlines()] == added
        assert written.endswith("\n")
    with Journal(small_disk) as journal:
        assert journal.entries() == added
        assert all(journal.has(entry.key) == (what == "a file") for entry in added)


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk is a tmpfs")
def test_it_goes_on_once_there_is_space(small_disk, make_item):
    ballast = small_disk / "ballast"
    with Journal(small_disk) as journal:
        journal.add(make_item(0), painted(b"x"))
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(1 << 20))
        with pytest.raises(OSError, match="No space left"):
            journal.add(make_item(1), painted(b"x" * 5000))
        ballast.unlink()
        journal.add(make_item(1), painted(b"x" * 5000))
    with Journal(small_disk) as journal:
        assert [entry.index for entry in journal.entries()] == [0, 1]


texts = st.text(max_size=8)
entries = st.builds(
    Entry,
    key=texts,
    index=st.integers(0),
    parameters=st.dictionaries(
        texts, texts | st.integers() | st.booleans() | st.floats(allow_nan=False)
    ),
    seeds=st.lists(st.integers(), max_size=2).map(tuple),
    prompt_hash=texts,
    file_hashes=st.dictionaries(texts, texts),
    base=texts,
    recipe=texts,
    status=st.sampled_from(("ok", "error", "lost")),
    files=st.lists(
        st.builds(SavedFile, st.just("images/x.png"), st.integers(0), texts, texts, texts, texts),
        max_size=2,
    ).map(tuple),
    error=st.none() | st.builds(Failure, texts, st.none() | texts, st.none() | texts),
    seconds=st.none() | st.floats(0, 1e9),
    started=st.none() | st.floats(0, 1e12),
    finished=st.none() | st.floats(0, 1e12),
    worker=texts,
    attempts=st.integers(1),
    loras=st.lists(st.builds(NamedLora, texts, st.none() | st.floats(-9, 9), st.none())).map(tuple),
)


@given(entries)
def test_an_entry_is_one_line_of_ascii_and_comes_back_equal(entry):
    line = entry.to_json()
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert Entry.from_json(line) == entry


def test_times_are_ours_where_comfyui_says_none(tmp_path, make_item):
    before = time.time()
    with Journal(tmp_path) as journal:
        entry = journal.add(make_item(0), Outcome("lost", failure=Failure("gone")))
    assert before <= entry.started == entry.finished <= time.time()
