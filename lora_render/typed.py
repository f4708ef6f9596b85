"""Values of a table in the type that an input has. A CSV has only texts."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from lora_core.errors import LoraInputError

from .item import Scalar
from .ui_widgets import chosen_specs

WORDS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_LARGEST: Final = sys.float_info.max
_WHOLE: Final = re.compile(r"[-+]?\d{1,25}", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
Limits = tuple[float | None, float | None]
KINDS: Final = ("INT", "FLOAT", "BOOLEAN", "STRING")


def kind_of(definition: Mapping[str, Any] | None, inputs: Mapping[str, Any], name: str) -> str:
    """Returns the type of an input, as its definition says it or, where there is none, as its value has it."""
    for spec in chosen_specs(definition or {}, inputs):
        if spec.name == name and (spec.type in KINDS or spec.type == "COMBO"):
            return spec.type
    value = inputs[name]
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "NUMBER"  # a float that is whole is saved like this, too
    if isinstance(value, float):
        return "FLOAT"
    return "STRING" if isinstance(value, str) else ""


def limits_of(definition: Mapping[str, Any] | None, inputs: Mapping[str, Any], name: str) -> Limits:
    """Returns from where to where a number may be, as ComfyUI checks it; None where there is no end."""
    spec = next(
        (each for each in chosen_specs(definition or {}, inputs) if each.name == name), None
    )
    if spec is None or spec.type not in ("INT", "FLOAT"):
        return None, None
    least, most = (spec.options.get(end) for end in ("min", "max"))
    return _end(least), _end(most)


def _end(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def check_limits(value: Scalar, limits: Limits) -> None:
    """LoraInputError if a number is outside of its limits."""
    least, most = limits
    if isinstance(value, str | bool):
        return
    if least is not None and value < least:
        raise _refused(f"at least {least}", value)
    if most is not None and value > most:
        raise _refused(f"at most {most}", value)


def typed(given: Scalar, now: Any, kind: str) -> Scalar:
    """Returns a value in the type ``kind``; ``now`` is what the workflow has there.

    Raises:
        LoraInputError: It is of another type.
    """
    if kind == "BOOLEAN":
        return _switch(given)
    if kind in ("INT", "FLOAT", "NUMBER"):
        return _number(given, kind)
    if kind == "COMBO" and not isinstance(now, str) and not isinstance(given, bool):
        return _number(given, "NUMBER") if isinstance(now, int | float) else given
    if kind in ("STRING", "COMBO"):
        if not isinstance(given, str):
            raise _refused("a text", given)
        return given
    if isinstance(now, Mapping | list) and not isinstance(given, str):
        raise _refused("a text", given)
    return given


def _switch(given: Scalar) -> bool:
    value = WORDS.get(str(given).strip().lower())
    if value is None:
        raise _refused("true or false", given)
    return value


def _number(given: Scalar, kind: str) -> int | float:
    expected = "a whole number" if kind == "INT" else "a number"
    if isinstance(given, bool):
        raise _refused(expected, given)
    value = _parsed(given.strip(), expected) if isinstance(given, str) else given
    if not -_LARGEST <= value <= _LARGEST:  # NaN, too
        raise _refused(expected, given)
    if kind == "FLOAT":
        return float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "INT" and isinstance(value, float):
        raise _refused(expected, given)
    return value


def _parsed(text: str, expected: str) -> int | float:
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    raise _refused(expected, text)


def _refused(expected: str, found: object) -> LoraInputError:
    return LoraInputError(
        f"expected {expected}, found {str(found)[:60]!r}.",
        key="value",
        expected=expected,
        found=str(found)[:60],
    )
