"""How many threads the ComfyUIs of one machine get."""

import pytest

from lora_render.cluster import threads_each


@pytest.mark.parametrize(
    ("given", "own", "threads"),
    [
        (None, 0, None),
        (None, 1, None),
        (None, 2, "4"),
        (None, 3, "2"),
        (None, 20, "1"),
        ("7", 1, "7"),
        ("7", 2, "7"),
    ],
)
def test_comfyuis_share_the_cores_unless_the_user_says_otherwise(monkeypatch, given, own, threads):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads_each(own) == threads
