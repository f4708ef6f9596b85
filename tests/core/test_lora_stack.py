"""LORA_STACK: plain tuples to everybody else, exact to us, in every form that packs give it."""

import copy
import pickle
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_core import LoraInputError, Recipe
from lora_core.algebra.curve import Curve
from lora_core.algebra.file_id import FileId
from lora_core.algebra.spread import parse_spread
from lora_core.algebra.term import Term
from lora_core.library.resolve import Asked
from lora_core.lists.lora_stack import StackEntry, read_stack, written_stack

INK = FileId("/loras/style/ink.safetensors", 1, 2, 3, "style/ink.safetensors")
THIRD = Term(INK, Fraction(1, 3), Fraction(2, 3))


def plain(stack):
    return [(e.asked.name, e.model, e.clip) for e in read_stack(stack)]


READ = {
    "tuples": [("ink", 0.8, 0.4)],
    "lists": [["ink", 0.8, 0.4]],
    "a tuple of tuples": (("ink", 0.8, 0.4),),
    "longer tuples": [("ink", 0.8, 0.4, "all", "double_blocks")],
    "number text": [("ink", "0.8", " .4 ")],
    "objects": [{"name": "ink", "strength": 0.8, "clip_strength": 0.4}],
    "nothing chosen in between": [
        ("None", 1.0, 1.0), (None, 1.0, 1.0), ("", 1, 1), ("ink", 0.8, 0.4), {"name": None}
    ],
    "objects that are switched on and off": [
        {"name": "ink", "strength": 0.8, "clip_strength": 0.4, "active": True},
        {"name": "off", "strength": 1, "active": False},
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", READ)
def test_every_packs_form_is_read(form):
    assert plain(READ[form]) == [("ink", Fraction(4, 5), Fraction(2, 5))]


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_nothing_is_an_empty_stack(nothing):
    assert read_stack(nothing) == ()


def test_an_object_has_one_strength_for_both():
    entry = {"name": "ink", "lora": {"up": torch.ones(1)}, "strength": 0.8, "key_filter": "all"}
    (read,) = read_stack([entry])
    assert (read.model, read.clip) == (Fraction(4, 5), Fraction(4, 5))
    assert read.ignored == ("key_filter=all",)


def test_what_is_not_read_is_told():
    (read,) = read_stack([("ink", 1, 1, "all", torch.ones(2, 2))])
    assert read.ignored == ("all", "Tensor")


BAD = {
    "text": ("ink", "lora_stack", None),
    "an object": ({"name": "ink", "strength": 1}, "lora_stack", None),
    "a pair": ([("ink", 1.0)], "an entry", 1),
    "a bare triple": (("ink", 1.0, 1.0), "an entry", 1),
    "a name that is none": ([("ink", 1, 1), (5, 1.0, 1.0)], "name", 2),
    "NaN": ([("ink", float("nan"), 1.0)], "model strength", 1),
    "infinity": ([("ink", 1.0, float("inf"))], "clip strength", 1),
    "a word": ([("ink", "abc", 1.0)], "model strength", 1),
    "true": ([("ink", True, 1.0)], "model strength", 1),
    "nothing": ([("ink", 1.0, None)], "clip strength", 1),
    "an object without name": ([{"lora": "ink", "strength": 1}], "an entry", 1),
    "a switch that is none": ([{"name": "ink", "strength": 1, "active": "no"}], "active", 1),
    "an object without strength": ([{"name": "ink"}], "model strength", 1),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_stack_is_refused(what):
    value, key, row = BAD[what]
    with pytest.raises(LoraInputError) as refused:
        read_stack(value)
    assert (refused.value.key, refused.value.row) == (key, row)
    assert refused.value.expected
    assert refused.value.found


COPIES = {
    "itself": lambda stack: stack,
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "pickle": lambda stack: pickle.loads(pickle.dumps(stack)),  # noqa: S301
    "filtered": lambda stack: [entry for entry in stack if entry[0] != "None"],
    "extended": lambda stack: [*stack],
}


@pytest.mark.parametrize("kind", COPIES)
def test_the_exact_term_survives(kind):
    (entry,) = COPIES[kind](written_stack(Recipe((THIRD,))))
    assert type(entry) is StackEntry
    assert read_stack([entry])[0].term == THIRD


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_entry_is_still_ours(copied):
    assert copied(StackEntry.of(THIRD)).term == THIRD


def test_an_entry_is_a_plain_tuple_to_everybody():
    entry = StackEntry.of(THIRD)
    name, model, clip = entry
    assert (name, model, clip) == ("style/ink.safetensors", 1 / 3, 2 / 3)
    assert entry == (name, model, clip)
    assert hash(entry) == hash((name, model, clip))
    assert isinstance(entry, tuple)
    assert len(entry) == 3
    assert type(model) is type(clip) is float


def rebuilt(entry):
    return tuple(entry)


def renamed(entry):
    return ("other.safetensors", *entry[1:])


def with_term(entry, *fields):
    """A copy whose numbers somebody has changed, and whose term nobody has."""
    changed = StackEntry(*fields)
    changed.term = entry.term
    return changed


@pytest.mark.parametrize(
    "change",
    [
        rebuilt,
        renamed,
        lambda entry: with_term(entry, entry[0], 0.5, entry[2]),
        lambda entry: with_term(entry, entry[0], entry[1], 0.5),
        lambda entry: with_term(entry, "other", *entry[1:]),
        lambda entry: StackEntry(*entry),
    ],
)
def test_a_changed_entry_goes_by_what_it_says(change):
    changed = change(StackEntry.of(THIRD))
    (read,) = read_stack([changed])
    assert read.term is None
    assert read.asked == Asked(changed[0], row=1)
    assert (float(read.model), float(read.clip)) == changed[1:]


@pytest.mark.parametrize(
    "varying",
    [
        Recipe.of(INK).scheduled(Curve.parse("linear")),
        Recipe.of(INK).spread(parse_spread("0, 1")),
        Recipe.of(INK).blocks("double 0: 0"),
    ],
)
def test_what_varies_is_refused_and_not_flattened(varying):
    with pytest.raises(LoraInputError, match="which a LORA_STACK cannot express") as refused:
        written_stack(varying)
    assert refused.value.file == "style/ink.safetensors"


strengths = st.decimals(-10, 10, places=3).map(Fraction)
terms = st.builds(
    Term,
    st.integers(0, 3).map(lambda n: FileId(f"/loras/{n}", 1, 1, n, f"{n}.safetensors")),
    strengths,
    strengths,
)


@settings(deadline=None, max_examples=50)
@given(st.lists(terms, max_size=5).map(tuple).map(Recipe), st.sampled_from([*COPIES]))
def test_a_recipe_comes_back_exactly(recipe, kind):
    entries = read_stack(COPIES[kind](written_stack(recipe)))
    assert Recipe(tuple(entry.term for entry in entries)) == recipe
    by_numbers = read_stack([tuple(entry) for entry in written_stack(recipe)])
    assert [(e.model, e.clip) for e in by_numbers] == [
        (t.strength_model, t.strength_clip) for t in recipe.terms
    ]
