"""An analysis in words: what matters first, then the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..text import printable
from .analyse import Analysis, fights
from .places import Place

OVERBAKED = 2.0
"""How many times larger than the largest LoRA a sum may be before it is mentioned."""


MOST_FIGHTS = 5


def words(analysis: Analysis) -> str:
    """Writes an analysis for people."""
    return printable("\n".join([*_loras(analysis), *_together(analysis), *_pairs(analysis)]))


def _loras(analysis: Analysis) -> Iterator[str]:
    for name, size, smaller in zip(analysis.names, analysis.sizes, analysis.smaller, strict=True):
        how = ", ".join(f"rank {s.rank} ({s.share:.0%} of its size) at {s.error}" for s in smaller)
        yield f"{name}: changes {size:.4g}; could be {how}"


def _together(analysis: Analysis) -> Iterator[str]:
    if len(analysis.names) < 2:
        return
    largest = max(analysis.sizes)
    times = analysis.total / largest if largest else 0.0
    yield f"all together: {analysis.total:.4g}, {times:.2f} times the largest"
    if times > OVERBAKED:
        yield f"  overbakes: the sum is {times:.1f} times the largest LoRA. Lower the strengths."
    strongest = sorted(fights(analysis.cells), key=lambda found: found[2])[:MOST_FIGHTS]
    for kind, places, agreement in strongest:
        yield f"  fights: {agreement:.0%} in {kind} of {_places(places)}"


def _pairs(analysis: Analysis) -> Iterator[str]:
    count = len(analysis.names)
    for one in range(count):
        for other in range(one + 1, count):
            yield (
                f"{analysis.names[one]} and {analysis.names[other]}: "
                f"cosine {round(analysis.cosines[one][other], 2) + 0.0:.2f}, "
                f"{analysis.outputs[one][other]:.0%} of the outputs shared, "
                f"{analysis.inputs[one][other]:.0%} of the inputs"
            )


def _places(places: Sequence[Place]) -> str:
    (name, first), (_, last) = places[0], places[-1]
    if not name:
        return "the layers outside of blocks"
    return f"{name} {first}" if first == last else f"{name} {first}-{last}"
