"""Every way a file can be wrong is refused, with words that name it (security.md, F01 to F34)."""

import contextlib
import random

import pytest
import torch

from harness.samples import pair, raw, tensors, write
from lora_core import LoraFileError, load
from lora_core.families.finite import largest_magnitude
from lora_core.reading.file_faults import read_header
from lora_core.reading.header import identify
from lora_core.reading.reader import check_file, read_file

T = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
NAME = "layer.lora_up.weight"
GOOD_HEADER = {
    "layer.lora_up.weight": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
    "layer.lora_down.weight": {"dtype": "F32", "shape": [1, 2], "data_offsets": [8, 16]},
}
GOOD = raw(GOOD_HEADER, bytes(16))
NAN = float("nan")


def stored(**changes: object) -> bytes:
    """The good file with one entry changed."""
    first = {**GOOD_HEADER["layer.lora_up.weight"], **changes}
    return raw({**GOOD_HEADER, "layer.lora_up.weight": first}, bytes(16))


BYTES = {
    "F01 nothing": (b"", "empty or cut short"),
    "F01 seven bytes": (bytes(7), "empty or cut short"),
    "F02 header cut": (GOOD[:20], "cut short"),
    "F03 body cut": (GOOD[:-3], "incomplete"),
    "F04 header longer than the file": (raw({}, length=5000), "header says 5000"),
    "F04 header of 2^63": (raw({}, length=2**63), "header says"),
    "F04 no header": (raw({}, length=0), "damaged or not a safetensors"),
    "F04 header of 200 MB": (raw({}, length=200_000_000), "header says"),
    "F05 web page": (b"<!DOCTYPE html><title>Sign in</title>" + bytes(60), "HTML page"),
    "F05 web page after a line": (b"\n\n<html><body>" + bytes(60), "HTML page"),
    "F05 git-lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs"),
    "F05 pickle": (b"\x80\x02}q\x00." + bytes(40), "pickle"),
    "F05 zip": (b"PK\x03\x04" + bytes(60), "zip"),
    "F06 not UTF-8": (raw(0, text=b"\xff\xfe{}"), "damaged"),
    "F06 not JSON": (raw(0, text=b"{nope}"), "damaged"),
    "F06 a list": (raw([]), "damaged"),
    "F06 NaN in a shape": (raw(0, text=b'{"a":{"dtype":"F32","shape":[NaN]}}'), "damaged"),
    "F06 deep nesting": (raw(0, text=b"[" * 100_000), "damaged"),
    "F07 one key twice": (
        raw(0, bytes(16), text=b'{"a":%s,"a":%s}' % ((str(T).replace("'", '"').encode(),) * 2)),
        "damaged",
    ),
    "F08 overlap": (raw({"a": T, "b": T}, bytes(16)), "damaged"),
    "F08 hole": (stored(data_offsets=[0, 4]), "damaged"),
    "F08 something behind it": (GOOD + b"PK\x05\x06", "damaged"),
    "F09 negative offset": (stored(data_offsets=[-8, 0]), "damaged"),
    "F09 offsets reversed": (stored(data_offsets=[8, 0]), "damaged"),
    "F09 out of the file": (stored(data_offsets=[0, 800]), "incomplete"),
    "F09 shape and size differ": (stored(shape=[3, 3]), "damaged"),
    "F09 shape overflows": (stored(shape=[2**63, 2**63]), "damaged"),
    "F10 nothing claimed to be huge": (stored(shape=[2**31, 64], data_offsets=[0, 0]), "damaged"),
    "F11 header of 17 MB": (raw(0, text=b"{" + b" " * (17 * 2**20) + b"}"), "bytes of header|hea"),
    "F12 notes that are no text": (
        raw({**GOOD_HEADER, "__metadata__": {"a": 1}}, bytes(16)),
        "damaged",
    ),
    "F13 unknown type": (stored(dtype="Q4"), "damaged"),
}

UP, DOWN = "layer.lora_up.weight", "layer.lora_down.weight"
PAIR = pair("layer", 6, 8)


def with_nan(tensor: torch.Tensor, value: float = NAN) -> torch.Tensor:
    spoiled = tensor.clone()
    spoiled.view(-1)[3] = value
    return spoiled


CONTENT = {
    # what is wrong: the tensors, words of the refusal, the key that is to blame
    "F14 int8": ({**PAIR, UP: PAIR[UP].to(torch.int8)}, "int8", UP),
    "F14 bool": ({**PAIR, UP: PAIR[UP] > 0}, "bool", UP),
    "F14 complex": ({**PAIR, UP: PAIR[UP].to(torch.complex64)}, "complex64", UP),
    "F16 rank 0": ({UP: torch.empty(16, 0), DOWN: torch.empty(0, 16)}, "rank 0", "layer"),
    "F16 no rows": ({UP: torch.empty(0, 4), DOWN: torch.ones(4, 16)}, "rank", "layer"),
    "F17 rank 5000": ({UP: torch.ones(2, 5000), DOWN: torch.ones(5000, 2)}, "5000", "layer"),
    "F18 ranks differ": (
        {UP: torch.ones(16, 4), DOWN: torch.ones(5, 16)},
        r"ranks differ: up \(16, 4\), down \(5, 16\)",
        "layer",
    ),
    "F18 one-dimensional": ({**PAIR, UP: torch.ones(6)}, "not a pair of matrices", "layer"),
    "F18 a single number": ({**PAIR, DOWN: torch.tensor(1.0)}, "not a pair of matrices", "layer"),
    "F18 up with a kernel": ({**PAIR, UP: torch.ones(6, 4, 3, 3)}, "not a pair", "layer"),
    "F20 no down": ({UP: PAIR[UP]}, "its up but not its down", "layer"),
    "F21 no up": ({DOWN: PAIR[DOWN]}, "its down but not its up", "layer"),
    "F22 half a LoKr": ({"layer.lokr_w1": torch.ones(2, 2)}, "LoKr", "layer"),
    "F22 LoHa beside LoRA": ({**PAIR, "layer.hada_w1_a": torch.ones(2, 2)}, "LoHa", "layer"),
    "F23 NaN": ({**PAIR, UP: with_nan(PAIR[UP])}, "NaN or infinity", UP),
    "F23 infinity": ({**PAIR, UP: with_nan(PAIR[UP], float("-inf"))}, "NaN or infinity", UP),
    "F23 NaN in half": ({**PAIR, DOWN: with_nan(PAIR[DOWN]).half()}, "NaN or infinity", DOWN),
    "F23 NaN in bfloat16": ({**PAIR, UP: with_nan(PAIR[UP]).bfloat16()}, "NaN or inf", UP),
    "F23 NaN in float64": ({**PAIR, UP: with_nan(PAIR[UP]).double()}, "NaN or infinity", UP),
    "F23 NaN in float8": (
        {**PAIR, UP: with_nan(PAIR[UP]).to(torch.float8_e4m3fn)},
        "NaN or infinity",
        UP,
    ),
    "F23 NaN in a difference": ({"layer.diff": torch.tensor([NAN, 1])}, "NaN", "layer.diff"),
    "F26 alpha NaN": ({**PAIR, "layer.alpha": torch.tensor(NAN)}, "alpha is nan", "layer"),
    "F26 alpha infinite": ({**PAIR, "layer.alpha": torch.tensor(float("inf"))}, "inf", "layer"),
    "F26 alpha a vector": ({**PAIR, "layer.alpha": torch.ones(2)}, r"shape \(2,\)", "layer"),
    "F26 alpha empty": ({**PAIR, "layer.alpha": torch.ones(0)}, r"shape \(0,\)", "layer"),
    "F30 one layer spelled twice": (
        {**PAIR, "layer.lora_B.weight": PAIR[UP], "layer.lora_A.weight": PAIR[DOWN]},
        "is ambiguous: the file has both",
        "layer",
    ),
    "F32 magnitudes alone": ({"layer.dora_scale": torch.ones(6, 1)}, "DoRA", "layer"),
    "F32 magnitudes that are no vector": (
        {**PAIR, "layer.dora_scale": torch.ones(2, 3)},
        "not a vector",
        "layer",
    ),
    "F33 reshape": ({**PAIR, "layer.reshape_weight": torch.tensor([2.0**20] * 2)}, "resh", "layer"),
    "F34 core of another rank": (
        {
            UP: torch.ones(6, 4),
            DOWN: torch.ones(4, 8, 1, 1),
            "layer.lora_mid.weight": torch.ones(3, 3, 3, 3),
        },
        "Tucker core does not fit",
        "layer",
    ),
    "F34 core of two dimensions": (
        {**PAIR, "layer.lora_mid.weight": torch.ones(4, 4)},
        "Tucker core does not fit",
        "layer",
    ),
    "F28 a checkpoint": (
        tensors(0, **{"model.diffusion_model.out.0.weight": (3,)}),
        "is not a LoRA",
        None,
    ),
    "no tensors": ({}, "is not a LoRA", None),
    "an alpha and nothing else": ({"layer.alpha": torch.tensor(4.0)}, "is not a LoRA", None),
}

NEEDS_DATA = ("F23", "F33", "F26 alpha NaN", "F26 alpha infinite")

EMPTY = {"dtype": "F16", "data_offsets": [0, 0]}
BYTES |= {
    f"F13 a shape of {shape}": (raw({"a": {**EMPTY, "shape": shape}}), "damaged|no LoRA")
    for shape in ([0, 2**63], [0, 2**62, 2**62], [0, 2**64 - 1])
}
BYTES |= {
    "F14 numbers of half a byte": (
        raw({"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}, bytes(2)),
        "a holds numbers of type F4, which are not supported",
    )
}


@pytest.mark.parametrize("case", BYTES, ids=str)
def test_damaged_bytes(tmp_path, case):
    data, words = BYTES[case]
    path = tmp_path / "sub" / "bad.safetensors"
    path.parent.mkdir()
    path.write_bytes(data)
    for attempt in (lambda: read_file(identify(path)), lambda: check_file(identify(path))):
        with pytest.raises(LoraFileError, match=words) as refused:
            attempt()
        assert refused.value.file == "bad.safetensors"
        assert str(refused.value).startswith('"bad.safetensors": ')
        assert refused.value.expected
        assert refused.value.found


def test_the_file_the_damage_starts_from_is_good(tmp_path):
    path = tmp_path / "good.safetensors"
    path.write_bytes(GOOD)
    assert list(read_file(identify(path)).modules) == ["layer"]


@pytest.mark.parametrize("case", CONTENT, ids=str)
def test_bad_content(tmp_path, case):
    content, words, key = CONTENT[case]
    path = write(tmp_path / "bad.safetensors", content)
    with pytest.raises(LoraFileError, match=words) as refused:
        read_file(identify(path))
    assert refused.value.file == "bad.safetensors"
    assert refused.value.key == key
    if not case.startswith(NEEDS_DATA):
        with pytest.raises(LoraFileError, match=words):
            load(path)  # the header alone tells


GOOD_CONTENT = {
    "F15 float8": {k: v.to(torch.float8_e4m3fn) for k, v in PAIR.items()},
    "F15 float8 of the other kind": {k: v.to(torch.float8_e5m2) for k, v in PAIR.items()},
    "F17 rank above the layer's size": pair("layer", 6, 8, rank=64),
    "F19 convolution-shaped factors": {
        UP: PAIR[UP][:, :, None, None],
        DOWN: PAIR[DOWN][:, :, None, None],
    },
    "F25 alpha 0": {**PAIR, "layer.alpha": torch.tensor(0.0)},
    "F27 no alpha": PAIR,
    "whole-numbered alpha": {**PAIR, "layer.alpha": torch.tensor(4)},
    "an alpha left over": {**PAIR, "other.alpha": torch.tensor(4.0)},
    "integers nobody asks about": {**PAIR, "position_ids": torch.arange(4)},
    "no notes": PAIR,
}


@pytest.mark.parametrize("case", GOOD_CONTENT, ids=str)
def test_sound_files_are_read(tmp_path, case):
    file = read_file(load(write(tmp_path / "x.safetensors", GOOD_CONTENT[case])).terms[0].file)
    assert file.modules["layer"].families == ("LoRA",)
    assert file.metadata == {}


def test_float8_is_read_exactly(tmp_path):
    every = torch.arange(256, dtype=torch.uint8).view(torch.float8_e5m2)
    finite = every[every.float().isfinite()].view(-1, 1)
    content = {UP: finite, DOWN: torch.ones(1, 3).to(torch.float8_e4m3fn)}
    file = read_file(identify(write(tmp_path / "x.safetensors", content)))
    (delta,) = file.modules["layer"].deltas
    assert torch.equal(delta.up.float(), finite.float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_bound_is_that_of_the_largest_numbers(tmp_path, dtype):
    content = {k: v.to(dtype) for k, v in pair("layer", 6, 8).items()}
    file = read_file(identify(write(tmp_path / "x.safetensors", content)))
    up, down = (float(value.double().abs().max()) for value in content.values())
    assert file.modules["layer"].max_abs_bounds == (4 * up * down,)


def test_cut_anywhere(tmp_path):
    path = tmp_path / "cut.safetensors"
    for length in range(len(GOOD)):
        path.write_bytes(GOOD[:length])
        with pytest.raises(LoraFileError):
            read_file(identify(path))


def test_any_header_byte_flipped_is_refused_or_harmless(tmp_path):
    path = tmp_path / "flipped.safetensors"
    for position in range(len(GOOD) - 16):
        flipped = bytearray(GOOD)
        flipped[position] ^= 0x11
        path.write_bytes(flipped)
        with contextlib.suppress(LoraFileError):
            read_file(identify(path))


def test_random_headers(tmp_path):
    path, dice = tmp_path / "random.safetensors", random.Random(7)
    alphabet = b'{}[]",:0123456789.eE-+ abdtypeshF32_offsetlora_up.weight\\\x00\xff'
    for _ in range(2000):
        text = bytes(dice.choices(alphabet, k=dice.randrange(80)))
        path.write_bytes(raw(0, bytes(16), text=text))
        with contextlib.suppress(LoraFileError):
            read_file(identify(path))


LONG_NUMBERS = {
    # faults.md 4: in fields that the library passes over, and in those that it reads
    "an unknown field": '"x":{digits},"dtype":"F32","shape":[1],"data_offsets":[0,4]',
    "a negative one": '"x":-{digits},"dtype":"F32","shape":[1],"data_offsets":[0,4]',
    "a shape": '"dtype":"F32","shape":[{digits}],"data_offsets":[0,4]',
}


@pytest.mark.parametrize("case", LONG_NUMBERS)
def test_a_number_as_long_as_a_page_is_refused(tmp_path, case):
    path = tmp_path / "long.safetensors"
    entry = LONG_NUMBERS[case].replace("{digits}", "9" * 5000)
    path.write_bytes(raw(0, bytes(4), text=f'{{"{UP}":{{{entry}}}}}'.encode()))
    for attempt in (lambda: read_file(identify(path)), lambda: check_file(identify(path))):
        with pytest.raises(LoraFileError, match="damaged"):
            attempt()


@pytest.mark.parametrize("digits", ["9" * 19, "-" + "9" * 5000, "9" * 1_000_000])
def test_a_long_number_is_refused_whatever_the_library_says_of_it(digits):
    """Some versions of it pass over fields that they do not know."""
    with pytest.raises(LoraFileError, match=r"has a number of \d+ digits"):
        read_header(raw(0, text=f'{{"a":{{"x":{digits}}}}}'.encode()))


def test_notes_that_are_null_are_no_notes(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw({**GOOD_HEADER, "__metadata__": None}, bytes(16)))
    assert read_file(identify(path)).metadata == {}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_no_place_in_a_tensor_hides_a_nan(dtype):
    """Vectorised loops have heads and tails."""
    for count in (1, 7, 63, 1000):
        for place in {0, count // 2, count - 1}:
            for value, sign in ((NAN, 1), (float("inf"), 1), (float("inf"), -1)):
                numbers = torch.ones(count, dtype=dtype)
                numbers[place] = value * sign
                with pytest.raises(LoraFileError):
                    largest_magnitude("key", numbers)
        numbers = torch.linspace(-3, 2, count, dtype=dtype)
        assert largest_magnitude("key", numbers) == float(numbers.abs().max())
