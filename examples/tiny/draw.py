"""Draws 64×64 landscapes: sky, sun, two rows of hills, trees, a lake.

A ``Scene`` is what the model is asked for; all else (where hills rise, where trees stand) comes
from a seed. A picture can be drawn in a style at any strength, since a style is a straight line
in colour space: 0 is the plain picture, 1 the style, and -1 its opposite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]

SIZE = 64
FINER = 2
"""Drawn this much larger, then averaged, so that edges are smooth."""

_FINE = SIZE * FINER


@dataclass(frozen=True)
class Scene:
    """What is asked for; every attribute from 0 to 1.

    ``sun`` from left to right, ``height`` of the sun, ``hour`` from dawn over noon to dusk,
    ``hills`` from flat to steep, ``trees`` from none to many, ``lake`` from none to large.
    """

    sun: float = 0.3
    height: float = 0.6
    hour: float = 0.5
    hills: float = 0.5
    trees: float = 0.5
    lake: float = 0.5

    def values(self) -> tuple[float, ...]:
        return (self.sun, self.height, self.hour, self.hills, self.trees, self.lake)


@dataclass(frozen=True)
class Picture:
    """``image`` is (64, 64, 3) from 0 to 1; the masks (64, 64, 1) say how much of a pixel is it."""

    image: Array
    ground: Array
    edges: Array
    glow: Array


@dataclass(frozen=True)
class _Hour:
    """The colours of one time of day."""

    top: tuple[float, float, float]
    horizon: tuple[float, float, float]
    sun: tuple[float, float, float]
    light: float


_HOURS = (
    _Hour((0.47, 0.50, 0.72), (0.98, 0.75, 0.66), (1.00, 0.88, 0.62), 0.80),
    _Hour((0.30, 0.55, 0.88), (0.74, 0.87, 0.95), (1.00, 0.96, 0.72), 1.00),
    _Hour((0.28, 0.25, 0.50), (0.95, 0.55, 0.32), (1.00, 0.72, 0.36), 0.62),
)

_FAR = np.array((0.36, 0.50, 0.55), np.float32)
_NEAR = np.array((0.36, 0.55, 0.25), np.float32)
_MEADOW = np.array((0.52, 0.66, 0.30), np.float32)
_TREE = np.array((0.10, 0.27, 0.17), np.float32)
_SNOW = np.array((0.95, 0.96, 0.98), np.float32)


def random_scene(rng: np.random.Generator) -> Scene:
    """Any scene; every third has no lake, and every third no trees."""
    values = rng.uniform(0, 1, 6)
    values[4:] = np.clip(values[4:] * 1.5 - 0.5, 0, 1)
    return Scene(*(float(value) for value in values))


def draw(scene: Scene, seed: int, *, with_edges: bool = True) -> Picture:
    """The picture of a scene; the same for the same seed. Ink needs edges, which take a while."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:_FINE, 0:_FINE].astype(np.float32) / _FINE
    hour = _hour(scene.hour)
    sky, glow = _sky(scene, hour, x, y)
    far = _cover(y - _ridge(rng, x, 0.55, 0.05 + 0.16 * scene.hills, (1, 3)))
    crest = _ridge(rng, x, 0.68, 0.02 + 0.10 * scene.hills, (1, 2))
    near = _cover(y - crest)
    trees = _trees(rng, scene, x, y, crest)
    shore = 0.98 - 0.22 * scene.lake
    lake = _cover(y - shore) * (scene.lake > 0)

    image = _over(sky, _shaded(_FAR, hour, 0.35), far)
    depth = np.clip((y - crest) / 0.3, 0, 1)[..., None]
    image = _over(image, _shaded(_NEAR + (_MEADOW - _NEAR) * depth, hour, 0.12), near)
    image = _over(image, _water(hour, scene, x, y, shore), lake)
    image = _over(image, _shaded(_TREE, hour, 0.05), trees)

    land = np.maximum(far, near) * (1 - lake)
    outlines = [_outline(shape) for shape in (far, near, lake)] if with_edges else []
    edges = np.clip(sum(outlines, trees), 0, 1)
    return Picture(*(_smaller(part) for part in (image, land * (1 - trees), edges, glow)))


def _hour(value: float) -> _Hour:
    """Between the neighbouring times of day."""
    place = value * (len(_HOURS) - 1)
    first = min(int(place), len(_HOURS) - 2)
    share = place - first
    before, after = _HOURS[first], _HOURS[first + 1]

    def between(
        a: tuple[float, float, float], b: tuple[float, float, float]
    ) -> tuple[float, float, float]:
        mixed = [p + (q - p) * share for p, q in zip(a, b, strict=True)]
        return (mixed[0], mixed[1], mixed[2])

    return _Hour(
        between(before.top, after.top),
        between(before.horizon, after.horizon),
        between(before.sun, after.sun),
        before.light + (after.light - before.light) * share,
    )


def _sky(scene: Scene, hour: _Hour, x: Array, y: Array) -> tuple[Array, Array]:
    top, horizon, sun = (np.array(c, np.float32) for c in (hour.top, hour.horizon, hour.sun))
    down = np.clip(y / 0.62, 0, 1)[..., None]
    distance = np.hypot(x - (0.12 + 0.76 * scene.sun), y - (0.46 - 0.34 * scene.height))
    glow = np.exp(-((distance / 0.20) ** 2))[..., None].astype(np.float32)
    image = _over(top + (horizon - top) * down, sun, 0.45 * glow)
    return _over(image, sun, _cover(0.085 - distance)), glow


def _ridge(
    rng: np.random.Generator, x: Array, base: float, rise: float, waves: tuple[int, int]
) -> Array:
    """The height of a crest at every x, as a share of the picture from above."""
    slow, fast = waves
    phases = rng.uniform(0, 2 * np.pi, 3)
    line = np.sin(2 * np.pi * slow * 0.7 * x + phases[0])
    line = line + 0.5 * np.sin(2 * np.pi * fast * 0.8 * x + phases[1])
    return (base + rise * (line - 0.5) * 0.7).astype(np.float32)


def _trees(rng: np.random.Generator, scene: Scene, x: Array, y: Array, crest: Array) -> Array:
    """Up to seven firs that stand below the crest."""
    cover = np.zeros((_FINE, _FINE, 1), np.float32)
    for _ in range(round(7 * scene.trees)):
        middle, depth, tall = rng.uniform(0.04, 0.96), rng.uniform(0.03, 0.10), rng.uniform(0.8, 1)
        foot = crest[0, int(middle * _FINE)] + depth
        tall = 0.21 * tall
        inside = (y > foot - tall) & (y < foot)
        half = 0.30 * np.clip(y - (foot - tall), 0, None)
        fir = inside & (np.abs(x - middle) < half)
        cover = np.maximum(cover, fir[..., None].astype(np.float32))
    return cover


def _water(hour: _Hour, scene: Scene, x: Array, y: Array, shore: float) -> Array:
    """The sky upside down, with a bright path below the sun."""
    top, horizon, sun = (np.array(c, np.float32) for c in (hour.top, hour.horizon, hour.sun))
    down = np.clip((y - shore) / 0.22, 0, 1)[..., None]
    water = (horizon + (top - horizon) * down) * 0.86
    path = np.exp(-(((x - (0.12 + 0.76 * scene.sun)) / 0.07) ** 2))[..., None]
    return _over(water.astype(np.float32), sun, 0.7 * path.astype(np.float32))


def _shaded(colour: Array, hour: _Hour, haze: float) -> Array:
    """Shades a colour in the light of the hour: the farther away, the bluer."""
    horizon = np.array(hour.horizon, np.float32)
    return colour * hour.light * (1 - haze) + horizon * haze


def _cover(distance: Array) -> Array:
    """1 where it is positive, with an edge of about a pixel."""
    return np.clip(distance * _FINE / 2 + 0.5, 0, 1)[..., None].astype(np.float32)


def _over(below: Array, above: Array, cover: Array) -> Array:
    return below + (above - below) * cover


def _outline(cover: Array) -> Array:
    """A stroke along the edge of a shape."""
    reach = 3
    wider = np.pad(cover[..., 0], reach, mode="edge")
    window = np.lib.stride_tricks.sliding_window_view(wider, (2 * reach + 1,) * 2)
    share = window.mean(axis=(2, 3))
    return np.clip(4 * share * (1 - share), 0, 1)[..., None].astype(np.float32)


def _smaller(image: Array) -> Array:
    parts = image.reshape(SIZE, FINER, SIZE, FINER, -1)
    return parts.mean(axis=(1, 3)).astype(np.float32)


def luminance(image: Array) -> Array:
    return (image @ np.array((0.299, 0.587, 0.114), np.float32))[..., None]


def _ink(picture: Picture) -> Array:
    """Grey washes on paper, with dark strokes where shapes end."""
    wash = 0.30 + 1.25 * (luminance(picture.image) - 0.25)
    paper = np.array((0.97, 0.95, 0.90), np.float32)
    return np.clip(wash, 0.15, 1) * paper * (1 - 0.75 * picture.edges)


def _light(picture: Picture) -> Array:
    """Saturated, with more contrast and a sun that shines far."""
    grey = luminance(picture.image)
    vivid = grey + 1.7 * (picture.image - grey)
    vivid = 0.5 + 1.15 * (vivid - 0.47)
    return vivid + 0.35 * picture.glow * np.array((1.0, 0.8, 0.3), np.float32)


def _snow(picture: Picture) -> Array:
    """White ground; sky, trees and water as they are."""
    shade = 0.88 + 0.12 * np.clip(luminance(picture.image) / 0.6, 0, 1)
    return _over(picture.image, shade * _SNOW, picture.ground)


STYLES: dict[str, Callable[[Picture], Array]] = {"ink": _ink, "light": _light, "snow": _snow}


def styled(picture: Picture, style: str, strength: float) -> Array:
    """The picture's image with a style at a strength."""
    plain = picture.image
    return np.clip(plain + strength * (STYLES[style](picture) - plain), 0, 1)
