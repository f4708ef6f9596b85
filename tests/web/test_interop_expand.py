"""A list of rows taken apart into nodes, and what then has no place."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from tests.web.conftest import OWN
from tests.web.interop import ROWS, A, saved_graph
from tests.web.rows import row


class TestExpansion:
    @pytest.fixture
    def rows(self, page):
        node = page.add("LoRARows", "My look", [700, 60])
        end = page.add("ApplyToModel", "end", [1200, 60])
        page.set(node, {"rows": {"version": 1, "rows": ROWS}})
        page.connect(node, 0, end, "lora")
        page.load(page.workflow())  # as the host saves it
        return node

    @pytest.mark.every_page
    def test_a_list_becomes_nodes_and_these_the_same_list(self, page, interop, rows):
        before = saved_graph(page)
        assert interop.expand(rows)
        types = sorted(interop.types())
        assert types == ["ApplyToModel", *["LoadLoRA"] * 4, "ScaleLoRA", "StackLoRAs"]
        expanded = saved_graph(page)
        page.undo()
        assert saved_graph(page) == before
        page.redo()
        assert saved_graph(page) == expanded
        ours = [id for kind in ("LoadLoRA", "ScaleLoRA", "StackLoRAs") for id in page.byType(kind)]
        assert interop.convert(*ours)
        assert interop.rows() == ROWS
        assert interop.links() == {("LoRARows", "LORA_RECIPE", "ApplyToModel", "lora")}

    def test_what_comes_in_goes_into_the_sum(self, page, interop, rows):
        schedule = page.add("ScheduleLoRA", "schedule", [60, 500])
        page.connect(schedule, 0, rows, "lora")
        assert interop.expand(rows)
        assert ("ScheduleLoRA", "LORA_RECIPE", "StackLoRAs", "loras.lora_4") in interop.links()

    def test_a_single_row_needs_no_sum(self, page, interop, rows):
        page.set(rows, {"rows": {"version": 1, "rows": ROWS[:1]}})
        assert interop.expand(rows)
        assert interop.links() == {("LoadLoRA", "LORA_RECIPE", "ApplyToModel", "lora")}

    def test_block_weights_are_a_node_behind_the_others(self, page, interop, rows):
        one = row(A, 0.5, strength_clip=1, blocks="double 0: 0")
        page.set(rows, {"rows": {"version": 1, "rows": [one]}})
        assert interop.expand(rows)
        assert interop.links() == {
            ("LoadLoRA", "LORA_RECIPE", "ScaleLoRA", "lora"),
            ("ScaleLoRA", "LORA_RECIPE", "LoRABlockWeights", "lora"),
            ("LoRABlockWeights", "LORA_RECIPE", "ApplyToModel", "lora"),
        }
        (node,) = (n for n in page.workflow()["nodes"] if n["type"] == "LoRABlockWeights")
        assert node["widgets_values"] == ["double 0: 0", "custom"]

    def test_more_rows_than_a_sum_has_sockets(self, page, interop, rows):
        many = [row(A, strength / 100) for strength in range(1, 53)]
        page.set(rows, {"rows": {"version": 1, "rows": many}})
        assert interop.expand(rows)
        loads = page.byType("LoadLoRA")
        assert len(loads) == 52
        assert interop.convert(*loads, *page.byType("StackLoRAs"))
        assert interop.rows() == many

    def test_a_linked_text_is_named_and_nothing_is_touched(self, page, interop, rows):
        text = page.add("CLIPTextEncode")
        page.connect(rows, 1, text, "text")
        before = saved_graph(page)
        assert not interop.expand(rows)
        page.wait(lambda: "triggers" in interop.said())
        assert saved_graph(page) == before

    @pytest.mark.parametrize(
        ("output", "target", "taken"),
        [("report", "CLIPTextEncode", "text"), ("MODEL", "ModelSave", "model")],
    )
    def test_what_only_a_list_with_a_model_gives_is_named_without_one(
        self, page, interop, rows, output, target, taken
    ):
        user = page.add(target)
        (saved,) = (node for node in page.workflow()["nodes"] if node["id"] == rows)
        names = [each["name"] for each in saved["outputs"]]
        page.connect(rows, names.index(output), user, taken)
        before = saved_graph(page)
        assert not interop.expand(rows)
        page.wait(lambda: f"the output {output} is linked" in interop.said())
        assert saved_graph(page) == before

    def test_what_a_subgraph_shows_outside_is_named(self, page, interop, rows, stand):
        if stand.served != OWN:
            pytest.skip("pages from 1.49 on show no list outside of its subgraph")
        outer = page.wrap([rows])
        workflow = page.workflow()
        (inner,) = workflow["definitions"]["subgraphs"]
        (shown,) = (node["id"] for node in inner["nodes"] if node["type"] == "LoRARows")
        (saved,) = (node for node in workflow["nodes"] if node["id"] == outer)
        saved["properties"] = saved.get("properties", {}) | {"proxyWidgets": [[str(shown), "rows"]]}
        page.load(workflow)
        page.enter(outer)
        before = saved_graph(page)
        assert not interop.expand(page.only("LoRARows"))
        page.wait(lambda: "its rows is shown on the subgraph node" in interop.said())
        assert saved_graph(page) == before
        page.leave()
        page.after_subgraph()

    def test_notes_that_have_no_place_are_said(self, page, interop, rows):
        page.set(rows, {"rows": {"version": 1, "rows": [row(A, 1, note="mine")]}})
        assert interop.expand(rows)
        page.wait(lambda: "notes" in interop.said())
