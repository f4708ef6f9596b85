"""What of an image can be said in numbers from 0 to 255, and how it depends on strengths.

``python -m examples.tiny.measure`` prints the tables, rendered by diffusers and ``lora_core``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from .draw import SIZE, Scene, luminance

Image = np.ndarray
"""(64, 64, 3), in bytes."""

SEEDS = tuple(range(1, 9))
STRENGTHS = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
SCENE = Scene(sun=0.3, height=0.7, hour=0.5, hills=0.6, trees=0.4, lake=0.5)
MEADOW = Scene(sun=0.3, height=0.9, hour=0.4, hills=0.4, trees=0.0, lake=0.0)
"""Where the upper quarter is sky and the lower quarter is ground, whatever the seed."""


def saturation(image: Image) -> float:
    """How far the channels of a pixel are apart, on average."""
    return float(np.ptp(image.astype(float), axis=2).mean())


def brightness(image: Image) -> float:
    return float(luminance(image.astype(np.float32)).mean())


def sky(image: Image) -> Image:
    return image[: SIZE // 4]


def ground(image: Image) -> Image:
    return image[-SIZE // 4 :]


Render = Callable[[Scene, int, Mapping[str, float]], Image]
"""An image of a scene, from a seed, with LoRAs at strengths."""


def table(render: Render) -> str:
    """Every LoRA at every strength, averaged over the seeds."""

    @cache
    def images(scene: Scene, name: str, strength: float) -> list[Image]:
        return [render(scene, seed, {name: strength}) for seed in SEEDS]

    lines = [f"{'strength':<26}" + "".join(f"{strength:8.2f}" for strength in STRENGTHS)]
    rows = [(SCENE, name, "", _whole) for name in ("ink", "light")]
    rows += [(MEADOW, "snow", f"{part.__name__}, ", part) for part in (ground, sky)]
    for scene, name, what, part in rows:
        for measure in (saturation, brightness):
            values = [
                float(np.mean([measure(part(image)) for image in images(scene, name, strength)]))
                for strength in STRENGTHS
            ]
            lines.append(_line(f"{name}: {what}{measure.__name__}", values))
    return "\n".join(lines)


def _whole(image: Image) -> Image:
    return image


def _line(title: str, values: list[float]) -> str:
    return f"{title:<26}" + "".join(f"{value:8.1f}" for value in values)


def main() -> None:
    from .in_diffusers import by_our_core, pipeline, render

    pipe = pipeline()

    def rendered(scene: Scene, seed: int, strengths: Mapping[str, float]) -> Image:
        with by_our_core(pipe, strengths):
            return render(pipe, scene, seed)[1]

    print(table(rendered))


if __name__ == "__main__":
    main()
