"""What every output node of the testkit shares: a JSON report, and running on every prompt."""

import itertools
import json
import weakref
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io
from safetensors.torch import save_file

_fingerprints = itertools.count()
_tokens: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()
_next_token = itertools.count(1)


def token(thing: object) -> int:
    """Return a number for this very object. Unlike id(), it is never given to a second object."""
    if thing not in _tokens:
        _tokens[thing] = next(_next_token)
    return _tokens[thing]


class ReportNode(io.ComfyNode):
    """An output node that never comes from the cache.

    ``not_idempotent`` would not do: it only keeps two equal nodes of one prompt apart. Inputs with
    a default are optional, since a prompt over HTTP does not fill defaults in.
    """

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> int:
        return next(_fingerprints)


def report(data: object) -> io.NodeOutput:
    """Show ``data`` as JSON in the prompt's history."""
    return io.NodeOutput(ui={"text": (json.dumps(data),)})


def save_tensors(name: str, tensors: dict[str, torch.Tensor]) -> str:
    """Write output/NAME.safetensors and return that file name."""
    file_name = f"{name}.safetensors"
    path = Path(folder_paths.get_output_directory()) / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    # Weights of one model may share storage, which the format refuses.
    save_file({key: tensor.detach().cpu().clone() for key, tensor in tensors.items()}, path)
    return file_name
