"""What ComfyUI's answers about a prompt mean. They are data of a host: nothing is taken for granted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lora_core.text import printable, shortened

from .item import Failure, Outcome, Status
from .server import as_list, as_object

_MESSAGE_CHARS: Final = 2000
NAME_CHARS: Final = 200
"""How much is kept of a name that a host gives to a node or a class."""

_PATH_CHARS: Final = 4096
_LAST_MOMENT: Final = 253_402_300_800.0
"""The end of the year 9999. A host may answer any number, and not every one is a time."""


@dataclass(frozen=True, slots=True)
class SavedName:
    """A file that a prompt has saved, by the name that the host gives it."""

    node: str
    kind: str
    name: str
    subfolder: str

    def is_name(self) -> bool:
        """Returns whether it can be asked for at all."""
        path = f"{self.subfolder}/{self.name}"
        return len(path) <= _PATH_CHARS and printable(path) == path


@dataclass(frozen=True, slots=True)
class Times:
    """When a prompt was started and finished, in seconds since 1970, by the host's clock."""

    started: float | None
    finished: float | None

    @property
    def seconds(self) -> float | None:
        """How long it ran."""
        if self.started is None or self.finished is None:
            return None
        return self.finished - self.started


def failed(
    status: Status, message: str, node: str | None = None, class_type: str | None = None
) -> Outcome:
    """Returns the outcome of an item that has failed."""
    words = shortened(message.strip(), _MESSAGE_CHARS)
    place = [None if name is None else shortened(name, NAME_CHARS) for name in (node, class_type)]
    return Outcome(status, failure=Failure(words, *place))


def succeeded(entry: Mapping[str, Any]) -> bool:
    """Returns whether an entry of the history is that of a prompt that ran to its end."""
    return as_object(entry.get("status")).get("status_str") == "success"


def times(entry: Mapping[str, Any]) -> Times:
    """Returns when the prompt of an entry ran."""
    events = _events(entry)
    ends = ("execution_success", "execution_error", "execution_interrupted")
    end = next((found for name in ends if (found := _moment(events, name)) is not None), None)
    return Times(_moment(events, "execution_start"), end)


def saved_names(entry: Mapping[str, Any]) -> list[SavedName]:
    """Returns the saved files of an entry, node by node, without what is temporary."""
    outputs = as_object(entry.get("outputs"))
    return [
        found
        for node in sorted(outputs, key=lambda node: (len(node), node))
        for kind, values in as_object(outputs[node]).items()
        for found in _names(node, kind, values)
    ]


def _names(node: str, kind: str, values: Any) -> Iterator[SavedName]:
    for each in map(as_object, as_list(values)):
        name, subfolder = each.get("filename"), each.get("subfolder", "")
        if each.get("type") == "output" and isinstance(name, str) and isinstance(subfolder, str):
            yield SavedName(node, kind, name, subfolder)


def failure_of(entry: Mapping[str, Any]) -> Outcome:
    """Returns why the prompt of an entry has failed."""
    events = _events(entry)
    raised = events.get("execution_error")
    if raised is None and "execution_interrupted" in events:
        node = _text(events["execution_interrupted"], "node_id")
        kind = _text(events["execution_interrupted"], "node_type")
        return failed("interrupted", "Somebody interrupted it.", node, kind)
    raised = raised or {}
    type_, words = _text(raised, "exception_type"), _text(raised, "exception_message")
    message = f"{type_}: {words}" if type_ else words or "ComfyUI does not say why."
    return failed("error", message, _text(raised, "node_id"), _text(raised, "node_type"))


def refusal(status: int, answer: Any) -> Outcome:
    """Returns why ComfyUI has refused a prompt: the first node that it names, and all reasons."""
    nodes = as_object(as_object(answer).get("node_errors"))
    reasons = [
        f"{f'{node}: ' if len(nodes) > 1 else ''}{error.get('message', '')} {error.get('details', '')}".strip()
        for node, each in nodes.items()
        for error in map(as_object, as_list(as_object(each).get("errors")))
    ]
    error = as_object(as_object(answer).get("error"))
    general = f"{error.get('message', '')} {error.get('details', '')}".strip()
    message = "; ".join(reasons) or general or f"ComfyUI answers with status {status}."
    node = next(iter(nodes), None)
    kind = _text(as_object(nodes.get(node)), "class_type") if node is not None else None
    return failed("invalid", message, node, kind)


def described(answer: Any) -> dict[str, Mapping[str, Any]]:
    """Returns the description of all nodes, without inputs that say nothing."""
    return {name: _node(as_object(each)) for name, each in as_object(answer).items()}


def _node(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = {
        section: {name: each for name, each in as_object(found).items() if as_list(each)}
        for section, found in as_object(definition.get("input")).items()
    }
    return {**definition, "input": inputs, "output": as_list(definition.get("output"))}


def _events(entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Returns what the host has told of a prompt: name -> data."""
    told = map(as_list, as_list(as_object(entry.get("status")).get("messages")))
    return {str(each[0]): as_object(each[1]) for each in told if len(each) == 2}


def _moment(events: Mapping[str, Mapping[str, Any]], name: str) -> float | None:
    milliseconds = events.get(name, {}).get("timestamp")
    if isinstance(milliseconds, int | float) and 0 <= milliseconds / 1000 < _LAST_MOMENT:
        return milliseconds / 1000
    return None


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return None if value is None else str(value)
