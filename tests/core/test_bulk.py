"""A table of many files: what is in it, what a second run reads, and what a bad file stops (nothing)."""

import hashlib
import json
import os
import sys
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pyarrow.parquet
import pytest
import torch
from safetensors.torch import load_file

from harness.samples import pair, write
from lora_core import LoraError
from lora_core.__main__ import main
from lora_core.bulk.columns import COLUMNS
from lora_core.bulk.journal import Journal
from lora_core.reading import check_file, identify
from tests.fuzz.judge import draft_of
from tests.fuzz.written import written

LAYER = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"


@pytest.fixture
def run(capsys):
    """One command in this process, which works alone: processes of its own take seconds to start."""

    def command(*arguments):
        status = main([*map(str, arguments), "--json", "--workers", "1"])
        said = capsys.readouterr()
        told = json.loads(said.out) if said.out else None
        return SimpleNamespace(returncode=status, told=told, stderr=said.err)

    return command


@pytest.fixture
def library(tmp_path):
    """Three sound files, one with everything next to it, and a page that was meant to be one."""
    folder = tmp_path / "library"
    (folder / "styles").mkdir(parents=True)
    noted = {"ss_network_module": "networks.lora", "modelspec.trigger_phrase": "=ink, 'sumi"}
    write(folder / "ink.safetensors", pair(LAYER, 8, 8, rank=2, alpha=1.0), noted)
    both = {**pair(LAYER, 8, 8, alpha=2.0), **pair(TEXT, 8, 8, rank=8, alpha=4.0)}
    halves = {key: tensor.half() for key, tensor in both.items()}
    write(folder / "styles" / "light.safetensors", halves)
    write(folder / "styles" / "other.safetensors", pair("linear", 6, 8))
    (folder / "page.safetensors").write_text("<html>" + " " * 100)
    (folder / "ink.json").write_text('{"activation text": "brush", "preferred weight": 0.7}')
    (folder / "ink.preview.png").write_bytes(b"")
    (folder / ".half.safetensors").write_bytes(b"")
    return folder


def rows_of(table: Path):
    if table.suffix == ".parquet":
        rows = pyarrow.parquet.read_table(table).to_pylist()
    else:
        rows = [json.loads(line) for line in table.read_text().splitlines()]
    return {row["name"]: row for row in rows}


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_row_for_each_file(run, library, tmp_path, ending):
    table = tmp_path / f"library.{ending}"
    said = run("inspect", library, "--out", table)
    assert said.returncode == 3
    assert said.told["done"] == 3
    (failed,) = said.told["failed"]
    assert failed["path"] == str(library / "page.safetensors")
    assert "HTML page" in failed["error"]
    rows = rows_of(table)
    assert [*rows] == [f"{name}.safetensors" for name in ("ink", "page", "light", "other")]
    assert all([*row] == [*COLUMNS] for row in rows.values())
    assert not list(tmp_path.glob("*.journal"))
    ink, light = rows["ink.safetensors"], rows["light.safetensors"]
    data = (library / "ink.safetensors").read_bytes()
    content = data[8 + int.from_bytes(data[:8], "little") :]
    assert ink["sha256"] == hashlib.sha256(data).hexdigest()
    assert ink["autov3"] == hashlib.sha256(content).hexdigest()
    assert (ink["size"], ink["strength"], ink["preview"]) == (len(data), 0.7, True)
    assert ink["trigger_words"] == ["=ink", "'sumi", "brush"]
    assert (light["rank_min"], light["rank_max"]) == (4, 8)
    assert (light["alpha_min"], light["alpha_max"]) == (2.0, 4.0)
    assert (light["dtypes"], light["text_encoder"], light["preview"]) == (["F16"], True, False)
    assert "HTML page" in rows["page.safetensors"]["error"]


def test_types_are_those_of_the_columns(run, library, tmp_path):
    run("inspect", library / "styles", "--out", tmp_path / "library.parquet")
    schema = pyarrow.parquet.read_schema(tmp_path / "library.parquet")
    kinds = {"string": "text", "int64": "whole", "double": "number", "bool": "truth"}
    found = {field.name: kinds.get(str(field.type), "texts") for field in schema}
    assert found == dict(COLUMNS)


def change_unseen(path: Path) -> str:
    """Changes the last byte of a file, and nothing that its folder says of it; returns its hash."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_second_run_reads_only_what_has_changed(run, library, tmp_path, ending):
    table = tmp_path / f"library.{ending}"
    run("inspect", library, "--out", table)
    before = table.read_bytes()
    changed = change_unseen(library / "ink.safetensors")
    said = run("inspect", library, "--out", table)
    assert (said.told["done"], said.told["kept"], len(said.told["failed"])) == (0, 3, 1)
    assert changed.encode() not in before
    assert table.read_bytes() == before
    os.utime(library / "ink.safetensors", ns=(0, 1))
    (library / "styles" / "light.txt").write_text("my notes")
    (library / "styles" / "other.safetensors").unlink()
    assert run("inspect", library, "--out", table).told["done"] == 2
    after = table.read_text(errors="replace") if ending != "parquet" else str(rows_of(table))
    assert changed in after
    assert "my notes" in after
    assert "other.safetensors" not in after


def test_hashes_are_not_taken_for_known_if_they_are_not(run, library, tmp_path):
    table = tmp_path / "library.jsonl"
    run("inspect", library, "--out", table, "--no-hashes")
    assert rows_of(table)["ink.safetensors"]["sha256"] is None
    assert run("inspect", library, "--out", table).told["done"] == 3
    assert rows_of(table)["ink.safetensors"]["sha256"]


def test_no_cell_of_a_csv_is_a_formula(run, tmp_path):
    for title in ("=1+1", "'=1", "@a\nb", 'say "x", y'):
        write(tmp_path / "own.safetensors", pair(LAYER, 8, 8), {"modelspec.title": title})
        run("inspect", tmp_path, "--out", tmp_path / "library.csv", "--no-hashes")
        text = (tmp_path / "library.csv").read_text()
        assert not any(cell.startswith(("=", "@")) for cell in text.replace('"', "").split(","))
        run("inspect", tmp_path, "--out", tmp_path / "library.csv", "--no-hashes")
        assert (tmp_path / "library.csv").read_text() == text


@pytest.mark.parametrize("name", ["library.csv", "library.jsonl", "library.parquet", "library.txt"])
def test_another_file_is_not_written_over(run, library, tmp_path, name):
    out = tmp_path / name
    out.write_text("name,size\nmine,1\n")
    said = run("inspect", library, "--out", out)
    assert (said.returncode, said.told) == (1, None)
    assert out.read_text() == "name,size\nmine,1\n"


def test_parquet_without_pyarrow_is_refused_in_words(run, library, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "pyarrow")
    said = run("inspect", library, "--out", tmp_path / "library.parquet")
    assert said.returncode == 1
    assert 'pip install "lora-algebra[render]"' in said.stderr


def test_hostile_files_are_rows_that_say_what_applying_says(run, tmp_path):
    folder = tmp_path / "library"
    for number in range(120):
        own = folder / str(number)
        own.mkdir(parents=True)
        written(draft_of(Random(number)), own)
    with torch.no_grad():
        run("inspect", folder, "--out", tmp_path / "library.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "library.jsonl").read_text().splitlines()]
    assert len(rows) == 120
    refused = [row["path"] for row in rows if row["error"]]
    assert refused == [row["path"] for row in rows if is_refused(row["path"])]
    assert 20 < len(refused) < 100


def is_refused(path: str) -> bool:
    try:
        check_file(identify(path))
    except LoraError:
        return True
    return False


def test_links_in_circles_missing_files_and_names_that_are_no_text(run, library, tmp_path):
    (library / "styles" / "again").symlink_to(library)
    (library / "gone.safetensors").symlink_to(library / "nowhere")
    os.mkfifo(library / "pipe.safetensors")
    odd = os.fsdecode(os.fsencode(str(library)) + b"/\xff.safetensors")
    Path(odd).write_bytes((library / "ink.safetensors").read_bytes())
    table = tmp_path / "library.parquet"
    missing = library / "missing.safetensors"
    said = run("inspect", library, library / "ink.safetensors", missing, "--out", table)
    assert (said.returncode, said.told["done"], said.told["files"]) == (3, 3, 8)
    errors = {name: row["error"] for name, row in rows_of(table).items()}
    assert {name for name, error in errors.items() if error is None} == {
        "ink.safetensors",
        "light.safetensors",
        "other.safetensors",
    }
    assert "regular file" in errors["pipe.safetensors"]
    assert "UTF-8" in errors["\ufffd.safetensors"]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_time_that_no_table_can_hold_stops_nothing(run, library, tmp_path, ending):
    os.utime(library / "ink.safetensors", ns=(0, 2**63))
    table = tmp_path / f"library.{ending}"
    assert run("inspect", library, "--out", table).told["done"] == 3
    assert run("inspect", library, "--out", table).told["kept"] == 3
    if ending != "csv":
        assert rows_of(table)["ink.safetensors"]["mtime_ns"] is None


def test_lines_of_a_journal_that_are_no_rows_are_left_out(run, library, tmp_path):
    table = tmp_path / "library.jsonl"
    run("inspect", library, "--out", table)
    row = rows_of(table)["ink.safetensors"]
    table.unlink()
    journal = tmp_path / "library.jsonl.journal"
    damaged = [{"path": 1, "size": "large"}, {"path": [], "size": {}}, []]
    journal.write_text("".join(f"{json.dumps(entry)}\n" for entry in (*damaged, row)))
    assert run("inspect", library, "--out", table).told["kept"] == 1


def test_a_table_has_one_writer_at_a_time(run, library, tmp_path):
    table = tmp_path / "library.jsonl"
    with Journal(tmp_path / "library.jsonl.journal"):
        said = run("inspect", library, "--out", table)
    assert (said.returncode, "Another run writes" in said.stderr) == (1, True)
    assert not table.exists()
    assert run("inspect", library, "--out", table).told["done"] == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look anywhere")
def test_a_folder_that_nobody_may_look_into_stops_nothing(run, library, tmp_path):
    shut = [library / "ink", tmp_path / "shut"]
    for folder in shut:
        folder.mkdir()
        folder.chmod(0)
    rows = run("inspect", library, tmp_path / "shut", "--out", tmp_path / "library.jsonl")
    made = run("resize", library, shut[1], "--rank", "1", "--out-dir", tmp_path / "small")
    for folder in shut:
        folder.chmod(0o700)
    for said in (rows, made):
        failed = {each["path"]: each["error"] for each in said.told["failed"]}
        assert said.told["done"] == 3
        assert "denied" in failed[str(library / "ink")]
        assert len(failed) == 3  # the others are the folder that was named, and the page


# --- new files from many --------------------------------------------------------------------------


def made_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.safetensors")}


def test_resize_keeps_names_and_sub_folders(run, library, tmp_path):
    out = tmp_path / "small"
    said = run("resize", library, "--rank", "1", "--out-dir", out)
    assert (said.returncode, said.told["done"], len(said.told["failed"])) == (3, 3, 1)
    names = {"ink.safetensors", "styles/light.safetensors", "styles/other.safetensors"}
    assert made_in(out) == names
    assert load_file(out / "ink.safetensors")[f"{LAYER}.lora_down.weight"].shape == (1, 8)


def test_what_was_made_is_kept_and_nothing_is_replaced(run, library, tmp_path):
    out = tmp_path / "half"
    convert = ("convert", library / "styles", "--dtype", "float16", "--out-dir", out)
    assert run(*convert).told["done"] == 2
    first = (out / "light.safetensors").read_bytes()
    change_unseen(library / "styles" / "light.safetensors")
    said = run(*convert)
    assert (said.returncode, said.told["kept"]) == (0, 2)
    # another state of the input, another setting, or a file of somebody else's
    os.utime(library / "styles" / "light.safetensors", ns=(0, 1))
    said = run(*convert)
    assert (said.returncode, said.told["kept"]) == (3, 1)
    assert "already" in said.told["failed"][0]["error"]
    assert run(*convert[:3], "float32", *convert[4:]).told["kept"] == 0
    assert (out / "light.safetensors").read_bytes() == first
    (out / "light.safetensors").unlink()
    assert run(*convert).told == {**said.told, "done": 1, "kept": 1, "failed": []}


def test_a_file_that_got_its_name_before_we_were_stopped_is_kept(run, library, tmp_path):
    out = tmp_path / "half"
    convert = ("convert", library / "styles", "--dtype", "float16", "--out-dir", out)
    run(*convert)
    journal = out / "lora-algebra.jsonl"
    begun = [line for line in journal.read_text().splitlines() if "state" not in line]
    journal.write_text("\n".join([*begun, '{"out": "light.saf']))
    assert run(*convert).told["kept"] == 2
    journal.unlink()
    assert len(run(*convert).told["failed"]) == 2


def test_two_files_that_would_become_one(run, library, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    write(again / "ink.safetensors", pair(LAYER, 8, 8, rank=8))
    said = run(
        "resize", library / "ink.safetensors", again, "--rank", "1", "--out-dir", tmp_path / "o"
    )
    (failed,) = said.told["failed"]
    assert (said.told["done"], failed["path"]) == (1, str(again / "ink.safetensors"))


def test_a_file_that_is_named_twice_is_made_once(run, library, tmp_path):
    (tmp_path / "empty").mkdir()
    styles = library / "styles"
    named = (styles, styles / "light.safetensors", tmp_path / "empty")
    said = run("resize", *named, "--rank", "1", "--out-dir", tmp_path / "o")
    assert (said.returncode, said.told["files"], said.told["done"]) == (0, 2, 2)


def test_a_folder_has_one_writer_at_a_time(run, library, tmp_path):
    out = tmp_path / "small"
    out.mkdir()
    resize = ("resize", library / "styles", "--rank", "1", "--out-dir", out)
    with Journal(out / "lora-algebra.jsonl"):
        said = run(*resize)
    assert (said.returncode, "Another run writes" in said.stderr) == (1, True)
    assert not made_in(out)
    assert run(*resize).told["done"] == 2


def test_what_a_killed_run_has_left_is_cleared_away(run, library, tmp_path):
    out = tmp_path / "small"
    resize = ("resize", library / "styles", "--rank", "1", "--out-dir", out)
    run(*resize)
    (out / "light.safetensors").unlink()
    half, other = out / ".light.123.part.safetensors", out / ".mine.123.part.safetensors"
    for part in (half, other):
        part.write_bytes(b"half")
    assert run(*resize).told["done"] == 1
    assert (half.exists(), other.exists()) == (False, True)


def test_lines_of_its_journal_that_are_no_entries_are_left_out(run, library, tmp_path):
    out = tmp_path / "small"
    out.mkdir()
    lines = '{"out": [1]}\n{"out": "light.safetensors", "key": 5}\n'
    (out / "lora-algebra.jsonl").write_text(lines)
    assert run("resize", library / "styles", "--rank", "1", "--out-dir", out).told["done"] == 2


def test_what_was_made_is_no_input(run, library):
    out = library / "small"
    for kept in (0, 3):
        assert run("resize", library, "--rank", "1", "--out-dir", out).told["kept"] == kept
    assert len(made_in(out)) == 3


def test_analyse_writes_one_for_each(run, library, tmp_path):
    out = tmp_path / "analyses"
    said = run(
        "analyse", library / "styles", f"{library / 'ink.safetensors'}=0.5", "--out-dir", out
    )
    assert (said.returncode, said.told["done"]) == (0, 3)
    found = json.loads((out / "ink.analysis.json").read_text())
    up, down = (
        load_file(library / "ink.safetensors")[f"{LAYER}.lora_{k}.weight"] for k in ("up", "down")
    )
    assert found["total"] == pytest.approx(0.25 * float((up @ down).norm()), rel=1e-5)


@pytest.mark.parametrize("verb", ["inspect", "resize", "convert"])
def test_a_folder_needs_a_place_for_what_is_made(run, library, tmp_path, verb):
    rank = ("--rank", "2") if verb == "resize" else ()
    place = () if verb == "inspect" else ("-o", tmp_path / "out.safetensors")
    said = run(verb, library, *rank, *place)
    assert (said.returncode, "or a folder, say" in said.stderr) == (1, True)


def test_a_folder_without_files_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    said = run("inspect", tmp_path / "empty", "--out", tmp_path / "library.jsonl")
    assert (said.returncode, "no .safetensors file" in said.stderr) == (1, True)
    assert not (tmp_path / "library.jsonl").exists()


def test_new_files_beside_the_loras_are_refused(run, library, monkeypatch):
    monkeypatch.chdir(library)
    before = sorted(library.iterdir())
    said = run("resize", library, "--rank", "2", "--out-dir", ".")
    assert (said.returncode, "where the LoRAs are. Choose another folder" in said.stderr) == (
        1,
        True,
    )
    assert sorted(library.iterdir()) == before
