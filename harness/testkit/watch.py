"""Counts what the host does, from outside: its functions are wrapped, never replaced.

Also answers routes that the tests need: which nodes a prompt really executed (the history only
tells outputs and the nodes cached at the start), the counters without running a prompt, and a call
to wake the worker.
"""

import functools
import os
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable

import execution
from aiohttp import web
from comfy import lora, model_base, model_management, model_patcher, utils
from server import PromptServer

from . import gates

counts: Counter[str] = Counter(
    patch_weight_to_device=0,  # one per parameter of a loaded module, patched or not
    patched_weights=0,  # those of the above that have patches
    load=0,
    calculate_weight=0,
    set_attr_param=0,
    copy_to_param=0,
    _apply_model=0,
    unload_all_models=0,
    reset=0,
    slow_now=0,  # files that are held back; see SLOW
    slow_at_once=0,  # the most of them so far
    opened_files=0,  # .safetensors files opened from Python: by us, since the host's library is none
    asked_states=0,  # times that the state of such a file was asked of the disk, found or not
)
"""Calls so far in this process, by function."""

_calls_left: dict[str, int] = {}
"""Functions that have to fail, and at which of their next calls."""

_executed: defaultdict[str, list[str]] = defaultdict(list)

_told: list[tuple[str, dict, str | None]] = []
"""The pack's own events."""

_shown: dict[str, dict[str, object]] = {}
"""What the page was sent last as a node's output, by prompt and node."""

SLOW = "slow disk"
"""Files with this in their path are held back until the test says that they may open."""

_released = threading.Event()
_lock = threading.Lock()
LONGEST_WAIT = 60.0


def forget_executed() -> None:
    """Drop the lists of executed nodes, events and model calls, which grow with every prompt."""
    _executed.clear()
    _told.clear()
    _shown.clear()
    gates.taken_calls()


def _count_calls(owner: object, name: str) -> None:
    original: Callable = getattr(owner, name)

    @functools.wraps(original)
    def counted(*args: object, **kwargs: object) -> object:
        counts[name] += 1
        _fail_if_due(name)
        return original(*args, **kwargs)

    setattr(owner, name, counted)


def _fail_if_due(name: str) -> None:
    if name in _calls_left:
        _calls_left[name] -= 1
        if not _calls_left[name]:
            del _calls_left[name]
            raise RuntimeError(f"the test has made {name} fail")


def _count_patched_weights() -> None:
    original = model_patcher.ModelPatcher.patch_weight_to_device

    @functools.wraps(original)
    def counted(patcher: object, key: str, *args: object, **kwargs: object) -> object:
        counts["patched_weights"] += key in patcher.patches
        return original(patcher, key, *args, **kwargs)

    model_patcher.ModelPatcher.patch_weight_to_device = counted


def _count_opened_files() -> None:
    def heard(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(".safetensors"):
            counts["opened_files"] += 1
            if SLOW in str(arguments[0]):
                _wait()

    sys.addaudithook(heard)


def _count_asked_states() -> None:
    original = os.stat

    @functools.wraps(original)
    def counted(path: object, *args: object, **kwargs: object) -> os.stat_result:
        counts["asked_states"] += str(path).endswith(".safetensors")
        return original(path, *args, **kwargs)

    os.stat = counted


def _read_rows() -> int:
    """Returns how many lists of rows the pack has read so far; a cached one is not read."""
    names = [name for name in sys.modules if name.endswith(".lora_core.lists.rows")]
    return sum(sys.modules[name]._read.cache_info().misses for name in names)


def _wait() -> None:
    with _lock:
        counts["slow_now"] += 1
        counts["slow_at_once"] = max(counts["slow_at_once"], counts["slow_now"])
    _released.wait(LONGEST_WAIT)
    with _lock:
        counts["slow_now"] -= 1


def _record_executed_nodes(server: PromptServer) -> None:
    """Records executed nodes: the host announces each node before running it, and nothing for a
    cached one."""
    original = server.send_sync

    @functools.wraps(original)
    def recording(event: str, data: dict, sid: str | None = None) -> None:
        if event == "executing" and data.get("node") is not None:
            nodes = _executed[data["prompt_id"]]
            if data["node"] not in nodes:  # an async node is announced again when it resumes
                nodes.append(data["node"])
        if event == "executed":
            _shown.setdefault(data["prompt_id"], {})[data["node"]] = data["output"]
        if event.startswith("lora_algebra."):
            _told.append((event, data, sid))
        original(event, data, sid)

    server.send_sync = recording


def _add_routes(server: PromptServer) -> None:
    @server.routes.get("/testkit/executed/{prompt_id}")
    async def executed(request: web.Request) -> web.Response:
        return web.json_response(_executed.get(request.match_info["prompt_id"], []))

    @server.routes.get("/testkit/shown/{prompt_id}")
    async def shown(request: web.Request) -> web.Response:
        return web.json_response(_shown.get(request.match_info["prompt_id"], {}))

    @server.routes.get("/testkit/counters")
    async def counters(_: web.Request) -> web.Response:
        return web.json_response({**counts, "read_rows": _read_rows()})

    @server.routes.get("/testkit/fail/{name}/{call}")
    async def fail(request: web.Request) -> web.Response:
        """Let the n-th call of a counted function from now on raise."""
        _calls_left[request.match_info["name"]] = int(request.match_info["call"])
        return web.json_response(_calls_left)

    @server.routes.get("/testkit/release")
    async def release(_: web.Request) -> web.Response:
        _released.set()
        return web.json_response({})

    @server.routes.get("/testkit/calls")
    async def calls(_: web.Request) -> web.Response:
        return web.json_response(gates.taken_calls())

    @server.routes.get("/testkit/routes")
    async def routes(_: web.Request) -> web.Response:
        known = server.app.router.routes()
        return web.json_response([[r.method, r.resource.canonical] for r in known if r.resource])

    @server.routes.get("/testkit/told")
    async def told(_: web.Request) -> web.Response:
        """Return the pack's events since the last call."""
        events = list(_told)
        _told.clear()
        return web.json_response(events)

    @server.routes.get("/testkit/wake")
    async def wake(_: web.Request) -> web.Response:
        """Wakes the worker: the host loses a request to free memory that comes while its worker is
        not waiting."""
        with server.prompt_queue.mutex:
            server.prompt_queue.not_empty.notify_all()
        return web.json_response(counts)


def install() -> None:
    """Wrap the host's functions and add the routes. Called once, when the host loads the pack."""
    _count_calls(model_patcher.ModelPatcher, "patch_weight_to_device")
    _count_calls(model_patcher.ModelPatcher, "load")
    _count_calls(lora, "calculate_weight")
    _count_calls(utils, "set_attr_param")
    _count_calls(utils, "copy_to_param")
    _count_calls(model_base.BaseModel, "_apply_model")
    _count_calls(model_management, "unload_all_models")
    _count_calls(execution.PromptExecutor, "reset")
    _count_patched_weights()
    _count_opened_files()
    _count_asked_states()
    gates.record_model_calls()
    _record_executed_nodes(PromptServer.instance)
    _add_routes(PromptServer.instance)
