"""What ``lora-algebra render`` does: a workflow and a table become jobs, jobs become pictures, a manifest and a
contact sheet."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lora_core.errors import LoraInputError

from .comfy import Place
from .engine import RayEngine
from .extra import needed
from .farm import Options, Summary, Watch, run
from .item import Item, Job, Scalar
from .journal import JOURNAL, Entry, Journal, check_free, locked
from .kept_hashes import KeptContents
from .manifest import write_manifest
from .order import OrderName
from .plan import plan_items
from .process import Own
from .server import Address
from .sheet import draw_sheet
from .spread import spread_jobs
from .table import read_table
from .workflow import read_workflow, to_prompt

MANIFEST: Final = "manifest.parquet"
SHEET: Final = "sheet.png"
WORKERS: Final = "workers"
HASHES: Final = "hashes.json"

INSTALLS: Final = ("~/comfy/ComfyUI", "~/ComfyUI")
"""Where ComfyUI is looked for: comfy-cli's own folder, and where people clone it to."""

PYTHONS: Final = (".venv/bin/python", "venv/bin/python", ".venv/Scripts/python.exe")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be rendered, and by whom.

    Attributes:
        workflow, table: The files.
        out: The folder of everything that is made.
        hosts: URLs of ComfyUIs that run; if there are any, none is started.
        comfyui, python: The ComfyUI to start and its Python; None to find them.
        arguments: More arguments for a ComfyUI that is started.
        workers: How many are started; None for one for each GPU here.
        gpus: How many GPUs each of them gets, by Ray's count; None for one if there are any.
        address: Of a Ray cluster; None to use this machine only.
        dashboard: Whether Ray's own is started.
        order: Who gets which job next.
        spread: Up to how many strengths of one LoRA are rendered as one batch; 1 for none.
        limit: After how many seconds an item is given up; None for no limit.
        models: Folders of models, to know the contents of the files that the workflow names; empty for
            those of the ComfyUI.
        sheet: Whether a contact sheet is drawn.
    """

    workflow: Path
    table: Path
    out: Path
    hosts: tuple[str, ...] = ()
    comfyui: Path | None = None
    python: Path | None = None
    arguments: tuple[str, ...] = ()
    workers: int | None = None
    gpus: float | None = None
    address: str | None = None
    dashboard: bool = False
    order: OrderName = "affinity"
    spread: int = 1
    limit: float | None = None
    models: tuple[Path, ...] = ()
    sheet: bool = True


@dataclass(frozen=True, slots=True)
class Sources:
    """A workflow as it was saved, and the rows of a table."""

    workflow: Mapping[str, Any]
    rows: Sequence[Mapping[str, Scalar]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to do.

    Attributes:
        rows: How many rows the table has.
        items: What differs among them, in the order of the table.
        todo: The items that the journal does not have yet.
        jobs: Those as jobs.
    """

    rows: int
    items: tuple[Item, ...]
    todo: tuple[Item, ...]
    jobs: tuple[Job, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as JSON."""
        return {
            "rows": self.rows,
            "different": len(self.items),
            "done_before": len(self.items) - len(self.todo),
            "to_do": len(self.todo),
            "models": len({item.base for item in self.todo}),
            "recipes": len({(item.base, item.recipe) for item in self.todo}),
            "batches": sum(len(job.items) > 1 for job in self.jobs),
            "jobs": [[item.index for item in job.items] for job in self.jobs],
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a plan: the run's own summary, the entries of all items of the table, and the files that were
    written."""

    summary: Summary
    entries: tuple[Entry, ...]
    manifest: Path | None
    sheet: Path | None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left, and nothing has failed."""
        return not (self.summary.failed or self.summary.not_done or self.summary.stopped)

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as JSON."""
        return {
            "rendered": self.summary.done,
            "seconds": round(self.summary.seconds, 3),
            "failed": [_failed(entry) for entry in self.summary.failed],
            "not_done": [item.index for item in self.summary.not_done],
            "stopped": self.summary.stopped,
            "manifest": str(self.manifest) if self.manifest else None,
            "sheet": str(self.sheet) if self.sheet else None,
        }


def _failed(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "parameters": dict(entry.parameters),
        "status": entry.status,
        "node": entry.error and entry.error.node,
        "message": entry.error and entry.error.message,
    }


@contextlib.contextmanager
def start(asked: Asked, *, scratch: Path | None = None) -> Generator[RayEngine]:
    """Starts Ray, and by it the workers: only the first with ``scratch``, where it writes then.

    Raises:
        LoraInputError: Something of it is not there.
    """
    needed("pyarrow.parquet")  # before anything is rendered, not after it
    if asked.sheet:
        needed("PIL.Image", "the contact sheet")
    if asked.dashboard:
        needed("aiohttp_cors", "the dashboard", "ray[default]")
    if asked.hosts:
        _check_alone(asked)
        places, gpus = _hosts(asked), 0.0
    else:
        workers, gpus = _share(asked)
        places = _own(asked, scratch or asked.out / WORKERS, workers)
    started = places[: 1 if scratch else None]
    with (
        alone(asked, scratch),
        RayEngine(started, gpus, asked.address, dashboard=asked.dashboard) as engine,
    ):
        yield engine


@contextlib.contextmanager
def alone(asked: Asked, scratch: Path | None) -> Generator[None]:
    """Holds the folder of the results, and that of our ComfyUIs, which nobody else may start there meanwhile.

    LoraInputError if another run writes there.
    """
    check_free(asked.out)
    if scratch or asked.hosts:
        yield
        return
    (asked.out / WORKERS).mkdir(parents=True, exist_ok=True)
    with locked(asked.out / WORKERS, asked.out):
        yield


def read(asked: Asked) -> Sources:
    """Reads the workflow and the table, before anything is started.

    Raises:
        LoraInputError: One of them can't be read.
    """
    return Sources(read_workflow(asked.workflow), read_table(asked.table))


def plan(asked: Asked, sources: Sources, object_info: Mapping[str, Any]) -> Plan:
    """Says what is to do.

    Raises:
        LoraInputError: The workflow and the table don't fit each other, or the host's nodes.
    """
    prompt, rows = to_prompt(sources.workflow, object_info), sources.rows
    contents = KeptContents(_folders(asked), asked.out / HASHES)
    items = plan_items(prompt, rows, object_info, contents)
    if asked.out.is_dir():
        contents.save()
    todo = _missing(asked.out, items)
    jobs = spread_jobs(todo, object_info, asked.spread)
    return Plan(len(rows), tuple(items), tuple(todo), tuple(jobs))


def render(asked: Asked, plan: Plan, engine: RayEngine, watch: Watch) -> Result:
    """Renders what is to do, and writes the manifest and the contact sheet of the whole table."""
    with Journal(asked.out) as journal:
        summary = run(plan.jobs, engine, journal, Options(order=asked.order), watch)
        entries = _of_table(plan.items, journal.entries())
        manifest = sheet = None
        try:
            write_manifest(entries, asked.out / MANIFEST)
            manifest = asked.out / MANIFEST
            if asked.sheet and entries:
                draw_sheet(entries, asked.out, asked.out / SHEET)
                sheet = asked.out / SHEET
        except OSError as error:  # what failed, and what is left, is said all the same
            words = f"The manifest or the sheet can't be written: {error}."
            summary = replace(summary, stopped=summary.stopped or words)
    return Result(summary, entries, manifest, sheet)


def _missing(out: Path, items: Sequence[Item]) -> Sequence[Item]:
    """Returns the items that the journal does not have; makes no folder for that."""
    if not (out / JOURNAL).exists():
        return items
    with Journal(out) as journal:
        return [item for item in items if not journal.has(item.key)]


def _of_table(items: Sequence[Item], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Returns the entries of a table's items, with the place and the parameters that they have in it."""
    known = {entry.key: entry for entry in entries}
    return tuple(
        replace(known[item.key], index=item.index, parameters=item.parameters)
        for item in items
        if item.key in known
    )


def _check_alone(asked: Asked) -> None:
    """Refuses what is said of ComfyUIs that are to be started, where none is."""
    own = {
        "--comfyui": asked.comfyui,
        "--python": asked.python,
        "--comfyui-args": asked.arguments or None,
        "--workers": asked.workers,
        "--gpus": asked.gpus,
    }
    given = [name for name, value in own.items() if value is not None]
    if given:
        raise LoraInputError(
            f"with --host, this command starts no ComfyUI: leave out {' and '.join(given)}, or --host. To say where the "
            "models of a host lie, use --models.",
            key="host",
            expected="--host alone",
            found=", ".join(given),
        )


def _hosts(asked: Asked) -> list[Place]:
    addresses = [Address.parse(url) for url in asked.hosts]
    if len({*addresses}) < len(addresses):
        raise LoraInputError(
            "one host is given twice.",
            key="host",
            expected="each once",
            found=", ".join(asked.hosts),
        )
    names = [address.name for address in addresses]
    numbered = (
        name if names.count(name) == 1 else f"{name}-{number}"
        for number, name in enumerate(names, 1)
    )
    return [Place(name, url, asked.limit) for name, url in zip(numbered, asked.hosts, strict=True)]


def _own(asked: Asked, folder: Path, count: int) -> list[Place]:
    path = _comfyui(asked)
    python = asked.python or _python(path)
    own = Own(str(path), str(python), str(folder.resolve()), asked.arguments)
    return [Place(f"worker-{number}", own, asked.limit) for number in range(1, count + 1)]


def _comfyui(asked: Asked) -> Path:
    named = asked.comfyui or os.environ.get("COMFYUI_PATH")
    places = [Path(named)] if named else [Path(place).expanduser() for place in INSTALLS]
    for place in places:
        if (place / "main.py").is_file():
            return place.resolve()
    looked = ", ".join(map(str, places))
    raise LoraInputError(
        f"there is no ComfyUI in {looked}. Say where it is with --comfyui, or name one that runs with --host.",
        key="comfyui",
        expected="a folder with ComfyUI's main.py",
        found=looked,
    )


def _python(comfyui: Path) -> Path:
    """Returns the Python of a ComfyUI: that of its own environment, or ours."""
    named = os.environ.get("COMFYUI_PYTHON")
    places = [Path(named)] if named else [comfyui / place for place in PYTHONS]
    return next((place.absolute() for place in places if place.is_file()), Path(sys.executable))


def _share(asked: Asked) -> tuple[int, float]:
    """Returns how many workers there are, and the share of the GPUs that each of them gets."""
    if asked.address:
        if asked.workers is None:
            raise LoraInputError(
                "say with --workers how many workers the cluster is to have.",
                key="workers",
                expected="a number, since the cluster may still grow",
                found="nothing",
            )
        return asked.workers, 1.0 if asked.gpus is None else asked.gpus
    here = _gpus_here()
    workers = asked.workers or (max(1, int(here / asked.gpus)) if asked.gpus else max(1, here))
    return workers, _fair(workers, here) if asked.gpus is None else asked.gpus


def _fair(workers: int, gpus: int) -> float:
    """Returns the share of a GPU with which all workers find room; Ray counts in ten-thousandths."""
    return min(1.0, 10_000 // math.ceil(workers / gpus) / 10_000) if gpus else 0.0


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _folders(asked: Asked) -> list[Path]:
    """Returns where the files lie that the workflow names, if they are on this machine."""
    if asked.models:
        return [*asked.models]
    if asked.hosts:
        return []
    base = Path(_last(asked.arguments, "--base-directory") or _comfyui(asked))
    given = _last(asked.arguments, "--input-directory")
    return [base / "models", Path(given) if given else base / "input"]


def _last(arguments: Sequence[str], name: str) -> str | None:
    """Returns what the arguments of a ComfyUI say last for an option, as ``--name X`` or ``--name=X``."""
    found = None
    for place, each in enumerate(arguments):
        if each == name:
            found = next(iter(arguments[place + 1 :]), None)
        elif each.startswith(f"{name}="):
            found = each.partition("=")[2]
    return found
