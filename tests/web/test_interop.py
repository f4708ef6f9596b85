"""LoRA nodes of the host and of other packs become rows, and rows become nodes: no link or value is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("playwright")

PEERS = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((Path(__file__).parents[1] / "data" / "peers").glob("*.json"))
}
OTHERS = [name for name in PEERS if not name.startswith("ours")]
PACK = "lora_algebra"
MUTED, BYPASSED = 2, 4
A, B, C = "sd15_1.safetensors", "sd15_2.safetensors", "sd3_1.safetensors"
LISTED = {name.removesuffix(".safetensors"): name for name in (A, B, C)}

SOURCE, PEER, BEFORE, USER, STACK_USER, TEXT_USER = range(1, 7)

GIVES = {
    SOURCE: ["MODEL", "CLIP"],
    BEFORE: ["LORA_STACK"],
    USER: [],
    STACK_USER: [],
    TEXT_USER: [],
}
TAKES = {
    SOURCE: [],
    BEFORE: [],
    USER: ["MODEL", "CLIP"],
    STACK_USER: ["LORA_STACK"],
    TEXT_USER: ["STRING"],
}


class Sketch:
    """A workflow made of nodes that the host does not know, around those that it is about."""

    def __init__(self) -> None:
        self.nodes: dict[int, dict] = {}
        self.links: list[list] = []

    def add(self, node_id: int, node: dict, **others: object) -> None:
        place = {"id": node_id, "pos": [300 * node_id, 100], "size": [280, 160], "flags": {}}
        inputs = [dict(slot) for slot in node.get("inputs", ())]
        outputs = [dict(slot) for slot in node.get("outputs", ())]
        more = {"order": node_id, "mode": 0, "inputs": inputs, "outputs": outputs}
        self.nodes[node_id] = {**node, **place, **more, **others}

    def stranger(self, node_id: int, takes: list[str], gives: list[str]) -> None:
        inputs = [{"name": each.lower(), "type": each, "link": None} for each in takes]
        outputs = [{"name": each, "type": each, "links": None} for each in gives]
        self.add(node_id, {"type": f"Stranger {node_id}", "inputs": inputs, "outputs": outputs})

    def link(self, origin: int, slot: int, target: int, to: int) -> None:
        output, taken = self.nodes[origin]["outputs"][slot], self.nodes[target]["inputs"][to]
        link_id = len(self.links) + 1
        output["links"] = [*(output["links"] or []), link_id]
        taken["link"] = link_id
        self.links.append([link_id, origin, slot, target, to, output["type"]])

    def link_types(self, origin: int, target: int) -> None:
        """Every output to the input of its type, if that is still free."""
        for slot, output in enumerate(self.nodes[origin]["outputs"]):
            for to, taken in enumerate(self.nodes[target]["inputs"]):
                if taken["type"] == output["type"] and taken["link"] is None:
                    self.link(origin, slot, target, to)
                    break

    @property
    def workflow(self) -> dict:
        return {
            "version": 0.4,
            "nodes": list(self.nodes.values()),
            "links": self.links,
            "last_node_id": max(self.nodes),
            "last_link_id": len(self.links),
        }


def surroundings(peer: dict) -> dict:
    """A workflow with everything linked to a peer's saved node that can be."""
    sketch = Sketch()
    for node_id in GIVES:
        sketch.stranger(node_id, TAKES[node_id], GIVES[node_id])
    sketch.add(PEER, peer["node"])
    for origin, target in (
        *((SOURCE, PEER), (BEFORE, PEER)),
        *((PEER, USER), (PEER, STACK_USER)),
    ):
        sketch.link_types(origin, target)
    return sketch.workflow


class Interop:
    """What a person does with the menu, and what can then be seen in the graph."""

    def __init__(self, page) -> None:
        self.page = page

    def act(self, module: str, action: str, ids: list[int]) -> bool:
        """Runs an action of ours on some nodes as if they were selected."""
        code = """async ([module, action, ids]) => {
            const files = await (await app.api.fetchApi("/extensions")).json();
            const file = files.find((each) => each.endsWith(`/interop/${module}.js`));
            const { [action]: act } = await import(app.api.fileURL(file));
            const done = await act(ids.map((id) => app.canvas.graph.getNodeById(id)));
            await lab.settle();
            return done;
        }"""
        return self.page.browser_page.evaluate(code, [module, action, ids])

    def convert(self, *ids: int) -> bool:
        return self.act("convert", "convertSelected", list(ids))

    def expand(self, *ids: int) -> bool:
        return self.act("expand", "expandSelected", list(ids))

    def rows(self, node_id: int | None = None) -> list[dict]:
        node_id = self.page.only("LoRARows") if node_id is None else node_id
        code = (
            "(id) => app.canvas.graph.getNodeById(id).widgets.find((w) => w.name === 'rows').value"
        )
        return json.loads(json.dumps(self.page.browser_page.evaluate(code, node_id)))["rows"]

    def links(self) -> set[tuple]:
        """All links of the graph that is shown, by the types of nodes and the names of slots."""
        code = """() => [...app.canvas.graph.links.values()].map((link) => {
            const end = (id) => app.canvas.graph.getNodeById(id);
            const [origin, target] = [end(link.origin_id), end(link.target_id)];
            return [origin?.type ?? "edge", origin?.outputs[link.origin_slot].type ?? link.type,
                    target?.type ?? "edge", target?.inputs[link.target_slot].name ?? link.type];
        })"""
        return {tuple(link) for link in self.page.browser_page.evaluate(code)}

    def types(self) -> list[str]:
        return self.page.browser_page.evaluate(
            "() => app.canvas.graph.nodes.map(({ type }) => type)"
        )

    def said(self) -> str:
        toasts = self.page.browser_page.locator(".p-toast-message")
        return "\n".join(toasts.all_inner_texts())

    def close_toasts(self) -> None:
        self.page.browser_page.evaluate("() => app.extensionManager.toast.removeAll()")


@pytest.fixture
def interop(page):
    yield Interop(page)
    Interop(page).close_toasts()


def listed(rows: list[dict]) -> list[dict]:
    """With the names of files as the host lists them."""
    return [row | {"name": LISTED.get(row["name"], row["name"])} for row in rows]


def saved_graph(page) -> dict:
    """What is saved, without where the window looks."""
    workflow = page.workflow()
    workflow.pop("extra", None)
    return workflow | {"nodes": sorted(workflow["nodes"], key=lambda node: node["id"])}


def expected_links(peer: dict) -> set[tuple]:
    node = peer["node"]
    takes = {slot["type"] for slot in node["inputs"]}
    gives = {slot["type"] for slot in node["outputs"]}
    links = set()
    if "MODEL" in gives:
        links |= {("LoRARows", "LORA_RECIPE", "ApplyToModel", "lora")}
        for type_ in ("MODEL", "CLIP"):
            if type_ in takes:
                links |= {(f"Stranger {SOURCE}", type_, "ApplyToModel", type_.lower())}
                links |= {("ApplyToModel", type_, f"Stranger {USER}", type_.lower())}
    if "LORA_STACK" in gives:
        links |= {
            ("LoRARows", "LORA_RECIPE", "ToLoRAStack", "lora"),
            ("ToLoRAStack", "LORA_STACK", f"Stranger {STACK_USER}", "lora_stack"),
        }
    if "LORA_STACK" in takes:
        links |= {
            (f"Stranger {BEFORE}", "LORA_STACK", "FromLoRAStack", "lora_stack"),
            ("FromLoRAStack", "LORA_RECIPE", "LoRARows", "lora"),
        }
    return links


@pytest.mark.parametrize("name", OTHERS)
class TestPeers:
    """Saved nodes of packs that are not installed here."""

    @pytest.fixture
    def peer(self, page, name):
        page.load(surroundings(PEERS[name]))
        return PEERS[name]

    def test_its_rows_and_links_are_those_it_had(self, interop, peer):
        assert interop.convert(PEER)
        without_text = "CLIP" not in {slot["type"] for slot in peer["node"]["inputs"]}
        rows = listed(peer["rows"])
        if without_text and "LORA_STACK" not in str(peer["node"]["outputs"]):
            rows = [{key: row[key] for key in row if key != "strength_clip"} for row in rows]
        assert interop.rows() == rows
        assert interop.links() == expected_links(peer)

    def test_undo_restores_the_very_same_and_redo_too(self, page, interop, peer):  # noqa: ARG002
        before = saved_graph(page)
        interop.convert(PEER)
        after = saved_graph(page)
        page.undo()
        assert saved_graph(page) == before
        page.redo()
        assert saved_graph(page) == after

    def test_saved_and_opened_again_every_link_is_there(self, page, interop, peer):
        interop.convert(PEER)
        page.load(page.workflow())
        assert interop.links() == expected_links(peer)
