"""Which file, and which state of it, is read; and that it is read once (security.md, F35 to F46)."""

import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest

from harness.samples import pair, write
from lora_core import LoraFileError, load
from lora_core.algebra.file_id import FileId
from lora_core.library.facts import facts_of
from lora_core.reading import reader as files
from lora_core.reading.header import identify
from lora_core.reading.reader import FileCache, check_file, read_file

PAIR = pair("layer", 6, 8)


def test_f35_a_link_to_another_disk_is_followed(tmp_path):
    real = write(tmp_path / "real.safetensors", PAIR)
    (tmp_path / "link.safetensors").symlink_to(real)
    assert load(tmp_path / "link.safetensors")


@pytest.mark.parametrize(
    "name", ["nul\0.safetensors", "half\ud800.safetensors", "x" * 5000 + ".safetensors"]
)
def test_a_path_no_system_takes_is_refused(tmp_path, name):
    with pytest.raises(LoraFileError, match="cannot be opened"):
        identify(tmp_path / name)


def test_a_recipe_from_elsewhere_opens_no_other_files(tmp_path):
    """What its JSON calls a file is looked at like anything else."""
    pickle, pipe = tmp_path / "x.pt", tmp_path / "x.safetensors"
    pickle.write_bytes(b"anything")
    os.mkfifo(pipe)
    for path in (pickle, pipe):
        status = path.stat()
        file = FileId(str(path), status.st_mtime_ns, status.st_size, status.st_ino, path.name)
        with pytest.raises(LoraFileError, match=r"only \.safetensors|not a regular file"):
            read_file(file)


@pytest.mark.parametrize("kind", ["missing", "dangling", "loop", "folder", "pipe"])
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, kind):
    path = tmp_path / "x.safetensors"
    make = {
        "missing": lambda: None,
        "dangling": lambda: path.symlink_to(tmp_path / "gone"),
        "loop": lambda: path.symlink_to(path),
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
    }
    make[kind]()
    with pytest.raises(LoraFileError) as refused:
        load(path)
    assert refused.value.file == "x.safetensors"


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".bin", ""])
def test_f46_only_safetensors_are_read(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"anything")
    with pytest.raises(LoraFileError, match=r"only \.safetensors"):
        load(path)


def test_f39_f40_a_changed_file_is_another_file(tmp_path):
    path = write(tmp_path / "x.safetensors", PAIR)
    before = identify(path)
    cache = FileCache()
    held = cache.read(before)
    write(tmp_path / "new", pair("layer", 6, 8, seed=1)).replace(path)
    assert identify(path) != before
    assert cache.read(before) is held
    with pytest.raises(LoraFileError, match="changed on disk"):
        FileCache().read(before)
    path.unlink()
    with pytest.raises(LoraFileError, match="cannot be opened"):
        FileCache().read(before)


def test_f41_f42_a_file_overwritten_or_cut_after_reading_does_no_harm(tmp_path):
    """In a process of its own, since a mapped file cut short would end it."""
    path = write(tmp_path / "x.safetensors", pair("layer", 600, 800))
    script = f"""
        import os
        from lora_core.reading import identify, read_file
        file = read_file(identify({str(path)!r}))
        os.truncate({str(path)!r}, 100)
        (delta,) = file.modules["layer"].deltas
        assert delta.up.abs().sum() > 0
    """
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, cwd=root)


def test_the_cache_shares_and_lets_go(tmp_path):
    file = identify(write(tmp_path / "x.safetensors", PAIR))
    cache = FileCache()
    held = cache.read(file)
    assert cache.read(file) is held
    number = id(held.modules)
    del held
    again = cache.read(file)
    assert again.modules is not None
    assert number  # the first one was free to go: nothing but its number is left


def test_the_cache_holds_nothing_strongly(tmp_path):
    file = identify(write(tmp_path / "x.safetensors", PAIR))
    cache = FileCache()
    seen = weakref.ref(cache.read(file))
    assert seen() is None


def test_eight_threads_read_once(tmp_path, monkeypatch):
    file = identify(write(tmp_path / "x.safetensors", PAIR))
    reads, real = [], files.read_file
    monkeypatch.setattr(files, "read_file", lambda *asked: (reads.append(asked), real(*asked))[1])
    cache, found, start = FileCache(), [], threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(100):
            found.append(cache.read(file))

    held = cache.read(file)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 800
    assert all(each is held for each in found)
    assert len(reads) == 1


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, names of any bytes")


@needs_linux
def test_a_disk_that_fails_is_told_of(tmp_path):
    path = tmp_path / "ink.safetensors"
    path.symlink_to("/proc/self/mem")  # whose first bytes give an input/output error
    file = identify(path)
    for read in (read_file, check_file):
        with pytest.raises(LoraFileError, match=r'"ink\.safetensors": cannot be opened: Input/out'):
            read(file)
    assert "Input/output error" in (facts_of(file).error or "")


@needs_linux
def test_a_name_that_is_no_text_is_refused_without_its_path(tmp_path):
    path = os.fsencode(write(tmp_path / "ink.safetensors", PAIR))
    other = path.replace(b"ink", b"ink\xff")
    os.rename(path, other)  # noqa: PTH104 (paths are bytes)
    file = identify(os.fsdecode(other))
    for read in (read_file, check_file):
        with pytest.raises(LoraFileError, match="a path that is not valid UTF-8") as refused:
            read(file)
        assert str(tmp_path) not in str(refused.value)
