"""What a sound file adds to a weight, in plain float64, by the formulas of the papers."""

from __future__ import annotations

import math

import torch

from .grammar import Part

Roles = dict[str, torch.Tensor]


def expected(part: Part, weight: torch.Tensor) -> torch.Tensor | None:
    """The delta of the weight's own shape at strength 1; None where no formula is at hand.

    Args:
        part: Sound tensors.
        weight: In float64, of the shape that the file's names mean.
    """
    formula = FORMULAS.get(part.family)
    if formula is None or (weight.ndim < 2 and part.family != "full"):
        return None
    roles = {role: tensor.double() for role, tensor in part.roles.items()}
    if part.family == "LoRA" and "embedding_up" in roles:
        formula = _embedding
    delta = formula(roles, weight)
    if delta is None or part.magnitude is None:
        return delta
    return _decomposed(roles, part.magnitude, weight, delta.reshape(weight.shape))


def _scale(roles: Roles, rank: int) -> float:
    return float(roles["alpha"]) / rank if "alpha" in roles else 1.0


def _lora(roles: Roles, _: torch.Tensor) -> torch.Tensor:
    up, down = roles["up"].flatten(1), roles["down"]
    if "mid" in roles:
        down = torch.einsum("mn...,ni->mi...", roles["mid"], down.flatten(1))
    return _scale(roles, len(down)) * up @ down.flatten(1)


def _embedding(roles: Roles, _: torch.Tensor) -> torch.Tensor:
    up, down = roles["embedding_up"], roles["embedding_down"]
    return _scale(roles, len(down)) * (up @ down).T


def _ada(roles: Roles, _: torch.Tensor) -> torch.Tensor:
    up, down = roles["up"].flatten(1), roles["down"].flatten(1)
    return len(down) / (len(down) + 1e-5) * up @ (roles["lora_E"].view(-1, 1) * down)


def _loha(roles: Roles, _: torch.Tensor) -> torch.Tensor:
    one = roles["hada_w1_a"] @ roles["hada_w1_b"]
    return _scale(roles, len(roles["hada_w1_b"])) * one * (roles["hada_w2_a"] @ roles["hada_w2_b"])


def _lokr(roles: Roles, weight: torch.Tensor) -> torch.Tensor | None:
    sides, ranks = [], []
    for side in ("lokr_w1", "lokr_w2"):
        if side in roles:
            sides.append(roles[side].flatten(1))
        else:
            sides.append(roles[f"{side}_a"] @ roles[f"{side}_b"])
            ranks.append(len(roles[f"{side}_b"]))
    if "lokr_w2" in roles and weight.ndim == 3 and "alpha" not in roles:
        return None  # as peft multiplies
    return torch.kron(*sides) * (_scale(roles, ranks[-1]) if ranks else 1.0)


def _glora(roles: Roles, weight: torch.Tensor) -> torch.Tensor | None:
    one, two = roles["glora_a1"], roles["glora_a2"]
    if one.shape[0] < one.shape[1] or weight.ndim > 2:
        return None  # told apart by shapes alone
    through = weight @ one @ two
    return _scale(roles, len(two)) * (through + roles["glora_b1"] @ roles["glora_b2"])


def _ia3(roles: Roles, weight: torch.Tensor) -> torch.Tensor | None:
    if "ia3_l" not in roles or weight.ndim != 2:
        return None
    return weight * (roles["ia3_l"] - 1)


def _oft(roles: Roles, weight: torch.Tensor) -> torch.Tensor | None:
    if "oft_blocks" not in roles or "alpha" in roles or roles["oft_blocks"].ndim != 3:
        return None
    blocks = roles["oft_blocks"]
    skew = blocks - blocks.mT
    one = torch.eye(blocks.shape[-1]).double()
    turned = torch.block_diag(*((one + skew) @ torch.linalg.inv(one - skew)))
    moved = turned.T @ weight.flatten(1)
    return roles.get("rescale", torch.ones(len(weight), 1).double()) * moved - weight.flatten(1)


def _hra(roles: Roles, weight: torch.Tensor) -> torch.Tensor | None:
    if weight.ndim > 2 or len(roles["hra_u"]) != weight.shape[1]:
        return None
    moved = weight
    for vector in roles["hra_u"].T:
        unit = vector / vector.norm()
        moved = moved - 2 * torch.outer(moved @ unit, unit)
    return moved - weight


def _vera(roles: Roles, weight: torch.Tensor) -> torch.Tensor:
    out, inner = weight.shape
    up, down = roles["vera_B"][:out], roles["vera_A"][:, :inner]
    return (roles["vera_lambda_b"][:, None] * up) @ (roles["vera_lambda_d"][:, None] * down)


def _delora(roles: Roles, _: torch.Tensor) -> torch.Tensor:
    up, down = roles["delora_up"], roles["delora_down"]
    up = up / up.norm(dim=0).clamp(min=1e-4)
    down = down / down.norm(dim=1, keepdim=True).clamp(min=1e-4)
    return float(roles["delora_lambda"]) / len(down) * up @ down * roles["delora_w_norm"]


def _miss(roles: Roles, weight: torch.Tensor) -> torch.Tensor:
    block = roles["miss_block"]
    if block.ndim == 2:
        places = torch.arange(weight.shape[1]) % len(block)
        return block[places].T
    size = block.shape[-1]
    parts = weight.view(len(block), size, -1, size).transpose(1, 2)
    return (parts @ block[:, None] + block[:, None]).transpose(1, 2).reshape(weight.shape)


def _decomposed(
    roles: Roles, magnitude: str, weight: torch.Tensor, delta: torch.Tensor
) -> torch.Tensor | None:
    scale, moved = roles[magnitude], weight + delta
    by_input = magnitude == "dora_scale" and scale.ndim > 1 and scale.shape[0] == 1
    if by_input or "embedding_up" in roles:
        return None
    by_rows = moved.flatten(1)
    rows = scale.flatten()[:, None] * by_rows / by_rows.norm(dim=1, keepdim=True)
    return rows.reshape(weight.shape) - weight


FORMULAS = {
    "LoRA": _lora,
    "AdaLoRA": _ada,
    "LoHa": _loha,
    "LoKr": _lokr,
    "GLoRA": _glora,
    "IA3": _ia3,
    "OFT": _oft,
    "HRA": _hra,
    "VeRA": _vera,
    "DeLoRA": _delora,
    "MiSS": _miss,
    "full": lambda roles, weight: (
        roles["diff"] if "diff" in roles else roles["set_weight"] - weight
    ),
}


def is_close(found: torch.Tensor, wanted: torch.Tensor, size: float, eps: float) -> bool:
    """Whether two weights agree up to rounding, in units of what was added up."""
    error = float((found.double() - wanted).abs().max())
    return math.isfinite(error) and error <= 64 * eps * max(size, 1.0)
