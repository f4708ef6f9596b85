"""The table of dialects: every way a project names layers, for small models of every architecture.

``make fidelity`` prints it; here its rows are held to, our side alone.
"""

import math
import re
from functools import cache

import pytest

from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Target
from tools.fidelity.dialects import KINDS, PREFIXES, ROOT, SPECIAL, native
from tools.fidelity.layouts import layouts, text_layouts
from tools.fidelity.measure import Ours
from tools.fidelity.texts import TEXT_DIALECTS

MODELS = layouts()
TEXTS = text_layouts()

every_model = pytest.mark.parametrize("model", MODELS)

LARGE = ("sd15", "sdxl", "svd", "sdxl_refiner")
"""UNets of hundreds of layers: here by their names alone, and one of them in files."""

SPECIAL_FILES = [
    pytest.param(dialect, model, kind, id=f"{dialect.title}-{model}-{kind.title}")
    for dialect in SPECIAL
    for model in dialect.only
    for kind in KINDS
    if model not in LARGE or ((dialect.title, model) == ("kohya OFT", "sd15") and kind is KINDS[1])
    if dialect.file(MODELS[model], kind.keep(MODELS[model], dialect))
]
TEXT_FILES = [
    pytest.param(dialect, model, id=f"{dialect.title}-{model}")
    for dialect in TEXT_DIALECTS
    for model in TEXTS
    if dialect.file(TEXTS[model])
]

HOST_IS_WRONG = {
    # it cuts these as if the model were Flux.1, or had as many heads of k and v as of q
    "flux2": r"proj_mlp$",
    "ovis_image": r"proj_mlp$",
    "lumina2": r"attention.to_[kv]$",
}


@pytest.fixture
def ours(tmp_path):
    return Ours(tmp_path)


@cache
def names(model: str) -> ModelNames:
    return ModelNames(MODELS[model].shapes)


def targets(dialect, model: str) -> dict[str, Target | None]:
    """What the names mean that a dialect gives to the layers of a model."""
    paths = [path for path, _ in dialect.layers(MODELS[model])]
    written = (path.replace(".", "_") if dialect.underscored else path for path in paths)
    return {dialect.prefix + path: names(model).find(dialect.prefix + path) for path in written}


@every_model
def test_every_prefix_reaches_the_weight_that_the_host_names_so(model):
    wanted = [Target(f"{path}.weight") for path in MODELS[model].layers]
    for dialect in PREFIXES:
        if dialect.layers is native:
            assert [*targets(dialect, model).values()] == wanted, dialect.title


@every_model
def test_every_prefix_reaches_the_layers_of_diffusers_and_no_two_the_same(model):
    first = None
    for dialect in PREFIXES:
        if dialect.layers is not native:
            found = targets(dialect, model)
            assert not [name for name, target in found.items() if target is None]
            assert len(set(found.values())) == len(found)
            first = first or [*found.values()]
            assert [*found.values()] == first, dialect.title


@every_model
def test_layers_of_diffusers_are_as_large_as_what_they_mean(model):
    layout = MODELS[model]
    for path, shape in layout.diffusers.items():
        target = names(model).find(f"transformer.{path}")
        assert target is not None, path
        _, *rest = layout.shapes[target.key]
        height = sum(
            piece.rows[1] if piece.rows else layout.shapes[piece.key][0]
            for piece in target.pieces()
        )
        assert (shape[0], math.prod(shape)) == (height, height * math.prod(rest)), path


@pytest.mark.parametrize("model", [model for model in MODELS if model not in LARGE])
def test_a_file_in_the_hosts_names_changes_the_weights_that_it_names(model, ours):
    layout = MODELS[model]
    result = ours.applied(layout, PREFIXES[0].file(layout))
    assert (result.applied, result.missed) == (result.found, ())
    assert result.weights == {f"{ROOT}{path}.weight" for path, _ in native(layout)}


@pytest.mark.parametrize(("dialect", "model", "kind"), SPECIAL_FILES)
def test_a_special_dialect_whole_or_in_part(dialect, model, kind, ours):
    layout = MODELS[model]
    tensors = dialect.file(layout, kind.keep(layout, dialect))
    result = ours.applied(layout, tensors)
    assert (result.applied, result.missed, result.refusal) == (len(tensors), (), "")


@pytest.mark.parametrize("model", ["sd20", "flux", "wan_t2v"])
def test_an_adapter_may_have_any_name(model, ours):
    layout = MODELS[model]
    named = [dialect for dialect in SPECIAL if dialect.title.startswith("an adapter's name")]
    for dialect in named:
        tensors = dialect.file(layout)
        assert ours.applied(layout, tensors).applied == len(tensors) > 0


@pytest.mark.parametrize(("dialect", "model"), TEXT_FILES)
def test_text_encoders(dialect, model, ours):
    tensors = dialect.file(TEXTS[model])
    result = ours.applied(TEXTS[model], tensors)
    assert (result.applied, result.missed, result.refusal) == (len(tensors), (), "")


@pytest.mark.parametrize(
    ("part", "layout"),
    [*(("model", x) for x in MODELS.values()), *(("clip", x) for x in TEXTS.values())],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_the_hosts_own_names_mean_what_they_mean_to_the_host(part, layout):
    ours = names(layout.name) if part == "model" else ModelNames(layout.shapes)
    wrong = HOST_IS_WRONG.get(layout.name, "$^") if part == "model" else "$^"
    differing = {
        name: (ours.find(name), Target(key, part, rows, swapped))
        for name, (key, rows, swapped) in layout.names.items()
        if ours.find(name) != Target(key, part, rows, swapped) and not re.search(wrong, name)
    }
    assert not differing
