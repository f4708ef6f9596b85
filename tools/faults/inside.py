"""Runs in the host's own Python: injects faults, and looks whether what follows is right.

    COMFYUI_PYTHON tools/faults/inside.py HOST FOLDER FAULTS SEED

FOLDER holds `model.safetensors` (tiny Flux), `loras/*.safetensors`, and `pack`, a link to the
repository. The result is one line of JSON at the end of standard output.
"""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.faults.inject import KINDS, Point, injected, recorded

HOST, FOLDER = Path(sys.argv[1]), Path(sys.argv[2])
STEPS, SEED = 2, 7
LONGEST = 120
"""Seconds. A longer run waits for something that never comes; the process ends, and says where."""

SOME = 8
"""One of so many lines that every run reaches also fails in a model that was just loaded."""

WHOLE_EVERY = 200
"""After how many faults everything is checked, not only one run."""

Apply = Callable[[Any], Any]
"""A MODEL with a recipe out of a MODEL."""


def start() -> None:
    """Make the host and the pack importable."""
    sys.argv = [sys.argv[0], "--cpu"]
    sys.path[:0] = [str(HOST), str(FOLDER)]
    from comfy import options

    options.enable_args_parsing()
    import folder_paths

    folder_paths.set_output_directory(str(FOLDER / "output"))
    folder_paths.set_temp_directory(str(FOLDER / "temp"))
    folder_paths.folder_names_and_paths["loras"] = ([str(FOLDER / "loras")], {".safetensors"})


def load() -> Any:
    from comfy import sd

    return sd.load_diffusion_model(str(FOLDER / "model.safetensors"))


def sampled(model: Any, batch: int) -> str:
    """Returns the hash of a latent."""
    from comfy import sample

    generator = torch.Generator().manual_seed(SEED)
    embedding = torch.randn(1, 8, 4096, generator=generator)
    pooled = {"pooled_output": torch.randn(1, 768, generator=generator)}
    empty = torch.zeros(batch, 16, 8, 8)
    latent = sample.sample(
        *(model, sample.prepare_noise(empty, SEED), STEPS, 1.0, "euler", "normal"),
        *([[embedding, pooled]], [[embedding, pooled]], empty),
        disable_pbar=True,
        seed=SEED,
    )
    return hashlib.sha256(latent.contiguous().numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class Scenario:
    """A way to use LoRAs.

    ``batch`` is the batch of the latent, ``files`` has the lines that can fail.
    """

    name: str
    apply: Apply
    files: Callable[[str], bool]
    batch: int = 1


def ours(file: str) -> bool:
    return "/lora_core/" in file or ("/nodes/" in file and file.startswith(str(FOLDER / "pack")))


def hosts_loader(file: str) -> bool:
    return file.startswith(str(HOST)) and file.endswith(
        ("comfy/lora.py", "weight_adapter/lora.py", "weight_adapter/base.py")
    )


def lora(name: str, strength: float) -> Any:
    from pack.nodes.load_lora import LoadLoRA

    return LoadLoRA.execute(name, strength).result[0]


def pair() -> Any:
    return added(lora("one.safetensors", 0.5), lora("two.safetensors", 0.75))


def added(*recipes: Any) -> Any:
    return type(recipes[0])(tuple(term for recipe in recipes for term in recipe.terms))


def whole(first: Any) -> Any:
    """Returns the recipe with a file that depends on the weights, and so is merged in any case."""
    return added(first, lora("dora.safetensors", 1.0))


def applied(recipe: Any, model: Any, mode: str) -> Any:
    from pack.nodes.apply_to_model import ApplyToModel

    return ApplyToModel.execute(recipe, model, None, mode).result[0]


def theirs(model: Any) -> Any:
    from comfy import sd, utils

    for name, strength in (("one", 0.5), ("two", 0.75), ("dora", 1.0)):
        file = utils.load_torch_file(str(FOLDER / "loras" / f"{name}.safetensors"))
        model, _ = sd.load_lora_for_models(model, None, file, strength, 0.0)
    return model


def combined(model: Any) -> Any:
    from pack.nodes.combine_loras import CombineLoRAs
    from pack.nodes.resize_lora import ResizeLoRA

    own = {"lora_0": lora("one.safetensors", 0.5), "lora_1": lora("two.safetensors", 0.75)}
    made = CombineLoRAs.execute("ties", 0.5, 0, own).result[0]
    return applied(ResizeLoRA.execute(made, "20%").result[0], model, "auto")


def kept(model: Any) -> Any:
    """Applies a sum that was saved, and takes away what was saved before."""
    from pack.lora_core.reading import identify
    from pack.nodes.save_lora_file import SaveLoRAFile

    for old in (FOLDER / "output").rglob("*.safetensors"):
        old.unlink()
    form = {"dtype": "float32", "names": "ComfyUI"}
    saved = SaveLoRAFile.execute(whole(pair()), model, None, "kept/x", "exact", **form)
    return applied(type(pair()).of(identify(Path(saved.result[0]))), model, "merge")


def extracted(model: Any) -> Any:
    from pack.nodes.extract_lora import ExtractLoRA

    tuned = applied(whole(pair()), model, "merge")
    return applied(ExtractLoRA.execute(tuned, model, "8", "float32").result[0], model, "merge")


def scenarios() -> list[Scenario]:
    from pack.nodes.mask_lora import MaskLoRA
    from pack.nodes.schedule_lora import ScheduleLoRA
    from pack.nodes.spread_lora import SpreadLoRA

    def changed(change: Callable[[Any], Any]) -> Apply:
        return lambda model: applied(whole(change(pair()).result[0]), model, "auto")

    left = torch.zeros(1, 64, 64)
    left[..., :32] = 1
    return [
        Scenario("merge", lambda model: applied(whole(pair()), model, "merge"), ours),
        Scenario("live", lambda model: applied(whole(pair()), model, "live"), ours),
        Scenario(
            "schedule", changed(partial(ScheduleLoRA.execute, "0:1, 0.5:0.25", 0.0, 1.0)), ours
        ),
        Scenario("spread", changed(partial(SpreadLoRA.execute, "0, 0.5, 1")), ours, 3),
        Scenario("mask", changed(lambda own: MaskLoRA.execute(0.25, own, left)), ours),
        Scenario("combine", combined, ours),
        Scenario("save", kept, ours),
        Scenario("extract", extracted, ours),
        Scenario("the host's own loader", theirs, hosts_loader),
        Scenario("no LoRA", lambda model: model, lambda _: False),
    ]


@dataclass
class Tally:
    """What has been found so far."""

    faults: Counter[str] = field(default_factory=Counter)
    not_reached: int = 0
    swallowed: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    wrong_while_patching: Counter[str] = field(default_factory=Counter)
    lines: set[tuple[str, int]] = field(default_factory=set)
    cases: list[dict[str, Any]] = field(default_factory=list)


class Loop:
    """Faults in turn, and a clean run after each."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.scenarios = scenarios()
        gc.freeze()  # what is there by now stays, and need not be looked at again
        self.model = load()
        self.references = {each.name: self.clean(each) for each in self.scenarios}
        again = {each.name: self.clean(each) for each in self.scenarios}
        if again != self.references or len(set(again.values())) < len(again) - 1:
            raise SystemExit(f"the runs do not repeat: {self.references} {again}")
        self.points = {each.name: self.points_of(each) for each in self.scenarios}
        self.tally = Tally()

    def clean(self, scenario: Scenario) -> str:
        return sampled(scenario.apply(self.model), scenario.batch)

    def points_of(self, scenario: Scenario) -> list[tuple[Point, bool]]:
        """Returns every line that a run reaches, in any order: the first time, the last, and one
        between.

        Each also says whether it needs a model that was just loaded.
        """
        found: set[tuple[Point, bool]] = set()
        self.fresh()
        with recorded(scenario.files) as cold:
            self.clean(scenario)
        with recorded(scenario.files) as warm:
            self.clean(scenario)
        for seen in (cold, warm):
            for (file, line), times in seen.items():
                if seen is cold and (file, line) in warm and self.random.randrange(SOME):
                    continue  # most of what also comes without loading, which takes its time
                chosen = {1, times, self.random.randint(1, times)}
                found |= {(Point(file, line, time), seen is cold) for time in chosen}
        points = sorted(found, key=lambda each: (each[0].file, each[0].line, each[0].time, each[1]))
        self.random.shuffle(points)
        return points

    def fresh(self) -> None:
        """Resets everything to the state after a start, except for imports."""
        from comfy import model_management

        model_management.unload_all_models()
        self.model = None
        gc.collect()
        self.model = load()

    def run(self, faults: int) -> None:
        failing = [each for each in self.scenarios if self.points[each.name]]
        points = {each.name: cycle(self.points[each.name]) for each in failing}
        kinds = cycle(KINDS)
        turns = cycle(failing)
        while sum(self.tally.faults.values()) < faults:
            # Points come round again, with another kind each time.
            faulthandler.dump_traceback_later(LONGEST, exit=True)
            scenario = next(turns)
            self.one(scenario, *next(points[scenario.name]), next(kinds))
            if sum(self.tally.faults.values()) % 500 == 0:
                print(f"{dict(self.tally.faults)} {dict(self.tally.wrong)}", file=sys.stderr)
        faulthandler.cancel_dump_traceback_later()

    def one(self, scenario: Scenario, point: Point, cold: bool, kind: str) -> None:
        """Injects one fault, and checks what comes after it."""
        if cold:
            self.fresh()
        elif self.random.randrange(2):
            _made(partial(self.clean, scenario))  # else after whatever was there before
        kept: list[Any] = []
        result = None
        with injected(scenario.files, point, kind, str(HOST)) as injection:
            try:
                kept.append(scenario.apply(self.model))
                result = sampled(kept[0], scenario.batch)
            except BaseException as error:
                if not injection.raised:
                    raise
                _as_the_host_does(error)
        if not injection.raised:
            self.tally.not_reached += 1
            return
        self.tally.faults[scenario.name] += 1
        self.tally.lines.add((point.file, point.line))
        wrong = []
        if result is not None:
            self.tally.swallowed[scenario.name] += 1
            wrong = [scenario.name] if result != self.references[scenario.name] else []
        wrong += self.looked(scenario, kept)
        if wrong:
            self.note(scenario, injection, kind, wrong)
            self.fresh()

    def looked(self, scenario: Scenario, kept: list[Any]) -> list[str]:
        """Returns which runs differ from before: from what the failed run left, and one or all of
        them again.

        The order is random, since a correct run may also repair what was left behind.
        """
        every = sum(self.tally.faults.values()) % WHOLE_EVERY == 0
        runs = list(self.scenarios if every else [self.random.choice(self.scenarios)])
        checks = [(each.name, each.name, partial(self.clean, each)) for each in runs]
        if kept:
            again = partial(sampled, kept[0], scenario.batch)
            checks.append((f"{scenario.name}, sampled again", scenario.name, again))
        self.random.shuffle(checks)
        return [told for told, name, run in checks if _made(run) != self.references[name]]

    def note(self, scenario: Scenario, injection: Any, kind: str, wrong: list[str]) -> None:
        name = f"{scenario.name}, {kind}"
        self.tally.wrong[name] += 1
        self.tally.wrong_while_patching[name] += injection.while_patching
        point = injection.point
        self.tally.cases.append(
            {
                "scenario": scenario.name,
                "kind": kind,
                "at": f"{Path(point.file).name}:{point.line} ({point.time})",
                "below": injection.below[:6],
                "wrong": wrong,
            }
        )


def _made(run: Callable[[], str]) -> str:
    """Returns the result of a run; one that fails is wrong as well."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 (whatever it is, a fault before it is to blame)
        return str(error)


def _as_the_host_does(error: BaseException) -> None:
    """Handles an error as execution.py does: it is noted and dropped, and out of memory unloads all
    models."""
    from comfy import model_management

    error.__traceback__ = None
    if isinstance(error, Exception) and model_management.is_oom(error):
        model_management.unload_all_models()


def main(faults: int, seed: int) -> None:
    start()
    with torch.inference_mode():
        loop = Loop(seed)
        loop.run(faults)
    tally = loop.tally
    names = [each.name for each in loop.scenarios]
    lines = {file for file, _ in tally.lines}
    print(
        json.dumps(
            {
                "faults": {name: tally.faults[name] for name in names if tally.faults[name]},
                "not_reached": tally.not_reached,
                "swallowed": tally.swallowed,
                "lines": len(tally.lines),
                "files": len(lines),
                "points": sum(len(points) for points in loop.points.values()),
                "wrong": tally.wrong,
                "wrong_while_patching": tally.wrong_while_patching,
                "cases": tally.cases,
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[3]), int(sys.argv[4]))
