"""What a review of keeping has found: empty layers, names that only look alike, and work that is too late."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
import torch
from safetensors import safe_open

import lora_core
from harness.samples import pair, tensors, write
from lora_core import LoraInputError, LoraMismatchError, Recipe, load
from lora_core.applying import model_of
from lora_core.combining import read_rule
from lora_core.families import linear_algebra
from lora_core.matching import made, make_plan
from lora_core.reading import FileCache
from lora_core.workbench import Format, analyse, combine, extract, resize
from tests.core.test_save import apart, changes, kept, source

SHAPES = {"q.weight": (48, 40), "k.weight": (64, 40)}


@pytest.fixture
def weights():
    return tensors(1, **SHAPES)


def lora(folder, name, *, small=1.0, zero=(), **others):
    """A LoRA of two layers, of which the second can be small, and some can be untrained."""
    content = {**pair("q", 48, 40, **others), **pair("k", 64, 40, **others)}
    content["k.lora_up.weight"] = content["k.lora_up.weight"] * small
    for layer in zero:
        content[f"{layer}.lora_up.weight"] = torch.zeros_like(content[f"{layer}.lora_up.weight"])
    return load(write(folder / f"{name}.safetensors", content))


# --- layers of which nothing is left ----------------------------------------------------------------


@pytest.mark.parametrize("rank", ["5%", "sv_ratio 20"])
@pytest.mark.parametrize("how", [{"small": 1e-4}, {"zero": ("k",)}])
def test_a_resized_layer_of_rank_0_is_saved_and_analysed(tmp_path, weights, rank, how):
    small = resize(lora(tmp_path, "a", **how), rank)
    saved = kept(small, weights, tmp_path / "out.safetensors", dtype=torch.float32)
    assert apart(changes(load(saved.path), weights), changes(small, weights)) < 1e-6
    assert analyse(small, source(weights)).total > 0


@pytest.mark.parametrize("method", ["ties", "dare", "knots", "tsv", "orthogonal"])
def test_parts_that_do_nothing_to_a_layer_combine_to_nothing_there(tmp_path, weights, method):
    both = [lora(tmp_path, name, zero=("k",), seed=seed) for name, seed in (("a", 1), ("b", 2))]
    whole = combine(both, method)
    assert not changes(whole, weights)["k.weight"].any()
    saved = kept(whole, weights, tmp_path / "out.safetensors", dtype=torch.float32)
    assert apart(changes(load(saved.path), weights), changes(whole, weights)) < 1e-6


# --- names --------------------------------------------------------------------------------------------

NATIVE = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
DIFFUSERS = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
ELSEWHERE = "lora_unet_output_blocks_3_1_transformer_blocks_0_ff_net_2"
FLUX, FLUX_DIFFUSERS = (
    "diffusion_model.double_blocks.0.img_attn.qkv",
    "diffusion_model.transformer_blocks.0.attn.to_q",
)
WAN, WAN_DIFFUSERS = "lora_unet_blocks_0_self_attn_q", "lora_unet_blocks_1_attn1_to_q"


def named(folder, *layers, **notes):
    made_of = [
        load(write(folder / f"{n}.safetensors", pair(layer, 64, 40, seed=n), notes))
        for n, layer in enumerate(layers)
    ]
    return Recipe.sum(made_of)


@pytest.mark.parametrize(
    ("one", "other"), [(NATIVE, DIFFUSERS), (FLUX, FLUX_DIFFUSERS), (WAN, WAN_DIFFUSERS)]
)
def test_two_spellings_of_one_model_need_the_model(tmp_path, one, other):
    base = {NATIVE: "sdxl_base_v1-0", FLUX: "flux1", WAN: "wan2.1"}[one]
    out = tmp_path / "out.safetensors"
    with pytest.raises(LoraInputError, match="call the layers differently"):
        lora_core.save_lora(named(tmp_path, one, other, ss_base_model_version=base), out)


@pytest.mark.parametrize("other", [ELSEWHERE, NATIVE.replace("_4_", "_5_")])
def test_other_layers_of_the_same_spelling_do_not(tmp_path, other):
    recipe = named(tmp_path, NATIVE, other, ss_base_model_version="sdxl_base_v1-0")
    assert lora_core.save_lora(recipe, tmp_path / "out.safetensors").layers == 2


def test_a_module_with_only_a_bias_keeps_its_name(tmp_path):
    content = {**pair("q", 48, 40), "k.diff_b": torch.arange(64.0)}
    recipe = 0.5 * load(write(tmp_path / "a.safetensors", content))
    saved = lora_core.save_lora(recipe, tmp_path / "out.safetensors", dtype="float32")
    with safe_open(saved.path, "pt") as file:
        assert torch.equal(file.get_tensor("k.diff_b"), torch.arange(64.0) / 2)
    assert saved.errors.total < 1e-6


def test_two_files_of_one_name_stay_two_in_the_notes(tmp_path, weights):
    for folder in ("e1", "e2"):
        (tmp_path / folder).mkdir()
    first, second = (
        lora(tmp_path / folder, "ink", seed=seed) for folder, seed in (("e1", 1), ("e2", 2))
    )
    for number, recipe in enumerate(
        (0.5 * first + 0.25 * second, first - second, resize(first - second, "2"))
    ):
        saved = kept(recipe, weights, tmp_path / f"{number}.safetensors")
        with safe_open(saved.path, "pt") as file:
            told = Recipe.from_json(file.metadata()["lora_algebra.recipe"])
            parts = json.loads(file.metadata()["lora_algebra.parts"])
        assert len(told.files) == 2
        assert len({part["autov3"] for part in parts}) == 2


# --- where a file goes --------------------------------------------------------------------------------


def test_a_name_that_peft_reads_with_another_scale_is_refused(tmp_path, weights):
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 16}')
    out = tmp_path / "adapter_model.safetensors"
    with pytest.raises(LoraInputError, match=r"adapter_config\.json next to it"):
        kept(lora(tmp_path, "a"), weights, out)
    assert not out.exists()


@pytest.mark.parametrize("place", ["there.safetensors", "nowhere/out.safetensors"])
def test_extract_looks_at_the_place_before_it_works(tmp_path, weights, place):
    (tmp_path / "there.safetensors").write_bytes(b"mine")

    def never(key):
        raise AssertionError(key)

    shapes = {key: tuple(weight.shape) for key, weight in weights.items()}
    with pytest.raises(LoraInputError):
        extract(shapes, shapes, (never, never), source(weights), tmp_path / place, Format())
    assert (tmp_path / "there.safetensors").read_bytes() == b"mine"


@pytest.mark.parametrize("rank", ["exact", "4", "5%"])
def test_numbers_that_are_none_are_refused_by_their_weight(tmp_path, weights, rank):
    tuned = {**weights, "k.weight": weights["k.weight"].clone().fill_(float("nan"))}
    pair_of = [write(tmp_path / f"{n}.safetensors", own) for n, own in enumerate((tuned, weights))]
    with pytest.raises(LoraMismatchError, match=r"^k\.weight holds NaN"):
        lora_core.extract_lora(*pair_of, tmp_path / "out.safetensors", rank=rank)
    assert not (tmp_path / "out.safetensors").exists()


def test_what_is_nan_in_both_is_no_difference(tmp_path, weights):
    weights["q.weight"][0, 0] = float("nan")
    weights["q.weight"][0, 1] = float("inf")
    tuned = {key: weight.clone() for key, weight in weights.items()}
    tuned["k.weight"] += torch.ones(64, 40)
    pair_of = [write(tmp_path / f"{n}.safetensors", own) for n, own in enumerate((tuned, weights))]
    assert lora_core.extract_lora(*pair_of, tmp_path / "out.safetensors").layers == 1


# --- work -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    ["knots", *(pytest.param(each, marks=pytest.mark.slow) for each in ("ties", "resize"))],
)
def test_only_one_layer_at_a_time_is_multiplied_out(tmp_path, method, monkeypatch):
    """LoKr has no pair of factors here, so each matrix is as large as the weight."""
    shapes = {f"l{n}.weight": (24, 24) for n in range(6)}
    content = tensors(2, **{f"l{n}.lokr_w1": (2, 2) for n in range(6)})
    content |= tensors(3, **{f"l{n}.lokr_w2": (12, 12) for n in range(6)})
    parts = [load(write(tmp_path / f"{n}.safetensors", content)) for n in range(2)]
    recipe = resize(parts[0], "30%") if method == "resize" else combine(parts, method)
    alive: list[weakref.ref] = []
    original = made.matrix_of

    def watched(*given):
        matrix = original(*given)
        alive.append(weakref.ref(matrix))
        return matrix

    monkeypatch.setattr(made, "matrix_of", watched)
    most = 0

    def look(*_):
        nonlocal most
        gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))

    view = model_of(tensors(1, **shapes))
    make_plan(recipe, [view], FileCache(), progress=look)
    assert most <= 2 * len(parts)


def test_a_dense_change_does_not_grow_by_being_resized(tmp_path, weights):
    full = load(write(tmp_path / "full.safetensors", {"q.diff": tensors(5, q=(48, 40))["q"]}))
    direct = kept(full, weights, tmp_path / "a.safetensors", rule=read_rule("1%"))
    before = kept(resize(full, "1%"), weights, tmp_path / "b.safetensors")
    assert before.path.stat().st_size <= direct.path.stat().st_size + 1000  # of metadata
    assert before.errors.total < 0.01


def test_an_analysis_says_how_far_it_is_and_can_be_ended(tmp_path, weights):
    told = []
    analyse(lora(tmp_path, "a"), source(weights), lambda *step: told.append(step))
    assert told == [(0, 2), (1, 2)]

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse(lora(tmp_path, "a"), source(weights), stop)


def test_a_decomposition_that_does_not_converge_is_done_the_other_way(monkeypatch):
    matrix = torch.randn(6, 4, dtype=torch.float64)
    own = linear_algebra._linalg.svd

    def stubborn(given, **how):
        if given.shape[0] > given.shape[1]:
            raise RuntimeError("linalg.svd: The algorithm failed to converge")
        return own(given, **how)

    monkeypatch.setattr(linear_algebra._linalg, "svd", stubborn)
    u, values, vh = linear_algebra.svd(matrix)
    assert torch.allclose((u * values) @ vh, matrix)


def test_what_an_ic_lora_says_of_its_pictures_is_kept(tmp_path, weights):
    content = {**pair("q", 48, 40)}
    notes = {"reference_downscale_factor": "2"}
    control = load(write(tmp_path / "ic.safetensors", content, notes))
    saved = kept(control + lora(tmp_path, "a", seed=3), weights, tmp_path / "out.safetensors")
    with safe_open(saved.path, "pt") as file:
        assert file.metadata()["reference_downscale_factor"] == "2"
    plan = make_plan(resize(control, "2"), [model_of(weights)], FileCache())
    assert [file.metadata for file in plan.files] == [notes]
