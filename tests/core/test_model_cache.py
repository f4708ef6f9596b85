"""What is held of a model between two recipes, and for how long."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from harness.samples import pair, write
from lora_core.algebra.recipe import Recipe
from lora_core.matching.match import ModelView
from lora_core.matching.model_cache import ModelCache, cache_of
from lora_core.matching.plan import make_plan
from lora_core.naming.model_names import ModelNames
from lora_core.reading.header import identify
from lora_core.reading.reader import FileCache

SHAPES = {"layer.weight": (6, 5), "other.weight": (6, 5)}


def view() -> ModelView:
    dtypes = dict.fromkeys(SHAPES, torch.float32)
    return ModelView(ModelNames(SHAPES), SHAPES, dtypes, frozenset(("model",)))


class CountingCache(FileCache):
    def __init__(self):
        super().__init__()
        self.asked = 0

    def read(self, file):
        self.asked += 1
        return super().read(file)


@pytest.fixture
def recipes(tmp_path):
    """Three recipes of one file each."""
    made = []
    for seed in range(3):
        tensors = {
            **pair("layer", out=6, inner=5, rank=2, seed=seed),
            **pair("other", out=6, inner=5, rank=2, seed=seed + 10),
        }
        path = tmp_path / f"{seed}.safetensors"
        write(path, tensors)
        made.append(Recipe.of(identify(path)))
    return made


def apply(held, recipe, models, cache):
    plan = make_plan(recipe, models, cache, known=held.matches(models))
    held.keep(models, plan.matches)
    return plan


def told(plan):
    """All of a plan, by value."""
    return plan.report, [
        {
            key: [
                (a.target, id(a.delta), a.strength, a.max_abs_bound, a.file) for a in weight_terms
            ]
            for key, weight_terms in weights.items()
        }
        for weights in (own.merged for own in plan.models)
    ]


def test_another_strength_reads_nothing_and_gives_what_a_new_plan_gives(recipes):
    held, models, cache = ModelCache(), (view(),), CountingCache()
    a, b, _ = recipes
    apply(held, a + 0.5 * b, models, cache)
    assert cache.asked == 2
    for recipe in (2 * a - b, 0.25 * b, a.scaled(0, 1) + b, a + 0.5 * b):
        again = apply(held, recipe, models, cache)
        assert cache.asked == 2
        assert told(again) == told(make_plan(recipe, models, FileCacheOf(held)))
        for term in recipe.terms:
            bounds = [
                module.max_abs_bounds[0]
                for module in again.matches[term.file].file.modules.values()
            ]
            own = [
                a
                for sums in again.models[0].merged.values()
                for a in sums
                if a.file == term.file.name
            ]
            assert {a.strength for a in own} <= {float(term.strength_model)}
            assert [a.max_abs_bound for a in own] == [
                abs(float(term.strength_model)) * b for b in bounds if own
            ]


class FileCacheOf(FileCache):
    """Gives what is held, so that deltas are the same objects."""

    def __init__(self, held):
        super().__init__()
        self._held = held

    def read(self, file):
        return self._held._files[file]


def test_it_is_never_more_than_one_recipe(recipes):
    held, models, cache = ModelCache(), (view(),), FileCache()
    a, b, c = recipes
    first = weakref.ref(apply(held, a + b, models, cache).matches[a.terms[0].file].file)
    apply(held, b, models, cache)
    gc.collect()
    assert first() is not None  # a part has been switched off, or a chain begins anew
    apply(held, c, models, cache)
    gc.collect()
    assert first() is None
    assert held.matches(models).keys() == {c.terms[0].file}


def test_two_recipes_in_turn(recipes):
    held, models, cache = ModelCache(), (view(),), FileCache()
    a, b, _ = recipes
    for recipe in (a, b, a, b):
        plan = apply(held, recipe, models, cache)
        assert plan.matches.keys() == {recipe.terms[0].file}
        assert told(plan) == told(make_plan(recipe, models, FileCacheOf(held)))


def test_a_changed_file_is_another_file(recipes, tmp_path):
    held, models, cache = ModelCache(), (view(),), FileCache()
    old = weakref.ref(apply(held, recipes[0], models, cache).files[0])
    path = tmp_path / "0.safetensors"
    path.unlink()
    write(path, pair("layer", out=6, inner=5, rank=1, seed=7))
    plan = apply(held, Recipe.of(identify(path)), models, cache)
    gc.collect()
    assert old() is None
    assert plan.report.loras[0].ranks == (1, 1)


def test_other_views_are_fitted_anew_from_the_same_files(recipes):
    held, cache = ModelCache(), FileCache()
    plan = apply(held, recipes[0], (view(),), cache)
    others = (view(),)
    assert not held.matches(others)
    again = apply(held, recipes[0], others, cache)
    assert again.files[0] is plan.files[0]
    assert again.matches[plan.files[0].id] is not plan.matches[plan.files[0].id]


def test_a_view_is_made_once_from_equal_facts():
    held = ModelCache()
    made = held.view(["fact"], view)
    assert held.view(["fact"], view) is made
    assert held.view(["another"], view) is not made
    assert held.view(["fact"], view) is not made  # only the latest is held


def test_it_goes_with_the_model(recipes):
    module, models, cache = torch.nn.Linear(2, 2), (view(),), FileCache()
    held = cache_of(module)
    assert cache_of(module) is held
    file = weakref.ref(apply(held, recipes[0], models, cache).files[0])
    gone = weakref.ref(held)
    del held
    gc.collect()
    assert gone() is not None
    assert file() is not None
    del module
    gc.collect()
    assert gone() is None
    assert file() is None
