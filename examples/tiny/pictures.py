"""The pictures that everything here is trained on, drawn anew by whoever trains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .draw import STYLES, Picture, Scene, draw, random_scene, styled


@dataclass(frozen=True)
class Drawn:
    """Scenes with their pictures."""

    scenes: tuple[Scene, ...]
    pictures: tuple[Picture, ...]

    def plain(self) -> torch.Tensor:
        """(count, 3, 64, 64) from -1 to 1."""
        return as_batch([picture.image for picture in self.pictures])

    def in_style(self, style: str, strengths: np.ndarray) -> torch.Tensor:
        """Each picture in the style at its strength."""
        pairs = zip(self.pictures, strengths, strict=True)
        return as_batch([styled(picture, style, float(each)) for picture, each in pairs])

    def in_any_style(self, seed: int) -> torch.Tensor:
        """Each picture in some style at some strength from -1 to 1."""
        rng = np.random.default_rng(seed)
        names = list(STYLES)
        return as_batch(
            [styled(p, names[rng.integers(len(names))], rng.uniform(-1, 1)) for p in self.pictures]
        )


def drawn(count: int, seed: int, *, with_edges: bool = True) -> Drawn:
    """Pictures of random scenes."""
    rng = np.random.default_rng(seed)
    scenes = tuple(random_scene(rng) for _ in range(count))
    seeds = [int(rng.integers(2**31)) for _ in scenes]
    pairs = zip(scenes, seeds, strict=True)
    pictures = tuple(draw(scene, each, with_edges=with_edges) for scene, each in pairs)
    return Drawn(scenes, pictures)


def as_batch(images: list[np.ndarray]) -> torch.Tensor:
    """Images from 0 to 1, (64, 64, 3) each, as a model takes them."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return (batch * 2 - 1).contiguous()
