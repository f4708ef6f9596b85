"""What is saved, sent or printed as JSON stays as it is, letter for letter.

The examples in tests/data/formats are promises: other programs, saved workflows and the page read
them. A new field is added to the example; nothing in it is ever changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lora_core.algebra.curve import Curve
from lora_core.algebra.file_id import FileId
from lora_core.algebra.mask import Mask
from lora_core.algebra.prompt import Prompt
from lora_core.algebra.recipe import Recipe
from lora_core.algebra.spread import parse_spread
from lora_core.library.facts import Facts
from lora_core.library.inspect import Summary
from lora_core.library.sidecars import Recommended
from lora_core.library.triggers import Trigger
from lora_core.matching.report import LoraReport, PartReport, Report
from lora_core.matching.report_json import outcomes_of
from lora_core.warning import LoraWarning

EXAMPLES = Path(__file__).parents[1] / "data" / "formats"

INK = Recipe.of(FileId("/loras/ink.safetensors", 1_700_000_000_000_000_000, 4096, 17, "ink"), 0.5)
LIGHT = Recipe.of(FileId("/loras/light.safetensors", 2, 8192, 18, "shelf/light", config_mtime_ns=3))


def report() -> Report:
    parts = (
        PartReport("model", 0.5, 12, 11, True, 10, ("0.25 × curve 0:0, 1:1",), False, 2, 3),
        PartReport("clip", 0.25, 4, 0, False, apart=True),
    )
    lora = LoraReport(
        name="shelf/ink.safetensors",
        parts=parts,
        families=("DoRA", "LoRA"),
        ranks=(4, 16),
        parameters=1000,
        touched=20000,
        unknown=("lora_unet_nowhere",),
        base="Flux",
        zero_layers=1,
        scale_unread=True,
        dialects=("kohya",),
        trainer="sd-scripts",
        disagrees="SD 1.5",
        model="Flux",
        widened=("img_in takes 128 inputs now, 64 before",),
        extra_warnings=(LoraWarning.of("found_by_content", asked="old", name="ink"),),
        carried=True,
    )
    return Report((lora, replace(lora, name="plain", unknown=(), ranks=None, extra_warnings=())))


def facts() -> Facts:
    return Facts(
        size=4096,
        modified=1_700_000_000_000,
        hash="ab" * 32,
        base="Flux",
        families=("LoRA",),
        ranks=(4, 16),
        trainer="sd-scripts",
        dialects=("kohya",),
        model_layers=11,
        clip_layers=4,
        triggers=(Trigger("inkstyle", 12, "tags"), Trigger("drawn", None, "sidecar")),
        stated_triggers=("drawn",),
        title="Ink",
        author="somebody",
        description="Draws in ink.",
        notes="mine",
        recommended=Recommended(0.8, 0.5, None),
        metadata={"ss_network_dim": "16"},
        error="never a part of it",
    )


def summary() -> Summary:
    return Summary(
        name="ink.safetensors",
        size=4096,
        families={"LoRA": 11, "DoRA": 1},
        ranks={4: 3, 16: 8},
        model=11,
        clip=4,
        parameters=1000,
        unknown=("nowhere.weight",),
        base="Flux",
        dialects=("kohya",),
        trainer="sd-scripts",
        triggers=("drawn",),
        metadata={"ss_network_dim": "16"},
    )


def scheduled() -> Recipe:
    return INK.scheduled(Curve.parse("0:0, 1:1", 0.1, 0.9)).spread(parse_spread("0, 0.5, 1"))


FORMATS: dict[str, Callable[[], object]] = {
    "recipe_1": lambda: json.loads((INK + LIGHT.scaled(2, 0)).to_json()),
    "recipe_2": lambda: json.loads((scheduled() + LIGHT).to_json()),
    "recipe_3": lambda: json.loads(INK.spread(parse_spread("0..1")).to_json()),
    "recipe_4": lambda: json.loads(
        (
            scheduled().blocks(
                "double 0-6: 0; double 7-18 img attn: 0.25..1; other: 0.5; text: 0.5"
            )
            + LIGHT
        ).to_json()
    ),
    "fingerprints": lambda: [r.fingerprint for r in (INK + LIGHT, scheduled(), Recipe())],
    "report": lambda: report().to_dict(),
    "outcomes": lambda: outcomes_of(report()),
    "facts": lambda: facts().to_dict(),
    "facts_of_nothing": lambda: Facts(1, 2).to_dict(),
    "inspect": lambda: summary().to_dict(),
}


def text_of(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", FORMATS)
def test_is_as_it_always_was(name: str) -> None:
    assert text_of(FORMATS[name]()) == (EXAMPLES / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["recipe_1", "recipe_2", "recipe_3", "recipe_4"])
def test_an_old_recipe_is_still_read(name: str) -> None:
    saved = (EXAMPLES / f"{name}.json").read_text(encoding="utf-8")
    assert text_of(json.loads(Recipe.from_json(saved).to_json())) == saved


def test_a_saved_mask_is_still_the_same() -> None:
    """Not byte by byte: another zlib packs it in another way."""
    recipe = Recipe.from_json((EXAMPLES / "recipe_5.json").read_text(encoding="utf-8"))
    values = torch.tensor([[[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.3]]])
    expected = INK.masked(Mask.of(values, 0.25)).modulated(Prompt("a" * 64))
    assert recipe == expected
    assert recipe.fingerprint == (
        "43aa345ebee124b54dd1c566077c3d7b89c2b5c5f07ac6a49fee4e7555603cdf"
    )
