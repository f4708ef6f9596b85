"""Lists that feed each other become one, models for high and low noise stay apart, and nothing is told wrong."""

from __future__ import annotations

from graphlib import TopologicalSorter
from itertools import pairwise

import pytest

pytest.importorskip("playwright")

from tests.web.interop import (
    BEFORE,
    BYPASSED,
    GIVES,
    PEERS,
    SOURCE,
    STACK_USER,
    TAKES,
    TEXT_USER,
    USER,
    Sketch,
    broken_links,
    listed,
    saved_graph,
)

STACKER, LOADER = 10, 11


@pytest.fixture
def sketch():
    made = Sketch()
    for node_id in GIVES:
        made.stranger(node_id, TAKES[node_id], GIVES[node_id])
    return made


def chained(sketch, stacker, loader):
    """A stacker of a pack in front of a loader of the same one."""
    sketch.add(STACKER, PEERS[stacker]["node"])
    sketch.add(LOADER, PEERS[loader]["node"])
    for origin, target in ((SOURCE, LOADER), (STACKER, LOADER), (LOADER, USER)):
        sketch.link_types(origin, target)


APPLIED = {
    *((f"Stranger {SOURCE}", end.upper(), "LoRARows", end) for end in ("model", "clip")),
    *(("LoRARows", end.upper(), f"Stranger {USER}", end) for end in ("model", "clip")),
}


@pytest.mark.parametrize(
    ("stacker", "loader"),
    [
        ("manager_stacker", "manager"),
        ("comfyroll_stack", "comfyroll_apply"),
        ("easy", "easy_apply"),
    ],
)
def test_a_stacker_and_its_loader_become_one_list(page, interop, sketch, stacker, loader):
    chained(sketch, stacker, loader)
    page.load(sketch.workflow)
    before = saved_graph(page)
    assert interop.convert(STACKER, LOADER)
    assert interop.rows() == listed([*PEERS[stacker]["rows"], *PEERS[loader]["rows"]])
    assert interop.links() == APPLIED
    assert broken_links(page) == []
    page.undo()
    assert saved_graph(page) == before


MOVE = """(id) => { app.graph.getNodeById(id).pos = [40, 50]; }"""


@pytest.mark.newest_page
def test_what_was_no_step_yet_becomes_one_and_the_conversion_another(page, interop, sketch):
    chained(sketch, "comfyroll_stack", "comfyroll_apply")
    page.load(sketch.workflow)
    page.browser_page.evaluate(
        MOVE, STACK_USER
    )  # as what the page itself changes in an old workflow
    before = saved_graph(page)
    steps = interop.steps_taken()
    assert interop.convert(STACKER, LOADER)
    assert interop.steps() - steps == 2
    page.undo()
    assert saved_graph(page) == before


def test_words_that_tell_of_both_lists_do_not_keep_them_apart(page, interop, sketch):
    chained(sketch, "manager_stacker", "manager")
    sketch.link(LOADER, 2, TEXT_USER, 0)
    page.load(sketch.workflow)
    assert interop.convert(STACKER, LOADER)
    assert interop.links() == APPLIED | {("LoRARows", "STRING", f"Stranger {TEXT_USER}", "string")}
    assert len(interop.rows()) == sum(
        len(PEERS[name]["rows"]) for name in ("manager_stacker", "manager")
    )


def test_words_of_the_stacker_alone_keep_it_a_list_of_its_own_without_a_stack_between(
    page, interop, sketch
):
    chained(sketch, "manager_stacker", "manager")
    sketch.link(STACKER, 2, TEXT_USER, 0)
    page.load(sketch.workflow)
    assert interop.convert(STACKER, LOADER)
    assert sorted(interop.types()) == sorted(
        [*(f"Stranger {node_id}" for node_id in GIVES), "LoRARows", "LoRARows"]
    )
    assert interop.links() == APPLIED | {
        ("LoRARows", "STRING", f"Stranger {TEXT_USER}", "string"),
        ("LoRARows", "LORA_RECIPE", "LoRARows", "lora"),
    }


def test_a_stack_for_two_loaders_stays_one_list_for_both(page, interop, sketch):
    chained(sketch, "comfyroll_stack", "comfyroll_apply")
    sketch.add(12, PEERS["comfyroll_apply"]["node"])
    sketch.link_types(STACKER, 12)
    sketch.link_types(STACKER, STACK_USER)
    page.load(sketch.workflow)
    assert interop.convert(STACKER, LOADER, 12)
    links = interop.links()
    assert ("LoRARows", "LORA_RECIPE", "LoRARows", "lora") in links
    assert ("ToLoRAStack", "LORA_STACK", f"Stranger {STACK_USER}", "lora_stack") in links
    assert "FromLoRAStack" not in interop.types()


def test_stacks_that_are_combined_become_one_list(page, interop, sketch):
    for node_id, name in ((8, "comfyroll_stack"), (9, "easy")):
        sketch.add(node_id, PEERS[name]["node"])
    sketch.add(STACKER, PEERS["manager_combiner"]["node"])
    sketch.add(LOADER, PEERS["easy_apply"]["node"])
    sketch.link(8, 0, STACKER, 0)
    sketch.link(9, 0, STACKER, 1)
    for origin, target in ((SOURCE, LOADER), (STACKER, LOADER), (LOADER, USER)):
        sketch.link_types(origin, target)
    page.load(sketch.workflow)
    assert interop.convert(8, 9, STACKER, LOADER)
    assert interop.rows() == listed([*PEERS["comfyroll_stack"]["rows"], *PEERS["easy"]["rows"]])
    assert interop.links() == APPLIED


class TestTheHostsLists:
    def test_those_for_the_text_encoder_that_follow_each_other_become_one(
        self, page, interop, sketch
    ):
        for node_id in (STACKER, LOADER):
            sketch.add(node_id, PEERS["core_list_text"]["node"])
        for origin, target in ((SOURCE, STACKER), (STACKER, LOADER), (LOADER, USER)):
            sketch.link_types(origin, target)
        page.load(sketch.workflow)
        assert interop.convert(STACKER, LOADER)
        assert interop.rows() == listed(PEERS["core_list_text"]["rows"] * 2)
        assert interop.links() == {link for link in APPLIED if "clip" in link}

    def test_the_same_files_for_model_and_text_encoder_become_one_list(self, page, interop, sketch):
        sketch.add(STACKER, PEERS["core_list"]["node"])
        sketch.add(LOADER, PEERS["core_list_text"]["node"])
        for node_id in (STACKER, LOADER):
            sketch.link_types(SOURCE, node_id)
            sketch.link_types(node_id, USER)
        page.load(sketch.workflow)
        assert interop.convert(STACKER, LOADER)
        rows = [{**row} for row in PEERS["core_list"]["rows"]]
        for row in rows:
            del row["strength_clip"]
        assert interop.rows() == listed(rows)
        assert interop.links() == APPLIED

    def test_two_pairs_that_would_wait_for_each_other_do_not_both_become_one(
        self, page, interop, sketch
    ):
        """The model gets one list first, the text encoder the other one, with a node between both."""
        loras = {"a": ["sd15_1.safetensors", 1, True], "b": ["sd15_2.safetensors", 1, True]}
        for node_id, name, lora in (
            *((10, "core_list", "a"), (12, "core_list", "b")),
            *((13, "core_list_text", "b"), (15, "core_list_text", "a")),
        ):
            sketch.add(node_id, PEERS[name]["node"] | {"widgets_values": [1, *loras[lora]]})
        sketch.stranger(11, ["MODEL"], ["MODEL"])
        sketch.stranger(14, ["CLIP"], ["CLIP"])
        for way in ((SOURCE, 10, 11, 12, USER), (SOURCE, 13, 14, 15, USER)):
            for origin, target in pairwise(way):
                sketch.link_types(origin, target)
        page.load(sketch.workflow)
        assert interop.convert(10, 12, 13, 15)
        assert sorted(len(interop.rows(each)) for each in page.byType("LoRARows")) == [1, 1, 1]
        links = [(origin, target) for _, origin, _, target, *_ in page.workflow()["links"]]
        before = {end: {a for a, b in links if b == end} for link in links for end in link}
        TopologicalSorter(before).prepare()  # which refuses circles


class TestTwoModels:
    """siraxe's loader with a model for high noise and one for low noise."""

    @pytest.fixture
    def loader(self, page, sketch):
        sketch.add(LOADER, PEERS["siraxe_pairs"]["node"])
        sketch.stranger(12, ["MODEL"], ["MODEL"])
        sketch.link(SOURCE, 0, LOADER, 0)
        sketch.link(12, 0, LOADER, 1)
        sketch.link(LOADER, 0, USER, 0)
        sketch.link(LOADER, 1, 12, 0)
        page.load(sketch.workflow)

    @pytest.mark.usefixtures("loader")
    @pytest.mark.every_page
    def test_both_keep_their_links_and_their_rows(self, page, interop):
        before = saved_graph(page)
        assert interop.convert(LOADER)
        assert interop.rows() == PEERS["siraxe_pairs"]["rows"]
        assert interop.links() == {
            (f"Stranger {SOURCE}", "MODEL", "LoRARows", "model"),
            ("Stranger 12", "MODEL", "LoRARows", "model_low"),
            ("LoRARows", "MODEL", f"Stranger {USER}", "model"),
            ("LoRARows", "MODEL", "Stranger 12", "model"),
        }
        saved = [each for each in page.workflow()["links"] if each[3] == 12]
        (outputs,) = (n["outputs"] for n in page.workflow()["nodes"] if n["type"] == "LoRARows")
        assert [outputs[slot]["name"] for _, _, slot, *_ in saved] == ["MODEL low"]
        page.undo()
        assert saved_graph(page) == before

    @pytest.mark.usefixtures("loader")
    def test_where_it_is_bypassed_its_rows_are_off_since_a_bypassed_list_has_one_model_for_both(
        self, page, interop
    ):
        page.setMode(LOADER, BYPASSED)
        assert interop.convert(LOADER)
        (saved,) = (n for n in page.workflow()["nodes"] if n["type"] == "LoRARows")
        assert saved["mode"] == 0
        assert interop.rows() == [each | {"on": False} for each in PEERS["siraxe_pairs"]["rows"]]

    @pytest.mark.usefixtures("loader")
    def test_where_it_is_bypassed_and_gives_no_second_model_the_list_is_bypassed(
        self, page, interop
    ):
        page.browser_page.evaluate(
            "(id) => void app.canvas.graph.getNodeById(id).disconnectOutput(1)", LOADER
        )
        page.setMode(LOADER, BYPASSED)
        assert interop.convert(LOADER)
        (saved,) = (n for n in page.workflow()["nodes"] if n["type"] == "LoRARows")
        assert saved["mode"] == BYPASSED
        assert interop.rows() == PEERS["siraxe_pairs"]["rows"]

    @pytest.mark.usefixtures("loader")
    def test_pairs_cannot_be_expanded_into_loaders(self, page, interop):
        interop.convert(LOADER)
        before = saved_graph(page)
        assert not interop.expand(page.only("LoRARows"))
        page.wait(lambda: "loaders have no second model" in interop.said())
        assert saved_graph(page) == before


def test_a_node_that_reads_the_loader_itself_is_named(page, interop, sketch):
    """vsLinx looks for a loader of rgthree at the other end of its link."""
    slots = [("powerloraloader_model", "MODEL")]
    inputs = [{"name": name, "type": kind, "link": None} for name, kind in slots]
    sketch.add(LOADER, PEERS["rgthree"]["node"])
    sketch.add(12, {"type": "vsLinx_AppendLorasFromNodeToString", "inputs": inputs, "outputs": []})
    sketch.link_types(SOURCE, LOADER)
    sketch.link(LOADER, 0, 12, 0)
    page.load(sketch.workflow)
    before = saved_graph(page)
    assert not interop.convert(LOADER)
    page.wait(lambda: "reads its LoRAs" in interop.said())
    assert saved_graph(page) == before


def test_an_ic_lora_whose_factor_is_used_is_named(page, interop, sketch):
    sketch.add(LOADER, PEERS["ltx_ic"]["node"])
    sketch.stranger(12, ["FLOAT"], [])
    sketch.link_types(SOURCE, LOADER)
    sketch.link(LOADER, 1, 12, 0)
    page.load(sketch.workflow)
    assert not interop.convert(LOADER)
    page.wait(lambda: "latent_downscale_factor" in interop.said())


def test_blocks_that_are_linked_are_named(page, interop, sketch):
    sketch.add(LOADER, PEERS["kj_dit"]["node"])
    sketch.stranger(12, [], ["SELECTEDDITBLOCKS"])
    sketch.link_types(SOURCE, LOADER)
    sketch.link_types(12, LOADER)
    page.load(sketch.workflow)
    assert not interop.convert(LOADER)
    page.wait(lambda: "replace the alpha" in interop.said())


def test_what_comes_from_elsewhere_stays_behind_the_joined_list(page, interop, sketch):
    chained(sketch, "manager_stacker", "manager")
    sketch.link_types(BEFORE, STACKER)
    page.load(sketch.workflow)
    assert interop.convert(STACKER, LOADER)
    assert interop.links() == APPLIED | {
        (f"Stranger {BEFORE}", "LORA_STACK", "FromLoRAStack", "lora_stack"),
        ("FromLoRAStack", "LORA_RECIPE", "LoRARows", "lora"),
    }
