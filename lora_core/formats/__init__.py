"""What trainers write around their tensors: the grammar of keys, scales, patterns, peft's config."""

from .keys import FileKey, KeyGrammar, PlainParameter, Role
from .peft_config import CONFIG, config_changed, read_config
from .reference import FACTOR, reference_notes
from .settings import NOTED, FileConfig, ModuleConfig

__all__ = [
    "CONFIG",
    "FACTOR",
    "NOTED",
    "FileConfig",
    "FileKey",
    "KeyGrammar",
    "ModuleConfig",
    "PlainParameter",
    "Role",
    "config_changed",
    "read_config",
    "reference_notes",
]
