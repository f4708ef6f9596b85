"""Files that peft itself has written, against peft's own forward."""

import pytest
import torch

from lora_core import applied, load
from tests.support.samples import Net, net

peft = pytest.importorskip("peft")

TARGETS = ["linear", "other", "conv1", "conv2", "conv3"]


def inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "linear": torch.randn(3, 8, dtype=torch.float64),
        "other": torch.randn(3, 6, dtype=torch.float64),
        "conv1": torch.randn(2, 4, 5, dtype=torch.float64),
        "conv2": torch.randn(2, 4, 5, 5, dtype=torch.float64),
        "conv3": torch.randn(2, 4, 3, 4, 5, dtype=torch.float64),
    }


def trained(alpha: int) -> tuple[torch.nn.Module, Net]:
    """A Net with a peft LoRA that does something, in float64."""
    base = net(dtype=torch.float64)
    config = peft.LoraConfig(r=4, lora_alpha=alpha, target_modules=TARGETS, init_lora_weights=False)
    return peft.get_peft_model(net(), config).double(), base


@pytest.mark.parametrize("strength", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_every_layer_kind_at_every_strength(tmp_path, strength):
    model, base = trained(alpha=4)
    model.save_pretrained(tmp_path, safe_serialization=True)
    recipe = strength * load(tmp_path / "adapter_model.safetensors")
    for layer in model.base_model.modules():
        if hasattr(layer, "set_scale"):
            layer.set_scale("default", strength)
    with applied(base, recipe) as report:
        assert not report.loras or report.loras[0].parts[0].applied == len(TARGETS)
        for name, x in inputs().items():
            ours, theirs = getattr(base, name)(x), getattr(model.base_model.model, name)(x)
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_the_oracle_is_not_the_identity():
    model, base = trained(alpha=4)
    x = inputs()["linear"]
    assert not torch.allclose(model.base_model.model.linear(x), base.linear(x))


def test_two_adapters_at_once(tmp_path):
    model, base = trained(alpha=4)
    config = peft.LoraConfig(r=2, lora_alpha=2, target_modules=TARGETS, init_lora_weights=False)
    model.add_adapter("second", config)
    model.double()
    model.save_pretrained(tmp_path, safe_serialization=True)
    recipe = 0.5 * load(tmp_path / "adapter_model.safetensors") + -1.5 * load(
        tmp_path / "second" / "adapter_model.safetensors"
    )
    model.base_model.set_adapter(["default", "second"])
    for layer in model.base_model.modules():
        if hasattr(layer, "set_scale"):
            layer.set_scale("default", 0.5)
            layer.set_scale("second", -1.5)
    with applied(base, recipe):
        for name, x in inputs().items():
            theirs = getattr(model.base_model.model, name)(x)
            torch.testing.assert_close(getattr(base, name)(x), theirs, rtol=1e-12, atol=1e-12)
