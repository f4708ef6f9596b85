"""Where the weights lie."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
MODELS = HERE / "models"
"""Laid out as the host's models folder."""

TRANSFORMER = MODELS / "diffusion_models" / "landscapes.safetensors"
VAE = MODELS / "vae" / "landscapes.safetensors"
LORAS = HERE / "loras"
SCENE_NODE = HERE / "scene_node"
"""A node pack for the host's custom_nodes folder: its node TinyScene makes the conditioning."""

NAMES = ("ink", "light", "snow")
DIALECTS = ("kohya", "diffusers", "lycoris")


def lora_file(name: str, dialect: str = "kohya") -> Path:
    """The same LoRA in each dialect."""
    return LORAS / f"{name}_{dialect}.safetensors"
