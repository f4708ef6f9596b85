"""Graphs in which nodes become rows and rows become nodes: made, converted, and read again."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import expect

from harness.workflows import host_loras, render
from tests.web.rows import Rows, row
from tests.web.stage import numbered

PEERS = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((Path(__file__).parents[1] / "data" / "peers").glob("*.json"))
}
OTHERS = [n for n, peer in PEERS.items() if not n.startswith("ours") and "refused" not in peer]
REFUSED = [name for name, peer in PEERS.items() if "refused" in peer]
PACK = "lora_algebra"
MUTED, BYPASSED = 2, 4
A, B, C = "sd15_1.safetensors", "sd15_2.safetensors", "sd3_1.safetensors"
LISTED = {name.removesuffix(".safetensors"): name for name in (A, B, C)}

ROWS = [
    row(A, 0.5),
    row(B, 1, strength_clip=0.25),
    {**row(A, 2), "on": False},
    row("gone.safetensors", -0.75),
]

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


TOASTS = ".p-toast-message, [data-testid=toast]"
CLOSE_BUTTONS = ".p-toast-close-button, [data-testid=toast-close]"
"""As the pages up to 1.49 and from 1.58 on have them."""


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

    def convert_all(self) -> bool:
        return self.act("convert", "convertAll", [])

    def selected(self) -> list[int]:
        code = "[...app.canvas.selectedItems].map(({ id }) => Number(id))"
        return self.page.browser_page.evaluate(code)

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

    def wait_for_list(self) -> None:
        """Until the only list here shows its rows, and the page has settled around it."""
        shown = Rows(self.page, self.page.only("LoRARows"))
        shown.show()
        expect(shown.items()).to_have_count(len(self.rows()))
        self.page.settle()

    def steps_taken(self) -> int:
        """How often one could undo now."""
        return self.page.browser_page.evaluate(
            "() => app.extensionManager.workflow.activeWorkflow.changeTracker.undoQueue.length"
        )

    def steps(self) -> int:
        """How often one could undo, with what has changed since counted in."""
        code = """() => {
            const tracker = app.extensionManager.workflow.activeWorkflow.changeTracker;
            tracker.captureCanvasState();
            return tracker.undoQueue.length;
        }"""
        return self.page.browser_page.evaluate(code)

    def said(self) -> str:
        toasts = self.page.browser_page.locator(TOASTS)
        return "\n".join(toasts.all_inner_texts())

    def close_toasts(self) -> None:
        close = "(buttons) => document.querySelectorAll(buttons).forEach((b) => b.click())"
        self.page.browser_page.evaluate(close, CLOSE_BUTTONS)


def listed(rows: list[dict]) -> list[dict]:
    """With the names of files as the host lists them."""
    return [row | {"name": LISTED.get(row["name"], row["name"])} for row in rows]


def saved_graph(page) -> dict:
    """What is saved, flat, so that a difference can be read; without what the host finds out by itself."""
    workflow = page.workflow()
    inner = workflow.pop("definitions", {}).get("subgraphs", [])
    flat = {}
    for where, graph in (("root", workflow), *((graph["id"], graph) for graph in inner)):
        flat[where, "links"] = sorted(graph["links"], key=str)
        for node in graph["nodes"]:
            for key, value in node.items():
                flat[where, f"{node['id']} {node['type']}", key] = value
    return {place: value for place, value in flat.items() if not is_hosts_own(place, value)}


def is_hosts_own(place: tuple, value: object) -> bool:
    """The order of running, empty lists that may as well be missing, and heights by content."""
    *_, node, key = place
    grows = key == "size" and node.endswith(("StackLoRAs", "LoRARows"))
    return key == "order" or value == [] or grows


def broken_links(page) -> list[list]:
    """Links of the saved workflow that the nodes at their ends do not know as it saves these."""
    workflow = page.workflow()
    nodes = {node["id"]: node for node in workflow["nodes"]}

    def is_broken(link: list) -> bool:
        link_id, origin, slot, target, to, _ = link
        known = nodes[origin]["outputs"][slot]["links"] or []
        return link_id not in known or nodes[target]["inputs"][to]["link"] != link_id

    return [link for link in workflow["links"] if is_broken(link)]


def expected_rows(peer: dict) -> list[dict]:
    """Where nothing is known of a text encoder, a row need not say that it has no effect on one."""
    rows = listed(peer["rows"])
    slots = {slot["type"] for slot in peer["node"]["inputs"]}
    if "MODEL" not in slots or "CLIP" in slots:
        return rows
    return [{key: row[key] for key in row if key != "strength_clip"} for row in rows]


def expected_links(peer: dict) -> set[tuple]:
    node = peer["node"]
    takes = {slot["type"] for slot in node["inputs"]}
    gives = {slot["type"] for slot in node["outputs"]}
    links = set()
    if gives & {"MODEL", "CLIP"}:
        is_live = node["type"].startswith("LoraLoaderBypass")
        end = "ApplyToModel" if is_live else "LoRARows"
        if is_live:
            links |= {("LoRARows", "LORA_RECIPE", end, "lora")}
        for type_ in ("MODEL", "CLIP"):
            if type_ in takes:
                links |= {(f"Stranger {SOURCE}", type_, end, type_.lower())}
                links |= {(end, type_, f"Stranger {USER}", type_.lower())}
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


def core_chain(*loras: tuple[str, float]) -> dict:
    """A prompt with the host's loaders one after the other, that can run."""
    prompt = render("sd15clip", host_loras(*loras), png="chain")
    del prompt["TKHash"]
    return numbered(prompt)
