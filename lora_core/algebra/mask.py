"""Masks: a factor for each place in the picture."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar, Final, cast

import torch

from ..errors import LoraInputError
from ..naming import ARCHITECTURES, Layer, Layers
from ..strict_json import Json
from .curve import LARGEST_VALUE
from .json_fields import field_of, objects_of
from .modifier import Axis, Modifier, Moment
from .strength import exact_strength, read_strength, written

MOST_PIXELS: Final = 2**30
"""The largest mask that a recipe's JSON can hold, in pixels of all frames together."""


@dataclass(frozen=True, slots=True, order=True)
class Mask(Modifier):
    """A factor for each place in the picture, and one for what has no place.

    Attributes:
        digest: What tells masks apart: SHA-256 of their shape and values.
        elsewhere: The factor of what has no place: text, reference images, and what is one vector
            for a whole image.
        low, high: The least and the greatest of the values.
        values: (N, H, W) in float32: one mask, or one for each image or frame. Nobody may write to
            it.
    """

    axes: ClassVar[frozenset[Axis]] = frozenset(("place",))

    digest: str
    elsewhere: Fraction
    low: float = field(compare=False)
    high: float = field(compare=False)
    values: torch.Tensor = field(compare=False, repr=False)

    @classmethod
    def of(cls, values: torch.Tensor, elsewhere: float = 0.0) -> Mask:
        """Returns the mask of some pixels.

        Args:
            values: (H, W) or (N, H, W).
            elsewhere: The factor of what has no place.

        Raises:
            LoraInputError: It has another shape, no pixels, or a value that is no factor.
        """
        exact = exact_strength(elsewhere, "elsewhere")
        if abs(exact) > LARGEST_VALUE:
            raise _refused(f"elsewhere of at most {LARGEST_VALUE}", f"{elsewhere}", "elsewhere")
        pixels = values.detach().to("cpu", torch.float32)
        pixels = (pixels[None] if pixels.ndim == 2 else pixels).contiguous()
        if pixels.ndim != 3 or not pixels.numel():
            raise _refused("a mask of height and width", f"the shape {tuple(values.shape)}")
        low, high = (float(end) for end in torch.aminmax(pixels))
        if not (math.isfinite(low) and max(abs(low), abs(high)) <= LARGEST_VALUE):
            raise _refused(f"values of at most {LARGEST_VALUE}", f"{low} to {high}")
        digest = hashlib.sha256(str(tuple(pixels.shape)).encode())
        digest.update(pixels.view(torch.uint8).flatten().numpy().data)
        return cls(digest.hexdigest(), exact, low, high, pixels)

    @property
    def constant(self) -> Fraction | None:
        return self.elsewhere if self.low == self.high == self.elsewhere else None

    @property
    def json_version(self) -> int:
        return 5

    @property
    def words(self) -> str:
        frames, height, width = self.values.shape
        many = f"{frames} masks, " if frames > 1 else ""
        share = 100 * float(self.values.mean(dtype=torch.float64))
        rest = f", {float(self.elsewhere):g} elsewhere" if self.elsewhere else ""
        return f"masked ({many}{width}×{height}, {share:.3g} % of the picture{rest})"

    def factors(self, moment: Moment, layer: Layer | None) -> tuple[float, ...]:
        """Returns the factor of what has no place; ``applying.Places`` gives that of places."""
        return (float(self.elsewhere),)

    def max_abs(self, layer: Layer | None = None) -> float:
        return max(abs(self.low), abs(self.high), abs(float(self.elsewhere)))

    def check(self, model: Layers) -> None:
        """Refuses a model of which we do not know where in its layers the picture is
        (LoraInputError)."""
        if model.tokens is None:
            known = ", ".join(sorted(own.name for own in ARCHITECTURES if own.tokens))
            raise _refused(f"one of {known}", model.base or "a model that we do not know")

    def times(self, other: Modifier) -> Modifier | None:
        return None

    def identity(self) -> dict[str, list[Json]]:
        return {"masks": [{"digest": self.digest, "elsewhere": written(self.elsewhere)}]}

    def to_json(self) -> dict[str, list[Json]]:
        packed = base64.b64encode(zlib.compress(self.values.numpy().astype("<f4").tobytes()))
        shape: list[Json] = [*self.values.shape]
        entry: Json = {
            "shape": shape,
            "elsewhere": written(self.elsewhere),
            "values": packed.decode(),
        }
        return {"masks": [entry]}

    @classmethod
    def from_json(cls, entry: dict[str, Json]) -> list[Mask]:
        return [*map(_read, objects_of(entry, "masks"))]


def _read(entry: dict[str, Json]) -> Mask:
    shape = entry.get("shape")
    sizes = cast("list[int]", shape) if isinstance(shape, list) else []
    numbers = all(type(size) is int and size > 0 for size in sizes)
    if len(sizes) != 3 or not numbers or math.prod(sizes) > MOST_PIXELS:
        raise _refused(f"a shape of three sizes and at most {MOST_PIXELS} pixels", str(shape)[:60])
    values = _unpacked(field_of(entry, "values", str), 4 * math.prod(sizes))
    pixels = torch.frombuffer(bytearray(values), dtype=torch.float32).view(sizes)
    return Mask.of(pixels, float(read_strength(entry, "elsewhere")))


def _unpacked(text: str, size: int) -> bytes:
    """Returns ``size`` bytes, and never makes more, whatever the text claims."""
    try:
        values = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise _refused("packed values", str(error)[:60]) from error
    if len(values) != size:
        raise _refused(f"{size} bytes of values", f"{len(values)}")
    return values


def _refused(expected: str, found: str, key: str = "mask") -> LoraInputError:
    return LoraInputError(
        f"Mask LoRA needs {expected}; found {found}.", key=key, expected=expected, found=found
    )
