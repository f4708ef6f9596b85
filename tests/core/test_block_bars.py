"""What tests/data/blocks.json says of the factors of whole blocks: the page draws them by the same file.

``python -m tests.core.test_block_bars`` writes it anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lora_core.algebra.block_layers import factors_of
from lora_core.algebra.block_text import read_lines
from lora_core.lists import PRESETS, block_lines
from lora_core.naming import Layers

FILE = Path(__file__).parents[1] / "data" / "blocks.json"

MODELS = {
    "flux": {"double": 19, "single": 38},
    "sd15": {"in": 12, "mid": 1, "out": 12},
    "sdxl": {"in": 9, "mid": 1, "out": 9},
    "wan": {"block": 40, "vace": 8},
    "z-image": {"noise refiner": 2, "context refiner": 2, "layer": 30},
}
"""How many blocks each list has."""

TEXTS = {
    "flux": (
        "",
        "double 0-6: 0",
        "double: 0.5; single 20-: .25",
        "Doubles 3,7,12: -1.5e0 # some\n\nsingle blocks 0-4: 1",
        "double 3 , 7 , 9-11: 2",
        "D07: 0\ns12,14: 0.5\ndouble00-02: 3",
        "double 7-18: 0.2..1",
        "double 4: 0..1\nsingle 3-4: 1 .. -1",
        "early: 0\nlate: 1.2",
        "mid: 0.5",
        "early double: 0.5\nevens single: 0",
        "double evens: 0\nodds: 0.5",
        "late: 0..1",
        "other: 0\ndouble 3: 1",
        "double 3: 1\nother: 0\nother: 0.5",
        "base: 0.5",
        "double 0-6: 0\ndouble 0-6: 1\ndouble 6: 0",
        "double: 0\nattn: 0.5\ndouble 3 attn: 2\n*.attn.*: 0",
        "late attn: 0\nother: 0.25",
        "FLUX-FACE\ndouble 7: 0.5",
        "flux style # a preset\nother: 0.5",
        "double block 1: 0;double layer 2: 0; Single Blocks: 0.1",
        "double 2 1 4: 0",
        "double 3 early: 0",
        "text: 0\ndouble: 1e-1",
    ),
    "sd15": (
        "mid: 0",
        "IN04: 0\nM00: 0.5\nOUT03-05: 0.2",
        "middle: 0",
        "in: 0..1",
        "late out: 0\nearly in: 0",
    ),
    "sdxl": ("middle: 0.5\nodds: 0", "early: 0; late: 0"),
    "wan": ("blocks 0-19: 0", "block: 0..1\nvace: 0.5", "late vace: 0\nevens: 2"),
    "z-image": (
        "noise refiner: 0",
        "context_refiner 1: 0\nlayers 3-: 0.5",
        "noise refiner block 0: 0.5",
        "late: 0",
    ),
}

FOR = {
    "flux": ("FLUX-",),
    "sd15": ("INS", "MIDD0.2", "OUTALL"),
    "sdxl": ("SDXL-",),
    "z-image": ("Z-IMAGE-",),
}
ALWAYS = ("NONE", "ALL0.5", "EARLY", "MIDDLE", "ODDS")


def texts(model: str) -> list[str]:
    presets = [name for name in PRESETS if name.startswith((*FOR.get(model, ()), *ALWAYS))]
    return [*TEXTS[model], *presets]


def model_of(counts: Mapping[str, int]) -> Layers:
    """Blocks of two layers each: one that is of no kind, and one of the kind attn."""
    paths = [
        f"{name.replace(' ', '.')}.{number}.{layer}.weight"
        for name, count in counts.items()
        for number in range(count)
        for layer in ("x", "attn.to_q")
    ]
    return Layers(dict.fromkeys(paths, (8, 8)))


def factors(text: str, counts: Mapping[str, int]) -> list[float]:
    """Those of the layers that are of no kind, block by block."""
    model = model_of(counts)
    lines = [line for line in read_lines(block_lines(text)) if line.name != "text"]
    found = factors_of(lines, model)
    return [float(factor) for key, factor in found.items() if key.endswith(".x.weight")]


def expected() -> dict[str, object]:
    cases = [
        {"model": model, "text": text, "factors": factors(text, counts)}
        for model, counts in MODELS.items()
        for text in texts(model)
    ]
    return {"models": MODELS, "presets": dict(PRESETS), "cases": cases}


def written() -> str:
    """As JSON, a case in each line."""
    made = {**expected()}
    cases = ",\n".join(json.dumps(case) for case in made.pop("cases"))  # type: ignore[attr-defined]
    return f'{json.dumps(made)[:-1]}, "cases": [\n{cases}\n]}}\n'


def test_the_page_is_tested_with_what_python_says() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == expected()


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
