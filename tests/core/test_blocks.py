"""What a weight is: every architecture says its blocks, and names say kinds and parts."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from lora_core.algebra.block_text import SPANS
from lora_core.lists.block_presets import PRESETS
from lora_core.naming import KINDS, PARTS, Layers, ModelNames
from lora_core.naming.architectures import ARCHITECTURES, architecture_named
from tools.fidelity.layouts import layouts

EVERY = {known.name: known for known in ARCHITECTURES}

NO_BLOCKS = {
    # the numbers of lists that are one layer, such as a Sequential, or no blocks of the denoiser
    r".*(mlp|embed|embedding|embedder|projection|proj|modulation|out|norms?|convs|fc|projectors|proj_in|proj_out)$",
    r"(t_block|extra_embedder|modF|tproj|tmlp|txtmlp|txt_norm|clf|latent_conditioners)$",
    r"(effnet|pixels)_mapper$",
    r"distilled_guidance_layer\.layers$",
    r"control_adapter\.residual_blocks$",
    r"proj_in\.early_conv_layers$",
    r"mlp_t5$",
    r".*\.net$",
    r"to_\w+_embed$",
    r".*(conditioning|global_proj|caption_projection|label_emb|t_embedder)$",
}


def layers_of(name: str) -> Layers:
    shapes = layouts()[name].shapes
    return Layers(shapes, ModelNames(shapes).architecture)


def in_diffusers(name: str) -> Layers:
    layout = layouts()[name]
    shapes = {f"{path}.weight": shape for path, shape in layout.diffusers.items()}
    return Layers(shapes, ModelNames(layout.shapes).architecture)


def lists_in(paths: list[str]) -> dict[str, set[int]]:
    """The numbered lists at the top of a model, by the path before the first number."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for path in paths:
        match = re.match(r"((?:[^.\d][^.]*\.)*[^.\d][^.]*)\.(\d+)(\.|$)", path)
        if match:
            found[match[1]].add(int(match[2]))
    return found


@pytest.mark.parametrize("name", EVERY)
def test_every_architecture_says_its_blocks(name: str) -> None:
    known = EVERY[name]
    assert known.blocks
    names = [own.name for own in known.blocks]
    assert len(set(names)) == len(names)
    for own in known.blocks:
        assert re.fullmatch(r"[a-z][a-z0-9]*( [a-z][a-z0-9]*)*", own.name)
        assert own.name not in (*KINDS, *PARTS, "other", "text")
        assert not own.name.endswith("s")
        assert own.paths or own.places
        assert own.part is None or own.part in PARTS
    assert {name for trait in known.traits for name in trait.names} <= {*KINDS, *PARTS}


@pytest.mark.parametrize("layout", layouts())
def test_every_numbered_list_is_named_or_no_list_of_blocks(layout: str) -> None:
    model = layers_of(layout)
    lists = lists_in([layer.path for layer in model.values() if not layer.block])
    unnamed = [path for path in lists if not any(re.fullmatch(rule, path) for rule in NO_BLOCKS)]
    assert not unnamed
    for layer in in_diffusers(layout).values():
        unnamed = [p for p in lists_in([layer.path]) if not layer.block]
        assert not [p for p in unnamed if not any(re.fullmatch(rule, p) for rule in NO_BLOCKS)]


@pytest.mark.parametrize("layout", layouts())
def test_each_number_of_a_model_is_a_number_of_its_blocks(layout: str) -> None:
    model, known = layers_of(layout), architecture_named(layers_of(layout).base)
    lists = lists_in([layer.path for layer in model.values()])
    for own in known.blocks:
        starts = [start for start in own.paths if start.removesuffix(".") in lists]
        for start in starts:
            assert lists[start.removesuffix(".")] <= {*model.numbers[own.name]}


@pytest.mark.parametrize("layout", [n for n, own in layouts().items() if own.diffusers])
def test_diffusers_has_the_same_blocks(layout: str) -> None:
    if layout in ("sd20", "sdxl_refiner"):
        pytest.skip("not recognised in this layout")
    here, there = layers_of(layout).numbers, in_diffusers(layout).numbers
    assert {name: here[name] for name in there} == there
    main = here.keys() - there.keys()
    assert main <= {"adapter", "video connector", "audio connector"} | {
        name for name in main if "encoder" in name or "tokenizer" in name
    }


def said(layout: str, path: str) -> tuple[str, int, set[str], set[str]]:
    layer = next(layer for layer in layers_of(layout).values() if layer.path == path)
    return layer.block, layer.index, {*layer.kinds}, {*layer.parts}


@pytest.mark.parametrize(
    ("layout", "path", "expected"),
    [
        ("sdxl", "input_blocks.4.1.transformer_blocks.0.attn1.to_q", ("in", 4, {"attn"}, set())),
        (
            "sdxl",
            "input_blocks.4.1.transformer_blocks.0.attn2.to_k",
            ("in", 4, {"attn", "cross attn"}, set()),
        ),
        ("sdxl", "middle_block.1.transformer_blocks.0.ff.net.2", ("mid", 0, {"ff"}, set())),
        ("sdxl", "output_blocks.8.0.in_layers.0", ("out", 8, {"norm"}, set())),
        ("sdxl", "output_blocks.8.0.in_layers.2", ("out", 8, {"conv"}, set())),
        ("sdxl", "input_blocks.1.0.emb_layers.1", ("in", 1, {"mod"}, set())),
        ("sdxl", "input_blocks.0.0", ("in", 0, {"conv"}, set())),
        ("sdxl", "time_embed.0", ("", 0, set(), set())),
        ("flux", "double_blocks.1.img_attn.qkv", ("double", 1, {"attn"}, {"img"})),
        (
            "flux",
            "double_blocks.1.txt_attn.norm.key_norm",
            ("double", 1, {"attn", "norm"}, {"txt"}),
        ),
        ("flux", "double_blocks.0.txt_mod.lin", ("double", 0, {"mod"}, {"txt"})),
        ("flux", "single_blocks.1.linear1", ("single", 1, {"fused"}, set())),
        ("flux", "single_blocks.1.linear2", ("single", 1, {"fused"}, set())),
        ("flux", "single_blocks.1.modulation.lin", ("single", 1, {"mod"}, set())),
        ("flux", "img_in", ("", 0, set(), {"img"})),
        ("sd35m", "joint_blocks.0.x_block.attn2.qkv", ("joint", 0, {"attn"}, {"img"})),
        ("sd35m", "joint_blocks.0.context_block.mlp.fc1", ("joint", 0, {"ff"}, {"txt"})),
        ("qwen_image", "transformer_blocks.1.attn.to_q", ("block", 1, {"attn"}, {"img"})),
        ("qwen_image", "transformer_blocks.1.attn.add_q_proj", ("block", 1, {"attn"}, {"txt"})),
        ("wan_i2v", "blocks.1.cross_attn.k_img", ("block", 1, {"attn", "cross attn"}, {"img"})),
        ("wan_i2v", "blocks.1.ffn.0", ("block", 1, {"ff"}, set())),
        ("wan_vace", "vace_blocks.0.self_attn.q", ("vace", 0, {"attn"}, set())),
        ("auraflow", "double_layers.0.attn.w1q", ("double", 0, {"attn"}, {"txt"})),
        ("auraflow", "double_layers.0.mlpX.c_fc1", ("double", 0, {"ff"}, {"img"})),
        ("auraflow", "single_layers.0.attn.w1q", ("single", 0, {"attn"}, set())),
        (
            "cosmos1",
            "blocks.block1.blocks.1.block.attn.to_q.0",
            ("block", 1, {"attn", "cross attn"}, set()),
        ),
        ("cosmos1", "blocks.block1.blocks.2.block.layer1", ("block", 1, {"ff"}, set())),
        ("mochi", "blocks.0.attn.qkv_y", ("block", 0, {"attn"}, {"txt"})),
        ("z_image", "context_refiner.1.attention.qkv", ("context refiner", 1, {"attn"}, set())),
        ("ltxav", "transformer_blocks.1.attn1.to_q", ("block", 1, {"attn"}, {"video"})),
        ("ltxav", "transformer_blocks.1.audio_ff.net.2", ("block", 1, {"ff"}, {"audio"})),
        (
            "ltxav",
            "transformer_blocks.1.audio_to_video_attn.to_q",
            ("block", 1, {"attn", "cross attn"}, {"audio_to_video"}),
        ),
        (
            "ltxav",
            "transformer_blocks.1.video_to_audio_attn.k_norm",
            ("block", 1, {"attn", "cross attn", "norm"}, {"video_to_audio"}),
        ),
        ("hunyuan_dit", "blocks.0.attn2.kv_proj", ("block", 0, {"attn", "cross attn"}, set())),
        ("cogvideox", "blocks.0.norm1.linear", ("block", 0, {"mod"}, set())),
        ("krea2", "txtfusion.refiner_blocks.1.mlp.up", ("refiner", 1, {"ff"}, set())),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_name_says_what_a_weight_is(layout: str, path: str, expected: object) -> None:
    assert said(layout, path) == expected


WITHOUT_KIND = {
    "proj_in",
    "proj_out",
    "skip_linear",
    "before_proj",
    "after_proj",
    "param_generator",
}


@pytest.mark.parametrize("layout", layouts())
def test_layers_inside_of_blocks_have_a_kind(layout: str) -> None:
    for layer in (*layers_of(layout).values(), *in_diffusers(layout).values()):
        last = layer.path.rpartition(".")[2]
        if layer.block and last not in WITHOUT_KIND and ".time_" not in layer.path:
            assert layer.kinds, layer.path


def test_a_bias_is_what_its_weight_is() -> None:
    for name in ("flux", "sdxl", "wan_i2v"):
        model = layers_of(name)
        for key, layer in model.items():
            if key.endswith(".bias"):
                weight = model[f"{key.removesuffix('bias')}weight"]
                assert (layer.kinds, layer.parts) == (weight.kinds, weight.parts)


def test_an_unknown_architecture_names_blocks_by_their_path() -> None:
    keys = [
        f"{part}.layers.{n}.attn.to_q.weight" for part in ("encoder", "decoder") for n in (0, 1)
    ]
    model = Layers(dict.fromkeys(("proj.weight", *keys), (8, 8)))
    assert model.numbers == {"encoder layer": (0, 1), "decoder layer": (0, 1)}
    assert model["decoder.layers.1.attn.to_q.weight"].kinds == {"attn"}


def test_a_variant_without_a_name_has_the_blocks_of_what_it_is_built_like() -> None:
    assert layers_of("sdxl_refiner").base is None
    assert layers_of("sdxl_refiner").numbers == {
        "in": (*range(6),),
        "mid": (0,),
        "out": (*range(6),),
    }


def test_only_the_denoiser_has_layers() -> None:
    shapes = layouts()["flux"].shapes
    encoder = {
        "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight": (8, 8)
    }
    assert {*Layers({**encoder, **shapes}, "Flux")} == {*shapes}


GUIDE = (Path(__file__).parents[2] / "docs" / "blocks.md").read_text(encoding="utf-8")


def test_the_guide_has_the_names_of_every_architecture() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ((?:`[a-z0-9 ]+`(?:, )?)+) \|$", GUIDE, re.MULTILINE)
    said = {name: blocks for names, blocks in rows for name in names.split(", ")}
    expected = {
        name: ", ".join(f"`{own.name}`" for own in known.blocks) for name, known in EVERY.items()
    }
    assert said == expected


def test_the_guide_has_every_kind_part_and_preset() -> None:
    for name in (*KINDS, *PARTS, *SPANS, *PRESETS, "other", "text"):
        assert f"`{name}`" in GUIDE, name
