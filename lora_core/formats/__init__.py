"""What trainers write around their tensors: key suffixes, scales, patterns, peft's config."""

from .keys import SHARED, UNREAD, FileKey, Role, group_keys
from .peft_config import config_changed, read_config
from .settings import NOTED, Notes, Settings

__all__ = [
    "NOTED",
    "SHARED",
    "UNREAD",
    "FileKey",
    "Notes",
    "Role",
    "Settings",
    "config_changed",
    "group_keys",
    "read_config",
]
