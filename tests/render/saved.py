"""Workflows as the page saves them, made by hand: one for each of the page's own rules."""

from __future__ import annotations

from typing import Any

MUTED, BYPASSED = 2, 4
GIVES: dict[str, list[str]] = {
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "CLIPTextEncode": ["CONDITIONING"],
    "CombineLoRAs": ["LORA_RECIPE"],
    "ControlNetApplyAdvanced": ["CONDITIONING", "CONDITIONING"],
    "ConditioningZeroOut": ["CONDITIONING"],
    "EmptyLatentImage": ["LATENT"],
    "ImageScale": ["IMAGE"],
    "KSampler": ["LATENT"],
    "LoadImage": ["IMAGE", "MASK"],
    "LoadLoRA": ["LORA_RECIPE"],
    "LoRARows": [
        "LORA_RECIPE",
        "STRING",
        "STRING",
        "MODEL",
        "CLIP",
        "STRING",
        "MODEL",
        "LORA_RECIPE",
    ],
    "LoraLoader": ["MODEL", "CLIP"],
    "PrimitiveFloat": ["FLOAT"],
    "PrimitiveNode": ["*"],
    "Reroute": ["*"],
    "StackLoRAs": ["LORA_RECIPE"],
    "VAEDecode": ["IMAGE"],
}
"""What the nodes that are used here give."""

TAKES = {
    "CLIPTextEncode": "clip:CLIP text:STRING",
    "KSampler": "model:MODEL positive:CONDITIONING negative:CONDITIONING latent_image:LATENT seed:INT steps:INT cfg:FLOAT "
    "sampler_name:COMBO scheduler:COMBO denoise:FLOAT",
}
"""The sockets of some nodes, in the page's order."""

SAMPLER = [7, "fixed", 4, 7, "euler", "simple", 1]
IN, OUT = -10, -20


class Made:
    """A graph, node by node."""

    def __init__(self, subgraph: str = "", first: int = 1) -> None:
        self.subgraph = subgraph
        self.first = first
        self.nodes: list[dict[str, Any]] = []
        self.links: list[dict[str, Any]] = []
        self.inputs: list[dict[str, Any]] = []
        self.outputs: list[dict[str, Any]] = []
        self.definitions: list[dict[str, Any]] = []
        self.last_link = 0

    def add(self, kind: str, values: list[Any] | None = None, mode: int = 0, **others: Any) -> int:
        """Adds a node, and returns its id. ``links`` maps an input to (node, output); ``gives`` its outputs."""
        number = self.first + len(self.nodes)
        gives = others.pop("gives", GIVES.get(kind, []))
        links = others.pop("links", {})
        node: dict[str, Any] = {"id": number, "type": kind, "mode": mode, "order": len(self.nodes)}
        node |= {"pos": [240 * number, 0], "size": [220, 200], "flags": {}, "properties": {}}
        inputs = [socket(*each.split(":")) for each in TAKES.get(kind, "").split()]
        node |= {
            "inputs": inputs,
            "outputs": [{"name": each, "type": each, "links": None} for each in gives],
        }
        if values is not None:
            node["widgets_values"] = values
        self.nodes.append(node | others)
        for name, (origin, slot) in links.items():
            self.link(origin, slot, number, name)
        return number

    def link(self, origin: int, slot: int, target: int, name: str) -> None:
        """Links an output, or the input of the subgraph (IN), to an input."""
        node = self._node(target)
        kind = (
            self.inputs[slot]["type"]
            if origin == IN
            else self._node(origin)["outputs"][slot]["type"]
        )
        entry = next((each for each in node["inputs"] if each["name"] == name), None)
        if entry is None:
            entry = socket(name, kind)
            node["inputs"].append(entry)
        if entry["link"] is not None:
            self._unlink(entry["link"])
        if origin != IN and self._node(origin)["type"] == "PrimitiveNode":
            self._node(origin)["outputs"][slot]["widget"] = {"name": name}
        entry["link"] = self._linked(origin, slot, target, node["inputs"].index(entry), kind)

    def port(self, name: str, kind: str, *targets: tuple[int, str]) -> None:
        """Adds an input of the subgraph that goes to some inputs."""
        self.inputs.append({"id": f"in-{name}", "name": name, "type": kind, "linkIds": []})
        for target, called in targets:
            self.link(IN, len(self.inputs) - 1, target, called)

    def give(self, name: str, origin: int, slot: int) -> None:
        """Adds an output of the subgraph."""
        kind = self._node(origin)["outputs"][slot]["type"]
        self.outputs.append({"id": f"out-{name}", "name": name, "type": kind, "linkIds": []})
        self._linked(origin, slot, OUT, len(self.outputs) - 1, kind)

    def saved(self) -> dict[str, Any]:
        """Returns the root as the page saves it."""
        links = [
            [
                each[key]
                for key in ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
            ]
            for each in self.links
        ]
        made = {"nodes": self.nodes, "links": links, "version": 0.4, "groups": [], "config": {}}
        made |= {"last_node_id": 99, "last_link_id": 999, "extra": {}, "id": UUID.format(0)}
        return made | ({"definitions": {"subgraphs": self.definitions}} if self.definitions else {})

    def definition(self) -> dict[str, Any]:
        """Returns it as a subgraph."""
        made = {
            "id": self.subgraph,
            "version": 1,
            "revision": 0,
            "name": "Inside",
            "config": {},
            "extra": {},
        }
        made |= {
            "state": {"lastGroupId": 0, "lastNodeId": 99, "lastLinkId": 999, "lastRerouteId": 0}
        }
        made |= {"inputNode": {"id": IN, "bounding": [0, 0, 100, 100]}, "inputs": self.inputs}
        made |= {"outputNode": {"id": OUT, "bounding": [900, 0, 100, 100]}, "outputs": self.outputs}
        return made | {"nodes": self.nodes, "links": self.links, "groups": [], "widgets": []}

    def _node(self, number: int) -> dict[str, Any]:
        return next(node for node in self.nodes if node["id"] == number)

    def _unlink(self, number: int) -> None:
        link = next(each for each in self.links if each["id"] == number)
        self.links.remove(link)
        self._node(link["origin_id"])["outputs"][link["origin_slot"]]["links"].remove(number)

    def _linked(self, origin: int, slot: int, target: int, target_slot: int, kind: str) -> int:
        number = self.last_link = self.last_link + 1
        ends = {
            "origin_id": origin,
            "origin_slot": slot,
            "target_id": target,
            "target_slot": target_slot,
        }
        self.links.append({"id": number, **ends, "type": kind})
        if origin == IN:
            self.inputs[slot]["linkIds"].append(number)
        else:
            output = self._node(origin)["outputs"][slot]
            output["links"] = [*(output["links"] or []), number]
        if target == OUT:
            self.outputs[target_slot]["linkIds"].append(number)
        return number


UUID = "00000000-0000-4000-8000-00000000000{}"
WIDGETS = {"seed", "steps", "cfg", "text", "sampler_name", "scheduler", "denoise"}


def socket(name: str, kind: str) -> dict[str, Any]:
    """An input of a node that nothing is linked to."""
    entry = {"name": name, "type": kind, "link": None}
    return entry | ({"widget": {"name": name}} if name in WIDGETS else {})


def picture(
    graph: Made, model: tuple[int, int], clip: tuple[int, int], vae: tuple[int, int], **given: Any
) -> int:
    """Adds a sampler and what it needs, and returns it."""
    text = graph.add("CLIPTextEncode", [given.get("text", "a house")], links={"clip": clip})
    latent = graph.add("EmptyLatentImage", [64, 64, 1])
    links = {
        "model": model,
        "positive": (text, 0),
        "negative": (text, 0),
        "latent_image": (latent, 0),
    }
    sampler = graph.add(
        "KSampler", given.get("sampler", SAMPLER), links=links | given.get("links", {})
    )
    decoded = graph.add("VAEDecode", links={"samples": (sampler, 0), "vae": vae})
    graph.add("SaveImage", [given.get("prefix", "made")], links={"images": (decoded, 0)})
    return sampler


def plain() -> dict[str, Any]:
    """Titles, an old name of a sampler, a note, a muted node, a comment and braces in a prompt, a name in a name."""
    graph = Made()
    loader = graph.add("CheckpointLoaderSimple", ["tiny.safetensors"], title="The model")
    values = [7, "randomize", 4, 7.5, "sample_euler", "simple", 1]
    text = r"a house /* old */ \{small\} {only} // the end"
    prefix = "a/%KSampler.steps%_%The picture.width%_%width%_%nobody.seed%"
    sampler = picture(
        graph, (loader, 0), (loader, 1), (loader, 2), sampler=values, text=text, prefix=prefix
    )
    graph.nodes[2]["title"] = "The picture"
    graph.nodes[3]["properties"] = {"Node name for S&R": "KSampler"}
    graph.add("Note", ["for people"])
    graph.add("MarkdownNote", ["# for people"])
    decoded = graph.add("VAEDecode", links={"samples": (sampler, 0), "vae": (loader, 2)})
    graph.add("SaveImage", ["no"], MUTED, links={"images": (decoded, 0)})
    return graph.saved()


def reroutes() -> dict[str, Any]:
    """Two in a row, and one that nothing goes into."""
    graph = Made()
    loader = graph.add("CheckpointLoaderSimple", ["tiny.safetensors"])
    first = graph.add("Reroute", links={"": (loader, 0)})
    second = graph.add("Reroute", links={"": (first, 0)})
    sampler = picture(graph, (second, 0), (loader, 1), (loader, 2))
    graph.link(graph.add("Reroute"), 0, sampler, "steps")
    return graph.saved()


def bypassed() -> dict[str, Any]:
    """One that gives both of its inputs on, one whose inputs fit nothing, and a muted one before another."""
    graph = Made()
    loader = graph.add("CheckpointLoaderSimple", ["tiny.safetensors"])
    links = {"model": (loader, 0), "clip": (loader, 1)}
    lora = graph.add("LoraLoader", ["a.safetensors", 1, 1], BYPASSED, links=links)
    sampler = picture(graph, (lora, 0), (lora, 1), (loader, 2))
    image = graph.add("LoadImage", ["example.png", "image"], BYPASSED)
    scaled = graph.add("ImageScale", ["area", 64, 64, "disabled"], links={"image": (image, 0)})
    graph.add("SaveImage", ["scaled"], links={"images": (scaled, 0)})
    texts = [
        graph.add("CLIPTextEncode", [text], links={"clip": (loader, 1)}) for text in ("a", "b")
    ]
    links = {"positive": (texts[0], 0), "negative": (texts[1], 0)}
    control = graph.add("ControlNetApplyAdvanced", [1, 0, 1], BYPASSED, links=links)
    third = picture(graph, (loader, 0), (loader, 1), (loader, 2))
    graph.link(control, 0, third, "positive")
    graph.link(control, 1, third, "negative")
    muted = graph.add("CLIPTextEncode", ["no"], MUTED, links={"clip": (loader, 1)})
    zero = graph.add("ConditioningZeroOut", mode=BYPASSED, links={"conditioning": (muted, 0)})
    other = picture(graph, (loader, 0), (loader, 1), (loader, 2))
    graph.link(zero, 0, other, "negative")
    graph.link(muted, 0, sampler, "negative")
    return graph.saved()


def primitives() -> dict[str, Any]:
    """A seed for two samplers, a number that a widget rounds, and a text."""
    graph = Made()
    loader = graph.add("CheckpointLoaderSimple", ["tiny.safetensors"])
    seed = graph.add("PrimitiveNode", [12, "fixed"], gives=["INT"])
    cfg = graph.add("PrimitiveNode", [6.123456, "fixed"], gives=["FLOAT"])
    text = graph.add("PrimitiveNode", ["a lake // deep"], gives=["STRING"])
    for number in range(2):
        sampler = picture(graph, (loader, 0), (loader, 1), (loader, 2), prefix=f"made{number}")
        graph.link(seed, 0, sampler, "seed")
        graph.link(cfg, 0, sampler, "cfg")
        graph.link(text, 0, sampler - 2, "text")
    return graph.saved()


def growing() -> dict[str, Any]:
    """Sockets that grow, a list whose choice brings widgets, and rows with notes and a strength by link."""
    graph = Made()
    loader = graph.add("CheckpointLoaderSimple", ["tiny.safetensors"])
    files = [graph.add("LoadLoRA", [f"{name}.safetensors", 0.5]) for name in "abc"]
    links = {f"loras.lora_{place}": (number, 0) for place, number in enumerate(files)}
    stack = graph.add("StackLoRAs", links=links)
    links = {f"loras.lora_{place}": (number, 0) for place, number in enumerate(files[:2])}
    combined = graph.add(
        "CombineLoRAs", ["ties", 0.3, 64, "as given"], links={**links, "lora": (stack, 0)}
    )
    strength = graph.add("PrimitiveFloat", [0.25])
    rows = [
        {"on": True, "name": "a.safetensors", "strength": 0.8, "note": "for people"},
        {"on": False, "name": "b.safetensors", "strength": 1, "link": "strength_1"},
    ]
    links = {
        "model": (loader, 0),
        "clip": (loader, 1),
        "lora": (stack, 0),
        "strength_1": (strength, 0),
    }
    both = graph.add("LoRARows", [{"version": 1, "rows": rows}], links=links)
    picture(graph, (both, 3), (both, 4), (loader, 2))
    graph.add("LoRARows", [{"version": 1, "rows": []}], links={"lora": (combined, 0)})
    return graph.saved()


def sampler_inside(first: int = 20) -> Made:
    """A subgraph with a text and a sampler, which shows the text, the seed and the steps."""
    inside = Made(UUID.format(1), first)
    text = inside.add("CLIPTextEncode", ["inside"])
    latent = inside.add("EmptyLatentImage", [64, 64, 1])
    links = {"positive": (text, 0), "negative": (text, 0), "latent_image": (latent, 0)}
    sampler = inside.add("KSampler", SAMPLER, links=links)
    inside.port("model", "MODEL", (sampler, "model"))
    inside.port("clip", "CLIP", (text, "clip"))
    inside.port("text", "STRING", (text, "text"))
    inside.port("steps", "INT", (sampler, "steps"))
    inside.give("LATENT", sampler, 0)
    return inside


def subgraphs() -> dict[str, Any]:
    """Two nodes of one subgraph with values of their own, one with an input by link, a muted and a bypassed one."""
    graph = Made()
    inside = sampler_inside()
    graph.definitions.append(inside.definition())
    loader = graph.add("CheckpointLoaderSimple", ["tiny.safetensors"])
    links = {"model": (loader, 0), "clip": (loader, 1)}
    for values, mode in (
        (["one", 5], 0),
        (["two", 6], 0),
        ([], 0),
        (["no", 3], MUTED),
        (["no", 3], BYPASSED),
    ):
        node = graph.add(inside.subgraph, values, mode, links=links, gives=["LATENT"])
        decoded = graph.add("VAEDecode", links={"samples": (node, 0), "vae": (loader, 2)})
        graph.add("SaveImage", ["made"], links={"images": (decoded, 0)})
    return graph.saved()


def nested() -> dict[str, Any]:
    """A subgraph in a subgraph: values that go in from outside, and a widget that the outer one shows of the inner one."""
    graph = Made()
    inner = sampler_inside()
    outer = Made(UUID.format(2), 40)
    node = outer.add(inner.subgraph, ["middle", 8], gives=["LATENT"])
    outer.port("model", "MODEL", (node, "model"))
    outer.port("clip", "CLIP", (node, "clip"))
    outer.port("text", "STRING", (node, "text"))
    outer.give("LATENT", node, 0)
    graph.definitions += [inner.definition(), outer.definition()]
    loader = graph.add("CheckpointLoaderSimple", ["tiny.safetensors"])
    links = {"model": (loader, 0), "clip": (loader, 1)}
    for values in (["outside"], []):
        made = graph.add(outer.subgraph, values, links=links, gives=["LATENT"])
        decoded = graph.add("VAEDecode", links={"samples": (made, 0), "vae": (loader, 2)})
        graph.add("SaveImage", ["made"], links={"images": (decoded, 0)})
    return graph.saved()


def proxies() -> dict[str, Any]:
    """Values that a node of an earlier page shows: of a linked input, and of widgets inside."""
    graph = Made()
    inside = sampler_inside()
    graph.definitions.append(inside.definition())
    loader = graph.add("CheckpointLoaderSimple", ["tiny.safetensors"])
    links = {"model": (loader, 0), "clip": (loader, 1)}
    shown = [["20", "text"], ["22", "steps"], ["22", "cfg"]]
    for values in (["outside", 9, 2.5], []):
        properties = {"proxyWidgets": shown}
        node = graph.add(
            inside.subgraph, values, links=links, gives=["LATENT"], properties=properties
        )
        decoded = graph.add("VAEDecode", links={"samples": (node, 0), "vae": (loader, 2)})
        graph.add("SaveImage", ["made"], links={"images": (decoded, 0)})
    return graph.saved()


def proxies_further_inside() -> dict[str, Any]:
    """The outer subgraph shows the steps of the inner one, which says others."""
    made = nested()
    for node, values in zip(
        (made["nodes"][1], made["nodes"][4]), (["outside", 11], []), strict=True
    ):
        node["properties"] = {"proxyWidgets": [["40", "text"], ["40", "steps"]]}
        node["widgets_values"] = values
    return made


CASES = (
    *(plain, reroutes, bypassed, primitives, growing),
    *(subgraphs, nested, proxies, proxies_further_inside),
)
SAME_IN_EVERY_PAGE = CASES[:5]
"""Until 1.45, the page had no values of a subgraph node itself."""
