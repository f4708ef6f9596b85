"""A folder as peft saves it: tensors, and the config that says how strongly they count."""

from __future__ import annotations

import json

import torch

from harness.samples import tensors, write
from harness.workflows import stacked_loras
from tests.host.files import base_weights, patched_weights

KEY = "diffusion_model.double_blocks.0.img_attn.proj.weight"
NAME = "base_model.model.transformer_blocks.0.attn.to_out.0"


def test_a_config_that_changes_changes_the_weights(host):
    """peft retrained under the old name, or a config that came after the file."""
    folder = host.loras_dir / "trained"
    folder.mkdir()
    made = {name: 0.1 * t for name, t in tensors(1, up=(128, 4), down=(4, 128)).items()}
    content = {f"{NAME}.lora_B.weight": made["up"], f"{NAME}.lora_A.weight": made["down"]}
    write(folder / "adapter_model.safetensors", content)
    base = base_weights(host, "flux")[KEY]
    delta = made["up"] @ made["down"]
    config = folder / "adapter_config.json"
    for alpha, scale in ((None, 1.0), (4, 1.0), (8, 2.0), (2, 0.5), (None, 1.0)):
        config.unlink(missing_ok=True)
        if alpha is not None:
            config.write_text(json.dumps({"r": 4, "lora_alpha": alpha, "peft_type": "LORA"}))
        found = patched_weights(
            host, "flux", stacked_loras(("trained/adapter_model.safetensors", 1.0))
        )
        torch.testing.assert_close(found[KEY] - base, scale * delta, rtol=1e-4, atol=1e-5)
