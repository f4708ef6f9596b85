"""What became of every file of a recipe, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..algebra import Term
from ..families import Delta
from ..naming import Part, part_of
from ..reading import base_of_file, dialects_of, disagreement, stated_base, trainer_of
from ..text import printable
from ..warning import LoraWarning, few, united
from .match import Match, MatchedDelta


@dataclass(frozen=True, slots=True)
class PartReport:
    """What became of a file's layers for one part of the model.

    Attributes:
        part: "model" is the denoiser, "clip" the text encoders.
        strength: The strength they are added with.
        found: Weights and biases that the file means to change.
        applied: How many of these found their weight.
        connected: Whether that part could be patched.
        live: How many of the applied ones are next to their layer instead of merged into it.
        modulations: What is added to ``strength`` over steps and images, in words. Its key in JSON is
            "varying".
        apart: Whether this strength was asked for itself, and is not only the model's.
        through: How many of the live ones change the weight that the model reads, since it does not
            run their layer.
        unused: How many of the live ones the model did not use.
        untouched: How many of the applied ones change nothing, since their blocks have the factor 0.
    """

    part: Part
    strength: float
    found: int
    applied: int
    connected: bool
    live: int = 0
    modulations: tuple[str, ...] = ()
    apart: bool = False
    through: int = 0
    unused: int = 0
    untouched: int = 0


@dataclass(frozen=True, slots=True)
class LoraReport:
    """What became of one file.

    Attributes:
        name: Name of the file.
        parts: What became of its layers, by part.
        families: The families of its adapters.
        ranks: Lowest and highest rank; None without low-rank pairs.
        parameters: How many numbers the file has for the layers that were applied.
        touched: How many numbers the changed weights have.
        unknown: Names in the file that mean nothing here.
        base: The base model it seems to be made for.
        dialects: Whose names it uses for layers.
        trainer: The program that trained it, if its metadata says so.
        disagrees: The base model in its metadata, if the model is another.
        zero_layers: How many layers have alpha 0, so that nothing is added. Its key in JSON is "silent".
        scale_unread: Whether its notes on the scale cannot be read.
        model: The kind of model it was applied to.
        widened: Layers that now take more inputs, in words.
        extra_warnings: Warnings that the match does not show; see ``warnings``.
        carried: Whether it is the one of several whose metadata the model carries for IC-LoRA
            nodes.
        side: Which of two models it was applied to, if that has to be said.
    """

    name: str
    parts: tuple[PartReport, ...]
    families: tuple[str, ...]
    ranks: tuple[int, int] | None
    parameters: int
    touched: int
    unknown: tuple[str, ...]
    base: str | None
    zero_layers: int
    scale_unread: bool
    dialects: tuple[str, ...] = ()
    trainer: str | None = None
    disagrees: str | None = None
    model: str | None = None
    widened: tuple[str, ...] = ()
    extra_warnings: tuple[LoraWarning, ...] = ()
    carried: bool = False
    side: str = ""

    def at(self, term: Term, live: int = 0, untouched: int = 0) -> LoraReport:
        """Returns the same report with the strengths of ``term``, ``live`` of its layers next to
        the model's, and ``untouched`` ones."""
        model, *others = self.parts
        modulations = tuple(f"{float(s):g} {modulation}" for modulation, s in term.modulated)
        model = replace(
            model,
            strength=float(term.strength_model),
            live=live,
            modulations=modulations,
            untouched=untouched,
        )
        clip = (
            replace(part, strength=float(term.strength_clip), apart=term.apart) for part in others
        )
        return replace(self, name=term.file.name, parts=(model, *clip)).with_warnings(
            *term.warnings
        )

    def reaching(self, through: int, unused: int) -> LoraReport:
        """Returns the same report after the model has computed: how its live layers were reached."""
        model, *others = self.parts
        return replace(self, parts=(replace(model, through=through, unused=unused), *others))

    def with_warnings(self, *warnings: LoraWarning) -> LoraReport:
        """Returns the same report with ``warnings`` that the match does not show."""
        return replace(self, extra_warnings=united((*self.extra_warnings, *warnings)))

    @property
    def warnings(self) -> tuple[LoraWarning, ...]:
        """All warnings about the file: the page counts them, and the text lists them."""
        return (*_of_layers(self), *_of_text(self), *_of_notes(self), *self.extra_warnings)

    @property
    def headline(self) -> str:
        """One line: the file, what is in it, and how much of it was applied."""
        done = ", ".join(map(_part_line, filter(_shown, self.parts)))
        return printable(f"{_title(self)}: {done}")

    def __str__(self) -> str:
        return printable("\n".join([_title(self), *(f"    {line}" for line in _details(self))]))


@dataclass(frozen=True, slots=True)
class Report:
    """What became of every file of a recipe; ``str()`` is the text for people."""

    loras: tuple[LoraReport, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.loras)) or "No LoRA: the model is unchanged."

    def in_order(self, names: Sequence[str]) -> Report:
        """Returns the same with these files first, in the order of a list of theirs."""
        place = {name: number for number, name in reversed([*enumerate(names)])}
        last = len(names)
        order = sorted(self.loras, key=lambda lora: (place.get(lora.name, last), lora.side))
        return Report(tuple(order))

    def on(self, side: str) -> Report:
        """Returns the same, said of one of two models."""
        return Report(tuple(replace(lora, side=side) for lora in self.loras))

    def to_dict(self) -> dict[str, object]:
        """Returns the same as plain values, ready for JSON."""
        return {"loras": [_plain(lora) for lora in self.loras]}


def report_match(match: Match) -> LoraReport:
    """Returns the report of one matched file, at strength 1."""
    modules = match.file.modules
    applied = {matched.name for matched in match.deltas}
    return LoraReport(
        name=match.file.id.name,
        parts=(_part(match, "model"), _part(match, "clip")),
        families=tuple(sorted({f for module in modules.values() for f in module.families})),
        ranks=_ranks(_deltas(match)),
        parameters=sum(modules[name].parameters for name in applied),
        touched=_touched(match.deltas),
        unknown=(*_unknown(match), *match.file.unknown),
        base=_made_for(match),
        zero_layers=sum(delta.is_zero for delta in _deltas(match)),
        scale_unread=match.file.notes.unreadable,
        dialects=dialects_of(modules),
        trainer=trainer_of(match.file.metadata, match.file.notes),
        disagrees=disagreement(match.file.metadata, match.base),
        model=match.base,
        widened=_widened(match),
    )


def _made_for(match: Match) -> str | None:
    """Returns the base that a file states, else the model that it fits entirely, else what it looks
    like."""
    fits = match.deltas and not _unknown(match)
    return stated_base(match.file.metadata) or (match.base if fits else base_of_file(match.file))


def _widened(match: Match) -> tuple[str, ...]:
    return tuple(
        f"{matched.name} takes {matched.weight_term.width} inputs now, {matched.shape[1]} before"
        for matched in match.deltas
        if matched.weight_term.width is not None
    )


def _deltas(match: Match) -> list[Delta]:
    return [matched.weight_term.delta for matched in match.deltas]


def _plain(lora: LoraReport) -> dict[str, object]:
    return {
        "name": lora.name,
        "parts": [_plain_part(part) for part in lora.parts],
        "families": lora.families,
        "ranks": lora.ranks,
        "parameters": lora.parameters,
        "touched": lora.touched,
        "unknown": lora.unknown,
        "base": lora.base,
        "silent": lora.zero_layers,
        "scale_unread": lora.scale_unread,
        "dialects": lora.dialects,
        "trainer": lora.trainer,
        "disagrees": lora.disagrees,
        "model": lora.model,
        "widened": lora.widened,
        "carried": lora.carried,
        "warnings": [warning.to_dict() for warning in lora.warnings],
    }


def _plain_part(part: PartReport) -> dict[str, object]:
    return {
        "part": part.part,
        "strength": part.strength,
        "found": part.found,
        "applied": part.applied,
        "connected": part.connected,
        "live": part.live,
        "varying": part.modulations,
        "apart": part.apart,
        "through": part.through,
        "unused": part.unused,
        "untouched": part.untouched,
    }


def _part(match: Match, part: Part) -> PartReport:
    own = [matched for matched in match.deltas if matched.weight_term.target.part == part]
    applied = len({(matched.name, matched.weight_term.delta.slot) for matched in own})
    missed = sum(part_of(name) == part for name in match.missed)
    return PartReport(part, 1.0, applied + missed, applied, part in match.parts)


def _ranks(deltas: Iterable[Delta]) -> tuple[int, int] | None:
    ranks = [delta.rank for delta in deltas if delta.rank is not None]
    return (min(ranks), max(ranks)) if ranks else None


def _touched(deltas: Iterable[MatchedDelta]) -> int:
    targets = {(matched.model, matched.weight_term.target): matched.shape for matched in deltas}
    return sum(math.prod(shape) for shape in targets.values())


def _unknown(match: Match) -> list[str]:
    missed = dict.fromkeys(match.missed)
    return [name for name in missed if part_of(name) in match.parts]


def _title(lora: LoraReport) -> str:
    facts = [" + ".join(lora.families), _rank_text(lora.ranks), lora.base or ""]
    side = f"{lora.side}: " if lora.side else ""
    return f"{side}{lora.name} ({', '.join(filter(None, facts))})"


def _rank_text(ranks: tuple[int, int] | None) -> str:
    if ranks is None:
        return ""
    low, high = ranks
    return f"rank {low}" if low == high else f"rank {low}–{high}"


def _shown(part: PartReport) -> bool:
    """Tells whether a part is mentioned: the denoiser only if the file has something for it."""
    return part.found > 0 or part.part == "clip"


def _details(lora: LoraReport) -> Sequence[str]:
    lines = [_part_line(part) for part in lora.parts if _shown(part)]
    if lora.touched:
        lines.append(
            f"{lora.parameters:,} parameters in the file for {lora.touched:,} in the weights"
        )
    lines.append(_origin_line(lora))
    lines.extend(lora.widened)
    if lora.carried:
        lines.append("nodes for IC-LoRAs behind this one read the metadata of this file")
    lines.extend(f"warning: {warning.text}" for warning in lora.warnings)
    return lines


def _of_layers(lora: LoraReport) -> Iterator[LoraWarning]:
    if lora.unknown:
        yield LoraWarning.of("unknown_layers", count=len(lora.unknown), names=few(lora.unknown))
    if lora.zero_layers:
        yield LoraWarning.of("alpha_zero", count=lora.zero_layers)
    for part in lora.parts:
        if part.unused and part.unused == part.live >= part.applied:
            yield LoraWarning.of("not_used", count=part.unused)


def _of_text(lora: LoraReport) -> Iterator[LoraWarning]:
    """Yields warnings about text layers; if there are none, only when somebody expects their
    effect."""
    clip = next(part for part in lora.parts if part.part == "clip")
    if clip.found and clip.strength and not clip.connected:
        yield LoraWarning.of("clip_not_connected", count=clip.found)
    if clip.connected and clip.apart and clip.strength and not clip.found:
        yield LoraWarning.of("no_clip_layers", strength=f"{clip.strength:g}")


def _of_notes(lora: LoraReport) -> Iterator[LoraWarning]:
    if lora.disagrees:
        yield LoraWarning.of("made_for_other", base=lora.disagrees, model=lora.model)
    if lora.scale_unread:
        yield LoraWarning.of("scale_unread")


def _origin_line(lora: LoraReport) -> str:
    trainer = f"; trained with {lora.trainer}" if lora.trainer else ""
    return f"names: {', '.join(lora.dialects)}{trainer}"


def _part_line(part: PartReport) -> str:
    title, socket = {"model": ("model", "MODEL"), "clip": ("text encoder", "CLIP")}[part.part]
    if not part.found:
        return f"{title}: nothing in the file"
    if not part.connected:
        return f"{title}: {_layers(part.found)}, no {socket} connected"
    return f"{title}: {part.applied} of {_layers(part.found)} {_effect(part)}"


def _effect(part: PartReport) -> str:
    strengths = [*([f"{part.strength:g}"] if part.strength else []), *part.modulations]
    if not strengths:
        return "at strength 0: no effect"
    return f"at strength {' + '.join(strengths)}{_where(part)}"


def _where(part: PartReport) -> str:
    """Says what is live. Merging is the usual case and is not mentioned."""
    left = f", {part.untouched} of them untouched" if part.untouched else ""
    if not part.live:
        return left
    merged = part.applied - part.live - part.untouched
    how = f", {part.live} live and {merged} merged" if merged else ", live"
    reached = {"through the weight": part.through, "not used by the model": part.unused}
    details = ", ".join(f"{count} {where}" for where, count in reached.items() if count)
    return f"{how} ({details}){left}" if details else how + left


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"
