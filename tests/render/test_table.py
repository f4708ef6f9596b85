"""Tables in every form, and what is wrong in one."""

from __future__ import annotations

import csv
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core.errors import LoraInputError
from lora_render.table import read_table

ROWS = [{"KSampler.seed": 1, "Positive.text": 'a, "b"\nc'}, {"KSampler.seed": 2}]


def written(folder, name, content):
    file = folder / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content, encoding="utf-8", newline="")
    return file


def refusal(folder, name, content):
    with pytest.raises(LoraInputError) as caught:
        read_table(written(folder, name, content))
    assert caught.value.file == name
    return str(caught.value)


class TestForms:
    @pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a mark"])
    def test_csv(self, tmp_path, mark):
        text = mark + 'KSampler.seed,Positive.text\r\n1,"a, ""b""\nc"\r\n\r\n2,\r\n'
        rows = read_table(written(tmp_path, "t.csv", text))
        assert rows == [
            {"KSampler.seed": "1", "Positive.text": ROWS[0]["Positive.text"]},
            {"KSampler.seed": "2"},
        ]

    def test_json_lines(self, tmp_path):
        text = "\n\n".join(json.dumps(row | {"x.y": None}) for row in ROWS)
        assert read_table(written(tmp_path, "t.jsonl", text)) == ROWS

    def test_a_list_of_rows(self, tmp_path):
        assert read_table(written(tmp_path, "t.json", json.dumps(ROWS))) == ROWS

    def test_parquet(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        file = tmp_path / "t.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
        assert read_table(file) == ROWS

    @given(
        st.lists(
            st.dictionaries(
                st.text("ab.# é", min_size=1, max_size=4),
                st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=5),
                min_size=1,
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_any_texts_come_back_from_csv(self, tmp_path_factory, rows):
        columns = sorted({column for row in rows for column in row})
        file = tmp_path_factory.mktemp("any") / "t.csv"
        with file.open("w", newline="", encoding="utf-8-sig") as target:
            writer = csv.DictWriter(target, columns)
            writer.writeheader()
            writer.writerows(rows)
        assert read_table(file) == rows


class TestGrid:
    def test_it_is_every_combination_the_last_one_fastest(self, tmp_path):
        grid = {"a.x": [True, "no"], "b.y": "1..3", "c.z": 5}
        rows = read_table(written(tmp_path, "t.json", json.dumps(grid)))
        assert [tuple(row.values()) for row in rows] == [
            (first, second, 5) for first in (True, "no") for second in (1, 2, 3)
        ]
        assert list(rows[0]) == list(grid)

    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ("0..1 x 5", [0, 0.25, 0.5, 0.75, 1]),
            ("-1..1 x 3", [-1, 0, 1]),
            ("1..4", [1, 2, 3, 4]),
            ("3..1", [3, 2, 1]),
            ("1..3, 10", [1, 2, 3, 10]),
            ("0, 0.5; 1", [0, 0.5, 1]),
            ("18446744073709551615", [2**64 - 1]),
        ],
    )
    def test_a_text_is_numbers(self, tmp_path, text, values):
        rows = read_table(written(tmp_path, "t.json", json.dumps({"a.x": text})))
        found = [row["a.x"] for row in rows]
        assert found == values
        assert [type(each) for each in found] == [type(each) for each in values]

    def test_texts_in_a_list_are_texts(self, tmp_path):
        rows = read_table(written(tmp_path, "t.json", json.dumps({"a.x": ["0..1 x 5"]})))
        assert rows == [{"a.x": "0..1 x 5"}]

    @given(st.lists(st.lists(st.integers(), min_size=1, max_size=4), min_size=1, max_size=4))
    def test_it_has_as_many_rows_as_there_are_combinations(self, tmp_path_factory, axes):
        grid = {f"node.{place}": values for place, values in enumerate(axes)}
        file = written(tmp_path_factory.mktemp("any"), "t.json", json.dumps(grid))
        assert len(read_table(file)) == math.prod(map(len, axes))


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("t.txt", "", "it is no table"),
            ("t.csv", "", "no rows"),
            ("t.csv", "a.x\n", "no rows"),
            (
                "t.csv",
                "a.x,b.y\n1,2\n1,2,3\n",
                "line 3: cells are missing or too many: expected 2 cells, found 3",
            ),
            ("t.csv", "a.x,b.y\n1\n", "line 2: cells are missing"),
            ("t.csv", "a.x,a.x\n1,2\n", 'line 1: column "a.x" is there twice'),
            ("t.csv", "a.x,\n1,2\n", "line 1: column 2 has no name"),
            ("t.csv", 'a.x\n"1\n', "line 2"),
            ("t.csv", b"a.x\n\xff\xfe\n", "text in UTF-8"),
            ("t.jsonl", '{"a.x": 1}\n{"a.x": [1]}\n', 'line 2, column "a.x": it is no value'),
            ("t.jsonl", '{"a.x": 1}\n\n{"a.x"}\n', "line 3: it cannot be read"),
            ("t.jsonl", '{"a.x": NaN}\n', "line 1: it cannot be read"),
            ("t.jsonl", '{"a.x": 1, "a.x": 2}\n', '"a.x" twice'),
            ("t.jsonl", "[1]\n", "line 1: it is no row"),
            ("t.json", "[[1]]", "row 1: it is no row"),
            ("t.json", "[]", "no rows"),
            ("t.json", "{}", "no rows"),
            ("t.json", "7", "no rows"),
            ("t.json", '{"a.x": []}', 'column "a.x": it has no values'),
            (
                "t.json",
                '{"a.x": "a cat"}',
                'column "a.x": it is no range: expected a list of values, or numbers',
            ),
            ("t.json", '{"a.x": "0..1"} x', "cannot be read"),
            ("t.json", '{"a.x": [{"b": 1}]}', 'column "a.x": it is no value'),
            ("t.json", '{"a.x": "0.5..1"}', "a count"),
            ("t.json", '{"a.x": "1..10000"}', "a list of values, or at most 4096 values"),
            ("t.json", '{"a.x": "0.5, 1024"}', "at most 1000, or more if all are whole numbers"),
            ("t.csv", "a.x;b.y\n1;2\n", "commas between the columns, found semicolons"),
            ("t.csv", "a.x\n1,2\n", "expected 1 cell, found 2"),
            ("t.parquet", b"PAR1 but not", "it is no Parquet"),
        ],
    )
    def test_it_says_the_file_and_the_place(self, tmp_path, name, content, said):
        assert said in refusal(tmp_path, name, content)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(LoraInputError, match="there is no such file"):
            read_table(tmp_path / "none.csv")

    def test_a_grid_without_end(self, tmp_path):
        grid = {f"a.{place}": "1..4096" for place in range(3)}
        assert "at most 1000000 rows" in refusal(tmp_path, "t.json", json.dumps(grid))
