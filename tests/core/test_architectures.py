"""The registry of architectures: that rows are complete, and in an order in which none hides another."""

import importlib
import pkgutil

import pytest

from lora_core import naming
from lora_core.naming.architecture import Architecture, Sign
from lora_core.naming.architectures import (
    ARCHITECTURES,
    architecture,
    architecture_named,
    other_paths,
)
from lora_core.naming.targets import Shape
from lora_core.reading.base_model import base_by_names
from lora_core.reading.provenance import disagreement, stated_base

ALL = {known.name: known for known in ARCHITECTURES}
STATED = [(start, known.name) for known in ARCHITECTURES for start in known.stated]

every_architecture = pytest.mark.parametrize("name", ALL)


def weights_of(sign: Sign) -> dict[str, Shape]:
    texts = {"0.attn2.to_k.weight": (8, sign.reads[0])} if sign.reads else {}
    return dict.fromkeys(sign.has, (8, 8)) | dict(sign.shapes) | texts


def test_no_architecture_has_been_left_out_of_the_registry():
    modules = [
        importlib.import_module(f"{naming.__name__}.{found.name}")
        for found in pkgutil.iter_modules(naming.__path__)
    ]
    values = [value for module in modules for value in vars(module).values()]
    defined = {id(value) for value in values if isinstance(value, Architecture)}
    assert defined == {id(known) for known in ARCHITECTURES}


def test_there_is_one_row_for_each():
    assert len(ALL) == len(ARCHITECTURES) > 50


@every_architecture
def test_no_row_above_hides_it(name: str):
    for sign in ALL[name].signs:
        assert architecture(weights_of(sign)) == name, sign


@pytest.mark.parametrize(("width", "name"), [(768, "SD 1.5"), (1024, "SD 2"), (1280, None)])
def test_unets_are_told_apart_by_the_text_they_read(width: int, name: str | None):
    unet: dict[str, Shape] = {"input_blocks.0.0.weight": (8, 4, 3, 3)}
    assert architecture(unet | {"1.attn2.to_k.weight": (8, width)}) == name


@every_architecture
def test_a_row_says_how_it_is_known(name: str):
    known = ALL[name]
    assert known.signs or known.stated
    assert known.kin is None or known.kin in ALL


def test_a_layout_needs_its_own_sign_and_no_name():
    shapes: dict[str, Shape] = {"txt_in.weight": (8, 8), "single_blocks.0.linear1.weight": (56, 8)}
    assert architecture(shapes) is None
    assert "context_embedder" in dict(other_paths(shapes))


# --- notes ----------------------------------------------------------------------------------------


def test_a_note_means_one_architecture():
    starts = [start for start, _ in STATED]
    assert len(set(starts)) == len(starts)
    assert all(start == start.lower().strip() != "" for start in starts)


@pytest.mark.parametrize(("start", "name"), STATED)
def test_the_longest_start_counts(start: str, name: str):
    for text in (start, start.upper(), f"{start}/lora"):
        assert stated_base({"ss_base_model_version": text}) == name


@pytest.mark.parametrize(
    ("stated", "base", "surely_another"),
    [
        ("flux", "Chroma", False),
        ("chroma", "Flux", False),
        ("chroma", "Flux.2", True),
        ("qwen", "Mage-Flow", False),
        ("anima", "Cosmos-Predict2", False),
        ("sdxl", "SD 1.5", True),
        ("sdxl", "SDXL", False),
        ("sdxl", "Mochi", False),  # no note that names it is known
        ("sdxl", "WAN21_T2V", False),
        ("sdxl", None, False),
    ],
)
def test_what_a_note_disagrees_with(stated: str, base: str | None, surely_another: bool):
    found = disagreement({"ss_base_model_version": stated}, base)
    assert (found is not None) == surely_another


# --- names in files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "base"),
    [
        # each has what those after it have, too
        (("double_stream_modulation_img", "time_guidance_embed", "double_blocks.0"), "Flux.2"),
        (("distilled_guidance_layer.in_proj", "single_blocks.0.linear1"), "Chroma"),
        (("txt_mode_blocks.0", "single_blocks.0.mlp_in"), "FLUX.3"),
        (("token_refiner.blocks.0.attn.qkv_proj",), "MiniMax-H3"),
        (
            ("txt_in.individual_token_refiner.blocks.0", "double_blocks.0"),
            "HunyuanVideo or -Image",
        ),
        (("joint_transformer_blocks.0", "single_transformer_blocks.0"), "AuraFlow"),
        (("single_transformer_blocks.0", "transformer_blocks.0.attn.add_q_proj"), "Flux"),
        (
            ("transformer_blocks.0.img_mod.1", "transformer_blocks.0.attn.add_q_proj"),
            "Qwen-Image",
        ),
        (("transformer_blocks.0.attn.add_q_proj", "lora_te2_x"), "SD3 or Flux"),
        (("blocks.0.self_attn.q", "text_encoder_2.x"), "Wan"),
    ],
)
def test_the_most_specific_clue_counts(layers: tuple[str, ...], base: str):
    assert base_by_names({}, layers) == base


# --- traits ---------------------------------------------------------------------------------------


def test_what_is_not_known_has_a_name_and_nothing_else():
    for name in ("WAN21_T2V", None):
        known = architecture_named(name)
        assert known.name == (name or "")
        assert not (known.signs or known.stated or known.head_banks)
        assert not known.can_widen("img_in.weight")


def test_traits_are_those_of_one():
    assert architecture_named("Flux").can_widen("diffusion_model.img_in.weight")
    assert not architecture_named("Flux.2").can_widen("diffusion_model.img_in.weight")
    assert [known.name for known in ARCHITECTURES if known.head_banks] == ["MiniMax-H3"]
