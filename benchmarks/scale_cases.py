"""What is measured at several sizes: the files, and the steps that people wait for."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from multidict import MultiDict

from . import models
from .host_nodes import our_apply
from .loras import STRENGTH, Sizes, matrices, write_lora
from .memory import load, warm_up

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

Step = Callable[[str], AbstractContextManager[None]]
"""Begins a step of that name, which ends with the block."""

STACK_WIDTH, STACK_LAYERS, STACK_RANK = 512, 32, 16
RANK_WIDTH, RANK_LAYERS = 1024, 8
KEYS_WIDTH, KEYS_RANK, KEYS_IN_LAYER = 64, 4, 3

IN_A_FOLDER = 100
"""How many files each folder of a library has."""

PAGE_WAITS_S = (0.3, 0.6, 1.2, 2.4, 4.8)
"""How long the page waits before it asks again; the last one stays."""

BODY_BYTES = 512

GONE = "gone.safetensors"
"""The name that a workflow from elsewhere asks for."""


@dataclass(frozen=True)
class Case:
    """What is measured at several sizes.

    Attributes:
        name: Its name.
        title: The title of its table,
        note: and what a reader has to know.
        sizes: The sizes,
        few: and those to check only that everything works.
        steps: The exponent that is expected of each step,
        memory: and of the memory at its peak.
        write: Writes the files for a size into a folder.
        prepare: Does what is not measured, and returns what is.
    """

    name: str
    title: str
    note: str
    sizes: Sequence[int]
    few: Sequence[int]
    steps: Mapping[str, float]
    memory: float
    write: Callable[[Path, int], None]
    prepare: Callable[[Path, int], Callable[[Step], None]]


APPLYING = {"LoRA File": 1.0, "Stack LoRAs": 1.0, "Apply LoRA To Model": 1.0, "patching": 1.0}
"""The nodes, and the host that loads the model."""


def load_modules() -> None:
    """Imports what is measured, and starts no thread, so that the process can be forked."""
    import lora_algebra.nodes.load_lora
    import lora_algebra.nodes.overview
    import lora_algebra.nodes.stack_loras  # noqa: F401

    import nodes  # noqa: F401


def _use(folder: Path) -> None:
    """Lets the host list the LoRAs of ``folder`` and no others."""
    import folder_paths

    folder_paths.folder_names_and_paths["loras"] = ([str(folder)], {".safetensors"})


def _layers(width: int, count: int) -> Sizes:
    return matrices(models.layers(width, width, count, torch.float16, models.META))


def _write_stack(folder: Path, sizes: Sizes, rank: int, count: int = 1) -> None:
    for number in range(count):
        write_lora(folder / f"{number}.safetensors", sizes, rank)


def _apply(folder: Path, width: int, count: int) -> Callable[[Step], None]:
    """Returns what applies all files of ``folder`` to a model of ``count`` layers."""
    warm_up("cpu")
    from lora_algebra.nodes.load_lora import LoadLoRA
    from lora_algebra.nodes.stack_loras import StackLoRAs

    names = sorted(path.name for path in folder.iterdir())
    _use(folder.parent / "warm")
    _warm(folder.parent / "warm")
    base = _model(width, count)
    _use(folder)

    @torch.inference_mode()
    def run(step: Step) -> None:
        with step("LoRA File"):
            recipes = {name: LoadLoRA.execute(name, STRENGTH).args[0] for name in names}
        with step("Stack LoRAs"):
            recipe = StackLoRAs.execute(recipes).args[0]
        with step("Apply LoRA To Model"):
            patched = our_apply(recipe, base)
        with step("patching"):
            load(patched)

    return run


def _model(width: int, count: int) -> ModelPatcher:
    return models.patcher_of(models.layers(width, width, count, torch.float16, "cpu"), "cpu")


@torch.inference_mode()
def _warm(folder: Path) -> None:
    """Applies a file that nobody else uses, so that all code is loaded."""
    from lora_algebra.nodes.load_lora import LoadLoRA

    folder.mkdir(exist_ok=True)
    _write_stack(folder, _layers(48, 2), 4)
    load(our_apply(LoadLoRA.execute("0.safetensors").args[0], _model(48, 2)))


LIBRARY_STEPS = (
    "listing, the host's own",
    "listing, and what is beside the files",
    "fingerprint of all",
    "a file by its name",
    "by another spelling",
    "names like a missing one",
    "by its content, first",
    "by its content, again",
    "headers checked",
    "picker, until all is known",
    "picker, again",
)


def _write_library(folder: Path, count: int) -> None:
    """Writes LoRAs of one size and of different content, as one trainer with the same settings does."""
    names = [
        f"lora_unet_mid_block_{part}.{end}.weight"
        for part in "ab"
        for end in ("lora_up", "lora_down")
    ]
    tensors = {
        name: {
            "dtype": "F16",
            "shape": [16, 4] if "up" in name else [4, 16],
            "data_offsets": [at, at + 128],
        }
        for name, at in zip(names, range(0, BODY_BYTES, 128), strict=True)
    }
    header = json.dumps(
        {"__metadata__": {"ss_network_module": "networks.lora"}, **tensors}
    ).encode()
    header += b" " * (-len(header) % 8)
    for number in range(count):
        own = folder / f"{number // IN_A_FOLDER:03}"
        if number % IN_A_FOLDER == 0:
            own.mkdir()
        body = struct.pack("<256e", *divmod(number, 256), *[0.0] * 254)
        (own / f"{number:05}.safetensors").write_bytes(
            struct.pack("<Q", len(header)) + header + body
        )


def _library(folder: Path) -> Callable[[Step], None]:
    from lora_algebra.lora_core.library import Asked, close_names
    from lora_algebra.lora_core.reading import check_file, identify
    from lora_algebra.nodes.host.files import Library, listed_files, listed_states, lora_names
    from lora_algebra.nodes.overview import LIBRARY, overview_routes

    _use(folder)
    last = max(folder.rglob("*.safetensors"))
    name, size = str(last.relative_to(folder)), last.stat().st_size
    content = hashlib.sha256(last.read_bytes()[-BODY_BYTES:]).hexdigest()
    gone = Asked(GONE, content, size)

    def run(step: Step) -> None:
        with step("listing, the host's own"):
            lora_names()
        with step("listing, and what is beside the files"):
            found = listed_files()
        with step("fingerprint of all"):
            listed_states()
        with step("a file by its name"):
            Library().resolve(Asked(name))
        with step("by another spelling"):
            Library().resolve(Asked(name.upper()))
        with step("names like a missing one"):
            close_names(GONE, lora_names())
        with step("by its content, first"):
            Library().resolve(gone)
        with step("by its content, again"):
            Library().resolve(gone)
        with step("headers checked"):
            for each in found:
                check_file(identify(each.path, each.name))
        ask = overview_routes()[LIBRARY]
        with step("picker, until all is known"):
            waits = chain(PAGE_WAITS_S, repeat(PAGE_WAITS_S[-1]))
            told = _answer(ask)
            while not told["complete"]:
                time.sleep(next(waits))
                told = _answer(ask, since=told["cursor"])
        with step("picker, again"):
            _answer(ask)

    return run


@dataclass(frozen=True)
class _Question:
    """As much of a request as our route looks at."""

    query: MultiDict[str]


def _answer(ask: Callable[[Any], Any], **query: str) -> dict[str, Any]:
    """Returns what the picker's route says."""
    return json.loads(asyncio.run(ask(_Question(MultiDict(query)))).body)


CASES = (
    Case(
        name="stack",
        title="Stacks of 1 to 50 LoRAs",
        note=f"LoRAs of rank {STACK_RANK} on {STACK_LAYERS} layers of {STACK_WIDTH}×{STACK_WIDTH}. All steps are "
        "expected to take as long as there are LoRAs, and the memory to hold the files.",
        sizes=(1, 2, 5, 10, 20, 50),
        few=(1, 3),
        steps=APPLYING,
        memory=1,
        write=lambda folder, size: _write_stack(
            folder, _layers(STACK_WIDTH, STACK_LAYERS), STACK_RANK, size
        ),
        prepare=lambda folder, _: _apply(folder, STACK_WIDTH, STACK_LAYERS),
    ),
    Case(
        name="rank",
        title="Ranks of 4 to 512",
        note=f"One LoRA on {RANK_LAYERS} layers of {RANK_WIDTH}×{RANK_WIDTH}. Checking and stacking take the "
        "header only. Reading and multiplying are expected to take as long as there are numbers in the file.",
        sizes=(4, 8, 16, 32, 64, 128, 256, 512),
        few=(4, 16),
        steps=APPLYING | {"LoRA File": 0.0, "Stack LoRAs": 0.0},
        memory=1,
        write=lambda folder, size: _write_stack(folder, _layers(RANK_WIDTH, RANK_LAYERS), size),
        prepare=lambda folder, _: _apply(folder, RANK_WIDTH, RANK_LAYERS),
    ),
    Case(
        name="keys",
        title="Files of 100 to 10,000 keys",
        note=f"One LoRA of rank {KEYS_RANK}, with {KEYS_IN_LAYER} keys for each layer of {KEYS_WIDTH}×"
        f"{KEYS_WIDTH}, and a model with as many layers. All that looks at keys is expected to take as long as "
        "there are keys.",
        sizes=(100, 300, 1_000, 3_000, 10_000),
        few=(100, 300),
        steps=APPLYING | {"Stack LoRAs": 0.0},
        memory=1,
        write=lambda folder, size: _write_stack(
            folder, _layers(KEYS_WIDTH, size // KEYS_IN_LAYER), KEYS_RANK
        ),
        prepare=lambda folder, size: _apply(folder, KEYS_WIDTH, size // KEYS_IN_LAYER),
    ),
    Case(
        name="library",
        title="Libraries of 500 to 50,000 files",
        note=f"LoRAs of one size in folders of {IN_A_FOLDER}. A file that is looked for by its content has another "
        "name and is the last of all, so that all of them are hashed: the most that there can be. *Headers checked* is "
        "`check_file` for every file. The picker's route is asked directly, without a server, as often as the page asks and for what the page asks. "
        "Everything is expected to take as long as there are files.",
        sizes=(500, 1_500, 5_000, 15_000, 50_000),
        few=(200, 600),
        steps=dict.fromkeys(LIBRARY_STEPS, 1.0),
        memory=1,
        write=_write_library,
        prepare=lambda folder, _: _library(folder),
    ),
)
"""All cases, in the order of their tables."""
