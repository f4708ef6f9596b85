"""The weights that the host computes with: fully loaded, partially loaded, in other dtypes."""

import hashlib
import json

import torch
from comfy import model_management, ops, sd, utils
from comfy.model_patcher import ModelPatcher
from comfy.quant_ops import QuantizedTensor
from comfy_api.latest import io
from folder_paths import get_full_path_or_raise

from .reporting import ReportNode, report, save_tensors

CPU = torch.device("cpu")
DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn,
}


def _wanted(keys: str, model: ModelPatcher) -> list[str]:
    """Return the keys of a JSON list; an empty list stands for all patched ones."""
    return json.loads(keys) or sorted(model.patches)


class TKWeights(ReportNode):
    """Loads the model as a sampler would and saves the patched weights as they are stored."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKWeights",
            category="testkit",
            is_output_node=True,
            inputs=[
                io.Model.Input("model"),
                io.String.Input("keys", default="[]", optional=True),
                io.String.Input("name", default="weights", optional=True),
            ],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, keys: str = "[]", name: str = "weights") -> io.NodeOutput:
        model_management.load_models_gpu([model])
        weights = {key: utils.get_attr(model.model, key) for key in _wanted(keys, model)}
        return report({"file": save_tensors(name, weights), "keys": sorted(weights)})


def _effective(model: ModelPatcher, key: str, dtype: torch.dtype) -> torch.Tensor:
    """Return a parameter as its layer's forward sees it: cast and patched by the host's own path."""
    name, _, parameter = key.rpartition(".")
    layer = utils.get_attr(model.model, name)
    if not hasattr(layer, "comfy_cast_weights"):
        return getattr(layer, parameter)
    weight, bias = ops.cast_bias_weight(layer, dtype=dtype, device=CPU, bias_dtype=dtype)
    return weight if parameter == "weight" else bias


def _patched_on_use(model: ModelPatcher) -> int:
    """Count the weights and biases that the host patches again at each forward."""
    return sum(
        len(getattr(layer, "weight_function", ())) + len(getattr(layer, "bias_function", ()))
        for layer in model.model.modules()
    )


class TKPartial(ReportNode):
    """Loads the model into ``memory`` bytes and saves the weights its layers compute with.

    What does not fit stays unpatched in place and is patched on use, in the compute dtype: the
    path of cards with little memory. 1 byte sends every layer that way, 2**40 none.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKPartial",
            category="testkit",
            is_output_node=True,
            inputs=[
                io.Model.Input("model"),
                io.Int.Input("memory", default=1, min=1, max=2**40, optional=True),
                io.Combo.Input(
                    "compute_dtype", options=list(DTYPES)[:3], default="float32", optional=True
                ),
                io.String.Input("keys", default="[]", optional=True),
                io.String.Input("name", default="partial", optional=True),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        memory: int = 1,
        compute_dtype: str = "float32",
        keys: str = "[]",
        name: str = "partial",
    ) -> io.NodeOutput:
        model_management.unload_all_models()
        # A clone that was never registered as loaded may still have left its patches in place.
        model.detach()
        try:
            model.partially_load(CPU, memory)
            dtype = DTYPES[compute_dtype]
            weights = {key: _effective(model, key, dtype) for key in _wanted(keys, model)}
            outcome = {
                "file": save_tensors(name, weights),
                "keys": sorted(weights),
                "patched_on_use": _patched_on_use(model),
                "patched_in_place": len(model.backup),
                "loaded_bytes": int(model.loaded_size()),
            }
        finally:
            model.detach()
        return report(outcome)


class TKLoadModel(io.ComfyNode):
    """A fresh diffusion model whose weights the host stores in the chosen dtype.

    ``file`` is FOLDER/NAME under the models folder, e.g. diffusion_models/tiny_flux.safetensors.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKLoadModel",
            category="testkit",
            inputs=[
                io.String.Input("file"),
                io.Combo.Input("dtype", options=list(DTYPES), default="float32"),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, file: str, dtype: str) -> io.NodeOutput:
        folder, _, name = file.partition("/")
        path = get_full_path_or_raise(folder, name)
        return io.NodeOutput(sd.load_diffusion_model(path, model_options={"dtype": DTYPES[dtype]}))


class TKStored(ReportNode):
    """SHA-256 over all weights in place, as they are stored, with every model unloaded.

    Unlike TKBase it knows quantised weights, for which the host itself cannot list its patches.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKStored",
            category="testkit",
            is_output_node=True,
            inputs=[io.Model.Input("model")],
        )

    @classmethod
    def execute(cls, model: ModelPatcher) -> io.NodeOutput:
        model_management.unload_all_models()
        digest, quantised = hashlib.sha256(), 0
        for name, weight in model.model.named_parameters():
            is_quantised = isinstance(weight, QuantizedTensor)
            quantised += is_quantised
            parts = [weight._qdata, weight.dequantize()] if is_quantised else [weight]
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            for part in parts:
                digest.update(part.detach().contiguous().flatten().view(torch.uint8).numpy())
        return report({"sha256": digest.hexdigest(), "quantised": quantised})


class TKTextEncoder(io.ComfyNode):
    """A CLIP's patcher as a MODEL, so that its weights can be looked at like any model's."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKTextEncoder",
            category="testkit",
            inputs=[io.Clip.Input("clip")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, clip: sd.CLIP) -> io.NodeOutput:
        return io.NodeOutput(clip.patcher)
