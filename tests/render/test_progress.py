"""How far it is: the bar, the lines, the rate."""

from __future__ import annotations

from io import StringIO

import pytest

from lora_render.progress import Progress


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


class Terminal(StringIO):
    def isatty(self):
        return True


def made(total, stream=None, **options):
    clock, stream = Clock(), stream or StringIO()
    return Progress(total, stream, clock, **options), stream, clock


def test_rate_and_time_left():
    progress, _, clock = made(100)
    for _ in range(10):
        clock.seconds += 0.5
        progress.add("a", ok=True)
    assert progress.words() == "10 of 100, 2.0/s, 0:45 left"


def test_slow_ones_are_said_in_seconds_each_and_long_ones_in_hours():
    progress, _, clock = made(1000)
    clock.seconds += 30
    progress.add("a", ok=True)
    assert progress.words() == "1 of 1000, 30.0 s each, 8:19:30 left"


def test_the_rate_is_that_of_the_last_ones():
    """The first one waited for the model."""
    progress, _, clock = made(200)
    clock.seconds += 1000
    progress.add("a", ok=True)
    for _ in range(60):
        clock.seconds += 1
        progress.add("a", ok=True)
    assert "1.0/s, 2:19 left" in progress.words()


def test_a_batch_counts_all_its_items():
    progress, _, clock = made(16)
    clock.seconds += 4
    progress.add("a", ok=True, items=8)
    assert progress.words() == "8 of 16, 2.0/s, 0:04 left"


def test_failed_ones_and_workers():
    progress, _, clock = made(3, by_worker=True)
    for worker, ok in (("gpu 1", True), ("gpu 0", False), ("gpu 1", True)):
        clock.seconds += 1
        progress.add(worker, ok=ok)
    assert progress.words() == "3 of 3, 1.0/s, 1 failed, gpu 0: 1; gpu 1: 2"


def test_before_time_has_passed_there_is_no_rate():
    progress, _, _ = made(3)
    progress.add("a", ok=True)
    assert progress.words() == "1 of 3"


def test_a_terminal_has_one_line_that_is_drawn_again():
    progress, terminal, clock = made(2, Terminal())
    for _ in range(2):
        clock.seconds += 1
        progress.add("a", ok=True)
    progress.close()
    first, second = terminal.getvalue().removeprefix("\r").split("\r")
    assert first.startswith("[############            ] 1 of 2")
    assert second.startswith("[########################] 2 of 2")
    assert terminal.getvalue().count("\n") == 1


def test_no_line_is_longer_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    progress, terminal, _ = made(2, Terminal(), by_worker=True)
    progress.add("a worker with a long name", ok=True)
    assert len(terminal.getvalue().strip("\r").removesuffix("\x1b[K")) == 29


def test_a_file_gets_a_line_now_and_then_and_the_last_state():
    progress, file, clock = made(30)
    for _ in range(30):
        clock.seconds += 1
        progress.add("a", ok=True)
    progress.close()
    lines = file.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["10 of 30", "20 of 30", "30 of 30"]


@pytest.mark.parametrize("stream", [StringIO, Terminal])
def test_nothing_to_do_says_nothing(stream):
    progress, said, _ = made(0, stream())
    progress.close()
    assert said.getvalue() == ""
