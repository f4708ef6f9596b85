"""The tables of dialects: denoisers by prefix, special dialects, partial files, and text encoders."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .dialects import KINDS, PREFIXES, ROOT, SPECIAL, Dialect, Tensors, files, native
from .layouts import Layout, layouts, text_layouts
from .measure import Applied, Ours, host_applied
from .table import Section, table
from .texts import TEXT_DIALECTS

WHOLE = KINDS[0].title
TEXTS = "texts"
NOT_RUN = "not run"
File = tuple[str, Layout, Dialect, Tensors]


@dataclass(frozen=True)
class Cell:
    """The result for one file.

    Attributes:
        kind: The table that it belongs to.
        host: The host's result; None if there is no host.
    """

    kind: str
    layout: Layout
    dialect: Dialect
    ours: Applied
    host: Applied | None

    @property
    def gap(self) -> str:
        """What is wrong with our result; empty if nothing is."""
        where = f"{self.layout.name}, {self.dialect.title}, {self.kind}"
        if not self.ours.complete:
            why = self.ours.refusal or f"unknown: {', '.join(self.ours.missed[:2])}"
            return f"{where}: {self.ours.applied}/{self.ours.found}; {why}"
        if strays := self._strays():
            return f"{where}: another weight than named: {', '.join(sorted(strays)[:2])}"
        return ""

    def _strays(self) -> frozenset[str]:
        """Returns weights that change although a file in the host's own names does not name them."""
        if self.dialect.layers is not native or self.dialect.make or self.ours.refusal:
            return frozenset()
        return self.ours.weights - {ROOT + path + ".weight" for path, _ in native(self.layout)}


def sections() -> list[Section]:
    """Returns all tables of this kind."""
    cells = _cells([*files(layouts()), *_text_files()])
    whole = [cell for cell in cells if cell.kind == WHOLE]
    prefixes = [cell for cell in whole if cell.dialect in PREFIXES]
    special = [cell for cell in whole if cell.dialect in SPECIAL]
    partial = [cell for cell in cells if cell.kind not in (WHOLE, TEXTS)]
    texts = [cell for cell in cells if cell.kind == TEXTS]
    return [
        Section("dialects", _noted(prefixes, _mark), _noted(prefixes, _text), _gaps(prefixes)),
        Section("special dialects", _by_dialect(special), gaps=_gaps(special)),
        Section("partial files", _by_dialect(partial), gaps=_gaps(partial)),
        Section("text encoders", _by_dialect(texts), gaps=_gaps(texts)),
    ]


def _noted(cells: list[Cell], written: Callable[[Cell], str]) -> str:
    """Returns the table of prefixes; the others say in their own column what the host does."""
    text = _by_model(cells, PREFIXES, written)
    ran = any(cell.host for cell in cells)
    return text if ran else f"{text}\n\nComfyUI: {NOT_RUN}"


def _text_files() -> Iterator[File]:
    for layout in text_layouts().values():
        for dialect in TEXT_DIALECTS:
            if tensors := dialect.file(layout):
                yield TEXTS, layout, dialect, tensors


def _cells(made: list[File]) -> list[Cell]:
    """Measures all cells. The host works in its own process, at the same time."""
    asked = [("texts" if kind == TEXTS else "models", x, t) for kind, x, _, t in made]
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryDirectory() as folder:
        theirs = pool.submit(host_applied, asked)
        ours = Ours(Path(folder))
        applied = [ours.applied(layout, tensors) for _, layout, _, tensors in made]
        answers = theirs.result() or [None] * len(made)
    return [
        Cell(kind, layout, dialect, mine, host)
        for (kind, layout, dialect, _), mine, host in zip(made, applied, answers, strict=True)
    ]


def _gaps(cells: Iterable[Cell]) -> tuple[str, ...]:
    return tuple(cell.gap for cell in cells if cell.gap)


def _by_model(
    cells: list[Cell], dialects: Iterable[Dialect], written: Callable[[Cell], str]
) -> str:
    """Returns a row for each architecture, with a column for each dialect."""
    by_place = {(cell.layout.name, cell.dialect.title): cell for cell in cells}
    titles = [dialect.title for dialect in dialects]
    rows = []
    for name in dict.fromkeys(cell.layout.name for cell in cells):
        found = [by_place.get((name, title)) for title in titles]
        rows.append([name, *(written(cell) if cell else "" for cell in found)])
    return table(["", *(f"`{title}`" for title in titles)], rows)


def _by_dialect(cells: list[Cell]) -> str:
    """Returns a row for each dialect, with its architectures together."""
    groups: defaultdict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.kind, cell.dialect.title].append(cell)
    kinds = {kind for kind, _ in groups}
    rows = [
        [
            title,
            kind if len(kinds) > 1 else "",
            _models(group),
            _share(group, lambda cell: cell.ours),
            _share(group, lambda cell: cell.host),
        ]
        for (kind, title), group in groups.items()
    ]
    return table(["dialect", "file", "models", "applied", "ComfyUI"], rows)


def _models(group: list[Cell]) -> str:
    names = [cell.layout.name for cell in group]
    return ", ".join(names) if len(names) <= 4 else f"{len(names)} architectures"


def _text(cell: Cell) -> str:
    """Writes our result, and the host's if it differs."""
    ours, host = (_share([cell], side) for side in (lambda cell: cell.ours, lambda cell: cell.host))
    return ours if host in (ours, NOT_RUN) else f"{ours} (ComfyUI {host.partition('/')[0]})"


def _mark(cell: Cell) -> str:
    """Writes the same in short: a tick for all keys, and the host's share if it is less."""
    ours, host = cell.ours, cell.host
    mark = "✓" if ours.applied == ours.found else f"{ours.applied}/{ours.found}"
    if host is None or host.applied == host.found:
        return mark
    return f"{mark} {100 * host.applied // host.found} %"


def _share(cells: list[Cell], side: Callable[[Cell], Applied | None]) -> str:
    counted = [applied for applied in map(side, cells) if applied is not None]
    if not counted:
        return NOT_RUN
    refused = [a for a in counted if a.names_why]
    share = f"{sum(a.applied for a in counted)}/{sum(a.found for a in counted)}"
    return f"{share}, refused" if refused else share
