"""The manifest: a column for each parameter, with the type of its values."""

from __future__ import annotations

import pytest

from lora_core.errors import LoraInputError
from lora_render import extra
from lora_render.item import Failure
from lora_render.manifest import write_manifest
from lora_render.named_loras import NamedLora
from tests.render.made import entry

parquet = pytest.importorskip("pyarrow.parquet")
SEED = 2**64 - 1


def written(tmp_path, *entries):
    write_manifest(entries, tmp_path / "manifest.parquet")
    return parquet.read_table(tmp_path / "manifest.parquet")


def column(tmp_path, *values):
    made = [entry(n, {} if v is None else {"Node.x": v}) for n, v in enumerate(values)]
    column = written(tmp_path, *made)["Node.x"]
    return str(column.type), column.to_pylist()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 2, None), "int64"),
        ((0, SEED), "uint64"),
        ((0.5, 2, None), "double"),
        ((True, False), "bool"),
        (("a", None, "b"), "string"),
    ],
)
def test_a_parameter_keeps_the_type_of_its_values(tmp_path, values, kind):
    assert column(tmp_path, *values) == (kind, [*values])


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((1, "a", 0.5), ["1", "a", "0.5"]),
        ((True, 1), ["True", "1"]),
        ((0.5, SEED), ["0.5", str(SEED)]),
        ((-1, SEED), ["-1", str(SEED)]),
    ],
)
def test_what_no_other_type_holds_exactly_is_text(tmp_path, values, texts):
    assert column(tmp_path, *values) == ("string", texts)


def test_rows_are_in_the_order_of_the_table(tmp_path):
    table = written(tmp_path, entry(2, {"Node.x": "c"}), entry(0, {"Node.x": "a"}))
    assert table["index"].to_pylist() == [0, 2]
    assert table["Node.x"].to_pylist() == ["a", "c"]


def test_everything_that_is_known_is_there(tmp_path):
    made = entry(
        0,
        {"KSampler.seed": SEED, "key": "own"},
        "a.png",
        "b.png",
        seeds=(SEED, 7),
        file_hashes={"ink.safetensors": "ab"},
        status="error",
        error=Failure("out of memory", "7"),
        seconds=1.5,
        started=1_800_000_000.25,
        loras=(NamedLora("ink", 0.5, None),),
    )
    (row,) = written(tmp_path, made).to_pylist()
    assert row["key"] == "key 0"
    assert row["parameter key"] == "own"
    assert [file["path"] for file in row["files"]] == ["a.png", "b.png"]
    first = {"node": "9", "kind": "image", "path": "a.png", "bytes": 1, "sha256": "00"}
    assert row["files"][0] == first
    assert row["seeds"] == [SEED, 7]
    assert row["file_hashes"] == [{"name": "ink.safetensors", "sha256": "ab"}]
    assert row["loras"] == [{"name": "ink", "strength": 0.5, "strength_clip": None}]
    assert (row["status"], row["error"], row["error_node"]) == ("error", "out of memory", "7")
    assert row["seconds"] == 1.5
    assert row["started"].isoformat() == "2027-01-15T08:00:00.250000+00:00"
    assert row["finished"] is None


def test_seeds_that_no_number_holds_are_text(tmp_path):
    table = written(tmp_path, entry(0, {}, seeds=(-1,)), entry(1, {}, seeds=(SEED,)))
    assert table["seeds"].to_pylist() == [["-1"], [str(SEED)]]


def test_a_manifest_of_nothing_has_its_columns(tmp_path):
    table = written(tmp_path)
    assert table.num_rows == 0
    assert {"index", "key", "status", "files", "recipe", "seconds"} <= {*table.column_names}


def test_an_error_leaves_the_old_one_and_nothing_else(tmp_path):
    written(tmp_path, entry(0, {}))
    before = (tmp_path / "manifest.parquet").read_bytes()
    with pytest.raises(Exception, match="int"):
        written(tmp_path, entry("zero", {}))
    assert (tmp_path / "manifest.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.parquet"]


def test_what_cannot_take_its_name_leaves_nothing(tmp_path):
    (tmp_path / "manifest.parquet").mkdir()
    with pytest.raises(OSError):
        write_manifest([entry(0, {})], tmp_path / "manifest.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.parquet"]


def test_a_missing_package_is_said_with_what_installs_it():
    with pytest.raises(LoraInputError, match=r'pip install "lora-algebra\[render\]"') as caught:
        extra.needed("no_such_package_of_ours.part")
    assert caught.value.key == "no_such_package_of_ours"


def test_halves_of_letters_do_not_stop_it(tmp_path):
    """JSON may hold them, UTF-8 may not."""
    half = "a\ud800"
    made = entry(0, {f"{half}.x": half}, error=Failure(half, half), file_hashes={half: "00"})
    row = written(tmp_path, made).to_pylist()[0]
    assert (row["a?.x"], row["error"], row["error_node"]) == ("a?", "a?", "a?")
    assert row["file_hashes"] == [{"name": "a?", "sha256": "00"}]
