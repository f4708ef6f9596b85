"""Test-only nodes: inputs without text encoders, and views of the host that its UI does not give.

The host loads this folder as a node pack. Nothing here is shipped with LoRA Algebra.
"""

from comfy_api.latest import ComfyExtension, io

from . import watch, watchdog
from .adapters import TKAdapters, TKTamper
from .built import TKBuilt, TKMatrices
from .gates import TKDeepClone, TKGates, TKShortOfMemory, TKTiles
from .latents import TKConditioning, TKHash, TKImages, TKPixels, TKSaveTensor, TKText
from .places import TKPlaces, TKWatchPlaces
from .recipes import TKRecipe
from .reports import TKBase, TKCounters, TKProbe, TKSame
from .trouble import TKTrouble
from .values import TKStack, TKStacked, TKValue
from .weights import TKLoadModel, TKPartial, TKStored, TKTextEncoder, TKWeights

NODES = [
    TKAdapters,
    TKBase,
    TKBuilt,
    TKConditioning,
    TKCounters,
    TKDeepClone,
    TKGates,
    TKHash,
    TKImages,
    TKLoadModel,
    TKMatrices,
    TKPartial,
    TKPixels,
    TKPlaces,
    TKProbe,
    TKRecipe,
    TKSame,
    TKSaveTensor,
    TKShortOfMemory,
    TKStack,
    TKStacked,
    TKStored,
    TKTamper,
    TKText,
    TKTextEncoder,
    TKTiles,
    TKTrouble,
    TKValue,
    TKWatchPlaces,
    TKWeights,
]


class TestkitExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> ComfyExtension:
    watchdog.start()
    watch.install()
    return TestkitExtension()
