"""Many queued prompts of mixed recipes in the real ComfyUI, each compared with a run on its own.

python -m tools.soak [--prompts 2000] [--seed 1] [--host 0.28]: recipes are merged, live, scheduled,
spread, swept, weighted by block, masked, for one prompt, in rows, in chains, combined, resized,
extracted, saved and analysed; between them are
prompts that are refused, fail while weights are patched or are interrupted, and /free. It fails if
a result differs from one right after a /free, or if anything is left on a model.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.host import Host, Prompt, RunResult, ensure_models
from harness.installs import HOSTS, find_host, skip_notice
from harness.tiny_models import DEFAULT_NAMES, MODEL_FILES
from harness.workflows import (
    Chain,
    Graph,
    apply_lora,
    in_turn,
    load,
    mask_lora,
    no_loras,
    render,
    sample,
    stack_loras,
    stacked_loras,
)
from tests.host.files import assert_nothing_is_left, base_hash, make_loras

MODELS = ("flux", "sd3", "wan")
STEPS = 2
FREE_EVERY, FAIL_EVERY = 25, 15
"""After how many prompts this happens, on average."""

MEGABYTE = 2**20

TELLERS = ("TKHash", "SaveLoRAFile", "AnalyseLoRA")
"""The nodes that say what has come out."""


@dataclass(frozen=True)
class Recipe:
    """A prompt, and what kind of one it is."""

    name: str
    prompt: Prompt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--prompts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--host", choices=HOSTS, default=HOSTS[0])
    asked = parser.parse_args()
    if find_host(asked.host) is None:
        print(skip_notice(asked.host), file=sys.stderr)
        return 2
    with _started(asked.host) as host:
        soak = Soak(host, asked.seed)
        soak.run(asked.prompts)
        print(soak.summary(asked.seed))
    return int(bool(soak.wrong))


@contextmanager
def _started(name: str) -> Iterator[Host]:
    install = find_host(name)
    if install is None:
        raise SystemExit(skip_notice(name))
    models = ensure_models(install, {each: MODEL_FILES[each] for each in DEFAULT_NAMES})
    with tempfile.TemporaryDirectory() as folder, Host(install, Path(folder), models) as host:
        yield host


def recipes(host: Host, folder: Path) -> list[Recipe]:
    """Returns recipes for every way to use LoRAs, on three models."""
    found: list[Recipe] = []
    for kind in MODELS:
        first, second = make_loras(host, folder, kind, 2)
        both = (first, 0.5), (second, 1.0)
        chains: dict[str, Chain] = {
            "plain": no_loras,
            "merge": stacked_loras(*both, mode="merge"),
            "merge, other": stacked_loras((second, -0.75), mode="merge"),
            "live": stacked_loras(*both, mode="live"),
            "live, other": stacked_loras((first, 1.25), mode="live"),
            "schedule": stacked_loras(*both, curve="0:1, 0.5:0.2"),
            "chain": in_turn(stacked_loras((first, 1.0)), stacked_loras((second, 0.5))),
            "chain, both ways": in_turn(
                stacked_loras((first, 1.0), mode="merge"), stacked_loras((second, 1.0), mode="live")
            ),
            "blocks": stacked_loras(*both, blocks="early: 0.5; late: 0"),
            "mask": _masked(both),
            "rows": _rows(both),
            "combine": _made(both, "CombineLoRAs"),
            "resize": _made(both, "ResizeLoRA"),
            "extract": _made(both, "ExtractLoRA"),
        }
        found += [Recipe(name, render(kind, c, steps=STEPS)) for name, c in chains.items()]
        spread = stacked_loras(*both, values="0, 0.5, 1")
        found.append(Recipe("spread", render(kind, spread, steps=STEPS, batch=3)))
        found.append(Recipe("sweep", _sweep(kind, first)))
        found.append(Recipe("prompt", _prompt(kind, first)))
        found.append(Recipe("save", _told_by(kind, both, "SaveLoRAFile")))
        found.append(Recipe("analyse", _told_by(kind, both, "AnalyseLoRA")))
        refused = render(kind, stacked_loras(("no such file.safetensors", 1.0)))
        found.append(Recipe("refused before it runs", refused))
        found.append(Recipe("refused when it runs", render(kind, spread, steps=STEPS, batch=2)))
    return found


def _masked(loras: tuple[tuple[str, float], ...]) -> Chain:
    def chain(graph: Graph, model: list, clip: list | None) -> tuple[list, list | None]:
        own = [
            mask_lora(graph, [graph.add("LoadLoRA", lora_name=name, strength=s), 0], side)
            for (name, s), side in zip(loras, ("left", "right"), strict=True)
        ]
        return apply_lora(graph, stack_loras(graph, *own), model, clip)

    return chain


def _prompt(kind: str, name: str) -> Prompt:
    """Puts a LoRA on the positive prompt only."""
    prompt = render(kind, steps=STEPS)
    sampler = prompt["KSampler"]["inputs"]
    lora = {"class_type": "LoadLoRA", "inputs": {"lora_name": name, "strength": 1.0}}
    inputs = {"lora": ["LoadLoRA", 0], "model": sampler["model"], "positive": sampler["positive"]}
    tied = {"class_type": "ApplyToConditioning", "inputs": inputs}
    sampler |= {"model": ["tied", 0], "positive": ["tied", 1]}
    return prompt | {"LoadLoRA": lora, "tied": tied}


def _rows(loras: tuple[tuple[str, float], ...]) -> Chain:
    rows = [{"name": name, "strength": strength} for name, strength in loras]

    def chain(graph: Graph, model: list, clip: list | None) -> tuple[list, list | None]:
        lora = [graph.add("LoRARows", rows={"version": 1, "rows": rows}), 0]
        return apply_lora(graph, lora, model, clip)

    return chain


def _made(loras: tuple[tuple[str, float], ...], node: str) -> Chain:
    """Applies what a node makes of two LoRAs."""

    def chain(graph: Graph, model: list, clip: list | None) -> tuple[list, list | None]:
        own = _loaded(graph, loras)
        if node == "CombineLoRAs":
            slots = {f"loras.lora_{index}": lora for index, lora in enumerate(own)}
            made = graph.add(node, method="ties", density=0.3, seed=0, **slots)
        elif node == "ResizeLoRA":
            made = graph.add(node, lora=stack_loras(graph, *own), rank="20%")
        else:
            tuned, _ = apply_lora(graph, stack_loras(graph, *own), model, mode="merge")
            inputs = {"model": tuned, "model_base": model, "rank": "8", "dtype": "float32"}
            made = graph.add(node, **inputs)
        return apply_lora(graph, [made, 0], model, clip)

    return chain


def _loaded(graph: Graph, loras: tuple[tuple[str, float], ...]) -> list[list]:
    return [[graph.add("LoadLoRA", lora_name=name, strength=s), 0] for name, s in loras]


def _told_by(kind: str, loras: tuple[tuple[str, float], ...], node: str) -> Prompt:
    """A prompt of which the result is what a node says."""
    graph = Graph()
    lora, model = stack_loras(graph, *_loaded(graph, loras)), load(graph, kind).model
    how = {"rank": "exact", "dtype": "float32", "names": "ComfyUI", "filename_prefix": "loras/soak"}
    graph.add(node, lora=lora, model=model, **how if node == "SaveLoRAFile" else {})
    return graph.prompt


def _sweep(kind: str, name: str) -> Prompt:
    graph = Graph()
    lora = [graph.add("LoadLoRA", lora_name=name, strength=1.0), 0]
    swept = [graph.add("SweepLoRA", lora=lora, values="0, 0.5, 1", across_values="0, 1"), 0]
    model, _ = apply_lora(graph, swept, load(graph, kind).model)
    graph.add("TKHash", latent=sample(graph, kind, model, steps=STEPS))
    return graph.prompt


def outcome(result: RunResult) -> object:
    """Returns all that must be the same again."""
    if result.status != "success":
        return result.status, result.error, result.node_errors
    (told,) = [own["text"] for node, own in result.outputs.items() if node in TELLERS]
    return re.sub(r"soak_\d+_", "", "\n".join(told))


class Soak:
    """One server, and what has been found in it."""

    def __init__(self, host: Host, seed: int) -> None:
        self.host = host
        self.random = random.Random(seed)
        with tempfile.TemporaryDirectory() as folder:
            self.recipes = recipes(host, Path(folder))
        self.bases = {kind: base_hash(host, kind) for kind in MODELS}
        self.references: dict[int, object] = {}
        for index, recipe in enumerate(self.recipes):
            host.free()
            self.references[index] = outcome(self.ran(recipe.prompt))
        self.counts: Counter[str] = Counter()
        self.between: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.rss = [0, 0]

    def run(self, prompts: int) -> None:
        last = -1
        for turn in range(prompts):
            index = self.random.choice([i for i in range(len(self.recipes)) if i != last])
            last = index
            self.interlude()
            recipe = self.recipes[index]
            self.counts[recipe.name] += 1
            if outcome(self.ran(recipe.prompt)) != self.references[index]:
                self.wrong.append(f"prompt {turn}: {recipe.name} {index}")
            if turn == prompts // 10:
                self.rss[0] = self.used()
        self.rss[1] = self.used()
        for kind, base in self.bases.items():
            try:
                assert_nothing_is_left(self.host, kind, base)
            except AssertionError as error:
                self.wrong.append(f"at the end: {error}")

    def ran(self, prompt: Prompt) -> RunResult:
        """Runs a prompt, whatever becomes of it."""
        return self.host.run(prompt, expect_error=None)

    def interlude(self) -> None:
        """Does something now and then that must not matter to what follows."""
        if not self.random.randrange(FREE_EVERY):
            self.between["freed"] += 1
            self.host.free(free_memory=bool(self.random.randrange(2)))
        if not self.random.randrange(FAIL_EVERY):
            self.random.choice((self.fail, self.interrupt))()

    def fail(self) -> None:
        """Runs a prompt whose weights cannot all be patched, if it has to patch any."""
        merged = [recipe for recipe in self.recipes if recipe.name.startswith("merge")]
        self.host.fail_at("calculate_weight", self.random.randint(1, 6))
        failed = self.ran(self.random.choice(merged).prompt).status == "error"
        self.host.fail_at("calculate_weight", 10**9)
        self.between["failed on purpose"] += failed

    def interrupt(self) -> None:
        """Runs a prompt that is interrupted while it samples."""
        kind = self.random.choice(MODELS)
        name = f"{kind}_1.safetensors"
        chain = stacked_loras((name, 1.0), curve="0:0, 1:1")
        seed = self.random.randrange(2**32)
        self.host.interrupt(render(kind, chain, steps=60, seed=seed), after=2)
        self.between["interrupted"] += 1

    def used(self) -> int:
        """Returns the bytes of the server's memory.

        It forgets the history, which grows with every prompt.
        """
        graph = Graph()
        graph.add("TKCounters")
        return self.host.run(graph.prompt).report("TKCounters")["rss"]

    def summary(self, seed: int) -> str:
        grown = (self.rss[1] - self.rss[0]) / MEGABYTE
        first = "".join(f"  wrong: {each}\n" for each in self.wrong[:20])
        return (
            f"{first}soak in ComfyUI {self.host.install.version}, seed {seed}: "
            f"{sum(self.counts.values())} prompts ({_told(self.counts)}), between them "
            f"{_told(self.between)}; wrong: {len(self.wrong)}; RSS {self.rss[0] / MEGABYTE:.0f} MiB "
            f"after a tenth, {grown:+.1f} MiB at the end"
        )


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
