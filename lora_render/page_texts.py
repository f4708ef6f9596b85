"""What ComfyUI's page makes of texts when it queues a workflow: comments and choices in prompts, names in file names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from lora_core.errors import LoraInputError

_COMMENT: Final = re.compile(r"/\*[\s\S]*?\*/|//[^\n\r\u2028\u2029]*")
_ESCAPED: Final = re.compile(r"\\([{}|])")
_REPLACED: Final = re.compile(r"%([^%]+)%")
_NOT_IN_NAMES: Final = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')

PREFIX: Final = "filename_prefix"
SAVERS: Final = frozenset(
    (
        *(
            "CLIPSave",
            "LoraSave",
            "ModelSave",
            "Save3DAdvanced",
            "SaveAnimatedPNG",
            "SaveAnimatedWEBP",
        ),
        *("SaveAudio", "SaveAudioAdvanced", "SaveAudioMP3", "SaveAudioOpus", "SaveGLB"),
        *("SaveGaussianSplat", "SaveImage", "SaveImageAdvanced", "SaveLatent", "SavePointCloud"),
        *("SaveSVGNode", "SaveVideo", "SaveWEBM", "VAESave"),
    )
)
"""Nodes whose names of files may hold values of other nodes, as ``%Node.widget%``."""


def without_choices(text: str) -> str:
    """Returns a prompt as the page sends it: without comments and without the braces of a single choice.

    Raises:
        LoraInputError: The page would choose by chance.
    """
    out: list[str] = []
    left = iter(_COMMENT.sub("", text))
    for char in left:
        if char == "\\":
            out += (char, next(left, "undefined"))  # as the page does it, at the end of a text
        elif char == "{":
            out.append(_only_choice(left))
        else:
            out.append(char)
    return _ESCAPED.sub(r"\1", "".join(out))


def _only_choice(left: Any) -> str:
    depth, choice = 0, ""
    for char in left:
        if char == "\\":
            choice += char + next(left, "undefined")
            continue
        if char == "}" and not depth:
            break
        if char == "|" and not depth:
            raise LoraInputError(
                "the page chooses a part of the prompt by chance. Write one of the choices, "
                r"or \{ and \} for plain braces.",
                key="prompt",
                expected="a prompt without {a|b}",
                found="a choice",
            )
        depth += {"{": 1, "}": -1}.get(char, 0)
        choice += char
    return without_choices(choice)


def file_prefix(text: str, value_of: Callable[[str, str], Sequence[Any]]) -> str:
    """Returns the beginning of a file's name with values of nodes in it, as the page sends it.

    Args:
        text: With ``%Node.widget%`` in it.
        value_of: Gives the values that a node's name and a widget's name may mean.

    Raises:
        LoraInputError: It holds the time, or a name that means several widgets.
    """

    def written(found: re.Match[str]) -> str:
        parts = found[1].split(".")
        if len(parts) != 2:
            if parts[0].startswith("date:"):
                raise _no_prefix(
                    found[0], "a name without the time, which is different at each run"
                )
            return found[0]
        values = value_of(*parts)
        if len(values) > 1:
            raise _no_prefix(found[0], "a name that means one node")
        return _NOT_IN_NAMES.sub("_", as_text(values[0])) if values else found[0]

    return _REPLACED.sub(written, text)


def as_text(value: Any) -> str:
    """Returns a value as JavaScript writes it into a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _no_prefix(found: str, expected: str) -> LoraInputError:
    return LoraInputError(
        f"{PREFIX} holds {found}; expected {expected}", key=PREFIX, expected=expected, found=found
    )
