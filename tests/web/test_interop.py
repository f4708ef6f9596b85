"""LoRA nodes of the host and of other packs become rows, and rows become nodes: no link or value is lost."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from harness.host import ensure_models
from harness.tiny_models import MODEL_FILES
from tests.web.interop import (
    BEFORE,
    BYPASSED,
    GIVES,
    MUTED,
    OTHERS,
    PEER,
    PEERS,
    REFUSED,
    ROWS,
    SOURCE,
    TAKES,
    TEXT_USER,
    USER,
    A,
    B,
    C,
    Sketch,
    broken_links,
    core_chain,
    expected_links,
    expected_rows,
    listed,
    saved_graph,
    surroundings,
)
from tests.web.rows import row


def one_of_each_pack(names):
    """All names as parameters; of each pack the first is quick. Node's own tests convert all of them."""
    first = {name.partition("_")[0]: name for name in reversed(names)}.values()
    return [n if n in first else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", one_of_each_pack(OTHERS))
def test_a_saved_node_of_a_pack_that_is_not_installed(page, interop, name, stand):
    """Its rows and links are those it had, also when saved and opened; undo restores the very same."""
    if (name, str(stand)) == ("core_bypass", "nodes2-0.33-1.49"):
        pytest.xfail(
            "this page makes another step of undo of what it finds out of a node that is there"
        )
    peer = PEERS[name]
    page.load(surroundings(peer))
    before = saved_graph(page)
    assert interop.convert(PEER)
    assert interop.rows() == expected_rows(peer)
    assert interop.links() == expected_links(peer)
    assert broken_links(page) == []
    after = saved_graph(page)
    page.undo()
    assert saved_graph(page) == before
    page.redo()
    assert saved_graph(page) == after
    assert interop.links() == expected_links(peer)
    assert broken_links(page) == []


REASONS = {"apart": "only nodes of its own pack", "layers": "some layers", "alpha": "its blocks"}


@pytest.mark.parametrize("name", one_of_each_pack(REFUSED))
def test_a_node_that_is_refused_stays_and_says_what_to_do(page, interop, name):
    peer = PEERS[name]
    page.load(surroundings(peer))
    before = saved_graph(page)
    assert not interop.convert(PEER)
    page.wait(lambda: REASONS[peer["refused"]] in interop.said())
    assert interop.selected() == [PEER]
    assert saved_graph(page) == before


class TestChains:
    @pytest.fixture
    def loaders(self, page):
        page.loadPrompt(core_chain((A, 0.5), (B, -0.25), (A, 1)))
        page.fixSeeds()
        page.load(page.workflow())  # as the host saves it
        return page.byType("LoraLoader")

    @pytest.mark.every_page
    def test_loaders_in_a_row_become_one_list(self, page, interop, loaders):
        before = saved_graph(page)
        assert interop.convert(*loaders)
        assert interop.rows() == [row(A, 0.5), row(B, -0.25), row(A, 1)]
        links = interop.links()
        for end in ("model", "clip"):
            assert ("CheckpointLoaderSimple", end.upper(), "LoRARows", end) in links
        assert ("LoRARows", "MODEL", "KSampler", "model") in links
        assert ("LoRARows", "CLIP", "CLIPTextEncode", "clip") in links
        after = saved_graph(page)
        page.undo()
        assert saved_graph(page) == before
        page.redo()
        assert saved_graph(page) == after

    @pytest.mark.every_page
    def test_it_is_one_step_of_undo_also_when_the_page_has_settled(self, page, interop, loaders):
        before = saved_graph(page)
        steps = interop.steps()
        assert interop.convert(*loaders)
        interop.wait_for_list()
        assert interop.steps() == steps + 1
        page.undo()
        assert saved_graph(page) == before

    def test_it_runs_and_applies_what_the_chain_applied(self, page, interop, loaders, host):
        ensure_models(host.install, {"sd15clip": MODEL_FILES["sd15clip"]})
        interop.convert(*loaders)
        page.run()
        page.show([page.only("LoRARows")])
        said = "() => document.querySelector('.lora-algebra-report').textContent"
        text = page.browser_page.evaluate(said)
        assert "at strength 1.5" in text
        assert "at strength -0.25" in text

    def test_only_some_of_them(self, interop, loaders):
        assert interop.convert(loaders[1])
        assert interop.rows() == [row(B, -0.25)]
        links = interop.links()
        assert ("LoraLoader", "MODEL", "LoRARows", "model") in links
        assert ("LoRARows", "CLIP", "LoraLoader", "clip") in links

    def test_what_is_used_in_between_stays_apart(self, page, interop, loaders):
        """The first model is used by itself, too, so that it must not get the others' rows."""
        preview = page.add("ModelSave")
        page.connect(loaders[0], 0, preview, "model")
        assert interop.convert(*loaders)
        lists = page.byType("LoRARows")
        assert sorted(len(interop.rows(each)) for each in lists) == [1, 2]
        assert ("LoRARows", "MODEL", "LoRARows", "model") in interop.links()
        assert ("LoRARows", "MODEL", "ModelSave", "model") in interop.links()

    def test_a_loader_for_the_model_only_says_so_beside_others(self, page, interop, loaders):
        only = page.add("LoraLoaderModelOnly")
        page.set(only, {"lora_name": C, "strength_model": 0.75})
        page.connect(loaders[2], 0, only, "model")
        page.connect(only, 0, page.only("KSampler"), "model")
        assert interop.convert(*loaders, only)
        assert interop.rows()[3] == row(C, 0.75, strength_clip=0)
        assert len(interop.rows()) == 4

    @pytest.mark.parametrize("mode", [MUTED, BYPASSED])
    def test_one_that_is_off_comes_off(self, page, interop, loaders, mode):
        page.setMode(loaders[1], mode)
        interop.convert(*loaders)
        assert [each["on"] for each in interop.rows()] == [True, False, True]

    def test_all_that_are_off_stay_off_as_a_whole(self, page, interop, loaders):
        for loader in loaders:
            page.setMode(loader, BYPASSED)
        interop.convert(*loaders)
        assert [each["on"] for each in interop.rows()] == [True, True, True]
        modes = {node["type"]: node["mode"] for node in page.workflow()["nodes"]}
        assert modes["LoRARows"] == BYPASSED
        assert "ApplyToModel" not in modes

    def test_a_strength_by_a_link_is_named_and_nothing_is_touched(self, page, interop, loaders):
        number = page.add("PrimitiveFloat")
        page.connect(number, 0, loaders[1], "strength_model")
        before = saved_graph(page)
        assert not interop.convert(*loaders)
        page.wait(lambda: "strength_model" in interop.said())
        assert saved_graph(page) == before

    def test_what_cannot_be_converted_is_selected_and_the_rest_is_converted(
        self, page, interop, loaders
    ):
        number = page.add("PrimitiveFloat")
        page.connect(number, 0, loaders[1], "strength_model")
        apart = page.add("LoraLoaderModelOnly", "apart", [60, 900])
        page.set(apart, {"lora_name": A, "strength_model": 0.123456})
        assert interop.convert(*loaders, apart)
        page.wait(lambda: "strength_model" in interop.said())
        assert [each["strength"] for each in interop.rows()] == [0.123456]
        assert page.byType("LoraLoader") == [*loaders]
        assert interop.selected() == [loaders[1]]

    @pytest.mark.every_page
    def test_links_of_others_that_a_node_lists_stay(self, page, interop, loaders):
        """As in a saved workflow whose output lists links that the table gives to other nodes."""
        code = """(ids) => {
            const { graph } = app.canvas;
            const others = [...graph.links.values()].filter(
                ({ origin_id, target_id }) => !ids.includes(Number(origin_id)) && !ids.includes(Number(target_id)));
            graph.getNodeById(ids[2]).outputs[0].links.push(...others.map(({ id }) => id));
            return others.length;
        }"""
        assert page.browser_page.evaluate(code, loaders) > 2
        before = {link for link in interop.links() if "LoraLoader" not in (link[0], link[2])}
        assert interop.convert(*loaders)
        assert before <= interop.links()

    @pytest.mark.every_page
    def test_in_a_subgraph_with_links_over_its_edge(self, page, interop, loaders):
        outer = page.wrap(loaders)
        page.load(page.workflow())
        before = page.prompt()
        graph = saved_graph(page)
        page.enter(outer)
        assert interop.convert(*page.byType("LoraLoader"))
        links = interop.links()
        assert {
            ("edge", "MODEL", "LoRARows", "model"),
            ("edge", "CLIP", "LoRARows", "clip"),
        } <= links
        assert {
            ("LoRARows", "MODEL", "edge", "MODEL"),
            ("LoRARows", "CLIP", "edge", "CLIP"),
        } <= links
        page.leave()
        after = page.prompt()
        assert {node["class_type"] for node in before.values()} - {
            node["class_type"] for node in after.values()
        } == {"LoraLoader"}
        page.undo()
        assert saved_graph(page) == graph
        assert page.prompt() == before
        page.reload()  # after a visit to a subgraph, Nodes 2.0 draws no newly opened workflow (1.45.21)

    def test_its_title_and_colours_are_kept(self, page, interop, loaders):
        code = "(id) => Object.assign(app.canvas.graph.getNodeById(id), {title: 'My look', bgcolor: '#335'})"
        page.browser_page.evaluate(f"({code}) && undefined", loaders[0])
        page.browser_page.evaluate(f"(id) => void ({code})(id)", loaders[2])
        interop.convert(*loaders)
        (saved,) = (node for node in page.workflow()["nodes"] if node["type"] == "LoRARows")
        assert saved["title"] == "My look"
        assert saved["bgcolor"] == "#335"


class TestStacks:
    """comfyroll_stack → manager_stacker → CR Apply LoRA Stack, none of them installed."""

    @pytest.fixture
    def workflow(self, page):
        sketch = Sketch()
        for node_id in GIVES:
            sketch.stranger(node_id, TAKES[node_id], GIVES[node_id])
        sketch.add(10, PEERS["comfyroll_stack"]["node"])
        sketch.add(11, PEERS["manager_stacker"]["node"])
        sketch.add(12, PEERS["comfyroll_apply"]["node"])
        for origin, target in ((SOURCE, 12), (BEFORE, 10), (10, 11), (11, 12), (12, USER)):
            sketch.link_types(origin, target)
        page.load(sketch.workflow)
        return sketch

    @pytest.mark.usefixtures("workflow")
    def test_stackers_in_a_row_become_one_list_behind_what_comes_before(self, page, interop):
        page.setMode(10, MUTED)
        page.setMode(10, 0)
        assert interop.convert(10, 11)
        rows = [*PEERS["comfyroll_stack"]["rows"], *PEERS["manager_stacker"]["rows"]]
        assert interop.rows() == listed(rows)
        assert {
            (f"Stranger {BEFORE}", "LORA_STACK", "FromLoRAStack", "lora_stack"),
            ("FromLoRAStack", "LORA_RECIPE", "LoRARows", "lora"),
            ("ToLoRAStack", "LORA_STACK", "CR Apply LoRA Stack", "lora_stack"),
        } <= interop.links()

    @pytest.mark.usefixtures("workflow")
    def test_with_the_node_that_applies_them_there_is_no_stack_any_more(self, interop):
        assert interop.convert(10, 11, 12)
        assert "ToLoRAStack" not in interop.types()
        assert interop.links() == {
            *((f"Stranger {SOURCE}", end.upper(), "LoRARows", end) for end in ("model", "clip")),
            *(("LoRARows", end.upper(), f"Stranger {USER}", end) for end in ("model", "clip")),
            (f"Stranger {BEFORE}", "LORA_STACK", "FromLoRAStack", "lora_stack"),
            ("FromLoRAStack", "LORA_RECIPE", "LoRARows", "lora"),
        }

    @pytest.mark.usefixtures("workflow")
    def test_what_is_off_within_a_stack_does_not_swallow_a_link(self, page, interop):
        page.setMode(10, MUTED)
        assert not interop.convert(10, 11)
        page.wait(lambda: "CR LoRA Stack" in interop.said())

    def test_what_a_node_that_is_off_would_apply_comes_off(self, page, interop):
        sketch = Sketch()
        for name, node_id in (("manager_stacker", 11), ("comfyroll_apply", 12)):
            sketch.add(node_id, PEERS[name]["node"])
        sketch.link_types(11, 12)
        page.load(sketch.workflow)
        page.setMode(12, BYPASSED)
        assert interop.convert(11, 12)
        rows = listed(PEERS["manager_stacker"]["rows"])
        assert interop.rows() == [each | {"on": False} for each in rows]

    def test_trigger_words_and_tags_have_their_place(self, page, interop, workflow):
        workflow.link(11, 1, TEXT_USER, 0)
        page.load(workflow.workflow)
        assert interop.convert(11)
        assert ("LoRARows", "STRING", f"Stranger {TEXT_USER}", "string") in interop.links()

    def test_another_output_that_is_linked_is_named(self, page, interop, workflow):
        workflow.link(10, 1, TEXT_USER, 0)
        page.load(workflow.workflow)
        assert not interop.convert(10)
        page.wait(lambda: "show_help" in interop.said())


class TestOurs:
    """Two loaders, one of them scaled, a schedule, their sum, and what applies it."""

    @pytest.fixture
    def nodes(self, page):
        first, second = (page.add("LoadLoRA", f"loader {i}", [60, 60 + 180 * i]) for i in (0, 1))
        scale = page.add("ScaleLoRA", "scale", [400, 240])
        stack = page.add("StackLoRAs", "stack", [700, 60])
        end = page.add("ApplyToModel", "end", [1000, 60])
        page.set(first, {"lora_name": A, "strength": 0.5})
        page.set(second, {"lora_name": B, "strength": 2})
        page.set(scale, {"strength_model": 0.5, "strength_clip": 0.25})
        page.connect(second, 0, scale, "lora")
        page.connect(first, 0, stack, "loras.lora_0")
        page.connect(scale, 0, stack, "loras.lora_1")
        page.connect(stack, 0, end, "lora")
        page.load(page.workflow())  # as the host saves it
        return first, second, scale, stack, end

    @pytest.mark.every_page
    def test_loaders_factors_and_sums_become_one_list(self, page, interop, nodes):
        before = saved_graph(page)
        assert interop.convert(*nodes[:4])
        assert interop.rows() == [row(A, 0.5), row(B, 1, strength_clip=0.5)]
        assert interop.links() == {("LoRARows", "LORA_RECIPE", "ApplyToModel", "lora")}
        page.undo()
        assert saved_graph(page) == before

    def test_what_is_not_among_them_comes_in_by_its_link(self, page, interop, nodes):
        schedule = page.add("ScheduleLoRA", "schedule", [400, 500])
        page.connect(schedule, 0, nodes[3], "loras.lora_2")
        assert interop.convert(*nodes[:4])
        assert ("ScheduleLoRA", "LORA_RECIPE", "LoRARows", "lora") in interop.links()

    def test_several_of_these_come_in_as_their_sum(self, page, interop, nodes):
        for index in (2, 3):
            schedule = page.add("ScheduleLoRA", f"schedule {index}", [400, 500])
            page.connect(schedule, 0, nodes[3], f"loras.lora_{index}")
        assert interop.convert(*nodes[:4])
        links = interop.links()
        assert ("StackLoRAs", "LORA_RECIPE", "LoRARows", "lora") in links
        assert {name for kind, _, _, name in links if kind == "ScheduleLoRA"} == {
            "loras.lora_0",
            "loras.lora_1",
        }

    def test_what_would_have_to_be_scaled_is_named(self, page, interop, nodes):
        assert not interop.convert(nodes[2], nodes[3], nodes[0])
        page.wait(lambda: "scale" in interop.said())
        assert "LoRARows" not in interop.types()

    def test_one_used_twice_is_a_list_of_its_own(self, page, interop, nodes):
        other = page.add("ApplyToModel", "other", [1000, 400])
        page.connect(nodes[0], 0, other, "lora")
        assert interop.convert(*nodes[:4])
        assert sorted(len(interop.rows(each)) for each in page.byType("LoRARows")) == [1, 1]
        assert ("LoRARows", "LORA_RECIPE", "LoRARows", "lora") in interop.links()


class TestOurLists:
    def joined(self, page, interop, *lists):
        """The rows of lists that are added up and scaled, when all are one."""
        scale = page.add("ScaleLoRA", "scale", [700, 60])
        stack = page.add("StackLoRAs", "stack", [400, 60])
        nodes = [page.add("LoRARows", f"list {i}", [60, 60 + 400 * i]) for i in range(len(lists))]
        for index, (node, rows) in enumerate(zip(nodes, lists, strict=True)):
            page.set(node, {"rows": {"version": 1, "rows": rows}})
            page.connect(node, 0, stack, f"loras.lora_{index}")
        page.set(scale, {"strength_model": 0.5, "strength_clip": 0.25})
        page.connect(stack, 0, scale, "lora")
        page.load(page.workflow())  # as the host saves it
        assert interop.convert(*nodes, stack, scale)
        return interop.rows()

    def test_a_file_for_low_noise_is_scaled_too(self, page, interop):
        rows = self.joined(page, interop, [row(A, 1, low={"name": B, "strength": 3})])
        assert rows == [row(A, 0.5, strength_clip=0.25, low={"name": B, "strength": 1.5})]

    def test_rows_of_several_lists_do_not_share_the_input_of_a_strength(self, page, interop):
        linked = {"link": "strength_1"}
        rows = self.joined(page, interop, [row(A, 1, **linked)], [row(B, 1, **linked)])
        assert rows == [row(A, 0.5, strength_clip=0.25), row(B, 0.5, strength_clip=0.25)]


class TestMenu:
    @pytest.mark.every_page
    def test_a_node_offers_it(self, page, interop):
        loader = page.add("LoraLoader", "Load", [400, 300])
        page.set(loader, {"lora_name": A})
        page.select(loader)
        page.show([loader])
        page.browser_page.wait_for_timeout(100)
        frame = page.frame(loader)
        page.browser_page.mouse.click(frame["left"] + 60, frame["top"] - 12, button="right")
        page.browser_page.get_by_text("Convert to LoRA Rows", exact=True).click()
        page.wait(lambda: page.byType("LoRARows"))
        assert interop.rows() == [row(A, 1)]

    def test_a_list_offers_to_be_copied_as_tags(self, page, interop):
        page.browser_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        node = page.add("LoRARows", "list", [400, 300])
        page.set(node, {"rows": {"version": 1, "rows": ROWS}})
        items = """async (id) => {
            const node = app.canvas.graph.getNodeById(id);
            app.canvas.selectItems([node]);
            const items = app.collectNodeMenuItems(node).filter(Boolean);
            items.find(({ content }) => content === "Copy as tags").callback();
            await lab.settle();
        }"""
        page.browser_page.evaluate(items, node)
        page.wait(lambda: "Copied" in interop.said())
        copied = page.browser_page.evaluate("() => navigator.clipboard.readText()")
        assert copied == "<lora:sd15_1:0.5> <lora:sd15_2:1:0.25> <lora:gone:-0.75>"
