"""Finds where a file comes from: the dialect of its names, and the trainer and base in its
metadata."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ..formats import NOTED, FileConfig
from ..lenient_json import fields, lenient_json, text_of
from ..naming import ARCHITECTURES, architecture_named

DIALECTS: Final = (
    # (how keys begin, whose names they are), more specific ones first
    (re.compile(r"lora_unet__"), "Wan Fun"),
    (re.compile(r"lora_transformer_|bundle_emb\."), "OneTrainer"),
    (re.compile(r"(lora|oft)_(prior_)?(unet|te\d?)_"), "kohya"),
    (re.compile(r"lycoris_"), "LyCORIS"),
    (re.compile(r"pipe\.dit\."), "DiffSynth"),
    (re.compile(r".*\.processor\.(qkv|proj)(_lora\d?)?$"), "XLabs"),
    (re.compile(r".*\.processor\."), "early diffusers"),
    (re.compile(r"((unet|transformer)\.)?base_model\.model\."), "peft"),
    (re.compile(r"(model\.)?diffusion_model\.|text_encoders\."), "ComfyUI"),
    (re.compile(r"(unet|transformer|prior|text_encoder(_\d)?)\."), "diffusers"),
    (re.compile(r"(double|single)_blocks\.|img_in$|txt_in$"), "Black Forest Labs"),
)
BARE: Final = "bare module names"
"""The dialect of a name without any prefix."""

LONGEST_NOTE_CHARS: Final = 60


def dialects_of(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the dialects of a file's names, the most frequent first."""
    counts = Counter(map(_dialect, names))
    return tuple(dialect for dialect, _ in counts.most_common())


def _dialect(name: str) -> str:
    return next((dialect for pattern, dialect in DIALECTS if pattern.match(name)), BARE)


def trainer_of(metadata: Mapping[str, str], notes: FileConfig) -> str | None:
    """Returns the program that trained a file, if its metadata says so."""
    stated = (
        _software(metadata.get("software", "")),
        "OneTrainer" if notes.one_trainer else None,
        _kohya(metadata),
        _peft(metadata, notes),
    )
    found = next(filter(None, stated), None)
    return found and found[:LONGEST_NOTE_CHARS]


def stated_base(metadata: Mapping[str, str]) -> str | None:
    """Returns the base model that a file says it was made for; None if it does not say."""
    for key in ("ss_base_model_version", "modelspec.architecture"):
        text = metadata.get(key, "").lower()
        starts = [
            (len(start), known.name)
            for known in ARCHITECTURES
            for start in known.stated
            if text.startswith(start)
        ]
        if starts:
            return max(starts)[1]  # the longest: "flux2" is not Flux
    return None


def disagreement(metadata: Mapping[str, str], base: str | None) -> str | None:
    """Returns the stated base, if it is certainly another than ``base``, the model's."""
    stated = stated_base(metadata)
    known = architecture_named(base)
    if stated is None or not known.stated or known.is_kin(architecture_named(stated)):
        return None
    return stated


def _software(text: str) -> str | None:
    """Reads ai-toolkit's note: a name and a version."""
    noted = fields(lenient_json(text))
    name, version = text_of(noted.get("name")), text_of(noted.get("version"))
    return f"{name} {version}" if name and version else None


def _kohya(metadata: Mapping[str, str]) -> str | None:
    module = metadata.get("ss_network_module")
    return f"kohya ({module})" if module else None


def _peft(metadata: Mapping[str, str], notes: FileConfig) -> str | None:
    if NOTED in metadata:
        return "diffusers"
    if notes.config is None:
        return None
    return f"peft {notes.config.get('peft_version') or ''}".strip()
