"""Strengths that come to rows by links: as good as those that are typed, and checked before a model is touched."""

from __future__ import annotations

from fractions import Fraction

import pytest

from harness.workflows import Graph, load
from tests.host.files import assert_nothing_is_left, base_hash, make_loras
from tests.host.rows import row, saved

pytestmark = pytest.mark.every_host


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 2)


def run(host, rows, expect_error=False, **inputs):
    """A prompt with the rows, where numbers come by links, and ``one=("constant", x)`` does not."""
    graph = Graph()
    node = graph.add("LoRARows", rows=rows, **{n: source(graph, v) for n, v in inputs.items()})
    graph.add("TKValue", value=[node, 0])
    return host.run(graph.prompt, expect_error=expect_error)


def source(graph, value):
    if isinstance(value, tuple):
        return value[1]
    if isinstance(value, str):
        return [graph.add("TKText", text=value), 0]
    return [graph.add("PrimitiveFloat", value=value), 0]


def terms(host, rows, **inputs):
    found = run(host, rows, **inputs).report("TKValue")["terms"]
    return {name: (float(Fraction(model)), float(Fraction(clip))) for name, model, clip in found}


def test_a_link_gives_the_strength_and_its_change_is_seen(host, loras):
    first, second = loras
    rows = saved(
        row(first, 0.5, link="strength_1"), row(second, 0.25, strength_clip=0.1, link="strength_7")
    )
    for one, seven in ((0.75, -2.0), (0.8, -2.0), (0.8, 1.5)):
        assert terms(host, rows, strength_1=one, strength_7=seven) == {
            first: (one, one),
            second: (seven, 0.1),
        }


def test_without_a_link_the_row_has_its_own_and_a_number_counts_too(host, loras):
    first, second = loras
    rows = saved(row(first, 0.5, link="strength_1"), row(second, 0.25, link="strength_2"))
    given = terms(host, rows, strength_2=("constant", 0.75), other=("constant", 5))
    assert given == {first: (0.5, 0.5), second: (0.75, 0.75)}


def test_it_is_applied_like_a_typed_one(host, loras):
    base = base_hash(host, "flux")

    def patched(**inputs):
        graph = Graph()
        model = load(graph, "flux").model
        given = {name: source(graph, value) for name, value in inputs.items() if name != "rows"}
        node = graph.add("LoRARows", rows=inputs["rows"], model=model, **given)
        graph.add("TKProbe", model=[node, 3])
        probe = host.run(graph.prompt).report("TKProbe")["model"]
        return {
            name: value for name, value in probe.items() if name != "patcher"
        }  # a clone's number

    linked = patched(rows=saved(row(loras[0], 0.5, link="strength_1")), strength_1=0.75)
    assert linked == patched(rows=saved(row(loras[0], 0.75)))
    assert_nothing_is_left(host, "flux", base)


@pytest.mark.parametrize("came", [100.5, "nan", "much"])
def test_what_is_no_strength_is_refused_with_row_and_file(host, loras, came):
    rows = saved(row(loras[1]), row(loras[0], link="strength_1"))
    result = run(host, rows, expect_error=True, strength_1=came)
    assert result.status == "error"
    assert f'row 2: "{loras[0]}": strength_1 must be a number from -100 to 100' in result.error


def test_a_wrong_number_and_a_strength_for_no_row_are_refused(host, loras):
    rows = saved(row(loras[0], link="strength_1"))
    for given, said in (
        ({"strength_1": ("constant", 101)}, f'row 1: "{loras[0]}": strength_1 must be a number'),
        ({"strength_2": ("constant", 1)}, "no row takes its strength from strength_2"),
        ({"strength_2": 1.0}, "no row takes its strength from strength_2"),
    ):
        result = run(host, rows, expect_error=True, **given)
        assert result.status == "error"
        assert said in result.error


def test_a_row_that_is_off_may_keep_its_link(host, loras):
    rows = saved(row(loras[0], on=False, link="strength_1"), row(loras[1]))
    assert terms(host, rows, strength_1=0.5) == {loras[1]: (1, 1)}


def test_what_is_wrong_with_rows_is_said_once(host):
    result = run(host, saved(row("gone.safetensors")), expect_error=True, strength_1=0.5)
    assert len(result.validation_errors("LoRARows")) == 1
