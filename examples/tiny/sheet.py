"""A sheet of pictures by diffusers and ``lora_core``: ``python -m examples.tiny.sheet FILE.png``.

Every row is a scene. From left to right: plain, ink, half ink with light, light, snow, then ink
and light at -1.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext

import numpy as np
from PIL import Image

from .draw import SIZE, Scene
from .in_diffusers import by_our_core, pipeline, render

ROWS = (
    Scene(sun=0.25, height=0.75, hour=0.5, hills=0.8, trees=0.5, lake=0.6),
    Scene(sun=0.7, height=0.5, hour=0.0, hills=0.4, trees=0.0, lake=0.8),
    Scene(sun=0.5, height=0.4, hour=1.0, hills=0.6, trees=0.7, lake=0.0),
    Scene(sun=0.8, height=0.9, hour=0.3, hills=0.2, trees=1.0, lake=0.3),
)
COLUMNS: tuple[dict[str, float], ...] = (
    {},
    {"ink": 1.0},
    {"ink": 0.5, "light": 1.0},
    {"light": 1.0},
    {"snow": 1.0},
    {"ink": -1.0},
    {"light": -1.0},
)
GAP = 4
LARGER = 2


def main(file: str) -> None:
    pipe = pipeline()
    height, width = (count * (SIZE + GAP) + GAP for count in (len(ROWS), len(COLUMNS)))
    sheet = np.full((height, width, 3), 255, np.uint8)
    for row, scene in enumerate(ROWS):
        for column, strengths in enumerate(COLUMNS):
            with by_our_core(pipe, strengths) if strengths else nullcontext():
                image = render(pipe, scene, seed=row + 1)[1]
            y, x = (GAP + place * (SIZE + GAP) for place in (row, column))
            sheet[y : y + SIZE, x : x + SIZE] = image
    size = (width * LARGER, height * LARGER)
    Image.fromarray(sheet).resize(size, Image.Resampling.NEAREST).save(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
