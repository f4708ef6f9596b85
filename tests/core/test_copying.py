"""Every number of a file is looked at while it is copied, wherever it lies, and a file is checked once."""

import os
from itertools import product

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
    copy, largest = copied(file, head)
    tensors = parts_of(copy, head.tensors)
    for key, tensor in content.items():
        assert torch.equal(tensors[key].view(torch.uint8), tensor.view(torch.uint8)), key
    assert largest == {
        key: float(tensor.double().abs().max())
        for key, tensor in content.items()
        if STORED[tensor.dtype][1]
        and tensor.numel()
        and not header[key]["data_offsets"][0] % tensor.dtype.itemsize
    }
    assert shift or largest


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
    assert [*read_file(file, head).modules] == ["other"]


def test_heads_are_held_up_to_a_limit(tmp_path, monkeypatch):
    files = [identify(write(tmp_path / f"{n}.safetensors", pair("layer", 6, 8))) for n in range(5)]
    size = len(read_head(files[0]).beginning)
    monkeypatch.setattr(reader, "HELD_HEADER_BYTES", 2 * size)
    cache = FileCache()
    for file in files:
        cache.check(file)
    assert [*cache._heads] == files[3:]
    for file in files:
        cache.read(file)
    assert not cache._heads


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
