"""Sweep LoRA in the page: a queue that goes through its combinations, and workflows from before it could."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from tests.web.stage import lora_names

pytestmark = pytest.mark.every_page

SHELF = "shelf/people/*"
COUNT = 3
CONTROLS = ("control_after_generate", "fixed")
"""What pages call the widget below the number; the older one, by where it begins."""


@pytest.fixture
def sweep(page):
    return page.add("SweepLoRA", "sweep", [60, 60])


def control(page, sweep, how):
    """What becomes of the number after each run."""
    page.set(sweep, dict.fromkeys(CONTROLS, how))


@pytest.fixture
def labels(page, host, sweep):
    """Queues what is open once, and says which labels the sweep gave."""
    shown = page.add("TKValue", "shown", [560, 60])
    page.connect(sweep, 1, shown, "value")

    def run():
        result = page.queue()
        assert result["end"] == "execution_success", result
        return host.result(result["detail"]["prompt_id"]).report(str(shown))

    return run


def test_a_queue_of_many_goes_through_them_in_turn(page, sweep, labels, shoot):
    page.set(sweep, {"values": "1", "files": SHELF, "pick": "in turn"})
    control(page, sweep, "increment")
    page.show([sweep])
    shoot("sweep_in_turn")
    assert [labels() for _ in range(COUNT + 1)] == ["ada 1", "bob 1", "cleo 1", "ada 1"]
    assert page.widgetValue(sweep, "number") == COUNT + 1


def test_at_random_the_number_is_drawn_and_saved(page, sweep, labels):
    page.set(sweep, {"values": "1", "files": SHELF, "pick": "random", "number": 5})
    first = labels()
    control(page, sweep, "randomize")
    assert labels() == first  # the number changes after the run
    drawn = page.widgetValue(sweep, "number")
    control(page, sweep, "fixed")
    again = labels()
    page.load(page.workflow())
    assert drawn != 5
    assert page.widgetValue(sweep, "number") == drawn
    assert again == labels()


def test_a_sweep_saved_before_there_were_files_is_the_same_and_stays_so(page, sweep, labels):
    page.set(sweep, {"values": "0.5, 1"})
    loader = page.add("LoadLoRA", "loader", [60, 460])
    page.set(loader, {"lora_name": lora_names("sd15")[0]})
    page.connect(loader, 0, sweep, "lora")
    saved = page.workflow()
    (node,) = (each for each in saved["nodes"] if each["id"] == sweep)
    node["widgets_values"] = node["widgets_values"][:3]
    late = ("files", "one_by_one", "seeds", "pick", "number")
    node["inputs"] = [each for each in node["inputs"] if each["name"] not in late]
    node["outputs"] = node["outputs"][:3]
    page.load(saved)
    page.expect_no_error()
    first = labels()
    inputs = page.prompt()[str(sweep)]["inputs"]
    assert {name: inputs[name] for name in late} == dict(
        zip(late, ("", False, "", "all", 0), strict=True)
    )
    assert labels() == first
    assert page.widgetValue(sweep, "number") == 0
