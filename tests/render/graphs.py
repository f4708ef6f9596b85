"""Prompts and definitions of nodes for tests of tables, columns and weights."""

from __future__ import annotations

from typing import Any

from tests.render import recorded

INFO = recorded.object_info()


def prompt(**changed: dict[str, Any]) -> dict[str, Any]:
    """A picture with LoRA Rows that apply by themselves; ``changed`` maps an id to inputs."""
    rows = [
        {"on": True, "name": "style/ink.v2.safetensors", "strength": 0.8, "hash": "0" * 64},
        {"on": False, "name": "light.safetensors", "strength": 1},
    ]
    made = {
        "1": node("CheckpointLoaderSimple", ckpt_name="tiny.safetensors"),
        "2": node(
            "LoRARows", "My rows", rows={"version": 1, "rows": rows}, model=["1", 0], clip=["1", 1]
        ),
        "3": node("CLIPTextEncode", "Positive", text="a house", clip=["2", 4]),
        "4": node("CLIPTextEncode", "Negative", text="", clip=["2", 4]),
        "5": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "6": node(
            "KSampler",
            "The v1.5 sampler",
            seed=7,
            steps=4,
            cfg=7,
            sampler_name="euler",
            scheduler="simple",
            denoise=1,
            model=["2", 3],
            positive=["3", 0],
            negative=["4", 0],
            latent_image=["5", 0],
        ),
        "7": node("VAEDecode", samples=["6", 0], vae=["1", 2]),
        "8": node("SaveImage", filename_prefix="made", images=["7", 0]),
    }
    for number, inputs in changed.items():
        made[number.strip("_")]["inputs"] |= inputs
    return made


def node(kind: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    """One node; without a title it has the one of its class."""
    title = title or INFO.get(kind, {}).get("display_name", kind)
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}
