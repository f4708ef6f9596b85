"""What goes wrong with files: by accident, by old tools, and on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import torch

from lora_core.families.registry import KEYS

from .grammar import STORED, Draft

Mutation = Callable[[Random, Draft], None]

MOST_CHARS = {dtype: torch.finfo(dtype).max for dtype in STORED}
PATTERNS = (
    *(
        "linear",
        ".*",
        r"lin.*",
        "(a|b)*",
        r"x\d+\d+\d+y",
        "(a+)+b",
        "^q$",
        "(?x:(a+) +)b",
        "(",
        "[",
        "\\1",
    ),
    *("a{3,1}", "(?<=q)k", "conv[123]", "." * 100, "(a?){50}a{50}", "(((a{9}){9}){9}){9}", ""),
)
NUMBERS = (
    0,
    1,
    -1,
    2,
    1e-30,
    1e30,
    1e308,
    -1e308,
    10**25,
    True,
    None,
    "8",
    [],
    {},
    float("nan"),
    5e-324,
)
OPTIONS = (
    *("r", "lora_alpha", "alpha", "use_rslora", "use_dora", "coft", "eps", "apply_GS", "mini_r"),
    *(
        "use_cayley_neumann",
        "num_cayley_neumann_terms",
        "peft_version",
        "peft_type",
        "init_lora_weights",
    ),
    *("feedforward_modules", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "kasa_config"),
)
SPELLED = sorted(suffix.replace("|", "").replace("*", "") for suffix in KEYS.spellings)
LONG_NAMES = ("x" * 5000, "a.b." * 1300, "one two\n" * 700, "\u202e\x00é\ud7ff" * 900, "lin" * 40)


def mutate(dice: Random, draft: Draft) -> None:
    """None to three of them."""
    for _ in range(dice.choice((0, 0, 1, 1, 1, 2, 3))):
        if draft.tensors:
            dice.choice(MUTATIONS)(dice, draft)


def _key(dice: Random, draft: Draft) -> str:
    return dice.choice(sorted(draft.tensors))


def stretch(dice: Random, draft: Draft) -> None:
    """Factors at the ends of their type whose product is what it was: a sound file."""
    power = 2.0 ** dice.choice((40, 60, 100, 118, -40, -100, -118))
    pairs = (
        ("up", "down"),
        ("hada_w1_a", "hada_w2_b"),
        ("lokr_w1", "lokr_w2"),
        ("lokr_w1_a", "lokr_w2_b"),
    )
    for part in draft.parts:
        for one, other in pairs:
            if one in part.roles and other in part.roles and part.roles[one].dtype.itemsize >= 4:
                for role, factor in ((one, power), (other, 1 / power)):
                    _replace(draft, part.roles, role, part.roles[role] * factor)


def _replace(draft: Draft, roles: dict[str, torch.Tensor], role: str, made: torch.Tensor) -> None:
    for key, tensor in draft.tensors.items():
        if tensor is roles[role]:
            draft.tensors[key] = roles[role] = made
            return
    draft.sound = False  # something else has been done to it


def grow(dice: Random, draft: Draft) -> None:
    """All numbers of a tensor far larger or smaller."""
    key = _key(dice, draft)
    factor = 10.0 ** dice.choice((3, 5, 8, 12, 19, 30, 37, 38, -10, -38, -45))
    numbers = draft.tensors[key].to(
        torch.complex128 if draft.tensors[key].is_complex() else torch.float64
    )
    draft.tensors[key] = (numbers * factor).to(draft.tensors[key].dtype)
    draft.sound = False


def fill(dice: Random, draft: Draft) -> None:
    """One number, or all, at an end of the type, or none."""
    key = _key(dice, draft)
    tensor = draft.tensors[key].clone()
    top = MOST_CHARS.get(tensor.dtype, 1)
    values = (top, -top, top / 2, 1e-45, 0.0, 5e-324, float("nan"), float("inf"), 1.0, -1.0)
    value = torch.tensor(dice.choice(values), dtype=torch.float64).to(tensor.dtype)
    if not tensor.numel() or dice.random() < 0.5:
        tensor = torch.full(tensor.shape, float(value), dtype=torch.float64).to(tensor.dtype)
    else:
        tensor.view(-1)[dice.randrange(tensor.numel())] = value
    draft.tensors[key] = tensor
    draft.sound = False


def reshape(dice: Random, draft: Draft) -> None:
    """Another size, one more or less dimension, or the other way round."""
    key = _key(dice, draft)
    shape = [*draft.tensors[key].shape]
    how = dice.randrange(5)
    if how == 0 and shape:
        shape[dice.randrange(len(shape))] = dice.choice((0, 1, 2, 3, 5, 12, 100))
    elif how == 1:
        shape.insert(dice.randrange(len(shape) + 1), dice.choice((1, 1, 2, 0)))
    elif how == 2 and shape:
        shape.pop(dice.randrange(len(shape)))
    elif how == 3:
        shape.reverse()
    else:
        shape = [1] * dice.choice((7, 20, 70))
    generator = torch.Generator().manual_seed(dice.getrandbits(32))
    draft.tensors[key] = torch.randn(shape, generator=generator).to(draft.tensors[key].dtype)
    draft.sound = False


def retype(dice: Random, draft: Draft) -> None:
    """Another type; the numbers change with most."""
    key = _key(dice, draft)
    dtype = dice.choice(
        (torch.int8, torch.bool, torch.int64, torch.complex64, torch.float16, torch.float64)
    )
    tensor = draft.tensors[key]
    draft.tensors[key] = (tensor.real if tensor.is_complex() else tensor).to(dtype)
    draft.sound = False


def rename(dice: Random, draft: Draft) -> None:
    """Another name: a long one, a stranger's, one with an adapter's name, the same in another spelling."""
    key = _key(dice, draft)
    name = key.split(".")[0]
    new = (
        key.replace(name, dice.choice(LONG_NAMES)),
        dice.choice(LONG_NAMES),
        key + ".default",
        key.replace("lora_up", "lora_B").replace("lora_down", "lora_A"),
        key.replace(name, "strange"),
        key.removesuffix(".weight"),
        "text_encoder." + key,
    )
    draft.tensors[dice.choice(new)] = draft.tensors.pop(key)
    draft.sound = False


def drop(dice: Random, draft: Draft) -> None:
    """A part is missing."""
    del draft.tensors[_key(dice, draft)]
    draft.sound = False


def add(dice: Random, draft: Draft) -> None:
    """A tensor of something else."""
    name = _key(dice, draft).rpartition(".")[0]
    ends = (
        ".lora_mid.weight",
        ".dora_scale",
        ".alpha",
        ".diff",
        ".set_weight",
        ".rescale",
        ".lokr_t2",
        ".x",
    )
    shape = [dice.choice((1, 2, 4, 6)) for _ in range(dice.randrange(4))]
    end = dice.choice((dice.choice(ends), dice.choice(SPELLED)))
    draft.tensors[name + end] = torch.ones(shape)
    draft.sound = False


def scale(dice: Random, draft: Draft) -> None:
    """An alpha of any size."""
    name = _key(dice, draft).rpartition(".lora_")[0] or "linear"
    alpha = dice.choice((0.0, -1.0, 64.0, 1e-30, 1e30, 1e38, 1e300, float("nan"), 5e-324))
    draft.tensors[name + ".alpha"] = torch.tensor(alpha, dtype=torch.float64)
    draft.sound = False


def core(dice: Random, draft: Draft) -> None:
    """A small file whose Tucker core makes a large product."""
    count = dice.choice((3, 400, 3000))
    ones = torch.full((1, 1, count), 0.5)
    kind = dice.randrange(3)
    up, down = torch.ones(6, 1), torch.ones(1, count)
    if kind == 0:
        made = {"lora_up.weight": up, "lora_down.weight": down, "lora_mid.weight": ones}
    elif kind == 1:
        made = {"hada_w1_a": up.T, "hada_w1_b": down, "hada_t1": ones}
        made |= {"hada_w2_a": up.T, "hada_w2_b": down, "hada_t2": ones}
    else:
        made = {"lokr_w1": torch.ones(1, 1), "lokr_w2_a": up.T, "lokr_w2_b": down, "lokr_t2": ones}
    draft.tensors |= {f"conv1.{end}": tensor for end, tensor in made.items()}
    draft.sound = False


def note(dice: Random, draft: Draft) -> None:
    """Notes as diffusers writes them, or a config beside the file, with anything in it."""
    noted: dict[str, object] = {}
    for option in dice.sample(OPTIONS, dice.randrange(1, 5)):
        if option.endswith("pattern") and dice.random() < 0.8:
            noted[option] = {dice.choice(PATTERNS): dice.choice(NUMBERS) for _ in range(3)}
        elif option == "feedforward_modules":
            noted[option] = dice.choice(
                (dice.choice(PATTERNS), ["linear", "q", ""], 3, ["x"] * 1000)
            )
        elif option in ("peft_version", "peft_type", "init_lora_weights"):
            noted[option] = dice.choice(("0.17.1", "LORA", "XLORA", "pissa", "9" * 500, True, None))
        else:
            noted[option] = dice.choice(NUMBERS)
    text = json.dumps(noted)
    if dice.random() < 0.1:
        text = dice.choice(
            (text[: dice.randrange(len(text))], "[" * 5000, text.replace("1", "9" * 5000))
        )
    if dice.random() < 0.5:
        draft.config = text
    else:
        draft.metadata["lora_adapter_metadata"] = text
    draft.metadata |= {"ot_x": "1"} if dice.random() < 0.2 else {}
    draft.sound = False


def cut(dice: Random, draft: Draft) -> None:
    """A download that was broken off."""
    share = dice.random()
    draft.damage.append(lambda data: data[: int(share * len(data))])
    draft.sound = False


def flip(dice: Random, draft: Draft) -> None:
    """Some bits, mostly of the header."""
    places, bits = [dice.random() for _ in range(3)], [1 << dice.randrange(8) for _ in range(3)]

    def flipped(data: bytes) -> bytes:
        damaged = bytearray(data)
        for place, bit in zip(places, bits, strict=True):
            if damaged:
                damaged[int(place * place * len(damaged))] ^= bit
        return bytes(damaged)

    draft.damage.append(flipped)
    draft.sound = False


def rewrite(dice: Random, draft: Draft) -> None:
    """A header with other words in it."""
    old, new = dice.choice(
        (
            (
                b'"F32"',
                dice.choice((b'"F4"', b'"I8"', b'"X"', b"null", b'"F32","x":' + b"9" * 5000)),
            ),
            (
                b'"shape":[',
                dice.choice((b'"shape":[-1,', b'"shape":[0,', b'"shape":[1,', b'"x":[[')),
            ),
            (b'"data_offsets":[0,', dice.choice((b'"data_offsets":[1,', b'"data_offsets":[-8,'))),
            (b'"dtype"', b'"dtype":"F16","dtype"'),
            (b'{"', b'{"a":' + b"[" * 2000 + b',"'),
        )
    )

    def rewritten(data: bytes) -> bytes:
        end = 8 + int.from_bytes(data[:8], "little")
        header = data[8:end].replace(old, new, 1)
        return len(header).to_bytes(8, "little") + header + data[end:]

    draft.damage.append(rewritten)
    draft.sound = False


MUTATIONS: tuple[Mutation, ...] = (
    *(
        stretch,
        stretch,
        grow,
        grow,
        grow,
        fill,
        fill,
        fill,
        reshape,
        reshape,
        retype,
        rename,
        drop,
        add,
    ),
    *(scale, scale, core, note, note, note, cut, flip, rewrite),
)
