"""The folder of our own Ray."""

from __future__ import annotations

import os

from lora_render.cluster import OwnFolder


def test_what_a_run_that_was_killed_has_left_is_removed(tmp_path):
    """But nothing of a run that goes on, and nothing that may be so new that it is not locked yet."""
    live = OwnFolder(tmp_path)
    for name in ("lora-ray-old", "lora-ray-new", "lora-ray-of-others", "other-old", "elsewhere"):
        (tmp_path / name / "session").mkdir(parents=True)
        if name != "lora-ray-of-others":
            (tmp_path / name / "lora-algebra.lock").touch()
    (tmp_path / "lora-ray-link").symlink_to(tmp_path / "elsewhere")
    old = ("lora-ray-old", "lora-ray-of-others", "other-old")
    for path in (live.path, *(tmp_path / name for name in old)):
        os.utime(path, (0, 0))
    mine = OwnFolder(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    names = {"lora-ray-of-others", "lora-ray-new", "lora-ray-link", "other-old", "elsewhere"}
    assert left == {live.path.name, mine.path.name, *names}
    assert (tmp_path / "elsewhere" / "session").exists()
    live.remove()
    mine.remove()
    assert {path.name for path in tmp_path.iterdir()} == names
