"""Regions: masks beside the plain live LoRA, and prompts beside the host's hooks.

These are whole runs of the sampler (euler, 4 steps) on the tests' tiny real models, with two LoRAs of
rank 16: left and right for masks, one for each of two prompts with masks of their own. A LoRA for
one prompt changes no weight; the host's hooks patch the weights between prompts.
"""

from __future__ import annotations

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

SHAPES = {"sd15": (4, 16, 16), "sd3": (16, 32, 32), "flux": (16, 32, 32), "wan": (16, 2, 16, 16)}
"""The latent image of each model."""

STEPS, RANK = 4, 16


@torch.inference_mode()
def measure(settings: Settings) -> Section:
    kinds = list(SHAPES)[: 1 if settings.quick else None]
    cases = [Case.of(kind, settings) for kind in kinds]
    note = (__doc__ or "").partition("\n\n")[2].strip()
    return Section("Regions", note, [_masks(cases, settings), _prompts(cases, settings)])


@dataclass(frozen=True)
class Case:
    """A model and two files for it."""

    kind: str
    base: ModelPatcher
    files: tuple[Path, Path]

    @classmethod
    def of(cls, kind: str, settings: Settings) -> Case:
        first, second = (settings.folder / f"{kind}_{seed}.safetensors" for seed in (1, 2))
        for seed, file in enumerate((first, second)):
            write_lora(file, kind, seed=seed, rank=RANK)
        return cls(kind, tiny(kind), (first, second))

    def recipes(self) -> tuple[Any, Any]:
        from lora_algebra.lora_core.applying import load

        return load(self.files[0]), load(self.files[1])

    def live(self, recipe: Any) -> ModelPatcher:
        from lora_algebra.nodes.host import apply_recipe

        return apply_recipe(recipe, self.base, None, "live")[0]

    def prompt(self, seed: int) -> Any:
        facts = KINDS[self.kind].conditioning
        source = torch.Generator().manual_seed(seed)
        tokens = torch.randn(1, facts["tokens"], facts["dim"], generator=source)
        return [[tokens, {"pooled_output": torch.randn(1, facts["pooled_dim"], generator=source)}]]

    def sample(self, model: ModelPatcher, positive: Any, negative: Any) -> torch.Tensor:
        from comfy import sample

        source = torch.Generator().manual_seed(7)
        noise = torch.randn(1, *SHAPES[self.kind], generator=source)
        return sample.sample(
            *(model, noise, STEPS, 3.0, "euler", "simple", positive, negative),
            torch.zeros_like(noise),
            disable_pbar=True,
            seed=0,
        )


def halves() -> tuple[torch.Tensor, torch.Tensor]:
    left = torch.zeros(1, 512, 512)
    left[..., :256] = 1
    return left, 1 - left


def _masks(cases: list[Case], settings: Settings) -> Table:
    from lora_algebra.lora_core.algebra import Mask

    rows: list[list[str]] = []
    for case in cases:
        progress(f"regions: masks, {case.kind}")
        own = zip(case.recipes(), halves(), strict=True)
        masked = case.live(sum(recipe.masked(Mask.of(mask)) for recipe, mask in own))
        plain = case.live(sum(case.recipes()))
        prompts = case.prompt(1), case.prompt(2)
        contenders = {
            "bare": Contender(lambda c=case, p=prompts: c.sample(c.base, *p)),
            "live": Contender(lambda c=case, m=plain, p=prompts: c.sample(m, *p)),
            "masks": Contender(lambda c=case, m=masked, p=prompts: c.sample(m, *p)),
        }
        found = compete(contenders, settings.rounds, settings.device)
        rows.append(
            [
                case.kind,
                *(ms(found.median(name)) for name in contenders),
                times(found.ratio("masks", "live")),
                times(found.ratio("masks", "bare")),
            ]
        )
    columns = ("model", "no LoRA ms", "live ms", "masks ms", "masks / live", "masks / no LoRA")
    return Table("Masks", "Two LoRAs everywhere, and the same two left and right.", columns, rows)


def _prompts(cases: list[Case], settings: Settings) -> Table:
    rows: list[list[str]] = []
    for case in cases:
        progress(f"regions: prompts, {case.kind}")
        ours, tied = _tied(case)
        hooked, plain, negative = _hooked(case), _in_halves(case, {}), case.prompt(3)
        model = case.base.clone()
        contenders = {
            "bare": Contender(lambda c=case, p=plain, n=negative: c.sample(c.base, p, n)),
            "ours": Contender(lambda c=case, m=ours, p=tied, n=negative: c.sample(m, p, n)),
            "hooks": Contender(lambda c=case, m=model, p=hooked, n=negative: c.sample(m, p, n)),
        }
        found = compete(contenders, settings.rounds, settings.device)
        one = case.sample(ours, tied, negative)
        other = case.sample(model, hooked, negative)
        apart = float((one - other).abs().max() / other.abs().max())
        rows.append(
            [
                case.kind,
                *(ms(found.median(name)) for name in contenders),
                times(found.ratio("ours", "bare")),
                times(found.ratio("ours", "hooks")),
                f"{apart:.0e}",
            ]
        )
    columns = (
        *("model", "no LoRA ms", "ours ms", "hooks ms", "ours / no LoRA", "ours / hooks"),
        "latents apart",
    )
    note = "Two prompts in two halves, each with its LoRA, and a negative prompt without one."
    return Table("Prompts", note, columns, rows)


def _tied(case: Case) -> tuple[ModelPatcher, Any]:
    from lora_algebra.nodes.host import apply_for_prompts, named

    model, names = case.base, {}
    for number, recipe in enumerate(case.recipes(), start=1):
        model, name, _ = apply_for_prompts(recipe, model)
        names[number] = lambda prompt, name=name: named(prompt, name)
    return model, _in_halves(case, names)


def _hooked(case: Case) -> Any:
    from comfy import hooks, utils

    made = {}
    for number, file in enumerate(case.files, start=1):
        group = hooks.create_hook_lora(utils.load_torch_file(str(file)), 1.0, 0.0)
        made[number] = lambda prompt, group=group: hooks.set_hooks_for_conditioning(prompt, group)
    return _in_halves(case, made)


def _in_halves(case: Case, changes: dict[int, Any]) -> Any:
    from comfy import hooks

    return [
        entry
        for number, mask in enumerate(halves(), start=1)
        for entry in hooks.set_mask_for_conditioning(
            changes.get(number, lambda prompt: prompt)(case.prompt(number)), mask, "default", 1.0
        )
    ]
