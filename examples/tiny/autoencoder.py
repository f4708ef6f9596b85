"""A small autoencoder, and the same one in the layout of TAESD.

TAESD is 64 channels wide everywhere, which is more than landscapes need and than one core can
train in minutes. So a narrower decoder is trained and then padded with zeros to that width: a
block of zeros only passes on what it gets, and so computes the same. The encoder is not trained
at all: it is the principal components of patches of 8×8, written as convolutions.
"""

from __future__ import annotations

import torch
from torch import nn

CHANNELS = 16
"""The channels of a latent, as in SD 3."""

SCALE, SHIFT = 1.5305, 0.0609
"""What the host does to latents of SD 3 before a VAE sees them; TAESD's file undoes it."""

WIDTH = 64
_FULL, _HALF, _QUARTER, _EIGHTH = 16, 32, 64, 64
"""Channels of the decoder that are trained, by the size of the image."""

_EVEN = 0.8
"""How far components are brought to the same size: 0 leaves them, 1 makes them all the same."""

_SIZE = 0.6
"""Of latents on average. Trees and the sun are rare and many times that, and TAESD clamps at 3."""


class Block(nn.Module):
    """Three convolutions beside the way past them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [layer for _ in range(3) for layer in (_conv(width, width), nn.ReLU())]
        self.conv = nn.Sequential(*layers[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x) + x)


class Clamp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / 3) * 3


def _conv(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, stride=stride, bias=bias)


def _blocks(width: int, trained: int, all_of_them: int) -> list[nn.Module]:
    """The blocks of one size; those that are not trained pass on what they get."""
    return [Block(width) if i < trained else nn.ReLU() for i in range(all_of_them)]


class Encoder(nn.Sequential):
    """Gathers the pixels of a patch step by step, then takes its principal components."""

    def __init__(self) -> None:
        super().__init__(
            _conv(3, 3),
            *_blocks(3, 0, 1),
            _conv(3, 12, stride=2, bias=False),
            *_blocks(12, 0, 3),
            _conv(12, 48, stride=2, bias=False),
            *_blocks(48, 0, 3),
            _conv(48, 2 * CHANNELS, stride=2, bias=False),  # each with its negative, for the ReLU
            *_blocks(2 * CHANNELS, 0, 3),
            _conv(2 * CHANNELS, CHANNELS),
        )
        for weight in self.parameters():
            nn.init.zeros_(weight)
        with torch.no_grad():
            self[0].weight[:, :, 1, 1] = torch.eye(3)
            for index, channels in ((2, 3), (6, 12)):
                self[index].weight[:, :, 1:, 1:] = _gather(channels)

    @torch.no_grad()
    def fit(self, images: torch.Tensor) -> None:
        """Take the components from these images, from 0 to 1."""
        gathered = nn.Sequential(*list(self)[:10])(images)
        patches = gathered.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 2, 4, 1, 3, 5)
        patches = patches.flatten(3).flatten(0, 2).double()
        variance, components = torch.linalg.eigh(torch.cov(patches.T))
        kept = components.flip(1)[:, :CHANNELS].T
        scale = variance.flip(0)[:CHANNELS] ** (-_EVEN / 2)
        mean = kept @ patches.mean(0)
        sizes = scale * variance.flip(0)[:CHANNELS].sqrt()
        scale = scale * _SIZE / sizes.square().mean().sqrt()
        kept = kept.reshape(CHANNELS, 48, 2, 2).float()
        self[10].weight[:, :, 1:, 1:] = torch.cat([kept, -kept])
        signs = torch.cat([torch.diag(scale), -torch.diag(scale)], dim=1)
        self[14].weight[:, :, 1, 1] = signs.float()
        self[14].bias.copy_(-scale * mean)


def _gather(channels: int) -> torch.Tensor:
    """Returns (4·channels, channels, 2, 2): the four pixels of a square become channels."""
    return torch.eye(4 * channels).reshape(4 * channels, channels, 2, 2)


def _up(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), _conv(inputs, outputs, bias=False)]


class Decoder(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            Clamp(),
            _conv(CHANNELS, _EIGHTH),
            nn.ReLU(),
            *_blocks(_EIGHTH, 3, 3),
            *_up(_EIGHTH, _QUARTER),
            *_blocks(_QUARTER, 2, 3),
            *_up(_QUARTER, _HALF),
            *_blocks(_HALF, 2, 3),
            *_up(_HALF, _FULL),
            *_blocks(_FULL, 1, 1),
            _conv(_FULL, 3),
        )


class Autoencoder(nn.Module):
    """Images from -1 to 1 to latents of about unit size, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        _initialise(self.decoder)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.encoder(images * 0.5 + 0.5)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.decoder(latents) * 2 - 1


def _initialise(decoder: Decoder) -> None:
    """Signals keep their size on the way through, and blocks do nothing at first."""
    for layer in decoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in decoder.modules():
        if isinstance(layer, Block):
            nn.init.zeros_(layer.conv[4].weight)
    nn.init.constant_(decoder[-1].bias, 0.5)
    with torch.no_grad():
        decoder[-1].weight.mul_(0.2)


def as_taesd(model: Autoencoder) -> dict[str, torch.Tensor]:
    """The file that ComfyUI's VAELoader reads as a TAESD of 16 channels."""
    weights = {
        **_widened("taesd_encoder.", model.encoder),
        **_widened("taesd_decoder.", model.decoder),
    }
    return weights | {"vae_scale": torch.tensor(SCALE), "vae_shift": torch.tensor(SHIFT)}


def _widened(prefix: str, layers: nn.Sequential) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = {}
    last = len(layers) - 1
    for index, layer in enumerate(layers):
        name = f"{prefix}{index}."
        if isinstance(layer, nn.Conv2d):
            outputs = layer.out_channels if index == last else WIDTH
            inputs = layer.in_channels if layer.in_channels in {3, CHANNELS} else WIDTH
            first = index < 2  # the layers that look at an image or a latent
            weights |= _padded(name, layer, outputs, inputs if first else WIDTH)
        elif isinstance(layer, Block):
            for place in (0, 2, 4):
                weights |= _padded(f"{name}conv.{place}.", layer.conv[place], WIDTH, WIDTH)
        elif isinstance(layer, nn.ReLU) and not _is_plain(layers, index):
            weights |= _nothing(name)
    return weights


def _is_plain(layers: nn.Sequential, index: int) -> bool:
    """TAESD's only ReLU outside a block is behind the decoder's first convolution."""
    return isinstance(layers[0], Clamp) and index == 2


def _padded(name: str, layer: nn.Module, outputs: int, inputs: int) -> dict[str, torch.Tensor]:
    weight, bias = layer.weight.detach(), layer.bias
    wide = torch.zeros(outputs, inputs, 3, 3)
    wide[: weight.shape[0], : weight.shape[1]] = weight
    padded = {f"{name}weight": wide}
    if bias is not None:
        padded[f"{name}bias"] = torch.zeros(outputs)
        padded[f"{name}bias"][: len(bias)] = bias.detach()
    return padded


def _nothing(name: str) -> dict[str, torch.Tensor]:
    """Returns a block that passes on its input."""
    places = [f"{name}conv.{place}." for place in (0, 2, 4)]
    return {f"{place}weight": torch.zeros(WIDTH, WIDTH, 3, 3) for place in places} | {
        f"{place}bias": torch.zeros(WIDTH) for place in places
    }
