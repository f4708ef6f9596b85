"""What LoRAs do to a picture, in the real host: the tiny model of examples/tiny draws it.

Thresholds are about half of what was measured, which ``make test`` shows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from examples.tiny import in_host
from examples.tiny.measure import MEADOW, SCENE, SEEDS, brightness, ground, saturation, sky
from harness.workflows import stacked_loras

pytestmark = pytest.mark.slow

STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def host(host_install, tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    with in_host.start(host_install, folder, "--cache-lru", "100") as running:
        yield running


@pytest.fixture(scope="module")
def draw(host):
    """The image of a scene, from a seed, with LoRAs at strengths."""

    def drawn(scene, seed: int, curve=None, dialect="kohya", **loras: float) -> np.ndarray:
        chosen = [(in_host.lora_name(name, dialect), value) for name, value in loras.items()]
        chain = stacked_loras(*chosen, curve=curve)
        (image,) = in_host.images(host, in_host.prompt(scene, seed, chain))
        return image

    return drawn


def row(draw, measure: Callable[[np.ndarray], float], seed: int, name: str) -> list[float]:
    """The measure at every strength."""
    return [measure(draw(SCENE, seed, **{name: strength})) for strength in STRENGTHS]


def steps(values: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]


@pytest.mark.parametrize(("name", "sign"), [("ink", -1), ("light", 1)])
def test_saturation_follows_the_strength_also_below_zero(draw, show, name, sign):
    rows = {seed: row(draw, saturation, seed, name) for seed in SEEDS}
    average = np.mean(list(rows.values()), axis=0)
    spread = " ".join(f"{s:g}:{v:.0f}" for s, v in zip(STRENGTHS, average, strict=True))
    least = min(min(sign * step for step in steps(values)) for values in rows.values())
    show(f"{name}: mean saturation by strength {spread}; smallest step of a seed {least:.1f}")
    assert least > 7


def test_half_ink_and_all_light_lies_between(draw, show):
    for seed in SEEDS:
        ink = saturation(draw(SCENE, seed, ink=0.5))
        light = saturation(draw(SCENE, seed, light=1.0))
        both = saturation(draw(SCENE, seed, ink=0.5, light=1.0))
        show(f"saturation, seed {seed}: ink 0.5 {ink:.0f} < both {both:.0f} < light {light:.0f}")
        assert ink + 15 < both < light - 15


def test_snow_turns_the_ground_white_and_leaves_the_sky(draw, show):
    for seed in SEEDS:
        plain, snow = draw(MEADOW, seed, snow=0.0), draw(MEADOW, seed, snow=1.0)
        change = np.abs(sky(snow).astype(int) - sky(plain)).mean()
        show(
            f"snow, seed {seed}: ground {brightness(ground(plain)):.0f} -> "
            f"{brightness(ground(snow)):.0f}, its saturation {saturation(ground(plain)):.0f} -> "
            f"{saturation(ground(snow)):.0f}, sky changed by {change:.1f}"
        )
        assert brightness(ground(snow)) > 215 > 160 > brightness(ground(plain))
        assert saturation(ground(snow)) < 15 < 45 < saturation(ground(plain))
        assert change < 12


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The mean difference of two images."""
    return float(np.abs(a.astype(int) - b).mean())


def test_ink_that_is_switched_off_halfway_lies_between_off_and_on(draw, show):
    """Nearer to off: the first half decides on shapes, the second on colours."""
    for seed in SEEDS:
        off, on = (draw(SCENE, seed, ink=strength) for strength in (0.0, 1.0))
        half = draw(SCENE, seed, curve=("0:1", 0.0, 0.5), ink=1.0)
        whole, from_off, from_on = apart(off, on), apart(half, off), apart(half, on)
        show(
            f"ink off halfway, seed {seed}: {from_off:.1f} from off, {from_on:.1f} from on, "
            f"which are {whole:.1f} apart"
        )
        assert 1 < from_off < from_on < whole + 1


def test_the_later_ink_is_switched_off_the_less_colour_there_is(draw, show):
    for seed in SEEDS:
        off = saturation(draw(SCENE, seed, ink=0.0))
        late, on = (
            saturation(draw(SCENE, seed, curve=("0:1", 0.0, end), ink=1.0)) for end in (0.9, 1.0)
        )
        show(f"saturation, seed {seed}: ink {on:.0f} < off at 0.9 {late:.0f} < never on {off:.0f}")
        assert on + 20 < late < off - 3


def test_the_three_dialects_of_a_file_are_one_lora(draw):
    for name in in_host.NAMES:
        first, *others = (
            draw(SCENE, 1, dialect=dialect, **{name: 1.0}).astype(int)
            for dialect in in_host.DIALECTS
        )
        assert all(np.abs(first - other).max() <= 2 for other in others)
