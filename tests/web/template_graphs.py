"""The graphs of the templates: the host's own loaders and samplers, and our nodes between them.

They name no files of models, which are each user's own; the page then takes the first.
"""

from __future__ import annotations

from harness.host import Prompt
from harness.workflows import Graph, Link, combined, stack_loras

SQUARE, WIDE, LARGE = (512, 512), (768, 512), (1024, 1024)
NEGATIVE = "blurry, watermark"
NO_ROWS = {"version": 1, "rows": []}
BLOCKS = "ALL\nonly early\nonly middle\nonly late"
"""Names of blocks that every model has."""

EPOCHS = "epochs/my-lora-*"
LIGHTHOUSE = "a lighthouse at dawn, ink"
WAN_STEPS, WAN_SWITCH = 20, 10


def first_steps() -> Prompt:
    """One node between the loader and the rest."""
    graph = Graph()
    model, clip, vae = _checkpoint(graph)
    rows = graph.add("LoRARows", rows=NO_ROWS, model=model, clip=clip)
    return _sampled(graph, [rows, 3], [rows, 4], vae, LIGHTHOUSE)


def one_list() -> Prompt:
    """The same, with the trigger words of the rows in the prompt."""
    graph = Graph()
    model, clip, vae = _checkpoint(graph)
    rows = graph.add("LoRARows", rows=NO_ROWS, model=model, clip=clip)
    parts = {"string_a": "a lighthouse at dawn", "string_b": [rows, 1], "delimiter": ", "}
    text = [graph.add("StringConcatenate", **parts), 0]
    return _sampled(graph, [rows, 3], [rows, 4], vae, text)


def schedule() -> Prompt:
    """A list of LoRAs that fades out."""
    graph = Graph()
    model, clip, vae = _checkpoint(graph)
    rows = [graph.add("LoRARows", rows=NO_ROWS), 0]
    curve = {"curve": "0:1, 0.5:1, 0.8:0", "start_percent": 0.0, "end_percent": 1.0}
    lora = [graph.add("ScheduleLoRA", lora=rows, **curve), 0]
    return _sampled(graph, *_applied(graph, lora, model, clip), vae, LIGHTHOUSE)


def regions() -> Prompt:
    """Two LoRAs with one prompt: each of them in its half of the picture."""
    graph = Graph()
    model, clip, vae = _checkpoint(graph)
    loras, masks = (_loaded(graph), _loaded(graph)), _halves(graph)
    parts = [
        [graph.add("MaskLoRA", lora=lora, mask=mask, elsewhere=0.0), 0]
        for lora, mask in zip(loras, masks, strict=True)
    ]
    ends = _applied(graph, stack_loras(graph, *parts), model, clip)
    return _sampled(graph, *ends, vae, "two friends side by side on a beach", size=WIDE)


def epochs() -> Prompt:
    """An XY plot from one run of the queue: a row for each file, a column for each strength."""
    graph = Graph()
    model, clip, vae = _checkpoint(graph)
    inputs = {"values": "0.6, 0.8, 1", "across_values": "0, 0.5, 1", "files": EPOCHS, "seeds": "7"}
    sweep = graph.add("SweepLoRA", **inputs)
    ends = _applied(graph, [sweep, 0], model, clip)
    return _sampled(graph, *ends, vae, LIGHTHOUSE, sweep=sweep)


def wan() -> Prompt:
    """Pairs of LoRAs for the two models of Wan 2.2."""
    graph = Graph()
    high, low = (_unet(graph) for _ in range(2))
    clip = [graph.add("CLIPLoader", clip_name="", type="wan", device="default"), 0]
    rows = graph.add("LoRARows", rows=NO_ROWS, model=high, model_low=low, clip=clip)
    high, low = ([_shifted(graph, [rows, output]), 0] for output in (3, 6))
    prompts = [_text(graph, [rows, 4], text) for text in ("a lighthouse in a storm", NEGATIVE)]
    size = {"width": 640, "height": 640, "length": 81, "batch_size": 1}
    latent = [graph.add("EmptyHunyuanLatentVideo", **size), 0]
    first = {"start_at_step": 0, "end_at_step": WAN_SWITCH, "return_with_leftover_noise": "enable"}
    latent = _part_sampled(graph, high, prompts, latent, add_noise="enable", **first)
    last = {"start_at_step": WAN_SWITCH, "end_at_step": 10000}
    others = {"add_noise": "disable", "return_with_leftover_noise": "disable"}
    latent = _part_sampled(graph, low, prompts, latent, **last, **others)
    images = [graph.add("VAEDecode", samples=latent, vae=_vae(graph)), 0]
    video = [graph.add("CreateVideo", images=images, fps=16.0), 0]
    saving = {"filename_prefix": "video/lora_algebra", "format": "auto", "codec": "auto"}
    graph.add("SaveVideo", video=video, **saving)
    _titled(graph, UNETLoader="Model: high noise", UNETLoader_2="Model: low noise")
    _titled(graph, KSamplerAdvanced="First half: high noise")
    _titled(graph, KSamplerAdvanced_2="Second half: low noise")
    return graph.prompt


def flux() -> Prompt:
    """The host's own nodes for Flux, with a list of LoRAs."""
    graph = Graph()
    names = {"clip_name1": "", "clip_name2": ""}
    clip = [graph.add("DualCLIPLoader", **names, type="flux", device="default"), 0]
    rows = graph.add("LoRARows", rows=NO_ROWS, model=_unet(graph), clip=clip)
    text = _text(graph, [rows, 4], "a lighthouse at dawn, ink on wet paper")
    positive = [graph.add("FluxGuidance", conditioning=text, guidance=3.5), 0]
    negative = [graph.add("ConditioningZeroOut", conditioning=text), 0]
    latent = _latent(graph, LARGE, "EmptySD3LatentImage")
    sampling = {"cfg": 1.0, "scheduler": "simple"}
    latent = _ksampler(graph, [rows, 3], (positive, negative), latent, **sampling)
    _saved(graph, [graph.add("VAEDecode", samples=latent, vae=_vae(graph)), 0])
    return graph.prompt


def blocks() -> Prompt:
    """A LoRA in one part of the model after the other, at two strengths."""
    graph = Graph()
    model, clip, vae = _checkpoint(graph)
    inputs = {"values": "0.5, 1", "across_values": "0, 0.5, 1", "blocks": BLOCKS, "seeds": "7"}
    sweep = graph.add("SweepLoRA", lora=_loaded(graph), **inputs)
    ends = _applied(graph, [sweep, 0], model, clip)
    return _sampled(graph, *ends, vae, LIGHTHOUSE, sweep=sweep)


def prompts() -> Prompt:
    """A prompt for each half of the picture, and a LoRA for each prompt."""
    graph = Graph()
    model, clip, vae = _checkpoint(graph)
    loras, masks, halves = (_loaded(graph), _loaded(graph)), _halves(graph), []
    texts = [_text(graph, clip, text) for text in ("a knight on a beach", "a dancer on a beach")]
    for lora, mask, text in zip(loras, masks, texts, strict=True):
        node = graph.add("ApplyToConditioning", lora=lora, model=model, positive=text)
        model = [node, 0]
        place = {"mask": mask, "strength": 1.0, "set_cond_area": "default"}
        halves.append([graph.add("ConditioningSetMask", conditioning=[node, 1], **place), 0])
    both = combined(graph, *halves), _text(graph, clip, NEGATIVE)
    return _drawn(graph, model, both, vae, size=WIDE)


def sums() -> Prompt:
    """The algebra, node by node: two LoRAs, one of them scaled, added and applied."""
    graph = Graph()
    model, clip, vae = _checkpoint(graph)
    first, second = _loaded(graph), _loaded(graph)
    scaled = graph.add("ScaleLoRA", lora=second, strength_model=0.6, strength_clip=0.3)
    ends = _applied(graph, stack_loras(graph, first, [scaled, 0]), model, clip)
    return _sampled(graph, *ends, vae, LIGHTHOUSE)


def _checkpoint(graph: Graph) -> list[Link]:
    node = graph.add("CheckpointLoaderSimple", ckpt_name="")
    return [[node, output] for output in range(3)]


def _unet(graph: Graph) -> Link:
    return [graph.add("UNETLoader", unet_name="", weight_dtype="default"), 0]


def _vae(graph: Graph) -> Link:
    return [graph.add("VAELoader", vae_name=""), 0]


def _loaded(graph: Graph) -> Link:
    return [graph.add("LoadLoRA", lora_name="", strength=1.0), 0]


def _applied(graph: Graph, lora: Link, model: Link, clip: Link) -> tuple[Link, Link]:
    node = graph.add("ApplyToModel", lora=lora, model=model, clip=clip)
    return [node, 0], [node, 1]


def _shifted(graph: Graph, model: Link) -> str:
    return graph.add("ModelSamplingSD3", model=model, shift=5.0)


def _halves(graph: Graph) -> list[Link]:
    """Masks of the left and the right half of a picture, named for who reads the workflow."""
    width, height = WIDE
    whole = graph.add("SolidMask", value=0.0, width=width, height=height)
    part = graph.add("SolidMask", value=1.0, width=width // 2, height=height)
    parts = {"destination": [whole, 0], "source": [part, 0], "x": 0, "y": 0}
    left = graph.add("MaskComposite", **parts, operation="add")
    right = graph.add("InvertMask", mask=[left, 0])
    _titled(graph, **{whole: "All black", part: "White half", left: "Left half"})
    _titled(graph, **{right: "Right half"})
    return [[left, 0], [right, 0]]


def _titled(graph: Graph, **titles: str) -> None:
    for node, title in titles.items():
        graph.prompt[node]["_meta"] = {"title": title}


def _text(graph: Graph, clip: Link, text: str | Link) -> Link:
    return [graph.add("CLIPTextEncode", clip=clip, text=text), 0]


def _latent(graph: Graph, size: tuple[int, int], node: str = "EmptyLatentImage") -> Link:
    width, height = size
    return [graph.add(node, width=width, height=height, batch_size=1), 0]


def _ksampler(
    graph: Graph, model: Link, prompts: tuple[Link, Link], latent: Link, **others: object
) -> Link:
    usual = {"seed": 7, "steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal"}
    ends = {"positive": prompts[0], "negative": prompts[1], "latent_image": latent}
    node = graph.add("KSampler", model=model, **ends, denoise=1.0, **usual | others)
    return [node, 0]


def _part_sampled(
    graph: Graph, model: Link, prompts: list[Link], latent: Link, **steps: object
) -> Link:
    """Samples some of the steps."""
    usual = {"noise_seed": 7, "steps": WAN_STEPS, "cfg": 3.5, "sampler_name": "euler"}
    ends = {"positive": prompts[0], "negative": prompts[1], "latent_image": latent}
    node = graph.add("KSamplerAdvanced", model=model, **ends, scheduler="simple", **usual, **steps)
    return [node, 0]


def _sampled(
    graph: Graph,
    model: Link,
    clip: Link,
    vae: Link,
    text: str | Link,
    *,
    sweep: str | None = None,
    size: tuple[int, int] = SQUARE,
) -> Prompt:
    """With one prompt and the host's own nodes behind the LoRAs, up to the saved picture."""
    both = _text(graph, clip, text), _text(graph, clip, NEGATIVE)
    return _drawn(graph, model, both, vae, sweep=sweep, size=size)


def _drawn(
    graph: Graph,
    model: Link,
    prompts: tuple[Link, Link],
    vae: Link,
    *,
    sweep: str | None = None,
    size: tuple[int, int] = SQUARE,
) -> Prompt:
    """Samples and saves the picture, or the grid of a sweep."""
    seed = {"seed": [sweep, 3]} if sweep else {}
    latent = _ksampler(graph, model, prompts, _latent(graph, size), **seed)
    image = [graph.add("VAEDecode", samples=latent, vae=vae), 0]
    if sweep:
        look = {"columns": 0, "text_size": 0, "gap": 8, "background": "white"}
        image = [graph.add("LoRAGrid", images=image, **look, labels=[sweep, 1]), 0]
    _saved(graph, image)
    return graph.prompt


def _saved(graph: Graph, image: Link) -> None:
    graph.add("SaveImage", images=image, filename_prefix="lora_algebra")
