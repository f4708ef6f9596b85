"""Patterns in configs: they mean what they mean to peft, and cannot keep anybody busy."""

from __future__ import annotations

import json
import random
import re
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.samples import pair, write
from lora_core import LoraFileError, load
from lora_core.formats.automaton import MOST_STEPS, Work
from lora_core.formats.pattern_syntax import DEEPEST, MOST_COPIES
from lora_core.formats.patterns import Lookups, Patterns, Wanted
from lora_core.formats.settings import FileConfig

pytestmark = pytest.mark.thorough

EXAMPLES = 1000


def theirs(pattern: str, path: str) -> bool:
    """As peft looks a path up."""
    return re.match(rf"(.*\.)?({pattern})$", path) is not None


def ours(pattern: str, path: str) -> bool:
    return Patterns({pattern: 1.0}, Work()).number(path) is not None


# what patterns mean

LETTERS = "ab0._"
PLACES = st.text("ab01. _\n-é٣", max_size=8)
"""With a line break, a digit that is none of ASCII's, and a letter that is none."""

ATOMS = st.sampled_from(
    [
        r"a",
        r"b",
        r"0",
        r".",
        r"_",
        r"-",
        r"\.",
        r"\d",
        r"\w",
        r"\s",
        r"\D",
        r"\W",
        r"\S",
        r".*",
        r".+",
        r"\d+",
        r"^",
        r"$",
        r"[ab]",
        r"[^ab]",
        r"[a-b0]",
        r"[\d_]",
        r"[^\w.]",
        r"[]a]",
        r"[a-]",
        r"[^]]",
        r"[\]\-]",
        r"{",
        r"}",
        r"é",
        r"\n",
        r"\-",
        r"]",
        r"a{2}",
        r"b{1,2}",
        r"0{,1}",
        r"a{1,}",
        r"{}",
        r"a{,}",
        r"{a}",
    ]
)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    rows = st.lists(inner, min_size=0, max_size=3).map("".join)
    groups = st.builds("({}{})".format, st.sampled_from(["", "?:"]), rows)
    choices = st.lists(rows, min_size=1, max_size=3).map("|".join)
    grouped = st.one_of(groups, choices.map("({})".format))
    repeated = st.builds(
        "{}{}{}".format,
        grouped,
        st.sampled_from(["*", "+", "?", "{0,2}", "{2}"]),
        st.sampled_from(["", "?"]),
    )
    return st.one_of(grouped, repeated, rows, choices)


PATTERNS = st.recursive(ATOMS, deeper, max_leaves=8)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
@given(PATTERNS, st.lists(PLACES, min_size=1, max_size=4))
def test_a_pattern_means_what_it_means_to_re(pattern, paths):
    for path in paths:
        assert ours(pattern, path) == theirs(pattern, path), path
        whole = Wanted(pattern, Work()).holds(path)
        assert whole == (re.fullmatch(pattern, path) is not None), path


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.lists(PATTERNS, min_size=1, max_size=5, unique=True), PLACES)
def test_the_first_pattern_counts(patterns, path):
    """peft goes through them in their order; they share an automaton here."""
    first = next((n for n, pattern in enumerate(patterns) if theirs(pattern, path)), None)
    assert Patterns({p: n for n, p in enumerate(patterns)}, Work()).number(path) == first


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
@given(st.text(r"ab.0()[]{}|*+?^$\,-d1:!", max_size=9), PLACES)
def test_what_is_read_at_all_is_read_as_by_re(pattern, path):
    """Any text: it is refused, or means what it means there."""
    try:
        found = ours(pattern, path)
    except LoraFileError as error:
        assert str(error).startswith("names layers by a pattern with ")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found == theirs(pattern, path)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.lists(st.text(LETTERS, max_size=4), max_size=4), PLACES)
def test_ends_are_no_patterns(ends, path):
    assert Wanted(ends, Work()).holds(path) == any(map(path.endswith, ends))


PIECES = ("blocks", "0", "1", "10", "attn", "to_q", "to_k", "proj_out", "single_blocks")


def test_patterns_mean_what_they_mean_to_peft():
    """peft's own look-up, on names and patterns of all kinds."""
    from peft.utils.other import get_pattern_key

    dice = random.Random(1)
    kinds = (
        "{}",
        "^{}",
        "{}$",
        ".*{}",
        r"{}\.attn",
        "({}|to_q)",
        r"blocks\.\d+\.{}",
        r"(\w+\.)?{}",
    )
    for _ in range(4000):
        path = ".".join(dice.choices(PIECES, k=dice.randint(1, 4)))
        names = (".".join(dice.choices(PIECES, k=dice.randint(1, 2))) for _ in range(4))
        patterns = {dice.choice(kinds).format(name): n for n, name in enumerate(names, 1)}
        theirs = get_pattern_key(patterns.keys(), path)
        assert Patterns(patterns, Work()).number(path) == patterns.get(theirs), (path, patterns)


# what is refused

UNREAD = {
    r"(?!a)b": "(?!a",
    r"(?<=a)b": "(?<=",
    r"(?P<name>a)": "(?P<",
    r"(?i)a": "(?i)",
    r"(?x:(a+) +)b": "(?x:",
    r"(a)\1": r"\1",
    r"\bq": r"\b",
    r"\Aq": r"\A",
    r"\x41": r"\x",
    "(": "a ( without its )",
    "a)": "a ) without its (",
    "[a": "a [ without its end",
    "[b-a]": "a range without its two ends in order",
    "a\\": "a \\ without its end",
    "*": "a * with nothing to repeat",
    "a**": "a repetition of a repetition",
    "a*+": "a repetition of a repetition",
    "^*": "a repeated ^",
    "a{3,2}": "a count whose ends are in the wrong order",
    f"a{{{MOST_COPIES + 1}}}": f"a count of more than {MOST_COPIES}",
    "a{1,99999999999}": f"a count of more than {MOST_COPIES}",
    "(" * (DEEPEST + 1) + ")" * (DEEPEST + 1): f"more than {DEEPEST} groups",
    "(" * 100_000: f"more than {DEEPEST} groups",
}


@pytest.mark.parametrize("pattern", UNREAD, ids=lambda pattern: pattern[:20])
def test_what_is_not_read_is_refused_by_name(pattern):
    with pytest.raises(LoraFileError) as refused:
        ours(pattern, "a")
    assert f"a pattern with {UNREAD[pattern]}" in str(refused.value)
    assert len(str(refused.value)) < 300
    assert refused.value.key == "pattern"


# what it costs

HOSTILE = [
    # faults.md 1, and what keeps matchers that go back busy
    r"x\d+\d+\d+\d+\d+\d+\d+\d+y",
    r"(?:(a+) +)b",
    "(a|a)*b",
    "(a+)+b",
    "(a*)*b",
    ".*.*.*.*.*.*.*.*x",
    "a?" * 40 + "a" * 40 + "b",
    "(a|aa)*b",
    "(.*a){20}",
    "((a{0,9}){0,9}){0,9}b",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_steps_grow_no_faster_than_the_name(pattern):
    """Counted, not timed: twice the name is at most twice the steps, once the sets are known."""
    work = Work()
    patterns = Patterns({pattern: 1.0}, work)

    def steps(length: int) -> int:
        before = work.steps
        for letters in ("a", "1", "x1"):
            patterns.number(letters * length)
        return work.steps - before

    first = steps(2000)
    assert steps(4000) <= 2 * first + 100
    assert work.steps < MOST_STEPS


def test_the_bound_is_one_for_all_patterns_and_names():
    """1,500 modules with names of 97 letters, and patterns that are different for each of them."""
    lookups = Lookups(work := Work())
    hard = {f"(a|b)*a{'(a|b)' * n}": 1.0 for n in range(12, 40)}
    dice = random.Random(3)
    with pytest.raises(LoraFileError, match=r"more than 4,000,000 steps"):
        for _ in range(1500):
            name = "".join(dice.choices("ab", k=97))
            for option in "rank", "alpha":
                lookups.number(option, lambda: hard, name)
    assert work.steps < MOST_STEPS + 10_000


@pytest.mark.slow
@pytest.mark.parametrize("nested", ["(" * 30 + "a" + "){9}" * 30, "(" * 30 + "a" + ")+" * 30])
def test_a_pattern_that_stands_for_too_much_is_refused_while_it_is_built(nested):
    work = Work()
    with pytest.raises(LoraFileError, match="steps to look up"):
        Patterns({nested: 1.0}, work)
    assert work.steps < MOST_STEPS + 100


@pytest.mark.slow
def test_ends_and_names_of_any_number_are_bounded():
    for meant in ([f"{n:x}" for n in range(300_000)], ["a" * 600_000]):
        with pytest.raises(LoraFileError, match="steps to look up"):
            Wanted(meant, Work())
    with pytest.raises(LoraFileError, match="steps to look up"):
        ours("a", "a." * 2_000_000)


def test_the_largest_configs_that_diffusers_writes_are_far_from_the_bound():
    """A name for every layer: 57 blocks of a Flux with 26 layers each, alphas and ranks, two ways."""
    paths = [f"transformer_blocks.{b}.attn.layer_{n}.proj" for b in range(57) for n in range(26)]
    lookups = Lookups(work := Work())
    by_name = {path: float(n) for n, path in enumerate(paths)}
    by_start = {f"^{path}": number for path, number in by_name.items()}
    for n, path in enumerate(paths):
        for option, numbers in (("alpha_pattern", by_name), ("rank_pattern", by_start)):
            assert lookups.number(option, lambda numbers=numbers: numbers, path) == n
    assert work.steps < MOST_STEPS / 5


def test_a_file_with_a_hostile_pattern_is_read(tmp_path):
    """The patterns of faults.md 1, in files: 45 s and more with a matcher that goes back."""
    for number, pattern in enumerate(HOSTILE[:4]):
        noted = {"transformer.lora_alpha": 8, "transformer.alpha_pattern": {pattern: 1}}
        content = {}
        for module in range(50):
            content |= pair(f"transformer.x{'1' * 120}{'a' * 60}.{module}", 6, 8)
        notes = {"lora_adapter_metadata": json.dumps(noted)}
        load(write(tmp_path / f"{number}.safetensors", content, notes))


@pytest.mark.parametrize("option", ["alpha_pattern", "feedforward_modules"])
def test_a_file_with_an_unread_pattern_is_refused(tmp_path, option):
    meant = {"(?!x)layer": 2} if option == "alpha_pattern" else "(?!x)layer"
    content = pair("layer", 6, 8)
    if option == "feedforward_modules":
        content = {"layer.ia3_l": torch.ones(1, 6, 1, 1)}
    notes = {"lora_adapter_metadata": json.dumps({option: meant})}
    path = write(tmp_path / "a.safetensors", content, notes)
    with pytest.raises(LoraFileError, match=r'^"a\.safetensors": .* a pattern with \(\?!x'):
        load(path)


def test_a_pattern_that_nothing_asks_for_is_let_be():
    notes = FileConfig.read(
        {"lora_adapter_metadata": json.dumps({"rank_pattern": {"(?!x)layer": 2}})}
    )
    assert notes.of("layer").alpha is None


def test_a_name_for_some_blocks_as_diffusers_writes_them():
    """It puts a sign in front of every name that is not to be an end."""
    names = {f"^transformer_blocks.{n}.proj": n for n in range(40)}
    assert Patterns(names, Work()).number("transformer_blocks.7.proj") == 7
    assert Patterns(names, Work()).number("single_transformer_blocks.7.proj") is None
