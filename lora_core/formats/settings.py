"""What a trainer notes about its tensors: in the file's metadata, or in peft's config next to it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from ..errors import LoraFileError
from ..lenient_json import MOST_WHOLE_NUMBER_DIGITS, too_much
from .automaton import Work
from .keys import PEFT_PREFIX
from .patterns import Lookups

Config: TypeAlias = Mapping[str, object]

NOTED: Final = "lora_adapter_metadata"
"""The metadata key for peft's config in diffusers' files, with a pipeline's component before every
key."""


@dataclass(frozen=True, slots=True)
class ModuleConfig:
    """What is noted about one module.

    Attributes:
        alpha: The noted alpha; None if there is none.
        rank_stabilised: rsLoRA (Kalajdzievski 2023, arXiv:2312.03732): alpha over √rank.
        one_trainer: Whether the file is OneTrainer's.
        config: All that peft has noted; None if there is no config.
        path: The module's path, as peft knows it.
        lookups: The config's patterns.
    """

    alpha: float | None = None
    rank_stabilised: bool = False
    one_trainer: bool = False
    config: Config | None = None
    path: str = ""
    lookups: Lookups = field(default_factory=lambda: Lookups(Work()), compare=False, repr=False)

    def scale(self, rank: int) -> float:
        """Returns alpha / rank; a file that says nothing was trained with alpha = rank."""
        if self.alpha is None:
            return 1.0
        return self.alpha / (math.sqrt(rank) if self.rank_stabilised else rank)

    def noted_rank(self) -> int | None:
        """Returns the rank in peft's config, for tensors that do not show it; None if there is
        none."""
        if self.config is None:
            return None
        rank = _number_of(self.config, "rank_pattern", self.lookups, self.path)
        if rank is None:
            rank = _some(self.config, "r")
        return None if rank is None or rank < 1 else int(rank)

    def option(self, name: str, default: float, in_config: float = 0) -> float:
        """Reads a number or flag of peft's config; LoraFileError if it is not a finite number.

        Args:
            name: The option's name.
            default: The value if there is no config.
            in_config: The value if there is a config without the option.
        """
        if self.config is None:
            return default
        return _number(self.config, name, in_config)

    def is_before(self, version: tuple[int, int]) -> bool:
        """Tells whether a config is from an older peft; the oldest ones do not say their version."""
        if self.config is None:
            return False
        found = re.match(r"(\d{1,9})\.(\d{1,9})", str(self.config.get("peft_version")))
        return found is None or (int(found[1]), int(found[2])) < version

    def names_module(self, option: str) -> bool:
        """Tells whether an option of peft's config, a list of ends or one pattern, means this
        module."""
        named = (self.config or {}).get(option)
        if isinstance(named, list):
            named = [end for end in cast("list[object]", named) if isinstance(end, str)]
        elif not isinstance(named, str):
            return False
        return self.lookups.means(option, named, self.path)


@dataclass(frozen=True, slots=True)
class _Noted:
    """A config, and the patterns in it."""

    config: Config
    lookups: Lookups

    def settings(self, path: str, one_trainer: bool) -> ModuleConfig:
        """Returns what holds for the layer with this path."""
        alpha = _number_of(self.config, "alpha_pattern", self.lookups, path)
        if alpha is None:
            alpha = _some(self.config, "alpha" if "alpha" in self.config else "lora_alpha")
        stabilised = self.config.get("use_rslora") is True
        return ModuleConfig(alpha, stabilised, one_trainer, self.config, path, self.lookups)


@dataclass(frozen=True, slots=True)
class FileConfig:
    """What is noted about all modules of a file.

    Attributes:
        configs: peft's configs by component; "" is for all components.
        one_trainer: Whether the file is OneTrainer's.
        unreadable: Whether there is a config that cannot be read.
        rest: What is noted about modules that no config is for.
    """

    configs: Mapping[str, _Noted] = field(default_factory=dict[str, _Noted])
    one_trainer: bool = False
    unreadable: bool = False
    rest: ModuleConfig = field(default_factory=ModuleConfig)

    @classmethod
    def read(cls, metadata: Mapping[str, str], config_text: str | None = None) -> FileConfig:
        """Reads the configs from the file's metadata and from the text of a config next to it."""
        noted = _document(metadata.get(NOTED, "{}"))
        config = _document("{}" if config_text is None else config_text)
        configs = _by_component(noted or {})
        if config:
            configs[""] = config
        one_trainer = any(key.startswith("ot_") for key in metadata)
        unreadable = noted is None or config is None
        work = Work()
        noted_by = {c: _Noted(own, Lookups(work)) for c, own in configs.items()}
        return cls(noted_by, one_trainer, unreadable, ModuleConfig(one_trainer=one_trainer))

    @property
    def config(self) -> Config | None:
        """peft's config for all modules; None if there is none."""
        return self.configs[""].config if "" in self.configs else None

    def of(self, name: str) -> ModuleConfig:
        """Returns what is noted about the module that the file calls ``name``.

        Raises:
            LoraFileError: A number in it is not finite, or a pattern is not supported.
        """
        if not self.configs:
            return self.rest
        whole = name.removeprefix(PEFT_PREFIX)
        component, _, path = whole.partition(".")
        if component in self.configs:
            return self.configs[component].settings(path, self.one_trainer)
        if "" in self.configs:
            return self.configs[""].settings(whole, self.one_trainer)
        return self.rest


def _document(text: str) -> dict[str, object] | None:
    if too_much(text):
        return None
    try:
        found = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _whole(digits: str) -> float:
    """Reads a whole number; reading a long one exactly would take quadratic time."""
    return int(digits) if len(digits) <= MOST_WHOLE_NUMBER_DIGITS else float(digits)


def _by_component(noted: Config) -> dict[str, Config]:
    """Turns {"transformer.r": 4} into {"transformer": {"r": 4}}."""
    configs: dict[str, dict[str, object]] = {}
    for key, value in noted.items():
        component, _, option = key.rpartition(".")
        configs.setdefault(component, {})[option] = value
    return {**configs}


def _number_of(config: Config, which: str, lookups: Lookups, path: str) -> float | None:
    """Returns what the patterns of an option say about a path."""
    return lookups.number(which, lambda: _numbers(config, which), path)


def _numbers(config: Config, which: str) -> dict[str, float]:
    found = config.get(which)
    entries = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    # AdaLoRA's are lists of flags, whose effect is already in the tensors
    return {name: _finite(which, v) for name, v in entries.items() if isinstance(v, (int, float))}


def _some(config: Config, name: str) -> float | None:
    return _number(config, name, 0) if config.get(name) is not None else None


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
        f"{name} in its config is {found}; expected a finite number.",
        key=name,
        expected="a finite number",
        found=found,
    )
