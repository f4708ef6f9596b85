"""Saves that do not come to an end in the host: what is left, and what comes next."""

from __future__ import annotations

import time

import pytest
from safetensors import safe_open

from harness.host import HostError
from harness.workflows import Graph, load, stack_loras
from tests.host.files import assert_nothing_is_left, base_hash, make_loras

HOW = {"rank": "exact", "dtype": "float32", "names": "ComfyUI"}
MANY = 60


@pytest.fixture
def loras(host, tmp_path):
    return make_loras(host, tmp_path, "flux", 2)


def saves(loras, prefix, count=1, **how):
    """A prompt that saves a sum under one prefix so many times."""
    graph = Graph()
    own = [[graph.add("LoadLoRA", lora_name=name, strength=0.5), 0] for name in loras]
    lora, model = stack_loras(graph, *own), load(graph, "flux").model
    for index in range(count):
        inputs = {"lora": lora, "model": model, "filename_prefix": f"{prefix}{index}"}
        graph.add("SaveLoRAFile", **inputs, **HOW | how)
    return graph.prompt


def assert_whole(files):
    """Each of these is a LoRA with all of its tensors."""
    sizes = set()
    for file in files:
        with safe_open(file, "pt") as made:
            sizes.add(sum(made.get_tensor(key).numel() for key in made.keys()))  # noqa: SIM118
    assert len(sizes) <= 1


def left(folder):
    """What is in a folder: whole files, and others."""
    every = sorted(folder.iterdir()) if folder.exists() else []
    whole = [file for file in every if not file.name.startswith(".")]
    return whole, [file for file in every if file not in whole]


def test_an_interrupt_leaves_whole_files_only(host, loras):
    base = base_hash(host, "flux")
    folder = host.output_dir / "interrupted"
    answer = host._post("/prompt", {"prompt": saves(loras, "interrupted/x", MANY)})
    host.wait_until(lambda: bool(left(folder)[0]), "save the first file")
    host._post("/interrupt", {})
    result = host.result(answer["prompt_id"])
    assert "execution_interrupted" in dict(result.messages)
    whole, other = left(folder)
    assert 0 < len(whole) < MANY
    assert other == []
    assert_whole(whole)
    assert_nothing_is_left(host, "flux", base)
    host.run(saves(loras, "interrupted/y"))
    assert len(left(folder)[0]) == len(whole) + 1


def test_a_full_disk_leaves_nothing(host, loras):
    """A limit on the size of files stands for the disk: the system calls fail alike."""
    resource = pytest.importorskip("resource")
    host.run(saves(loras, "full/before"))
    pid = host._process.pid
    free = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    size = (host.output_dir / "full" / "before0_00001_.safetensors").stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size // 2, free[1]))
    try:
        said = host.run(saves(loras, "full/after"), expect_error=True).error
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, free)
    assert "after0_00001_.safetensors cannot be written: " in said
    whole, other = left(host.output_dir / "full")
    assert ([file.name for file in whole], other) == (["before0_00001_.safetensors"], [])
    assert_whole(whole)
    host.run(saves(loras, "full/again"))


@pytest.mark.parametrize("place", ["nowhere/x", "../outside/x"])
def test_a_folder_that_cannot_be_is_refused(host, loras, place):
    (host.output_dir / "nowhere").write_bytes(b"a file")
    said = host.run(saves(loras, place), expect_error=True).error
    assert "folder" in said
    assert (host.output_dir / "nowhere").read_bytes() == b"a file"
    assert not (host.output_dir.parent / "outside").exists()


@pytest.mark.slow
def test_killed_in_the_middle_it_leaves_no_half_of_a_lora(start_host, tmp_path, show):
    with start_host() as host:
        loras = make_loras(host, tmp_path, "flux", 2)
        folder = host.output_dir / "killed"
        host._post("/prompt", {"prompt": saves(loras, "killed/x", MANY)})
        host.wait_until(lambda: bool(left(folder)[0]), "save the first file")
        while not left(folder)[1] and len(left(folder)[0]) < MANY:
            time.sleep(0.0005)
        host._process.kill()
        with pytest.raises(HostError):
            host.wait_until(lambda: False, "live")
        whole, other = left(folder)
        show(f"killed: {len(whole)} of {MANY} files, all whole; also {[f.name for f in other]}")
        assert 0 < len(whole) < MANY
        assert_whole(whole)
        host.stop()
        host.start()
        host.run(saves(loras, "killed/x"))
        again, _ = left(folder)
        assert len(again) == len(whole) + 1
        assert_whole(again)
