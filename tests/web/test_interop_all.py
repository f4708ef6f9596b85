"""All LoRA nodes of a workflow at once, also those inside of subgraphs: one step of undo, in one menu."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from tests.web.interop import A, B, core_chain, saved_graph
from tests.web.rows import row

WIDGET = "strength_model"


@pytest.fixture
def loaders(page):
    """Three loaders in a row; the first two are in a subgraph."""
    page.loadPrompt(core_chain((A, 0.5), (B, -0.25), (A, 1)))
    page.fixSeeds()
    first, second, _ = page.byType("LoraLoader")
    page.wrap([first, second])
    page.load(page.workflow())  # as the host saves it
    yield page.byType("LoraLoader")
    page.after_subgraph()


def inner_graph(page):
    (graph,) = page.workflow()["definitions"]["subgraphs"]
    return graph


def rows_of(nodes):
    return [n["widgets_values"][0]["rows"] for n in nodes if n["type"] == "LoRARows"]


@pytest.mark.every_page
def test_one_step_converts_here_and_inside_of_subgraphs(page, interop, loaders):
    assert len(loaders) == 1
    before = saved_graph(page)
    prompt = page.prompt()
    steps = interop.steps()
    assert interop.convert_all()
    interop.wait_for_list()
    assert interop.steps() == steps + 1
    assert rows_of(page.workflow()["nodes"]) == [[row(A, 1)]]
    assert rows_of(inner_graph(page)["nodes"]) == [[row(A, 0.5), row(B, -0.25)]]
    kinds = [node["class_type"] for node in page.prompt().values()]
    assert kinds.count("LoRARows") == 2
    assert "LoraLoader" not in kinds
    after = saved_graph(page)
    page.undo()
    assert saved_graph(page) == before
    assert page.prompt() == prompt
    page.redo()
    assert saved_graph(page) == after


@pytest.mark.every_page
@pytest.mark.usefixtures("loaders")
def test_what_a_subgraph_shows_outside_is_refused_and_the_rest_is_converted(page, interop):
    workflow = page.workflow()
    inner = inner_graph(page)
    (outer,) = (node for node in workflow["nodes"] if node["type"] == inner["id"])
    shown = next(node["id"] for node in inner["nodes"] if node["type"] == "LoraLoader")
    outer["properties"] = outer.get("properties", {}) | {"proxyWidgets": [[str(shown), WIDGET]]}
    page.load(workflow)
    assert interop.convert_all()
    page.wait(lambda: WIDGET in interop.said())
    assert "Not all of them are in the graph that is open." in interop.said()
    assert "They are selected." not in interop.said()
    assert rows_of(page.workflow()["nodes"]) == [[row(A, 1)]]
    assert rows_of(inner_graph(page)["nodes"]) == []


@pytest.mark.usefixtures("loaders")
def test_the_menu_of_the_canvas_offers_it(page, interop):
    choose = """() => {
        app.canvas.deselectAll();
        const items = app.collectCanvasMenuItems(app.canvas).filter(Boolean);
        items.find(({ content }) => content === "Convert all LoRA nodes to LoRA Rows").callback();
    }"""
    page.browser_page.evaluate(choose)
    page.wait(lambda: page.byType("LoRARows"))
    page.wait(lambda: rows_of(inner_graph(page)["nodes"]))
    assert "LoraLoader" not in interop.types()
    items = (
        "() => app.collectCanvasMenuItems(app.canvas).filter(Boolean).map((item) => item.content)"
    )
    assert not [each for each in page.browser_page.evaluate(items) if "Convert all" in str(each)]


def test_our_own_nodes_are_left_as_they_are(page, interop):
    page.set(page.add("LoadLoRA"), {"lora_name": A})
    before = saved_graph(page)
    assert not interop.convert_all()
    assert saved_graph(page) == before


def test_a_command_does_it(page):
    page.loadPrompt(core_chain((A, 0.5)))
    page.fixSeeds()
    page.load(page.workflow())  # as the host saves it
    page.browser_page.evaluate(
        "() => app.extensionManager.command.execute('LoraAlgebra.ConvertAll')"
    )
    page.wait(lambda: page.byType("LoRARows"))
