"""Saved workflows open, run and mean what they meant; graphs built by hand keep their links."""

from __future__ import annotations

import json

import pytest

from harness.tiny_loras import KINDS as EVERY
from harness.workflows import KINDS, Graph, load

pytest.importorskip("playwright")

from tests.web.stage import WORKFLOWS, lora_names, numbered, two_loras, unfolded

MUTED, BYPASSED = 2, 4
NAMES = lora_names("sd15") + lora_names("sd3")[:1]


def stored(kind, suffix=".json"):
    return json.loads((WORKFLOWS / f"{kind}{suffix}").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "kind",
    [each if each == "flux" else pytest.param(each, marks=pytest.mark.slow) for each in EVERY],
)
class TestStored:
    def test_it_renders_and_shows_its_report(self, page, host, kind, shoot):
        page.load(stored(kind))
        pictures = set(host.output_dir.glob("*.png"))
        page.set(page.only("KSampler"), {"seed": len(pictures)})
        page.run()
        (picture, *_) = set(host.output_dir.glob("*.png")) - pictures
        assert picture.name.startswith(kind)
        page.show([page.only("ApplyToModel")])
        page.expect_report(*lora_names(kind), "at strength 0.5", "at strength 1")
        shoot(kind)

    def test_the_page_exports_the_stored_prompt(self, page, kind):
        """Inputs that came after it was saved get their usual values, and nodes are called as they are now."""
        page.load(stored(kind))
        prompt = stored(kind, ".api.json")
        prompt[str(page.only("ApplyToModel"))]["inputs"].setdefault("mode", "auto")
        for node in page.byType("TKConditioning"):
            prompt[str(node)]["inputs"].setdefault("mask", False)
        for node in page.byType("LoadLoRA"):
            prompt[str(node)]["_meta"]["title"] = "LoRA File"  # it was saved as Load LoRA
        assert page.prompt() == prompt

    def test_it_is_saved_as_it_was_opened(self, page, kind):
        page.load(stored(kind))
        assert sorted(page.workflow()["links"]) == sorted(stored(kind)["links"])


@pytest.mark.newest_page
class TestBuiltByHand:
    """StackLoRAs over three loaders, in the order of NAMES, and ApplyToModel behind it."""

    @pytest.fixture
    def nodes(self, page):
        loaders = [page.add("LoadLoRA", f"loader {i}", [60, 60 + 180 * i]) for i in range(3)]
        stack = page.add("StackLoRAs", "stack", [460, 60])
        end = page.add("ApplyToModel", "end", [860, 60])
        for loader, name in zip(loaders, NAMES, strict=True):
            page.set(loader, {"lora_name": name})
        for index, loader in enumerate(loaders):
            page.connect(loader, 0, stack, f"loras.lora_{index}")
        page.connect(stack, 0, end, "lora")
        return [*loaders, stack, end]

    def test_the_stack_always_has_one_more_socket(self, page):
        stack = page.add("StackLoRAs")
        for index in range(3):
            assert page.sockets(stack)[-1] == f"loras.lora_{index}"
            loader = page.add("LoadLoRA")
            page.connect(loader, 0, stack, f"loras.lora_{index}")
        assert page.sockets(stack) == [f"loras.lora_{index}" for index in range(4)]

    def test_its_sockets_are_called_lora(self, page, nodes):
        assert page.labels(nodes[0])[1] == ["LORA"]
        assert page.labels(nodes[3])[1] == ["LORA"]
        assert page.labels(nodes[4])[0][0] == "LORA"

    @pytest.mark.usefixtures("nodes")
    def test_saved_and_opened_it_is_the_same(self, page):
        before = page.prompt()
        page.load(page.workflow())
        assert page.prompt() == before
        assert stacked(page) == [*NAMES]

    def test_a_pasted_copy_has_every_link(self, page, nodes):
        before = meaning(page, "ApplyToModel")
        page.pasteCopiesOf(nodes)
        assert meaning(page, "ApplyToModel") == before
        assert stacked(page) == [*NAMES]

    def test_undo_and_redo_keep_every_link(self, page, nodes):
        before = page.prompt()
        page.set(nodes[0], {"strength": 0.5})
        after = page.prompt()
        page.undo()
        assert page.prompt() == before
        page.redo()
        assert page.prompt() == after

    @pytest.mark.usefixtures("nodes")
    def test_undone_links_come_back(self, page):
        page.undo()
        page.undo()
        assert stacked(page) == [*NAMES[:2]]
        page.redo()
        page.redo()
        assert stacked(page) == [*NAMES]

    @pytest.mark.parametrize("wrapped", [slice(3, 4), slice(0, 4), slice(1, 5), slice(0, 5)])
    def test_a_subgraph_and_back_keep_every_link(self, page, nodes, wrapped):
        before = page.prompt()
        outer = page.wrap(nodes[wrapped])
        assert meaning(page, "ApplyToModel") == unfolded(before, str(nodes[4]))
        page.load(page.workflow())
        page.unwrap(outer)
        assert meaning(page, "ApplyToModel") == unfolded(before, str(nodes[4]))
        assert stacked(page) == [*NAMES]


class TestSwitchedOff:
    @pytest.fixture(autouse=True)
    def workflow(self, page):
        page.loadPrompt(two_loras("sd15"))

    @pytest.mark.parametrize("mode", [MUTED, BYPASSED])
    @pytest.mark.parametrize("which", [0, 1])
    def test_a_loader_is_left_out(self, page, mode, which):
        page.setMode(page.byType("LoadLoRA")[which], mode)
        page.run()
        page.show([page.only("ApplyToModel")])
        page.expect_report(lora_names("sd15")[1 - which])
        assert lora_names("sd15")[which] not in page.report().text_content()

    @pytest.mark.parametrize("mode", [MUTED, BYPASSED])
    def test_both_loaders_leave_the_model_unchanged(self, page, mode):
        for loader in page.byType("LoadLoRA"):
            page.setMode(loader, mode)
        page.run()
        page.show([page.only("ApplyToModel")])
        page.expect_report("No LoRA: the model is unchanged.")

    def test_a_muted_stack_leaves_the_model_unchanged(self, page):
        page.setMode(page.only("StackLoRAs"), MUTED)
        page.run()
        page.show([page.only("ApplyToModel")])
        page.expect_report("No LoRA: the model is unchanged.")

    def test_a_bypassed_scale_passes_its_lora_on(self, page):
        scale = page.add("ScaleLoRA")
        page.set(scale, {"strength_model": 0.5})
        page.connect(page.only("StackLoRAs"), 0, scale, "lora")
        page.connect(scale, 0, page.only("ApplyToModel"), "lora")
        page.run()
        page.show([page.only("ApplyToModel")])
        page.expect_report("at strength 0.25", "at strength 0.5")
        page.setMode(scale, BYPASSED)
        page.run()
        page.expect_report("at strength 0.5", "at strength 1")

    def test_a_bypassed_apply_passes_the_model_on(self, page):
        page.setMode(page.only("ApplyToModel"), BYPASSED)
        page.run()
        page.expect_no_report()


@pytest.mark.every_page
class TestWhere:
    """Block weights, a mask and one prompt, in one workflow."""

    @pytest.fixture
    def prompt(self):
        graph = Graph()
        model = load(graph, "flux").model
        lora = [graph.add("LoadLoRA", lora_name=lora_names("flux")[0], strength=0.8), 0]
        weights = {"weights": "double 0: 0.5\nlate: 0.2..1", "preset": "EVENS"}
        lora = [graph.add("LoRABlockWeights", lora=lora, **weights), 0]
        mask = [graph.add("SolidMask", value=0.5, width=64, height=64), 0]
        lora = [graph.add("MaskLoRA", lora=lora, mask=mask, elsewhere=0.25), 0]
        graph.add("TKRecipe", lora=lora)
        texts = [graph.add("TKConditioning", seed=n, **KINDS["flux"].conditioning) for n in (1, 2)]
        node = graph.add("ApplyToConditioning", lora=lora, model=model, positive=[texts[0], 0])
        size = {"width": 64, "height": 64, "batch_size": 1}
        sampled = graph.add(
            "KSampler",
            model=[node, 0],
            positive=[node, 1],
            negative=[texts[1], 0],
            latent_image=[graph.add("EmptySD3LatentImage", **size), 0],
            seed=7,
            steps=2,
            cfg=2.0,
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        )
        graph.add("TKHash", latent=[sampled, 0])
        return numbered(graph.prompt)

    def test_saved_and_opened_again_it_is_the_same_recipe_and_picture(self, page, host, prompt):
        headless = outcome(host, prompt)
        page.loadPrompt(prompt)
        page.load(page.workflow())
        page.expect_no_error()
        assert outcome(host, page.prompt()) == headless
        page.run()
        page.show([page.only("ApplyToConditioning")])
        page.expect_report("for one prompt only")


def outcome(host, prompt):
    """The fingerprint of a prompt's recipe, and the hash of its picture."""
    run = host.run(prompt)
    told = {node["class_type"]: id for id, node in prompt.items()}
    return run.report(told["TKRecipe"])["fingerprint"], run.report(told["TKHash"])["sha256"]


def meaning(page, class_type):
    """What a node of the prompt is and gets, without ids."""
    prompt = page.prompt()
    (node_id,) = (id for id, node in prompt.items() if node["class_type"] == class_type)
    return unfolded(prompt, node_id)


def stacked(page):
    """The files that StackLoRAs gets, in order."""
    return [
        link[0]["inputs"]["lora_name"] for link in meaning(page, "StackLoRAs")["inputs"].values()
    ]
