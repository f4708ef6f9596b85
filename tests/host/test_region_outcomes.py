"""Masks and prompts beside what else people do with a sampler: each works, or is refused in words."""

from __future__ import annotations

import pytest
import torch

from harness.samples import pair, write
from harness.workflows import KINDS as EVERY
from harness.workflows import Graph, apply_lora, half_mask, load, mask_lora, only_in, stack_loras
from tests.host.files import apart, latent, make_loras
from tests.host.test_masks import loaded
from tests.host.test_prompts import drawn, hooked, prompt, regions


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return {kind: make_loras(host, folder, kind, 2) for kind in ("sd15", "sd3", "flux", "wan")}


def both_sides(graph, name):
    """A LoRA in two halves, so that it should be the plain one."""
    sides = {"left": 1.0, "right": 0.0}
    own = [mask_lora(graph, loaded(graph, name), side, rest) for side, rest in sides.items()]
    return stack_loras(graph, *own)


class Workflow:
    """A sampler with everything that a test puts around it."""

    def __init__(self, kind, *, patch=None, positive=None, latents=None, second=None, steps=2):
        self.kind, self.patch = kind, patch or (lambda graph, model: model)
        self.positive = positive or (lambda graph: prompt(graph, kind, 1))
        self.latents = {"width": 64, "height": 64, "batch_size": 1} | dict(
            EVERY[kind].latent_inputs
        )
        self.latents |= latents or {}
        self.second, self.steps = second, steps

    def graph(self, make):
        """``make`` returns the LORA for a graph; None for no LoRA."""
        graph, entry = Graph(), EVERY[self.kind]
        model, lora = load(graph, self.kind).model, make(graph)
        if lora is not None:
            model, _ = apply_lora(graph, lora, model, mode="live")
        model = self.patch(graph, model)
        out = [graph.add(entry.latent_node, **self.latents), 0]
        prompts = {"positive": self.positive(graph), "negative": prompt(graph, self.kind, 2)}
        for size in (None, self.second):
            if size is not None:
                out = [graph.add("LatentUpscale", samples=out, crop="disabled", **size), 0]
            elif "KSampler" in graph.prompt:
                break
            node = graph.add(
                "KSampler",
                model=model,
                **prompts,
                latent_image=out,
                seed=7,
                steps=self.steps,
                cfg=3.0,
                sampler_name="euler",
                scheduler="simple",
                denoise=1.0,
            )
            out = [node, 0]
        graph.add("TKSaveTensor", latent=out, name="outcome")
        return graph.prompt

    def drawn(self, host, make):
        return latent(host, self.graph(make), "outcome")

    def refused(self, host, make):
        return host.run(self.graph(make), expect_error=True).error


HALF = {"width": 0.5, "height": 1.0, "y": 0, "strength": 1.0}


def area(graph):
    """Two prompts in two areas."""
    own = prompt(graph, "flux", 1), prompt(graph, "flux", 3)
    cuts = [
        graph.add("ConditioningSetAreaPercentage", conditioning=each, x=x, **HALF)
        for each, x in zip(own, (0, 0.5), strict=True)
    ]
    return [
        graph.add("ConditioningCombine", conditioning_1=[cuts[0], 0], conditioning_2=[cuts[1], 0]),
        0,
    ]


def reference(graph):
    """A prompt with a reference image of another size."""
    other = graph.add("EmptySD3LatentImage", width=96, height=48, batch_size=1)
    node = graph.add("ReferenceLatent", conditioning=prompt(graph, "flux", 1), latent=[other, 0])
    return [node, 0]


def windows(graph, model):
    inputs = {
        "context_length": 5,
        "context_overlap": 4,
        "context_schedule": "standard_static",
        "context_stride": 1,
        "closed_loop": False,
        "fuse_method": "flat",
        "freenoise": False,
        "retain_first_frame": False,
        "split_conds_to_windows": False,
    }
    return [graph.add("WanContextWindowsManual", model=model, **inputs), 0]


WORKS = {
    "an odd size": Workflow("flux", latents={"width": 136, "height": 120}),
    "two images": Workflow("flux", latents={"batch_size": 2}),
    "two areas": Workflow("flux", positive=area),
    "a reference image": Workflow("flux", positive=reference),
    "context windows": Workflow("wan", patch=windows, latents={"length": 17}),
    "a second sampler, of another size": Workflow(
        "flux", second={"upscale_method": "bilinear", "width": 96, "height": 80}
    ),
}


@pytest.mark.parametrize("what", WORKS)
def test_masks_work_with(host, loras, what, show):
    workflow = WORKS[what]
    name = loras[workflow.kind][0]
    plain = workflow.drawn(host, lambda graph: loaded(graph, name))
    base = workflow.drawn(host, lambda _: None)
    error = apart(workflow.drawn(host, lambda graph: both_sides(graph, name)), plain)
    show(
        f"{what}: left and right {error:.1e} from the plain LoRA, which changes {apart(plain, base):.1e}"
    )
    assert error < 1e-6
    assert apart(plain, base) > 1e-3


def test_a_mask_for_each_frame_follows_context_windows(host, tmp_path, show):
    """A LoRA of the last layer, so that nothing spreads; the mask is white in the third latent frame."""
    last = pair("diffusion_model.head.head", 64, 128)
    name = host.add_lora(write(tmp_path / "last.safetensors", last))

    def third(graph):
        black = graph.add("SolidMask", value=0.0, width=64, height=64)
        white = graph.add("SolidMask", value=1.0, width=64, height=64)
        frames = [white if index == 2 else black for index in range(5)]
        images = [graph.add("MaskToImage", mask=[each, 0]) for each in frames]
        batch = images[0]
        for each in images[1:]:
            batch = graph.add("ImageBatch", image1=[batch, 0], image2=[each, 0])
        mask = graph.add("ImageToMask", image=[batch, 0], channel="red")
        return [graph.add("MaskLoRA", lora=loaded(graph, name), mask=[mask, 0], elsewhere=0.0), 0]

    workflow = Workflow("wan", patch=windows, latents={"length": 17}, steps=1)
    change = (workflow.drawn(host, third) - workflow.drawn(host, lambda _: None)).abs()
    by_frame = change.amax((0, 1, 3, 4)).tolist()
    show(f"changes by latent frame: {', '.join(f'{each:.1e}' for each in by_frame)}")
    assert len(by_frame) == 5
    assert [each > 0 for each in by_frame] == [False, False, True, False, False]


PATCHES = {
    "HyperTile": {"tile_size": 64, "swap_size": 2, "max_depth": 0, "scale_depth": False},
    "TomePatchModel": {"ratio": 0.5},
    "TKTiles": {},
}


def patched_by(node):
    return lambda graph, model: [graph.add(node, model=model, **PATCHES[node]), 0]


@pytest.mark.slow  # a UNet
@pytest.mark.parametrize("node", PATCHES)
def test_masks_are_refused_where_a_node_moves_tokens(host, loras, node, show):
    big = {"width": 128, "height": 128}
    workflow = Workflow("sd15", patch=patched_by(node), latents=big)
    error = workflow.refused(host, lambda graph: both_sides(graph, loras["sd15"][0]))
    show(f"{node} with a mask: {error.strip()}")
    assert "mask" in error
    assert "Take" in error


@pytest.mark.slow  # a UNet
@pytest.mark.parametrize("node", ["HyperTile", "TomePatchModel"])
def test_a_lora_for_all_prompts_works_there(host, loras, node):
    def make(graph, model, *, tied):
        own, other = prompt(graph, "sd15", 1), prompt(graph, "sd15", 2)
        lora = loaded(graph, loras["sd15"][0])
        if not tied:
            model, _ = apply_lora(graph, lora, model, mode="live")
            return patched_by(node)(graph, model), own, other
        prompts = {"positive": own, "negative": other}
        added = graph.add("ApplyToConditioning", lora=lora, model=model, **prompts)
        return patched_by(node)(graph, [added, 0]), [added, 1], [added, 2]

    found = drawn(host, "sd15", lambda graph, model: make(graph, model, tied=True))
    assert (
        apart(found, drawn(host, "sd15", lambda graph, model: make(graph, model, tied=False)))
        < 1e-6
    )


def test_tiles_are_refused_for_prompts(host, loras, show):
    def make(graph, model):
        model, positive, negative = regions("flux", *loras["flux"])(graph, model)
        return patched_by("TKTiles")(graph, model), positive, negative

    with pytest.raises(Exception, match="in tiles of") as raised:
        drawn(host, "flux", make)
    show(f"tiles with a prompt: {str(raised.value).splitlines()[0][:200]}")


def test_prompts_that_the_host_does_not_batch_together_have_their_loras(host, loras, show):
    """Texts of other lengths are evaluated one by one."""

    def longer(make):
        def made(graph, model):
            found = make(graph, model)
            graph.prompt["TKConditioning_2"]["inputs"]["tokens"] = 13
            return found

        return made

    ours = drawn(host, "flux", longer(regions("flux", *loras["flux"])))
    theirs = drawn(host, "flux", longer(hooked("flux", *loras["flux"])))
    show(f"one by one: {apart(ours, theirs):.1e} from the host's hooks")
    assert apart(ours, theirs) < 1e-5


def test_a_batch_that_memory_cannot_hold_has_its_loras(host, loras, show):
    """The host evaluates each conditioning alone; masks and prompts stay with their own."""

    def split(make):
        def made(graph, model):
            model, positive, negative = make(graph, model)
            return [graph.add("TKShortOfMemory", model=model), 0], positive, negative

        return made

    tied = regions("flux", *loras["flux"])

    def masked(graph, model):
        model, positive, negative = tied(graph, model)
        left = mask_lora(graph, loaded(graph, loras["flux"][0]), "left")
        return apply_lora(graph, left, model, mode="live")[0], positive, negative

    for what, make, other in (
        ("prompts", tied, hooked("flux", *loras["flux"])),
        ("prompts and a mask", masked, masked),
    ):
        host.model_calls()
        ours = drawn(host, "flux", split(make))
        calls = host.model_calls()
        error = apart(ours, drawn(host, "flux", other))
        show(f"{what}, {len(calls)} calls for 3 steps: {error:.1e} from hooks or one batch")
        assert [call["chunks"] for call in calls] == [1] * 9
        assert error < 1e-5


def test_prompts_in_areas_have_their_loras(host, loras, show):
    def areas(make):
        def made(graph, model):
            found = make(graph, model)
            for number, node in enumerate(
                [n for n, own in graph.prompt.items() if own["class_type"] == "ConditioningSetMask"]
            ):
                conditioning = graph.prompt[node]["inputs"]["conditioning"]
                inputs = {"conditioning": conditioning, "x": 0.5 * number, **HALF}
                graph.prompt[node] = {
                    "class_type": "ConditioningSetAreaPercentage",
                    "inputs": inputs,
                }
            return found

        return made

    ours = drawn(host, "flux", areas(regions("flux", *loras["flux"])))
    theirs = drawn(host, "flux", areas(hooked("flux", *loras["flux"])))
    show(f"areas: {apart(ours, theirs):.1e} from the host's hooks")
    assert apart(ours, theirs) < 1e-5


def test_as_many_masks_as_neither_images_nor_frames_are_refused(host, loras, show):
    def three(graph):
        mask = graph.add("MaskToImage", mask=half_mask(graph, "left"))
        batch = graph.add("ImageBatch", image1=[mask, 0], image2=[mask, 0])
        batch = graph.add("ImageBatch", image1=[batch, 0], image2=[mask, 0])
        mask = graph.add("ImageToMask", image=[batch, 0], channel="red")
        lora = loaded(graph, loras["flux"][0])
        return [graph.add("MaskLoRA", lora=lora, mask=[mask, 0], elsewhere=0.0), 0]

    error = Workflow("flux", latents={"batch_size": 2}).refused(host, three)
    show(f"three masks for two images: {error.strip()}")
    assert "Mask LoRA has 3 masks. It needs 1 mask, or 2" in error


def test_all_of_it_is_a_product_in_any_order(host, loras):
    """Schedule, spread, blocks and mask, before a prompt, in two orders."""
    steps = {
        "ScheduleLoRA": {"curve": "0:0.2, 1:1", "start_percent": 0.0, "end_percent": 1.0},
        "SpreadLoRA": {"values": "0.5, 1"},
        "LoRABlockWeights": {"weights": "double 0: 0.5"},
        "MaskLoRA": {"elsewhere": 0.3},
    }

    def tied(order):
        def make(graph, model):
            lora = loaded(graph, loras["flux"][0])
            for node in order:
                more = {"mask": half_mask(graph, "left")} if node == "MaskLoRA" else {}
                lora = [graph.add(node, lora=lora, **steps[node], **more), 0]
            own = only_in(graph, prompt(graph, "flux", 1), "left")
            inputs = {"lora": lora, "model": model, "positive": own}
            added = graph.add("ApplyToConditioning", **inputs)
            return [added, 0], [added, 1], prompt(graph, "flux", 2)

        return make

    one = drawn(host, "flux", tied([*steps]), batch=2)
    assert torch.equal(one, drawn(host, "flux", tied([*reversed(steps)]), batch=2))
    assert apart(one[:1], one[1:]) > 0
