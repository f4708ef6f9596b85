"""Steps of a transformer with live LoRAs on a GPU: every kind of gate, and torch.compile."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import torch

from lora_core.algebra import Curve, Moment, Recipe, parse_spread
from lora_core.applying import Places, Scene
from lora_core.fusing import merge_
from lora_core.naming import Layers, Tokens

from .gpu_model import (
    Live,
    Model,
    apart,
    fused,
    model,
    random_loras,
    seen,
    size_of,
    weights_of,
)
from .gpu_readings import Reading, Setting, competed, milliseconds
from .timing import Action, Contender, synchronise

CASES = ((1, 16), (4, 16), (16, 16), (4, 64))
"""(number of LoRAs, rank)."""

STEPS, IMAGES = 4, 8
COMPILED_BLOCKS = 2


def steps(setting: Setting) -> Iterator[Reading]:
    """A step of the bare model, and with live LoRAs."""
    made = model(setting)
    for grid in size_of(setting).grids:
        x = seen(setting, grid)
        for count, rank in CASES:
            live = Live.of(made, random_loras(made, count, rank, setting), setting).opened()
            contenders = {
                "bare": Contender(lambda x=x: made(x)),
                "live": live.contender(lambda x=x: made(x)),
            }
            found = competed(contenders, setting)
            yield Reading(
                "A step",
                {
                    "tokens": x.shape[1],
                    "LoRAs": count,
                    "rank": rank,
                    **milliseconds(found, *contenders),
                    "live / bare": found.ratio("live", "bare"),
                },
            )


def schedules(setting: Setting) -> Iterator[Reading]:
    """Another strength at each step, live and by merging anew."""
    made = model(setting)
    x = seen(setting, size_of(setting).grids[0])
    for count, rank in CASES[:3]:
        loras = random_loras(made, count, rank, setting)
        live = Live.of(made, loras, setting)
        scheduled = live.twin()
        contenders = {
            "bare": Contender(lambda: _each_step(made, x)),
            "constant": live.opened().contender(lambda: _each_step(made, x)),
            "schedule": scheduled.contender(_scheduled(scheduled, x)),
            "merged anew": Contender(_merged_anew(made, x, loras)),
        }
        found = competed(contenders, setting)
        yield Reading(
            "A schedule",
            {
                "LoRAs": count,
                "rank": rank,
                **milliseconds(found, *contenders),
                "schedule / constant": found.ratio("schedule", "constant"),
                "schedule / bare": found.ratio("schedule", "bare"),
                "schedule / merged anew": found.ratio("schedule", "merged anew"),
            },
        )


def spreads(setting: Setting) -> Iterator[Reading]:
    """A strength for each image of a batch, beside the same images one by one."""
    made = model(setting)
    grid = size_of(setting).grids[0]
    x = seen(setting, grid, IMAGES)
    for count, rank in CASES[:3]:
        live = Live.of(made, random_loras(made, count, rank, setting), setting)
        recipe = live.recipe()
        spread = live.twin().opened(recipe.spread(parse_spread(f"0..1 x {IMAGES}")))
        single = live.twin()
        alone = [single.rows((n / (IMAGES - 1)) * recipe) for n in range(IMAGES)]
        one_by_one = _one_by_one(single, x, alone)
        contenders = {
            "batch, bare": Contender(lambda: made(x)),
            "batch, one strength": live.opened().contender(lambda: made(x)),
            "spread": spread.contender(lambda: made(x)),
            "one by one": single.contender(one_by_one),
        }
        found = competed(contenders, setting)
        both = _result(spread, lambda: made(x)), _result(single, one_by_one)
        yield Reading(
            "A spread",
            {
                "images": IMAGES,
                "LoRAs": count,
                "rank": rank,
                **milliseconds(found, *contenders),
                "spread / one strength": found.ratio("spread", "batch, one strength"),
                "spread / one by one": found.ratio("spread", "one by one"),
                "images apart": apart(*both),
            },
        )


def masks(setting: Setting) -> Iterator[Reading]:
    """Two LoRAs left and right, beside the same two everywhere."""
    made = model(setting)
    for grid in size_of(setting).grids:
        x = seen(setting, grid)
        for rank in (16, 64):
            live = Live.of(made, random_loras(made, 2, rank, setting), setting).opened()
            masked = _masked(live.twin(), grid)
            contenders = {
                "bare": Contender(lambda x=x: made(x)),
                "live": live.contender(lambda x=x: made(x)),
                "masks": masked.contender(lambda x=x: made(x)),
            }
            found = competed(contenders, setting)
            yield Reading(
                "Masks",
                {
                    "tokens": x.shape[1],
                    "rank": rank,
                    **milliseconds(found, *contenders),
                    "masks / live": found.ratio("masks", "live"),
                    "masks / bare": found.ratio("masks", "bare"),
                },
            )


# --- what runs ------------------------------------------------------------------------------------


def _each_step(made: Model, x: torch.Tensor) -> None:
    for _ in range(STEPS):
        made(x)


def _scheduled(live: Live, x: torch.Tensor) -> Action:
    """Runs the steps of a schedule, each with a gate that is made for it."""
    recipe = live.recipe().scheduled(Curve.parse("linear"))

    def run() -> None:
        for step in range(STEPS):
            live.gate.rows = live.rows(recipe, Moment(step / STEPS))
            live.model(x)

    return run


def _merged_anew(made: Model, x: torch.Tensor, loras: list) -> Action:
    """Runs the same steps with merging: before each, the weights are restored and get the other strength."""
    weights = weights_of(made)
    kept = {key: weight.clone() for key, weight in weights.items()}

    def run() -> None:
        for step in range(STEPS):
            for key, weight in weights.items():
                weight.copy_(kept[key])
                merge_(weight, fused(loras, key), step / STEPS)
            made(x)
        for key, weight in weights.items():
            weight.copy_(kept[key])

    return run


def _one_by_one(
    live: Live, x: torch.Tensor, gates: list[torch.Tensor]
) -> Callable[[], torch.Tensor]:
    def run() -> torch.Tensor:
        found: list[torch.Tensor] = []
        for image, rows in zip(x.split(1), gates, strict=True):
            live.gate.rows = rows
            found.append(live.model(image))
        return torch.cat(found)

    return run


def _result(live: Live, run: Callable[[], torch.Tensor]) -> torch.Tensor:
    detach = live.attached()
    try:
        return run()
    finally:
        detach()


def _masked(live: Live, grid: int) -> Live:
    """Opens a gate with the first LoRA in the left half of the picture, and the second in the right."""
    device = next(live.model.parameters()).device
    half = torch.zeros(1, 2 * grid, 2 * grid, device=device)
    half[..., :grid] = 1
    tokens = Tokens((2, 2), apart=re.compile("^text"), joined=re.compile("^blocks"))
    places = Places(Scene(tokens, torch.stack([half, 1 - half]), torch.zeros(2, device=device)))
    layers = Layers({key: tuple(own.shape) for key, own in weights_of(live.model).items()})
    parts = [live.rows(Recipe.of(file)) for file in live.files]
    live.gate.rows = torch.stack(parts, 1)
    live.gate.places = lambda key, layer, x, y: places.of(layers[key], layer, x, y)
    return live


# --- torch.compile --------------------------------------------------------------------------------


def compiled(setting: Setting) -> Iterator[Reading]:
    """A step and a merged weight with torch.compile, beside the same without it."""
    made = model(setting, COMPILED_BLOCKS)
    x = seen(setting, size_of(setting).grids[1])
    yield _compiled("a step, bare", lambda: made(x), setting)
    live = Live.of(made, random_loras(made, 4, 16, setting), setting).opened()
    detach = live.attached()
    try:
        yield _compiled("a step, 4 live LoRAs", lambda: made(x), setting, _other_strength(live))
    finally:
        detach()
    yield _compiled("merging one weight", _merging(made, setting), setting)


def _compiled(
    what: str,
    run: Callable[[], torch.Tensor],
    setting: Setting,
    change: Action | None = None,
) -> Reading:
    """Returns both times, and whether the results agree, also after a change of what is compiled."""
    torch.compiler.reset()
    counted = torch._dynamo.utils.counters
    counted.clear()
    fast = torch.compile(run, backend="eager" if setting.quick else "inductor")
    begun = time.perf_counter()
    difference = apart(fast(), run())
    synchronise(setting.device)
    first = time.perf_counter() - begun
    graphs = counted["stats"]["unique_graphs"]
    if change is not None:
        change()
        difference = max(difference, apart(fast(), run()))
    contenders = {"eager": Contender(run), "compiled": Contender(fast)}
    found = competed(contenders, setting)
    return Reading(
        "torch.compile",
        {
            "what": what,
            **milliseconds(found, *contenders),
            "compiled / eager": found.ratio("compiled", "eager"),
            "first call s": first,
            "graphs": graphs,
            "more after another strength, graphs": counted["stats"]["unique_graphs"] - graphs,
            "results apart": difference,
        },
    )


def _other_strength(live: Live) -> Action:
    def change() -> None:
        live.gate.rows = live.rows(0.5 * live.recipe())

    return change


def _merging(made: Model, setting: Setting) -> Callable[[], torch.Tensor]:
    """Merges into a copy of a weight, so that both ways do the same each time."""
    key, weight = max(weights_of(made).items(), key=lambda item: item[1].numel())
    lora = random_loras(made, 1, 64, setting)[0][key]
    source = weight.bfloat16()
    up, down = lora.up.float(), lora.down.float()
    return lambda: torch.addmm(source.float(), up, down).to(source.dtype)


NOTES = {
    "A step": (
        "All LoRAs are on all layers. The model computes in bfloat16, with a text of 512 tokens in front of the "
        "picture."
    ),
    "A schedule": (
        f"{STEPS} steps, each with another strength. *constant* has one gate for all of them. *schedule* makes a gate for each "
        "step, as the nodes do. *merged anew* restores the weights and merges again before each step."
    ),
    "A spread": (
        f"{IMAGES} images with strengths from 0 to 1: as one batch with a strength for each, and one after the other. *images "
        "apart* is the largest difference between the two."
    ),
    "Masks": "Two LoRAs everywhere, and the same two left and right.",
    "torch.compile": (
        f"A model of {COMPILED_BLOCKS} blocks. *first call s* is the time of the first call, with compiling, in seconds. *more after "
        "another strength* counts what had to be compiled again. *results apart* is the largest difference to the result "
        "without torch.compile."
    ),
}

MEASURES = {
    "steps": steps,
    "schedules": schedules,
    "spreads": spreads,
    "masks": masks,
    "compiled": compiled,
}
