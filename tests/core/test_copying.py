"""Every number of a file is looked at while it is copied, wherever it lies, and a file is checked once."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Event, current_thread

import pytest
import torch

from harness.samples import pair, raw, write
from lora_core import LoraFileError
from lora_core.reading import FileCache, header, reader
from lora_core.reading.copying import CHUNK_BYTES, MOST_THREADS, THREAD_BYTES, copied
from lora_core.reading.header import identify, read_head
from lora_core.reading.reader import check_file, read_file
from lora_core.reading.tensors import parts_of

UP, DOWN = "layer.lora_up.weight", "layer.lora_down.weight"
ROWS = (MOST_THREADS * THREAD_BYTES + CHUNK_BYTES) // 2 // 8
"""Rows of an up (rows, 8) in half precision that all threads share, and that ends within a chunk."""

STORED = {
    torch.float16: ("F16", True),
    torch.float64: ("F64", True),
    torch.bfloat16: ("BF16", True),
    torch.uint8: ("U8", False),
    torch.float32: ("F32", True),
    torch.float8_e5m2: ("F8_E5M2", False),
}
"""A type → its name in a header, and whether its bits are ordered."""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    content = {UP: torch.ones(ROWS, 8).half(), DOWN: torch.ones(8, 3).half()}
    return write(tmp_path_factory.mktemp("large") / "x.safetensors", content)


@pytest.mark.parametrize(
    "place", [0, CHUNK_BYTES // 2 - 1, CHUNK_BYTES // 2, ROWS * 4, ROWS * 8 - 1]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_place_in_a_large_file_hides_a_number(large, place, value):
    head = read_head(identify(large))
    start = len(head.beginning) + head.tensors[UP]["data_offsets"][0] + 2 * place
    bad = torch.tensor([value]).half().view(torch.uint8).numpy().tobytes()
    with large.open("r+b") as file:
        file.seek(start)
        good = file.read(2)
        file.seek(start)
        file.write(bad)
    with pytest.raises(LoraFileError, match="NaN or infinity") as refused:
        read_file(identify(large))
    with large.open("r+b") as file:
        file.seek(start)
        file.write(good)
    assert refused.value.key == UP
    assert read_file(identify(large)).modules["layer"].max_abs_bounds == (8.0,)


@pytest.mark.parametrize("shift", range(3))
def test_tensors_of_all_types_and_sizes_next_to_each_other(tmp_path, shift):
    """The types take turns, so that runs begin and end everywhere; some tensors are longer than a
    chunk, some empty, and after some bytes none of them is aligned."""
    torch.manual_seed(shift)
    content = {"first": torch.zeros(shift, dtype=torch.uint8)}
    for count, dtype in product((1, 0, 3, 700, CHUNK_BYTES // 2 + 5, 2), STORED):
        content[f"{count} of {dtype}"] = (torch.randn(count) * 100).to(dtype)
    header, data = in_order(content)
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw(header, data))
    file = identify(path)
    head = read_head(file)
    copy = copied(file, head)
    tensors = parts_of(copy.data, head.tensors)
    for key, tensor in content.items():
        assert torch.equal(tensors[key].view(torch.uint8), tensor.view(torch.uint8)), key
    assert copy.largest == {
        key: float(tensor.double().abs().max())
        for key, tensor in content.items()
        if STORED[tensor.dtype][1]
        and tensor.numel()
        and not header[key]["data_offsets"][0] % tensor.dtype.itemsize
    }
    assert shift or copy.largest


def in_order(content):
    """Returns the header and the data of a file with tensors in their own order; the library would
    sort them by type."""
    header, data = {}, b""
    for key, tensor in content.items():
        part = tensor.view(torch.uint8).numpy().tobytes()
        span = [len(data), len(data) + len(part)]
        name, _ = STORED[tensor.dtype]
        header[key] = {"dtype": name, "shape": [len(tensor)], "data_offsets": span}
        data += part
    return header, data


def test_a_checked_file_is_not_checked_again_when_it_is_read(tmp_path, monkeypatch):
    file = identify(write(tmp_path / "x.safetensors", pair("layer", 6, 8)))
    cache, checks, real = FileCache(), [], header.check_whole
    monkeypatch.setattr(header, "check_whole", lambda asked: (checks.append(asked), real(asked)))
    cache.check(file)
    assert len(checks) == 1
    cache.read(file)
    assert len(checks) == 1
    cache.read(file)
    assert len(checks) == 2


def test_a_file_with_another_header_is_checked_again(tmp_path):
    """Its state says that it is the same: somebody has set its time back."""
    path = write(tmp_path / "x.safetensors", pair("layer", 6, 8))
    file = identify(path)
    head = check_file(file)
    changed = path.read_bytes().replace(b"layer.", b"other.")
    with path.open("r+b") as same:
        same.write(changed)
    os.utime(path, ns=(file.mtime_ns, file.mtime_ns))
    assert identify(path) == file
    assert [*read_file(file, head.beginning).modules] == ["other"]


def test_headers_are_held_up_to_a_limit(tmp_path, monkeypatch):
    files = [identify(write(tmp_path / f"{n}.safetensors", pair("layer", 6, 8))) for n in range(5)]
    size = len(read_head(files[0]).beginning)
    monkeypatch.setattr(reader, "HELD_HEADER_BYTES", 2 * size)
    cache = FileCache()
    for file in files:
        cache.check(file)
    assert [*cache._headers] == files[3:]
    for file in files:
        cache.read(file)
    assert not cache._headers


def test_modules_without_data_are_of_some_kinds_only(tmp_path):
    content = {}
    for number in range(40):
        content |= pair(f"layer_{number}", 6 + number % 2, 8, seed=number)
    file = identify(write(tmp_path / "x.safetensors", content))
    outline = reader.outline_of(file, read_head(file))
    assert len(outline.modules) == 40
    assert len(set(map(id, outline.modules.values()))) == 2
    whole = read_file(file).modules
    for name, module in outline.modules.items():
        assert [d.text() for d in module.deltas] == [d.text() for d in whole[name].deltas]
        assert (module.families, module.parameters) == (
            whole[name].families,
            whole[name].parameters,
        )


def contents(lora):
    """Returns the factors, the bounds and the names of a file, to compare."""
    return {
        name: (
            [(delta.up.tolist(), delta.down.tolist(), delta.scale) for delta in module.deltas],
            module.max_abs_bounds,
        )
        for name, module in lora.modules.items()
    }


def three(tmp_path):
    return [
        identify(write(tmp_path / f"{n}.safetensors", pair("layer", 6, 8, seed=n)))
        for n in range(3)
    ]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("checked", [False, True])
def test_a_file_read_ahead_is_the_file(tmp_path, order, checked):
    """Also if they are asked for in another order than was said."""
    files, cache = three(tmp_path), FileCache()
    for file in files if checked else ():
        cache.check(file)
    with cache.ahead(files):
        read = {file: cache.read(file) for file in files[::order]}
        assert all(cache.read(file) is lora for file, lora in read.items())
    assert not cache._copies
    for file, lora in read.items():
        assert contents(lora) == contents(read_file(file))


def test_what_is_read_ahead_is_copied_once_and_by_another_thread(tmp_path, monkeypatch):
    file, cache, threads, begun = three(tmp_path)[0], FileCache(), [], Event()

    def copy(*arguments):
        threads.append(current_thread())
        begun.set()
        return copied(*arguments)

    monkeypatch.setattr(reader, "copied", copy)
    with cache.ahead([file]):
        assert begun.wait(20)
        cache.read(file)
    assert len(threads) == 1
    assert threads[0] is not current_thread()


def test_what_nobody_asked_for_is_gone_afterwards(tmp_path):
    files, cache = three(tmp_path), FileCache()
    with pytest.raises(ZeroDivisionError), cache.ahead(files):
        raise ZeroDivisionError
    assert not cache._copies
    assert not cache._files


def test_a_file_that_is_wrong_is_refused_when_it_is_asked_for(tmp_path):
    good, *_ = three(tmp_path)
    bad = write(
        tmp_path / "bad.safetensors", {UP: torch.ones(6, 4), DOWN: torch.full((4, 8), torch.nan)}
    )
    cut = identify(write(tmp_path / "cut.safetensors", pair("layer", 6, 8)))
    with (tmp_path / "cut.safetensors").open("r+b") as file:
        file.truncate(cut.size - 8)
    cache = FileCache()
    with cache.ahead([identify(bad), cut, good]):
        with pytest.raises(LoraFileError, match="changed on disk") as refused:
            cache.read(cut)
        assert refused.value.file == "cut.safetensors"
        with pytest.raises(LoraFileError, match="NaN or infinity") as refused:
            cache.read(identify(bad))
        assert refused.value.file == "bad.safetensors"
        assert contents(cache.read(good)) == contents(read_file(good))


def test_files_that_are_there_are_not_copied_again(tmp_path, monkeypatch):
    files, cache = three(tmp_path), FileCache()
    held = cache.read(files[0])
    monkeypatch.setattr(reader, "copied", lambda *_: pytest.fail("copied again"))
    with cache.ahead(files[:1]):
        assert cache.read(files[0]) is held


def test_two_threads_read_ahead_together(tmp_path):
    files, cache = three(tmp_path), FileCache()

    def read(order):
        with cache.ahead(files[::order]):
            return [cache.read(file) for file in files]

    with ThreadPoolExecutor(4) as pool:
        results = [*pool.map(read, [1, -1, 1, -1] * 5)]
    assert not cache._copies
    for loras in results:
        assert [contents(lora) for lora in loras] == [contents(read_file(file)) for file in files]
