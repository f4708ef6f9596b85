"""The widgets and sockets that ComfyUI's page gives a node, from its definition and its saved values.

The page saves the values of widgets by place, so which widget a value belongs to follows from the definition in
``/object_info`` alone: its order, the control that follows a seed, the button that follows an upload, and what the choice of a
dynamic list brings. Where that cannot be known, the workflow is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lora_core.errors import LoraInputError

from .ui_graph import Node

NUMBERS: Final = frozenset(("INT", "FLOAT"))
COMBO: Final = "COMBO"
DYNAMIC: Final = "COMFY_DYNAMICCOMBO_V3"
GROWING: Final = "COMFY_AUTOGROW_V3"
MATCHING: Final = "COMFY_MATCHTYPE_V3"
UPLOAD: Final = "IMAGEUPLOAD"
ROWS: Final = "LORA_ROWS"

DEFAULTS: Final[Mapping[str, Any]] = {
    "INT": 0,
    "FLOAT": 0,
    "BOOLEAN": False,
    "STRING": "",
    "MARKDOWN": "",
    "TEXTAREA": "",
    "COLOR": "#ffffff",
    UPLOAD: "image",
    ROWS: None,
}
"""Types whose widgets hold exactly one value and put it into the prompt as it is, and what a new one holds."""

PAGE_ONLY: Final = frozenset(
    (
        *("AUDIO_RECORD", "AUDIO_UI", "AUDIOUPLOAD", "BOUNDING_BOX", "BOUNDING_BOXES", "CHART"),
        *("COLORS", "COMPOSITOR", "CURVE", "GALLERIA", "LOAD_3D", "LOAD_3D_ANIMATION", "PAINTER"),
        *("PREVIEW_3D", "RANGE", "VIDEO_EDIT", "WEBCAM"),
    )
)
"""Types of widgets whose values only the page's own code can make."""

PAGE_ONLY_NODES: Final = frozenset(("CustomCombo",))
"""Nodes whose widgets the page's own code makes."""

COMPARED: Final = "IMAGECOMPARE"
"""The type of a picture with a slider, whose value is what the page shows: nothing, as nothing has run."""

UPLOADS: Final = ("image_upload", "animated_image_upload", "video_upload")
SEEDS: Final = ("seed", "noise_seed")
CONTROLS: Final = ("fixed", "increment", "decrement", "randomize", "increment-wrap", True, False)
OURS: Final = "LoRA Algebra"
"""The category of our nodes, whose widgets are written down here."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One input of a definition."""

    name: str
    type: str
    options: Mapping[str, Any]

    @property
    def choices(self) -> Sequence[Any]:
        """The choices of a list."""
        return cast("Sequence[Any]", self.options.get("options") or ())

    @property
    def has_widget(self) -> bool:
        """Whether the page makes a widget for it."""
        known = (
            self.type in DEFAULTS
            or self.type in PAGE_ONLY
            or self.type in (COMBO, DYNAMIC, COMPARED)
        )
        return known and not self.options.get("forceInput")


@dataclass(frozen=True, slots=True)
class Widget:
    """A widget with its value. ``spec`` is None for one that the page adds and no prompt holds."""

    name: str
    value: Any
    spec: Spec | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What the page makes of a node: its inputs in order, as (name, type), and its widgets."""

    inputs: tuple[tuple[str, str], ...]
    widgets: tuple[Widget, ...]


def make(node: Node, definition: Mapping[str, Any]) -> Made:
    """Returns what the page makes of a saved node.

    Raises:
        LoraInputError: Only the page's own code knows which widgets the node has.
    """
    if node.type in PAGE_ONLY_NODES:
        raise _refused(node, "its widgets are made by the page", "a node that is not", node.type)
    specs = list(specs_of(definition))
    for spec in specs:
        if spec.type == GROWING and any(each.has_widget for each in _template(spec)[1]):
            raise _refused(node, f'"{spec.name}" grows by widgets', "sockets", GROWING)
    values = _without_forced(node, definition, specs)
    reader = _Reader(node, values)
    sockets = [socket for spec in specs for socket in _sockets(spec)]
    widgets: list[Widget] = []
    for spec in specs:
        if spec.has_widget:
            sockets += reader.read(spec, widgets)
    _check_count(node, definition, reader.place, len(values))
    return Made(tuple(sockets), tuple(widgets))


def specs_of(definition: Mapping[str, Any]) -> Iterator[Spec]:
    """Yields the inputs of a definition in the order in which the page makes their widgets."""
    inputs = _mapping(definition.get("input"))
    order = _mapping(definition.get("input_order"))
    for section in ("required", "optional"):
        yield from _section(_mapping(inputs.get(section)), order.get(section))
    for spec in _section(_mapping(inputs.get("required")), None):
        if any(spec.options.get(key) for key in UPLOADS):
            yield Spec("upload", UPLOAD, {})
            return


def chosen_specs(definition: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[Spec]:
    """Yields the inputs of a definition, and those that the choices of dynamic lists among ``inputs`` bring."""
    for spec in specs_of(definition):
        yield from _with_chosen(spec, inputs)


def _with_chosen(spec: Spec, inputs: Mapping[str, Any]) -> Iterator[Spec]:
    yield spec
    if spec.type == DYNAMIC:
        for inner in _inner(spec, inputs.get(spec.name)) or ():
            yield from _with_chosen(inner, inputs)


def prompt_widgets(widgets: Sequence[Widget]) -> Iterator[tuple[Widget, Spec]]:
    """Yields the widgets whose values the page puts into a prompt."""
    for widget in widgets:
        if widget.spec is not None and widget.spec.type != UPLOAD:
            yield widget, widget.spec


def as_rows(node: Node, value: Any) -> Any:
    """Returns the value of LoRA Rows as its widget gives it to a run: without the notes."""
    if value is None:
        return {"version": 1, "rows": []}
    rows = _mapping(value).get("rows")
    if not isinstance(rows, list) or not all(
        isinstance(row, Mapping) for row in cast("list[Any]", rows)
    ):
        raise _refused(node, "its rows are in an older form", "a list of rows", str(value)[:40])
    listed = cast("list[Mapping[str, Any]]", rows)
    kept = [{key: each for key, each in row.items() if key != "note"} for row in listed]
    return {**value, "rows": kept}


class _Reader:
    """Gives each widget the value at its place."""

    def __init__(self, node: Node, values: Sequence[Any]) -> None:
        self.node = node
        self.values = values
        self.place = 0

    def read(self, spec: Spec, widgets: list[Widget]) -> list[tuple[str, str]]:
        """Adds the widgets of one input, and returns the sockets that come with them."""
        if spec.type in PAGE_ONLY:
            raise _refused(
                self.node, f'only the page can make "{spec.name}"', "a plain value", spec.type
            )
        if spec.type == COMPARED:
            widgets.append(Widget(spec.name, ["", ""], spec))
            return []
        value = self._take(_default(spec))
        if value is None and spec.type == COMBO:
            value = next(iter(spec.choices), None)
        _check_value(self.node, spec, value)
        widgets.append(Widget(spec.name, value, spec))
        socketless = spec.options.get("socketless") or spec.type == UPLOAD
        sockets = [] if socketless else [(spec.name, spec.type)]
        if spec.type == DYNAMIC:
            return sockets + self._chosen(spec, value, widgets)
        for name in _controls(spec):
            widgets.append(Widget(name, self._take(None)))
            if name != "control_filter_list":
                self._check_control(widgets[-1].value)
        return sockets

    def _chosen(self, spec: Spec, value: Any, widgets: list[Widget]) -> list[tuple[str, str]]:
        """Adds what the choice of a dynamic list brings."""
        inner = _inner(spec, value)
        if inner is None:
            keys = ", ".join(str(each.get("key")) for each in spec.choices)
            raise _refused(self.node, f'"{spec.name}" has an unknown value', keys, str(value))
        sockets: list[tuple[str, str]] = []
        for each in inner:
            sockets += _sockets(each)
            if each.has_widget:
                sockets += self.read(each, widgets)
        return sockets

    def _take(self, default: Any) -> Any:
        value = self.values[self.place] if self.place < len(self.values) else default
        self.place += 1
        return value

    def _check_control(self, value: Any) -> None:
        """Values that have slipped show first where a control should be."""
        if value is not None and value not in CONTROLS:
            raise _refused(
                self.node,
                "its values do not fit its widgets",
                "a control after the seed",
                str(value)[:40],
            )


def _section(inputs: Mapping[str, Any], order: Any) -> list[Spec]:
    names = [name for name in cast("list[str]", order or ()) if name in inputs]
    names += [name for name in inputs if name not in names]
    return [_spec(name, inputs[name]) for name in names]


def _inner(spec: Spec, value: Any) -> list[Spec] | None:
    """Returns the inputs that a choice of a dynamic list brings; None if there is no such choice."""
    chosen = next((each for each in spec.choices if each.get("key") == value), None)
    if chosen is None:
        return None
    inner = _both(_mapping(chosen.get("inputs")))
    return [Spec(f"{spec.name}.{each.name}", each.type, each.options) for each in inner]


def _spec(name: str, given: Any) -> Spec:
    kind = given[0]
    options = _mapping(given[1] if len(given) > 1 else None)
    if isinstance(kind, list):
        return Spec(name, COMBO, {**options, "options": kind})
    return Spec(name, str(options.get("widgetType") or kind), options)


def _sockets(spec: Spec) -> list[tuple[str, str]]:
    """Returns the sockets of an input without a widget."""
    if spec.has_widget:
        return []
    if spec.type == MATCHING:
        template = _mapping(spec.options.get("template"))
        return [(spec.name, str(template.get("allowed_types", "*")))]
    if spec.type == GROWING:
        return _grown(spec)
    return [(spec.name, spec.type)]


def _grown(spec: Spec) -> list[tuple[str, str]]:
    """Returns the sockets that a growing input begins with; the saved node has the others."""
    template, inner = _template(spec)
    if len(inner) != 1:
        return []
    names = cast("list[str] | None", template.get("names"))
    least = int(template.get("min", 1))
    count = min(least + 1, len(names) if names else int(template.get("max", 100)))
    of = names or [f"{template.get('prefix', '')}{place}" for place in range(count)]
    return [(f"{spec.name}.{name}", inner[0].type) for name in of[:count]]


def _template(spec: Spec) -> tuple[Mapping[str, Any], list[Spec]]:
    """Returns what a growing input says of itself, and the inputs that it adds each time."""
    template = _mapping(spec.options.get("template"))
    return template, _both(_mapping(template.get("input")))


def _both(inputs: Mapping[str, Any]) -> list[Spec]:
    sections = ("required", "optional")
    return [each for section in sections for each in _section(_mapping(inputs.get(section)), None)]


def _default(spec: Spec) -> Any:
    default = spec.options.get("default")
    if spec.type == DYNAMIC:
        return next((each.get("key") for each in spec.choices), None)
    if spec.type == COMBO:
        return default or next(iter(spec.choices), None)
    return DEFAULTS.get(spec.type) if default is None else default


def _controls(spec: Spec) -> tuple[str, ...]:
    """Returns the widgets that the page puts behind a number or list that may change after each run."""
    control = spec.options.get("control_after_generate")
    if control is None and spec.type == "INT":
        control = spec.name in SEEDS
    if not control or spec.type not in (*NUMBERS, COMBO):
        return ()
    name = control if isinstance(control, str) else "control_after_generate"
    return (name, "control_filter_list") if spec.type == COMBO else (name,)


def _without_forced(
    node: Node, definition: Mapping[str, Any], specs: Sequence[Spec]
) -> tuple[Any, ...]:
    """Returns the values without those of inputs that were widgets once, as the page drops them."""
    if isinstance(node.values, Mapping):
        raise _refused(
            node, "its pack saves values by names of its own", "values by place", "an object"
        )
    written = _both(_mapping(definition.get("input")))
    with_widgets = {spec.name for spec in specs if spec.has_widget}
    forced: list[bool] = []
    for spec in written:
        is_forced = bool(spec.options.get("forceInput"))
        if spec.name in with_widgets or is_forced:
            forced += (
                [is_forced, False] if spec.options.get("control_after_generate") else [is_forced]
            )
    if len(forced) != len(node.values):
        return node.values
    return tuple(value for value, drop in zip(node.values, forced, strict=True) if not drop)


def _check_count(node: Node, definition: Mapping[str, Any], widgets: int, values: int) -> None:
    """The page ignores values beyond the last widget, but those of another pack belong to widgets that its own code makes."""
    module = str(definition.get("python_module", ""))
    is_known = not module.startswith("custom_nodes") or definition.get("category") == OURS
    if values > widgets and not is_known:
        raise _refused(
            node,
            f"it has {values} saved values for {widgets} widgets; its pack has widgets of its own",
            f"{widgets} values",
            f"{values}",
        )


def _check_value(node: Node, spec: Spec, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = (
        (spec.type not in NUMBERS or is_number)
        and (spec.type != "BOOLEAN" or isinstance(value, bool))
        and (spec.type != "STRING" or isinstance(value, str))
    )
    if value is not None and not fits:
        raise _refused(
            node, f'its values do not fit its widgets: "{spec.name}"', spec.type, str(value)[:40]
        )


def _refused(node: Node, problem: str, expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f"{node}: {problem} (expected {expected}, found {found}). Open the workflow in ComfyUI and save it with "
        "Export (API).",
        key=node.type,
        expected=expected,
        found=found,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
