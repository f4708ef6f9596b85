"""The nodes, by name: each a schema, one call into the core, one return."""

from .apply_to_model import ApplyToModel
from .load_lora import LoadLoRA
from .lora_rows import LoRARows
from .scale_lora import ScaleLoRA
from .schedule_lora import ScheduleLoRA
from .spread_lora import SpreadLoRA
from .stack_loras import StackLoRAs

NODES = [LoadLoRA, ScaleLoRA, StackLoRAs, ApplyToModel, ScheduleLoRA, SpreadLoRA, LoRARows]
