"""What a trainer notes beside its tensors: in the file's metadata, or in peft's config beside it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from .errors import LoraFileError

Config: TypeAlias = Mapping[str, object]

NOTED: Final = "lora_adapter_metadata"
"""Where diffusers notes peft's config, with a pipeline's component in front of every key."""

PEFT_PREFIX: Final = "base_model.model."

LONGEST_PATTERN: Final = 512
MOST_REPETITIONS: Final = 3
"""In a pattern that names layers: the time to match it grows with every one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is noted of one module.

    Attributes:
        alpha: None if nothing is.
        rank: As configured.
        rank_stabilised: rsLoRA (Kalajdzievski 2023, arXiv:2312.03732): alpha over √rank.
        one_trainer: Whether the file is OneTrainer's.
        config: All that peft has noted; None without a config.
        path: Of the module, as peft knows it.
    """

    alpha: float | None = None
    rank: int | None = None
    rank_stabilised: bool = False
    one_trainer: bool = False
    config: Config | None = None
    path: str = ""

    def scale(self, rank: int) -> float:
        """alpha / rank; a file that says nothing was trained with alpha = rank."""
        if self.alpha is None:
            return 1.0
        return self.alpha / (math.sqrt(rank) if self.rank_stabilised else rank)

    def option(self, name: str, without_config: float, without_it: float = 0) -> float:
        """A number or flag of peft's config, for configs and files that do not have it, too."""
        if self.config is None:
            return without_config
        return _number(self.config, name, without_it)

    def is_before(self, version: tuple[int, int]) -> bool:
        """Whether a config is of an older peft; the oldest ones do not say of which."""
        if self.config is None:
            return False
        found = re.match(r"(\d+)\.(\d+)", str(self.config.get("peft_version", "")))
        return found is None or (int(found[1]), int(found[2])) < version

    def names_module(self, option: str) -> bool:
        """Whether an option of peft's config, a list of ends or one pattern, means this module."""
        named = (self.config or {}).get(option)
        if isinstance(named, str):
            return _matches(named, self.path)
        ends = cast("list[object]", named) if isinstance(named, list) else []
        return any(isinstance(end, str) and self.path.endswith(end) for end in ends)


@dataclass(frozen=True, slots=True)
class Notes:
    """What is noted of all modules of a file.

    Attributes:
        configs: peft's configs by component; "" is for all.
        one_trainer: Whether the file is OneTrainer's.
        unreadable: Whether there is a config that cannot be made out.
    """

    configs: Mapping[str, Config] = field(default_factory=dict[str, Config])
    one_trainer: bool = False
    unreadable: bool = False

    @classmethod
    def read(cls, metadata: Mapping[str, str], beside: str | None = None) -> Notes:
        """From the file's metadata and the text of a config beside it."""
        noted = _document(metadata.get(NOTED, "{}"))
        config = _document("{}" if beside is None else beside)
        configs = _by_component(noted or {})
        if config:
            configs[""] = config
        one_trainer = any(key.startswith("ot_") for key in metadata)
        return cls(configs, one_trainer, noted is None or config is None)

    def of(self, name: str) -> Settings:
        """What is noted of the module that the file calls ``name``."""
        component, _, path = name.removeprefix(PEFT_PREFIX).partition(".")
        config = self.configs.get(component)
        if config is None:
            config, path = self.configs.get(""), name.removeprefix(PEFT_PREFIX)
        if config is None:
            return Settings(one_trainer=self.one_trainer)
        alpha = _noted(config, "alpha" if "alpha" in config else "lora_alpha", "alpha", path)
        rank = _noted(config, "r", "rank", path)
        stabilised = bool(config.get("use_rslora"))
        whole = None if rank is None else int(rank)
        return Settings(alpha, whole, stabilised, self.one_trainer, config, path)


_REPEATED_GROUP: Final = re.compile(r"\)[*+{]")


def _document(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _by_component(noted: Config) -> dict[str, Config]:
    """{"transformer.r": 4} as {"transformer": {"r": 4}}."""
    configs: dict[str, dict[str, object]] = {}
    for key, value in noted.items():
        component, _, option = key.rpartition(".")
        configs.setdefault(component, {})[option] = value
    return {**configs}


def _noted(config: Config, option: str, kind: str, path: str) -> float | None:
    """A number that is noted for all modules, or by a pattern for this one."""
    patterned = _patterned(config, f"{kind}_pattern", path)
    if patterned is not None or config.get(option) is None:
        return patterned
    return _number(config, option, 0)


def _patterned(config: Config, which: str, path: str) -> float | None:
    """The number of the first pattern that the end of a path matches, as peft looks them up."""
    patterns = config.get(which)
    if not isinstance(patterns, dict):
        return None
    for pattern, value in cast("dict[str, object]", patterns).items():
        if isinstance(value, (int, float)) and _is_end(pattern, path):
            return _finite(which, value)
    return None


def _is_end(pattern: str, path: str) -> bool:
    """Whether peft takes a path for what the pattern means; most patterns are plain names."""
    if path == pattern or path.endswith("." + pattern):
        return True
    return _matches(rf"(.*\.)?({pattern})", path)


def _matches(pattern: str, path: str) -> bool:
    """Whether the pattern matches all of the path.

    Raises:
        LoraFileError: It could keep the matcher busy for ever: anybody can write one into a file.
    """
    if len(pattern) > LONGEST_PATTERN or _effort(pattern) > MOST_REPETITIONS:
        raise LoraFileError(
            f"names layers by a pattern that is too intricate: {pattern[:80]}.",
            key="pattern",
            expected=f"at most {MOST_REPETITIONS} repetitions",
            found=pattern[:80],
        )
    try:
        return re.fullmatch(pattern, path) is not None
    except re.error:
        return False


def _effort(pattern: str) -> float:
    """How many repetitions it has: the power with which the time grows; without bound if a group
    is repeated, since there may be another repetition inside."""
    return math.inf if _REPEATED_GROUP.search(pattern) else sum(map(pattern.count, "*+{"))


def _number(config: Config, name: str, otherwise: float) -> float:
    value = config.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, (bool, int, float)):
        raise _wrong(name, repr(value)[:40])
    return _finite(name, value)


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(name, str(number))
    return number


def _wrong(name: str, found: str) -> LoraFileError:
    return LoraFileError(
        f"{name} in its config is {found}.", key=name, expected="a finite number", found=found
    )
