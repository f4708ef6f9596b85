"""A recipe as a file: what is read back from it is what the recipe adds."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import lora_core
from harness.oracles import CASES
from harness.samples import pair, tensors, write
from lora_core import LoraInputError, Recipe, applied, apply, load
from lora_core.algebra.curve import Curve
from lora_core.applying.apply import model_of
from lora_core.combining import read_rule
from lora_core.naming import NAME_STYLES, ModelNames
from lora_core.reading import FileCache, shared_hashes
from lora_core.workbench import Format, Saved, Source, save
from lora_core.workbench import new_file as writing
from tests.core.test_block_apply import lora_of

Weights = dict[str, torch.Tensor]


def source(weights: Weights) -> Source:
    view = model_of(weights)
    shapes = {key: tuple(weight.shape) for key, weight in weights.items()}
    return Source.of_model(view, ModelNames(shapes), weights.__getitem__)


def kept(recipe: Recipe, weights: Weights, out: Path, **how) -> Saved:
    return save(recipe, [source(weights)], out, Format(**how), cache=FileCache())


def changes(recipe: Recipe, weights: Weights) -> Weights:
    """What is added to each weight, in float64."""
    wide = {key: weight.double() for key, weight in weights.items()}
    before = {key: weight.clone() for key, weight in wide.items()}
    apply(wide, recipe)
    return {key: wide[key] - before[key] for key in wide}


def apart(found: Weights, truth: Weights) -> float:
    lost = sum(float((found[key] - truth[key]).square().sum()) for key in truth)
    return (lost / sum(float(each.square().sum()) for each in truth.values())) ** 0.5


# --- every family ---------------------------------------------------------------------------------


HALVES = [
    pytest.param(dtype, bound, marks=pytest.mark.slow)
    for dtype, bound in ((torch.float16, 1e-3), (torch.bfloat16, 8e-3))
]


@pytest.mark.thorough
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), *HALVES])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_family_comes_back_exactly(tmp_path, case, dtype, bound):
    pytest.importorskip("lycoris")
    made = case.build(tmp_path, 0, torch.float32)
    recipe = 0.7 * load(made.file)
    saved = kept(recipe, made.weights, tmp_path / "kept.safetensors", dtype=dtype)
    found = changes(load(saved.path), made.weights)
    truth = changes(recipe, made.weights)
    assert apart(found, truth) < bound
    assert saved.errors.total < bound
    # products of factors are formed in float32
    assert saved.errors.total == pytest.approx(apart(found, truth), rel=1e-3, abs=1e-7)


# --- every architecture ---------------------------------------------------------------------------


@pytest.mark.parametrize("style", NAME_STYLES)
@pytest.mark.parametrize("name", ["sd15", "sdxl", "flux", "sd3", "wan_t2v", "qwen_image"])
def test_every_style_of_names_is_read_as_the_same_weights(tmp_path, name, style):
    file, weights, _ = lora_of(name, tmp_path)
    recipe = 0.5 * load(file).blocks("attn: 0.5")
    saved = kept(recipe, weights, tmp_path / "kept.safetensors", style=style)
    assert apart(changes(load(saved.path), weights), changes(recipe, weights)) < 1e-6
    assert saved.errors.total < 1e-6


# --- a sum ----------------------------------------------------------------------------------------


@pytest.fixture
def weights() -> Weights:
    return tensors(1, **{"q.weight": (48, 40), "q.bias": (48,), "k.weight": (64, 40)})


@pytest.fixture
def parts(tmp_path) -> list[Recipe]:
    made = [
        write(tmp_path / "ink.safetensors", {**pair("q", 48, 40), **pair("k", 64, 40, seed=1)}),
        write(
            tmp_path / "light.safetensors",
            {**pair("q", 48, 40, rank=2, seed=2, alpha=1.0), "q.diff_b": torch.ones(48)},
            {"modelspec.trigger_phrase": "soft light", "ss_base_model_version": "sdxl_base_v1-0"},
        ),
    ]
    return [load(path) for path in made]


def test_a_sum_is_the_factors_side_by_side(tmp_path, weights, parts):
    recipe = 0.5 * parts[0] - 2 * parts[1]
    saved = kept(recipe, weights, tmp_path / "sum.safetensors")
    with safe_open(saved.path, "pt") as file:
        assert file.get_tensor("diffusion_model.q.lora_down.weight").shape == (6, 40)
        assert file.get_tensor("diffusion_model.k.lora_down.weight").shape == (4, 40)
        assert torch.equal(file.get_tensor("diffusion_model.q.diff_b"), torch.full((48,), -2.0))
    assert saved.layers == 3
    assert apart(changes(load(saved.path), weights), changes(recipe, weights)) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_one_file_keeps_its_bits(tmp_path, weights, dtype):
    own = {key: value.to(dtype) for key, value in pair("q", 48, 40, alpha=3.0).items()}
    saved = kept(
        0.3 * load(write(tmp_path / "a.safetensors", own)), weights, tmp_path / "b.safetensors"
    )
    with safe_open(saved.path, "pt") as file:
        for suffix in ("lora_up.weight", "lora_down.weight"):
            found = file.get_tensor(f"diffusion_model.q.{suffix}")
            assert found.dtype == dtype
            assert torch.equal(found, own[f"q.{suffix}"])
        assert float(file.get_tensor("diffusion_model.q.alpha")) == pytest.approx(0.9)
    assert saved.errors.total < 1e-7


def test_a_rank_and_an_error_are_kept(tmp_path, weights, parts):
    recipe = parts[0] + parts[1]
    cut = kept(recipe, weights, tmp_path / "cut.safetensors", rule=read_rule("3"))
    truth = changes(recipe, weights)
    assert cut.errors.total == pytest.approx(
        apart(changes(load(cut.path), weights), truth), rel=1e-4
    )
    assert 0.05 < cut.errors.total < 0.9
    for percent in (30, 3):
        out = tmp_path / f"{percent}.safetensors"
        near = kept(recipe, weights, out, rule=read_rule(f"{percent}%"))
        assert near.errors.total <= percent / 100 + 1e-6


def test_what_is_larger_as_a_pair_is_kept_as_it_is(tmp_path, weights):
    many = [
        load(write(tmp_path / f"{n}.safetensors", pair("q", 48, 40, rank=8, seed=n)))
        for n in range(6)
    ]
    saved = kept(Recipe.sum(many), weights, tmp_path / "dense.safetensors")
    with safe_open(saved.path, "pt") as file:
        assert [*file.keys()] == ["diffusion_model.q.diff"]
    assert saved.errors.total < 1e-6


def test_it_says_what_it_is_made_of(tmp_path, weights, parts):
    recipe = 0.5 * parts[0] + parts[1].blocks("attn: 1")
    saved = kept(recipe, weights, tmp_path / "look.safetensors")
    with safe_open(saved.path, "pt") as file:
        notes = file.metadata()
    assert str(tmp_path) not in json.dumps(notes)
    own = Recipe.from_json(notes["lora_algebra.recipe"])
    assert sorted((t.file.name, float(t.strength_model)) for t in own.terms) == [
        ("ink", 0.5),
        ("light", 1.0),
    ]
    hashes = {part["name"]: part["autov3"] for part in json.loads(notes["lora_algebra.parts"])}
    assert hashes == {t.file.label: shared_hashes.of(t.file) for t in recipe.terms}
    assert float(notes["lora_algebra.error"]) == pytest.approx(saved.errors.total, rel=0.01)
    assert notes["modelspec.merged_from"] == "ink, light"
    assert notes["modelspec.title"] == "look"
    assert notes["modelspec.trigger_phrase"] == "soft light"
    assert notes["ss_network_dim"] == "Dynamic"


def test_the_recipe_comes_back_from_its_parts(tmp_path, weights, parts):
    """Saved, loaded and taken away from what it was made of: nothing is left."""
    recipe = 0.5 * parts[0] + parts[1]
    saved = kept(recipe, weights, tmp_path / "sum.safetensors", dtype=torch.float32)
    wide = {key: weight.double() for key, weight in weights.items()}
    with applied(wide, recipe - load(saved.path)):
        assert apart(wide, {key: weight.double() for key, weight in weights.items()}) < 1e-6


# --- refusals -------------------------------------------------------------------------------------


def test_what_varies_is_refused_with_its_words(tmp_path, weights, parts):
    varying = parts[0].scheduled(Curve.parse("0:0, 1:1"))
    with pytest.raises(
        LoraInputError, match=r"ink\.safetensors is scheduled .* a file has no place"
    ):
        kept(varying, weights, tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_nothing_cannot_be_saved(tmp_path, weights, parts):
    with pytest.raises(LoraInputError, match="nothing to save"):
        kept(parts[0] - parts[0], weights, tmp_path / "x.safetensors")


def test_a_file_that_is_there_stays(tmp_path, weights, parts):
    out = tmp_path / "ink.safetensors"
    before = out.read_bytes()
    with pytest.raises(LoraInputError, match="already"):
        kept(parts[0], weights, out)
    assert out.read_bytes() == before


def test_a_file_that_comes_meanwhile_stays(tmp_path, weights, parts, monkeypatch):
    out = tmp_path / "out.safetensors"
    link = os.link

    def late(source, target):
        target.write_bytes(b"mine")
        link(source, target)

    monkeypatch.setattr(writing.os, "link", late)
    with pytest.raises(LoraInputError, match="already"):
        kept(parts[0], weights, out)
    assert out.read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "ink.safetensors",
        "light.safetensors",
        "out.safetensors",
    ]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("step", ["write", "fsync", "link"])
def test_what_is_interrupted_leaves_nothing(tmp_path, weights, parts, monkeypatch, step, error):
    def fail(*_):
        raise error

    places = {"write": (writing.NewFile, "write"), "fsync": (writing.os, "fsync")}
    if step == "link":
        monkeypatch.setattr(writing.os, "link", fail)
        monkeypatch.setattr(Path, "rename", fail)
    else:
        monkeypatch.setattr(*places[step], fail)
    with pytest.raises(type(error)):
        kept(parts[0], weights, tmp_path / "out.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ink.safetensors", "light.safetensors"]


def test_numbers_that_a_type_cannot_hold_are_refused(tmp_path, weights):
    huge = {"q.diff": torch.full((48, 40), 1e6)}
    recipe = load(write(tmp_path / "huge.safetensors", huge))
    with pytest.raises(LoraInputError, match="more than float16 can"):
        kept(recipe, weights, tmp_path / "x.safetensors", dtype=torch.float16)


def test_what_needs_the_weights_says_so(tmp_path, weights):
    own = {**pair("q", 48, 40), "q.dora_scale": torch.rand(48, 1)}
    recipe = load(write(tmp_path / "dora.safetensors", own))
    bare = source(weights)
    with pytest.raises(LoraInputError, match="depends on the model's weights"):
        save(recipe, [replace(bare, weight_of=None)], tmp_path / "x.safetensors", cache=FileCache())


@pytest.mark.parametrize("rank", ["exact", "3", "10%"])
def test_it_says_how_far_it_is(tmp_path, weights, parts, rank):
    told = []
    form = Format(read_rule(rank))
    out = tmp_path / "x.safetensors"
    recipe = parts[0] + parts[1]
    save(recipe, [source(weights)], out, form, lambda *step: told.append(step))
    assert [done for done, _ in told] == [*range(len(told))]
    assert {total for _, total in told} == {len(told)}


def test_whoever_is_told_can_end_it(tmp_path, weights, parts):
    def stop(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(parts[0], [source(weights)], tmp_path / "x.safetensors", progress=stop)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ink.safetensors", "light.safetensors"]


# --- by path, as Python and the command line say it -------------------------------------------------


def test_a_few_lines_of_python_keep_a_sum(tmp_path, weights, parts):
    base = write(tmp_path / "base.safetensors", weights)
    look = lora_core.combine([0.5 * parts[0], parts[1]], "ties", density=0.5)
    small = lora_core.resize(look, "8")
    out = tmp_path / "look.safetensors"
    saved = lora_core.save_lora(small, str(out), model=base, dtype="float32", names="kohya")
    assert apart(changes(load(out), weights), changes(small, weights)) < 1e-6
    assert saved.errors.total < 1e-6
    tuned = {key: weight.clone() for key, weight in weights.items()}
    apply(tuned, load(out))
    tuned = write(tmp_path / "tuned.safetensors", tuned)
    again = lora_core.extract_lora(
        tuned, base, tmp_path / "again.safetensors", rank="exact", dtype="float32"
    )
    assert apart(changes(load(again.path), weights), changes(small, weights)) < 1e-5
    apart_now = lora_core.analyse_loras(load(out) - load(again.path), model=base)
    assert apart_now.cosines[0][1] == pytest.approx(-1, abs=1e-5)
    assert apart_now.total < 1e-3 * apart_now.sizes[0]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"dtype": "int8"}, "int8 is not known as dtype"),
        ({"names": "mine"}, "mine is not known as names"),
        ({"names": "kohya"}, "Say which model it is"),
        ({"rank": "much"}, "much"),
    ],
)
def test_words_that_mean_nothing_are_refused(tmp_path, parts, form, says):
    out = tmp_path / "x.safetensors"
    with pytest.raises(LoraInputError, match=says):
        lora_core.save_lora(parts[0], out, **form)
    assert not out.exists()
