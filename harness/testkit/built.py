"""Small models of architectures whose real sizes the host's loader insists on, or that it computes
in its own way.

They are built from a config, with seeded weights, without a file.
"""

import json
import math

import torch
from comfy import model_management, ops, sd, supported_models
from comfy.model_patcher import CoreModelPatcher
from comfy_api.latest import io

from .configs import CONFIGS, LTX
from .reporting import ReportNode, report

GAIN = 0.6


def seeded(model: torch.nn.Module) -> None:
    """Fills every parameter from its own name, so that both hosts have the same."""
    for number, (key, weight) in enumerate(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
        fan_in = weight[0].numel() if weight.ndim > 1 else 1
        plain = noise * GAIN / math.sqrt(fan_in) if weight.ndim > 1 else 0.02 * noise
        gain = weight.ndim == 1 and key.endswith("weight")
        weight.data.copy_(plain + float(gain))
    for key, buffer in model.named_buffers():
        if key.endswith("inv_freq"):
            buffer.copy_(1.0 / 10000 ** torch.linspace(0, 1, len(buffer)))


def int8(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns a weight as ``comfy_quant`` keeps it."""
    stored: dict[str, torch.Tensor] = {}
    told = torch.tensor(list(json.dumps({"format": "int8_tensorwise"}).encode()), dtype=torch.uint8)
    for key, weight in weights.items():
        stored[key] = weight
        if (
            weight.ndim == 2
            and min(weight.shape) >= 64
            and "blocks" in key
            and key.endswith(".weight")
        ):
            scale = weight.abs().max() / 127
            stored[key] = (weight / scale).round().to(torch.int8)
            layer = key.removesuffix("weight")
            stored |= {f"{layer}weight_scale": scale, f"{layer}comfy_quant": told}
    return stored


def whole(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns what ``stored`` stands for, in float32."""
    scales = {key.removesuffix("_scale"): w for key, w in stored.items() if key.endswith("_scale")}
    return {
        key: weight * scales[key] if key in scales else weight
        for key, weight in stored.items()
        if not key.endswith(("weight_scale", "comfy_quant"))
    }


def built(kind: str) -> CoreModelPatcher:
    name, config = CONFIGS[kind]
    settings = getattr(supported_models, name)(config)
    settings.set_inference_dtype(torch.float32, None)
    settings.custom_operations = ops.disable_weight_init
    with torch.no_grad():
        model = settings.get_model({}, "", device=torch.device("cpu"))
        seeded(model)
    device = model_management.get_torch_device()
    return CoreModelPatcher(model, load_device=device, offload_device=torch.device("cpu"))


class TKBuilt(io.ComfyNode):
    """A small model; LTX and H3 also with int8 weights, or with what these stand for in float32."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKBuilt",
            category="testkit",
            inputs=[
                io.Combo.Input("kind", options=list(CONFIGS)),
                io.Combo.Input("weights", options=["float32", "int8", "int8 whole"]),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, kind: str, weights: str) -> io.NodeOutput:
        model = built(kind)
        if weights == "float32":
            return io.NodeOutput(model)
        stored = int8({k: w.clone() for k, w in model.model.diffusion_model.state_dict().items()})
        stored = whole(stored) if weights == "int8 whole" else stored
        metadata = {"config": json.dumps({"transformer": LTX})}
        return io.NodeOutput(
            sd.load_diffusion_model_state_dict(
                stored, model_options={"dtype": torch.float32}, metadata=metadata
            )
        )


class TKMatrices(ReportNode):
    """The layers of a small model that a low-rank pair fits, with the shapes of their weights."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKMatrices",
            category="testkit",
            is_output_node=True,
            inputs=[io.Model.Input("model")],
        )

    @classmethod
    def execute(cls, model: CoreModelPatcher) -> io.NodeOutput:
        layers = {
            name: list(layer.weight.shape)
            for name, layer in model.model.diffusion_model.named_modules()
            if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d))
        }
        return report({"layers": layers})
