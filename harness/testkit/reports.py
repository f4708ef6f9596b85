"""What the host holds: object identities, patches, base weights, counters."""

import gc
import hashlib
from collections import Counter

import psutil
import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from server import PromptServer

from .reporting import ReportNode, report, token
from .watch import counts, forget_executed


def _adapter_name(patch: object) -> str:
    """Return the class of an adapter, or the word in front of a plain patch such as ``diff``."""
    return patch[0] if isinstance(patch, tuple) else type(patch).__name__


def _describe(patcher: ModelPatcher) -> dict:
    entries = {key: len(patches) for key, patches in sorted(patcher.patches.items())}
    adapters = Counter(
        _adapter_name(patch[1]) for patches in patcher.patches.values() for patch in patches
    )
    return {
        "class": type(patcher.model).__name__,
        "patcher": token(patcher),
        "base": token(patcher.model),
        "patches_uuid": str(patcher.patches_uuid),
        "keys": len(entries),
        "entries": entries,
        "entries_total": sum(entries.values()),
        "entries_max": max(entries.values(), default=0),
        "adapters": dict(adapters),
        "dtype": str(patcher.model_dtype()),
        "attachments": sorted(patcher.attachments),
        "weight_wrappers": len(patcher.weight_wrapper_patches),
    }


class TKProbe(ReportNode):
    """Describes a model's and a text encoder's patcher; ``null`` for what is not connected."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKProbe",
            category="testkit",
            is_output_node=True,
            inputs=[
                io.Model.Input("model", optional=True),
                io.Clip.Input("clip", optional=True),
            ],
        )

    @classmethod
    def execute(cls, model: ModelPatcher | None = None, clip: object = None) -> io.NodeOutput:
        return report(
            {
                "model": model and _describe(model),
                "clip": clip and {"object": token(clip), **_describe(clip.patcher)},
            }
        )


class TKSame(ReportNode):
    """Whether two sockets carry the very same Python object; ``null`` where none is connected."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKSame",
            category="testkit",
            is_output_node=True,
            inputs=[
                io.Model.Input("model_a", optional=True),
                io.Model.Input("model_b", optional=True),
                io.Clip.Input("clip_a", optional=True),
                io.Clip.Input("clip_b", optional=True),
            ],
        )

    @classmethod
    def execute(
        cls,
        model_a: object = None,
        model_b: object = None,
        clip_a: object = None,
        clip_b: object = None,
    ) -> io.NodeOutput:
        return report(
            {
                "model": None if model_a is None else model_a is model_b,
                "clip": None if clip_a is None else clip_a is clip_b,
            }
        )


def _sha256(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


class TKBase(ReportNode):
    """SHA-256 over all weights of the base model, without patches.

    ``unload`` first makes the host unload every model, so the hash is of the weights in place;
    else of the host's backups where it keeps one. Equal hashes both ways mean a bit-exact base.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKBase",
            category="testkit",
            is_output_node=True,
            inputs=[
                io.Model.Input("model"),
                io.Boolean.Input("unload", default=True, optional=True),
                io.AnyType.Input("after", optional=True, tooltip="run after this"),
            ],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, unload: bool = True, after: object = None
    ) -> io.NodeOutput:
        del after  # only orders the nodes of a prompt
        if unload:
            model_management.unload_all_models()
        weights = {key: entries[0][0] for key, entries in model.get_key_patches().items()}
        return report(
            {"sha256": _sha256(weights), "weights": len(weights), "backups": len(model.backup)}
        )


class TKCounters(ReportNode):
    """Process-wide counters (see watch.py), memory, and numbers of live objects.

    Forgets the history of earlier prompts first, which grows with every one.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TKCounters",
            category="testkit",
            is_output_node=True,
            inputs=[io.AnyType.Input("after", optional=True, tooltip="run after this")],
        )

    @classmethod
    def execute(cls, after: object = None) -> io.NodeOutput:
        del after  # only orders the nodes of a prompt
        PromptServer.instance.prompt_queue.wipe_history()
        forget_executed()
        gc.collect()
        objects = gc.get_objects()
        # isinstance() would wake lazy modules and proxies through __class__.
        patchers = sum(issubclass(type(thing), ModelPatcher) for thing in objects)
        files = sum(type(thing).__name__ == "LoraFile" for thing in objects)
        return report(
            {
                **counts,
                "gc_objects": len(objects),
                "rss": psutil.Process().memory_info().rss,
                "live_patchers": patchers,
                "lora_files": files,
                "loaded_models": len(model_management.current_loaded_models),
            }
        )
