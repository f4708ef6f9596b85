"""The nodes by name. Each is a schema, one call into the core, and one return."""

from .analyse_lora import AnalyseLoRA
from .apply_to_conditioning import ApplyToConditioning
from .apply_to_model import ApplyToModel
from .combine_loras import CombineLoRAs
from .extract_lora import ExtractLoRA
from .from_lora_stack import FromLoRAStack
from .from_lora_tags import FromLoRATags
from .load_lora import LoadLoRA
from .lora_block_weights import LoRABlockWeights
from .lora_grid import LoRAGrid
from .lora_rows import LoRARows
from .mask_lora import MaskLoRA
from .resize_lora import ResizeLoRA
from .save_lora_file import SaveLoRAFile
from .scale_lora import ScaleLoRA
from .schedule_lora import ScheduleLoRA
from .spread_lora import SpreadLoRA
from .stack_loras import StackLoRAs
from .sweep_lora import SweepLoRA
from .to_lora_stack import ToLoRAStack
from .to_lora_tags import ToLoRATags

NODES = [
    LoadLoRA,
    ScaleLoRA,
    StackLoRAs,
    ApplyToModel,
    ScheduleLoRA,
    SpreadLoRA,
    LoRARows,
    FromLoRAStack,
    ToLoRAStack,
    FromLoRATags,
    ToLoRATags,
    SweepLoRA,
    LoRAGrid,
    LoRABlockWeights,
    MaskLoRA,
    ApplyToConditioning,
    SaveLoRAFile,
    CombineLoRAs,
    ResizeLoRA,
    ExtractLoRA,
    AnalyseLoRA,
]
