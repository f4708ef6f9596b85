"""What of an image can be said in numbers from 0 to 255, and how it depends on strengths.

``python -m examples.tiny.measure`` prints the tables, rendered by diffusers and ``lora_core``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


def mean_over_seeds(
    render: Render, scene: Scene, strengths: Mapping[str, float], of: Callable[[Image], float]
) -> float:
    return float(np.mean([of(render(scene, seed, strengths)) for seed in SEEDS]))


def table(render: Render) -> str:
    """Every LoRA at every strength, averaged over the seeds."""
    lines = ["strength" + "".join(f"{strength:8.2f}" for strength in STRENGTHS)]
    for name in ("ink", "light"):
        for measure in (saturation, brightness):
            row = [mean_over_seeds(render, SCENE, {name: s}, measure) for s in STRENGTHS]
            lines.append(_line(f"{name}: {measure.__name__}", row))
    for part in (ground, sky):
        for measure in (saturation, brightness):
            row = [
                mean_over_seeds(render, MEADOW, {"snow": s}, lambda x, p=part, m=measure: m(p(x)))
                for s in STRENGTHS
            ]
            lines.append(_line(f"snow: {part.__name__}, {measure.__name__}", row))
    return "\n".join(lines)


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
