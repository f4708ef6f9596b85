"""Conditioning without a text encoder, and latents and images as numbers that a test can compare."""

import hashlib

import torch
from comfy_api.latest import io

from .reporting import ReportNode, report, save_tensors


class TKConditioning(io.ComfyNode):
    """Seeded random conditioning; ``pooled_dim`` 0 leaves the pooled output away."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKConditioning",
            category="testkit",
            inputs=[
                io.Int.Input("tokens", default=8, min=1),
                io.Int.Input("dim", default=768, min=1),
                io.Int.Input("pooled_dim", default=768, min=0),
                io.Int.Input("seed", default=0),
                io.Boolean.Input("mask", default=False, optional=True),
            ],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(
        cls, tokens: int, dim: int, pooled_dim: int, seed: int, mask: bool = False
    ) -> io.NodeOutput:
        generator = torch.Generator().manual_seed(seed)
        embedding = torch.randn(1, tokens, dim, generator=generator)
        extra = (
            {"pooled_output": torch.randn(1, pooled_dim, generator=generator)} if pooled_dim else {}
        )
        if mask:  # which LTX wants
            extra["attention_mask"] = torch.ones(1, tokens)
        return io.NodeOutput([[embedding, extra]])


class TKText(io.ComfyNode):
    """A text for any socket, such as a name that is linked instead of chosen."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKText",
            category="testkit",
            inputs=[io.String.Input("text")],
            outputs=[io.AnyType.Output()],
        )

    @classmethod
    def execute(cls, text: str) -> io.NodeOutput:
        return io.NodeOutput(text)


class TKHash(ReportNode):
    """SHA-256 of the latent's float32 bytes, with its statistics."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKHash",
            category="testkit",
            is_output_node=True,
            inputs=[io.Latent.Input("latent")],
        )

    @classmethod
    def execute(cls, latent: dict) -> io.NodeOutput:
        samples = latent["samples"].float().contiguous()
        return report(
            {
                "sha256": hashlib.sha256(samples.numpy().tobytes()).hexdigest(),
                "shape": list(samples.shape),
                "mean": samples.mean().item(),
                "std": samples.std().item(),
                "finite": bool(samples.isfinite().all()),
            }
        )


class TKSaveTensor(ReportNode):
    """Saves the latent as tensor ``samples`` of output/NAME.safetensors; if it has sound, only the
    picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKSaveTensor",
            category="testkit",
            is_output_node=True,
            inputs=[
                io.Latent.Input("latent"),
                io.String.Input("name", default="latent", optional=True),
            ],
        )

    @classmethod
    def execute(cls, latent: dict, name: str = "latent") -> io.NodeOutput:
        samples = latent["samples"]
        picture = samples.unbind()[0] if getattr(samples, "is_nested", False) else samples
        return report({"file": save_tensors(name, {"samples": picture})})


class TKImages(io.ComfyNode):
    """Returns a list of seeded random images: a batch of as many as each of the numbers in
    ``batches``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKImages",
            category="testkit",
            inputs=[io.String.Input("batches", default="1")],
            outputs=[io.Image.Output(is_output_list=True)],
        )

    @classmethod
    def execute(cls, batches: str) -> io.NodeOutput:
        generator = torch.Generator().manual_seed(1)
        lengths = map(int, batches.split())
        return io.NodeOutput([torch.rand(n, 32, 48, 3, generator=generator) for n in lengths])


class TKPixels(ReportNode):
    """Saves all images of all its runs, as tensors ``0``, ``1``, ... of output/NAME.safetensors."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKPixels",
            category="testkit",
            is_output_node=True,
            is_input_list=True,
            inputs=[io.Image.Input("images"), io.String.Input("name")],
        )

    @classmethod
    def execute(cls, images: list[torch.Tensor], name: list[str]) -> io.NodeOutput:
        tensors = {str(index): image.contiguous() for index, image in enumerate(images)}
        return report({"file": save_tensors(name[0], tensors), "count": len(images)})
