"""``render WORKFLOW TABLE --out DIR``: a workflow once for each row of a table.

The work is done by the package ``lora_render``, which is imported only here and only then.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import shlex
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from ..errors import LoraInputError
from ..text import printable, shortened
from .arguments import Command, Commands

if TYPE_CHECKING:
    from lora_render.command import Asked, Plan, Result
    from lora_render.farm import Watch
    from lora_render.journal import Entry
    from lora_render.order import OrderName

SOME_FAILED: Final = 3
MOST_IN_A_BATCH: Final = 8
MOST_LISTED: Final = 20
VALUE_CHARS: Final = 120
ORDERS: Final[dict[str, OrderName]] = {"by-weights": "affinity", "as-listed": "listed"}


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser(
        "render", help="render a workflow once for each row of a table, on every GPU there is"
    )
    command.add_argument(
        "workflow", metavar="WORKFLOW", type=Path, help="API JSON, UI JSON, or a picture with one"
    )
    command.add_argument(
        "table", metavar="TABLE", type=Path, help="CSV, JSONL, Parquet, or a grid as JSON"
    )
    command.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="the folder for all that is made"
    )
    _add_workers(command)
    _add_ways(command)
    command.add_argument("--dry-run", action="store_true", help="only say what is to do")
    return command


def _add_workers(command: Command) -> None:
    group = command.add_argument_group("who renders")
    group.add_argument(
        "--host",
        metavar="URL",
        action="append",
        default=[],
        help="a ComfyUI that runs already; give it once for each",
    )
    group.add_argument(
        "--comfyui",
        metavar="PATH",
        type=Path,
        help="the ComfyUI to start; COMFYUI_PATH, ~/comfy/ComfyUI or ~/ComfyUI if not given",
    )
    group.add_argument(
        "--python", metavar="PATH", type=Path, help="its Python; that of its .venv if not given"
    )
    group.add_argument(
        "--comfyui-args",
        metavar="TEXT",
        type=_words,
        default=[],
        help="more arguments for it, as one text",
    )
    group.add_argument(
        "--workers", metavar="N", type=_count, help="how many to start; one for each GPU here"
    )
    group.add_argument(
        "--gpus", metavar="N", type=_amount, help="GPUs for each, by Ray's count; 0.5 shares one"
    )
    group.add_argument("--address", metavar="RAY", help="a Ray cluster to use")
    group.add_argument("--dashboard", action="store_true", help="start Ray's dashboard, too")


def _add_ways(command: Command) -> None:
    group = command.add_argument_group("how")
    group.add_argument(
        "--order",
        choices=ORDERS,
        default="by-weights",
        help="by-weights patches models as seldom as possible (the default)",
    )
    group.add_argument(
        "--spread",
        choices=("off", "auto"),
        default="off",
        help="auto renders several strengths of one LoRA as one batch where the pictures stay the same",
    )
    group.add_argument(
        "--spread-most",
        metavar="N",
        type=_count,
        default=MOST_IN_A_BATCH,
        help=f"images of such a batch; {MOST_IN_A_BATCH} if not given",
    )
    group.add_argument(
        "--limit",
        metavar="SECONDS",
        type=_more_than_nothing,
        help="give up a picture that takes longer",
    )
    group.add_argument(
        "--models",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="a folder with models that the workflow names; give it once for each; those of the ComfyUI if not given",
    )
    group.add_argument(
        "--sheet",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw a contact sheet (the default)",
    )
    group.add_argument(
        "--workers-shown", action="store_true", help="say how many each worker has rendered"
    )


def run(options: argparse.Namespace) -> int:
    """Renders, and says what became of it."""
    try:
        from lora_render import command
    except ModuleNotFoundError as error:
        raise LoraInputError(
            'rendering is not installed; install it with pip install "lora-algebra[render]".',
            key="render",
            expected="the package lora_render",
            found=str(error),
        ) from error
    try:
        return _run(options, command)
    except KeyboardInterrupt:
        print("stopped: interrupted. Run the same command again to go on", file=sys.stderr)
        return SOME_FAILED


def _run(options: argparse.Namespace, command: ModuleType) -> int:
    asked: Asked = _asked(options, command.Asked)
    sources = command.read(asked)
    if not options.json:
        print(_starting(asked, dry=options.dry_run), file=sys.stderr, flush=True)
    with _scratch(options.dry_run) as scratch, command.start(asked, scratch=scratch) as engine:
        plan = command.plan(asked, sources, engine.object_info())
        if not options.json:
            _tell_plan(plan)
        if options.dry_run:
            if options.json:
                print(json.dumps(plan.to_dict()))
            return 0
        with _shown(options, len(plan.todo)) as watch:
            result = command.render(asked, plan, engine, watch)
    if options.json:
        print(json.dumps({**plan.to_dict(), **result.to_dict()}))
    else:
        _tell_result(result)
    return 0 if result.is_whole else SOME_FAILED


@contextlib.contextmanager
def _scratch(dry: bool) -> Generator[Path | None]:
    """Gives a folder that goes away again, for a run that only says what it would do."""
    if not dry:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="lora-algebra-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _asked(options: argparse.Namespace, kind: type[Asked]) -> Asked:
    return kind(
        options.workflow,
        options.table,
        options.out,
        hosts=tuple(options.host),
        comfyui=options.comfyui,
        python=options.python,
        arguments=tuple(options.comfyui_args),
        workers=options.workers,
        gpus=options.gpus,
        address=options.address,
        dashboard=options.dashboard,
        order=ORDERS[options.order],
        spread=options.spread_most if options.spread == "auto" else 1,
        limit=options.limit,
        models=tuple(options.models),
        sheet=options.sheet,
    )


@contextlib.contextmanager
def _shown(options: argparse.Namespace, total: int) -> Generator[Watch]:
    """Gives what shows people how far it is; programs get none."""
    from lora_render.farm import Watch
    from lora_render.progress import Progress, ProgressWatch

    if options.json:
        yield Watch()
        return
    progress = Progress(total, sys.stderr, time.monotonic, by_worker=options.workers_shown)
    try:
        yield ProgressWatch(progress)
    finally:
        progress.close()


def _starting(asked: Asked, *, dry: bool) -> str:
    """Says what takes the first seconds."""
    if asked.hosts:
        return "starting Ray, and asking " + ", ".join(asked.hosts)
    log = "" if dry else f"; its log is in {asked.out / 'workers'}"
    return f"starting Ray and ComfyUI{log}"


def _tell_plan(plan: Plan) -> None:
    facts = plan.to_dict()
    print(f"rows: {facts['rows']}, of them different: {facts['different']}")
    print(f"done before: {facts['done_before']}, to do: {facts['to_do']}", flush=True)
    if plan.todo:
        print(
            f"prompts: {len(facts['jobs'])}, of them batches: {facts['batches']}; "
            f"models: {facts['models']}, different sets of LoRAs: {facts['recipes']}",
            flush=True,
        )


def _tell_result(result: Result) -> None:
    summary = result.summary
    print(f"rendered: {summary.done} in {summary.seconds:.0f} s, failed: {len(summary.failed)}")
    for path in filter(None, (result.manifest, result.sheet)):
        print(f"written: {path}")
    for entry in summary.failed[:MOST_LISTED]:
        print(printable(f"failed: {_failure(entry)}"), file=sys.stderr)
    if len(summary.failed) > MOST_LISTED:
        more = len(summary.failed) - MOST_LISTED
        print(f"failed: {more} more; the manifest has them all", file=sys.stderr)
    if summary.stopped:
        left = len(summary.not_done)
        why = printable(summary.stopped.rstrip("."))
        rest = f"Left: {left}. Run the same command again to go on" if left else "Nothing is left"
        print(f"stopped: {why}. {rest}", file=sys.stderr)


def _failure(entry: Entry) -> str:
    """Says which row has failed, with what in it, where, and why."""
    said = {name: shortened(str(value), VALUE_CHARS) for name, value in entry.parameters.items()}
    values = ", ".join(f"{name} = {value}" for name, value in said.items())
    error = entry.error
    node = f" in node {error.node} ({error.class_type})" if error and error.node else ""
    return (
        f"row {entry.index + 1} ({values}): {entry.status}{node}: {error.message if error else ''}"
    )


def _amount(text: str) -> float:
    """Reads a number of at least 0."""
    with contextlib.suppress(ValueError):
        if 0 <= (value := float(text)) < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"it must be a number of at least 0, not {text!r}")


def _more_than_nothing(text: str) -> float:
    """Reads a number above 0."""
    if not (value := _amount(text)):
        raise argparse.ArgumentTypeError("it must be more than 0")
    return value


def _count(text: str) -> int:
    """Reads a number of at least 1."""
    with contextlib.suppress(ValueError):
        if (value := int(text)) >= 1:
            return value
    raise argparse.ArgumentTypeError(f"it must be a whole number of at least 1, not {text!r}")


def _words(text: str) -> list[str]:
    """Reads arguments as a shell does."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a quotation mark has no partner in {text!r}") from error
