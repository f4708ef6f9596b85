"""A column means one input, and a value has the type of that input."""

from __future__ import annotations

import json

import pytest

from lora_core.errors import LoraInputError
from lora_render.columns import apply_table
from tests.render.graphs import INFO, node, prompt


def applied(row, made=None, info=INFO):
    """What one row makes of a prompt: the values in their types, and the prompt."""
    ((_, parameters, own),) = apply_table(made or prompt(), [row], info)
    return parameters, own


def refusal(row, made=None):
    with pytest.raises(LoraInputError) as caught:
        applied(row, made)
    return caught.value


class TestNames:
    @pytest.mark.parametrize(
        "column",
        ["The v1.5 sampler.seed", "KSampler.seed", "#6.seed"],
        ids=["title", "class", "id"],
    )
    def test_a_node_is_called_by_title_class_or_id(self, column):
        parameters, own = applied({column: 9})
        assert own["6"]["inputs"]["seed"] == parameters[column] == 9

    def test_the_input_may_have_dots(self):
        made = prompt()
        made["9"] = node(
            "CombineLoRAs", method="ties", **{"method.density": 0.2, "loras.lora_0": ["2", 0]}
        )
        _, own = applied({"CombineLoRAs.method.density": "0.5"}, made)
        assert own["9"]["inputs"]["method.density"] == 0.5

    def test_the_longest_title_counts(self):
        made = prompt()
        made["9"] = node("KSampler", "The v1", **{"5 sampler.seed": 1})
        _, own = applied({"The v1.5 sampler.seed": 9}, made)
        assert own["6"]["inputs"]["seed"] == 9

    def test_a_title_comes_before_a_class(self):
        made = prompt()
        made["9"] = node("EmptyLatentImage", "KSampler", seed=1)
        _, own = applied({"KSampler.seed": 9}, made)
        assert own["9"]["inputs"]["seed"] == 9
        assert own["6"]["inputs"]["seed"] == 7

    def test_a_class_serves_where_the_title_has_no_such_input(self):
        made = prompt()
        made["9"] = node("EmptyLatentImage", "KSampler", width=1)
        assert applied({"KSampler.seed": 9}, made)[1]["6"]["inputs"]["seed"] == 9

    def test_two_nodes_of_a_name_are_told_by_their_ids(self):
        error = refusal({"CLIPTextEncode.text": "x"})
        assert '"#3.text", "#4.text"' in str(error)
        assert (error.key, error.found) == ("CLIPTextEncode.text", "2")

    def test_a_linked_input_says_what_is_behind_it(self):
        assert 'linked to node 2 (My rows). That node has "#2.rows"' in str(
            refusal({"KSampler.model": 1})
        )

    @pytest.mark.parametrize(
        ("column", "close"),
        [
            ("KSampler.sed", "KSampler.seed"),
            ("Positiv.text", "Positive.text"),
            ("#66.seed", "#6.seed"),
        ],
    )
    def test_an_unknown_one_names_close_ones(self, column, close):
        assert close in str(refusal({column: 1}))

    def test_two_columns_for_one_input_are_refused(self):
        assert 'the same input as "#6.seed"' in str(refusal({"#6.seed": 1, "KSampler.seed": 2}))


class TestTypes:
    @pytest.mark.parametrize(
        ("column", "given", "value"),
        [
            ("#6.seed", "12", 12),
            ("#6.seed", "12.0", 12),
            ("#6.cfg", "7", 7.0),
            ("#6.cfg", ".5", 0.5),
            ("#6.cfg", "1e-1", 0.1),
            ("#6.sampler_name", "heun", "heun"),
            ("#3.text", "12", "12"),
            ("#8.filename_prefix", " a ", " a "),
        ],
    )
    def test_a_text_gets_the_type_of_the_input(self, column, given, value):
        found = applied({column: given})[0][column]
        assert (found, type(found)) == (value, type(value))

    @pytest.mark.parametrize(
        ("column", "given", "expected"),
        [
            ("#6.seed", "1.5", "a whole number"),
            ("#6.seed", "many", "a whole number"),
            ("#6.seed", True, "a whole number"),
            ("#6.cfg", 10**400, "a number"),
            ("#6.cfg", "0,5", "a number"),
            ("#6.cfg", "nan", "a number"),
            ("#6.cfg", "", "a number"),
            ("#3.text", 5, "a text"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, column, given, expected):
        error = refusal({column: given})
        assert str(error).startswith(f'row 1, column "{column}": expected {expected}')
        assert error.expected == expected

    @pytest.mark.parametrize(
        ("given", "value"), [("yes", True), ("0", False), (True, True), (0, False)]
    )
    def test_a_switch(self, given, value):
        made = prompt()
        made["9"] = node("Mine", on=True)
        assert applied({"Mine.on": given}, made)[0] == {"Mine.on": value}

    def test_without_a_definition_a_whole_number_may_become_another(self):
        made = prompt()
        made["9"] = node("Mine", cfg=7, seed=7)
        assert applied({"Mine.cfg": "7.5", "Mine.seed": "8"}, made, {})[0] == {
            "Mine.cfg": 7.5,
            "Mine.seed": 8,
        }


class TestRows:
    @pytest.mark.parametrize(
        "name",
        [
            "style/ink.v2.safetensors",
            "style/ink.v2",
            "ink.v2.safetensors",
            "ink.v2",
            r"STYLE\ink.v2",
        ],
    )
    def test_a_row_is_called_by_its_file(self, name):
        _, own = applied({f"My rows.{name}.strength": "0.25"})
        rows = own["2"]["inputs"]["rows"]["rows"]
        assert [row["strength"] for row in rows] == [0.25, 1]

    @pytest.mark.parametrize(
        ("field", "given", "value"),
        [
            ("on", "true", True),
            ("solo", "1", True),
            ("strength_clip", "0", 0.0),
            ("blocks", "late: 0", "late: 0"),
        ],
    )
    def test_other_fields(self, field, given, value):
        _, own = applied({f"LoRARows.light.{field}": given})
        first, second = own["2"]["inputs"]["rows"]["rows"]
        assert second[field] == value
        assert first == prompt()["2"]["inputs"]["rows"]["rows"][0]

    def test_several_columns_of_one_node(self):
        _, own = applied({"#2.light.on": "on", "#2.light.strength": 0.5, "#2.ink.v2.strength": 0})
        rows = own["2"]["inputs"]["rows"]["rows"]
        assert [(row["on"], row["strength"]) for row in rows] == [(True, 0), (True, 0.5)]

    @pytest.mark.parametrize("form", [json.dumps, lambda value: {"__value__": value["rows"]}])
    def test_every_form_stays_as_it_is(self, form):
        made = prompt(_2_={"rows": form(prompt()["2"]["inputs"]["rows"])})
        _, own = applied({"#2.light.strength": 0.5}, made)
        wanted = prompt()["2"]["inputs"]["rows"]
        wanted["rows"][1]["strength"] = 0.5
        found, wanted = own["2"]["inputs"]["rows"], form(wanted)
        assert (
            (json.loads(found) == json.loads(wanted)) if isinstance(found, str) else found == wanted
        )

    def test_the_low_file_of_a_pair(self):
        pair = {"name": "a.safetensors", "low": {"name": "b.safetensors", "hash": "1" * 64}}
        made = prompt(_2_={"rows": {"rows": [pair]}})
        _, own = applied({"#2.a.low.strength": "0.5"}, made)
        (row,) = own["2"]["inputs"]["rows"]["rows"]
        assert row["low"] == {"name": "b.safetensors", "hash": "1" * 64, "strength": 0.5}

    @pytest.mark.parametrize("low", [False, True])
    def test_a_name_that_ends_like_a_field(self, low):
        rows = [{"name": "wan.low.safetensors", "strength": 1}, {"name": "wan.safetensors"}]
        rows[1] |= {"low": {"name": "b.safetensors"}} if low else {}
        made = prompt(_2_={"rows": {"rows": rows}})
        one, two = applied({"#2.wan.low.strength": 0.5}, made)[1]["2"]["inputs"]["rows"]["rows"]
        assert (one["strength"], two.get("low", {}).get("strength")) == (
            (1, 0.5) if low else (0.5, None)
        )

    def test_a_name_of_two_rows_is_refused(self):
        rows = [{"name": "a/x.safetensors"}, {"name": "b/x.safetensors"}]
        error = refusal({"#2.x.strength": 1}, prompt(_2_={"rows": {"rows": rows}}))
        assert "a/x.safetensors, b/x.safetensors" in str(error)

    def test_a_strength_by_link_is_refused(self):
        rows = [{"name": "x.safetensors", "link": "strength_1"}]
        made = prompt(_2_={"rows": {"rows": rows}, "strength_1": ["9", 0]})
        made["9"] = node("PrimitiveFloat", value=1)
        assert "comes by the input strength_1" in str(refusal({"#2.x.strength": 1}, made))

    def test_an_unknown_row_names_close_ones(self):
        assert "My rows.light.safetensors.strength" in str(refusal({"My rows.ligth.strength": 1}))


def test_nothing_else_changes_and_unchanged_nodes_are_shared():
    made = prompt()
    rows = [{"#6.seed": 1}, {}, {"#6.seed": 2}]
    first, second, third = apply_table(made, rows, INFO)
    assert [index for index, _, _ in (first, second, third)] == [0, 1, 2]
    assert made == second[2] == prompt()
    assert all(first[2][number] is made[number] for number in made if number != "6")
    assert third[2]["6"]["inputs"] == made["6"]["inputs"] | {"seed": 2}


class TestLimits:
    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            ({"#6.seed": -1}, "at least 0"),
            ({"#6.steps": "0"}, "at least 1"),
            ({"#6.cfg": 100.5}, "at most 100.0"),
            ({"#2.light.strength": 250}, "at most 100"),
            ({"#2.light.strength_clip": "-101"}, "at least -100"),
        ],
        ids=str,
    )
    def test_a_number_that_comfyui_would_refuse_is_refused_before_anything_is_rendered(
        self, row, expected
    ):
        error = refusal(row)
        assert (error.expected, str(error).startswith("row 1, column")) == (expected, True)

    def test_the_ends_are_taken(self):
        for row in ({"#6.seed": 0}, {"#6.cfg": 100}, {"#2.light.strength": -100}):
            assert applied(row)[0] == row
