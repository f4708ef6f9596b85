"""What trainers write around their tensors: suffixes of keys, scales, patterns, peft's config."""

from .keys import FileKey, KeyGrammar, PlainParameter, Role
from .peft_config import config_changed, read_config
from .settings import NOTED, Notes, Settings

__all__ = [
    "NOTED",
    "FileKey",
    "KeyGrammar",
    "Notes",
    "PlainParameter",
    "Role",
    "Settings",
    "config_changed",
    "read_config",
]
