"""Varying: schedules compared with the host's hook keyframes, and a sweep of strengths as one
batch.

These are whole runs of the sampler (euler) on the tests' tiny real models at 8x8 latents, with two loaded LoRAs
of rank 4. The steps are short, so everything that is done between them is visible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.tiny_loras import write_lora
from harness.workflows import KINDS

from .models import tiny
from .report import Section, Settings, Table, ms, progress, times
from .timing import Contender, compete

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

TESTED = {"sd15": 4, "flux": 16}
"""Model, and the channels of its latents."""

STEPS, IMAGES, SWEEP_STEPS = 20, 8, 4
CURVE = "linear"


@torch.inference_mode()
def measure(settings: Settings) -> Section:
    cases = {
        kind: Case.of(kind, settings) for kind in list(TESTED)[: 1 if settings.quick else None]
    }
    note = (__doc__ or "").partition("\n\n")[2].strip()
    return Section("Varying", note, [_schedules(cases, settings), _sweeps(cases, settings)])


@dataclass(frozen=True)
class Case:
    """A model, two files for it, and what to sample."""

    kind: str
    base: ModelPatcher
    files: tuple[Path, Path]
    device: str

    @classmethod
    def of(cls, kind: str, settings: Settings) -> Case:
        files = tuple(settings.folder / f"{kind}_{seed}.safetensors" for seed in (1, 2))
        for seed, file in enumerate(files):
            write_lora(file, kind, seed=seed)
        return cls(kind, tiny(kind), (files[0], files[1]), settings.device)

    def recipe(self) -> Any:
        from lora_algebra.lora_core.applying import load

        return load(self.files[0]) + 0.5 * load(self.files[1])

    def ours(self, recipe: Any, mode: str = "auto") -> ModelPatcher:
        from lora_algebra.nodes.host import apply_recipe

        return apply_recipe(recipe, self.base, None, mode)[0]

    def hosts(self, strength: float) -> ModelPatcher:
        from comfy import sd, utils

        model = self.base
        for file, own in zip(self.files, (1.0, 0.5), strict=True):
            tensors = utils.load_torch_file(str(file))
            model = sd.load_lora_for_models(model, None, tensors, own * strength, 0)[0]
        return model

    def keyframes(self) -> Any:
        """Returns the host's hooks for the same strengths at the same steps.

        A keyframe begins a little before its step: the host compares noise levels, and the step's
        is rounded to float32.
        """
        from comfy import hooks, utils

        frames = hooks.HookKeyframeGroup()
        for step in range(STEPS):
            frames.add(hooks.HookKeyframe(step / STEPS, max(0.0, step / STEPS - 1e-4)))
        groups = [
            hooks.create_hook_lora(utils.load_torch_file(str(file)), own, 0)
            for file, own in zip(self.files, (1.0, 0.5), strict=True)
        ]
        group = hooks.HookGroup.combine_all_hooks(groups)
        group.set_keyframes_on_hooks(frames)
        return group

    def conditions(self, hook: Any = None) -> tuple[Any, Any]:
        from comfy import hooks

        facts = KINDS[self.kind].conditioning
        made = []
        for seed in (1, 2):
            source = torch.Generator().manual_seed(seed)
            tokens = torch.randn(1, facts["tokens"], facts["dim"], generator=source)
            pooled = torch.randn(1, facts["pooled_dim"], generator=source)
            condition = [[tokens, {"pooled_output": pooled}]]
            made.append(hooks.set_hooks_for_conditioning(condition, hook) if hook else condition)
        return made[0], made[1]

    def sample(self, model: ModelPatcher, steps: int, images: int = 1, hook: Any = None) -> Any:
        from comfy import sample

        noise = torch.randn(1, TESTED[self.kind], 8, 8, generator=torch.Generator().manual_seed(7))
        noise = noise.repeat(images, 1, 1, 1)
        positive, negative = self.conditions(hook)
        return sample.sample(
            *(model, noise, steps, 3.0, "euler", "simple", positive, negative),
            torch.zeros_like(noise),
            disable_pbar=True,
            seed=0,
        )


def _schedules(cases: Mapping[str, Case], settings: Settings) -> Table:
    from lora_algebra.lora_core.algebra import Curve

    rows: list[list[str]] = []
    for kind, case in cases.items():
        progress(f"varying: a schedule, {kind}")
        ours, group = case.ours(case.recipe().scheduled(Curve.parse(CURVE))), case.keyframes()
        model = case.base.clone()
        contenders = {
            "bare": Contender(lambda case=case: case.sample(case.base, STEPS)),
            "ours": Contender(lambda case=case, ours=ours: case.sample(ours, STEPS)),
            "host": Contender(lambda c=case, m=model, g=group: c.sample(m, STEPS, hook=g)),
        }
        found = compete(contenders, settings.rounds, settings.device)
        apart = _apart(case.sample(ours, STEPS), case.sample(model, STEPS, hook=group))
        rows.append(
            [
                *(
                    kind,
                    ms(found.median("bare")),
                    ms(found.median("ours")),
                    ms(found.median("host")),
                ),
                *(times(found.ratio("ours", "bare")), times(found.ratio("ours", "host"))),
                f"{apart:.0e}",
            ]
        )
    note = f"The strength goes from 0 to 1 over {STEPS} steps. ComfyUI's hooks have a keyframe for each step."
    columns = (
        *("model", "no LoRA ms", "ours ms", "hooks ms", "ours / no LoRA", "ours / hooks"),
        "latents apart",
    )
    return Table("A schedule", note, columns, rows)


def _sweeps(cases: Mapping[str, Case], settings: Settings) -> Table:
    from lora_algebra.lora_core.algebra import parse_spread

    rows: list[list[str]] = []
    strengths = [index / (IMAGES - 1) for index in range(IMAGES)]
    for kind, case in cases.items():
        progress(f"varying: a sweep, {kind}")
        spread = case.ours(case.recipe().spread(parse_spread(f"0..1 x {IMAGES}")))
        contenders = {
            "spread": Contender(lambda c=case, s=spread: c.sample(s, SWEEP_STEPS, IMAGES)),
            "batch": Contender(lambda c=case: c.sample(c.base, SWEEP_STEPS, IMAGES)),
            "live": Contender(lambda c=case: _each(c, strengths, "live")),
            "merge": Contender(lambda c=case: _each(c, strengths, "merge")),
            "host": Contender(
                lambda c=case: [c.sample(c.hosts(s), SWEEP_STEPS) for s in strengths]
            ),
        }
        found = compete(contenders, settings.rounds, settings.device)
        apart = _apart(
            case.sample(spread, SWEEP_STEPS, IMAGES), torch.cat(_each(case, strengths, "live"))
        )
        rows.append(
            [
                kind,
                *(ms(found.median(name)) for name in contenders),
                *(times(found.ratio("spread", name)) for name in list(contenders)[1:]),
                f"{apart:.0e}",
            ]
        )
    note = (
        f"{IMAGES} strengths from 0 to 1, with {SWEEP_STEPS} steps. The columns are one batch with Spread "
        f"LoRA, the same batch without any LoRA, and {IMAGES} runs with our two modes and with ComfyUI's "
        "loaders. A run starts at the node."
    )
    columns = (
        *(
            "model",
            "spread ms",
            "batch, no LoRA ms",
            "live runs ms",
            "merge runs ms",
            "host runs ms",
        ),
        *("spread / batch", "spread / live", "spread / merge", "spread / host", "latents apart"),
    )
    return Table("A sweep", note, columns, rows)


def _each(case: Case, strengths: list[float], mode: str) -> list[Any]:
    recipe = case.recipe()
    return [case.sample(case.ours(s * recipe, mode), SWEEP_STEPS) for s in strengths]


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())
