"""What trainers write around their tensors: the grammar of keys, scales, patterns, peft's config."""

from .keys import FileKey, KeyGrammar, PlainParameter, Role
from .peft_config import config_changed, read_config
from .settings import NOTED, FileConfig, ModuleConfig

__all__ = [
    "NOTED",
    "FileConfig",
    "FileKey",
    "KeyGrammar",
    "ModuleConfig",
    "PlainParameter",
    "Role",
    "config_changed",
    "read_config",
]
