"""Runs the real ComfyUI as a process and talks to it over HTTP. Standard library only.

The host's checkout is never written to: each ``Host`` has its own folder for everything that
ComfyUI writes, with the models linked and the packs under test linked as custom nodes.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from .installs import HostInstall

HARNESS = Path(__file__).resolve().parent
REPOSITORY = HARNESS.parent
PACKS = {"lora-algebra": REPOSITORY, "testkit": HARNESS / "testkit"}
MODEL_SCRIPT = HARNESS / "tiny_models.py"

WATCHED = {"LORA_ALGEBRA_TESTS_WATCHED": "1"}
"""Tells the testkit that it ends with us; see testkit/watchdog.py."""

LOCAL = "127.0.0.1"
START_SECONDS = 120.0
RUN_SECONDS = 120.0
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 40
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Prompt = dict[str, dict[str, Any]]
"""A workflow in ComfyUI's API format: node id -> class_type and inputs."""


class HostError(RuntimeError):
    """The host did not start, went away, or did not answer as it should."""


def ensure_models(install: HostInstall, files: Mapping[str, str]) -> Path:
    """Returns the folder of the tiny models, and builds those of ``files`` (name -> file) that are
    missing.

    It is kept between test runs, one folder for each version of the script and of the host.
    """
    identity = hashlib.sha256(MODEL_SCRIPT.read_bytes() + install.version.encode())
    models = Path(tempfile.gettempdir()) / f"lora-algebra-tests-{identity.hexdigest()[:16]}"
    with _alone(models.with_suffix(".lock")):
        missing = [name for name, file in files.items() if not (models / file).is_file()]
        if missing:
            _build_models(install, models, missing)
    return models


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One process at a time, where the system has such locks: several test processes may start at once."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_models(install: HostInstall, models: Path, names: Iterable[str]) -> None:
    built = subprocess.run(
        [install.python, MODEL_SCRIPT, install.path, models, *names],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        raise HostError(f"building the tiny models failed:\n{built.stderr}")


def _environment() -> dict[str, str]:
    """Returns our environment without what would lead the host's Python to our packages, or make it
    write there."""
    ours = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return environment | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True)
class RunResult:
    """The result of one prompt.

    ``status`` is "success", "error" (a node raised) or "invalid" (refused before it ran).
    ``executed`` lists the nodes that ran, in order; ``cached`` those in the cache at the start.
    ``outputs`` is the UI output by node id; ``messages`` the host's events as (name, data).
    ``error`` is what the failed node ``error_node`` raised, or why the prompt is invalid;
    ``node_errors`` are the host's errors for an invalid prompt, by node id.
    """

    prompt_id: str = ""
    status: str = "invalid"
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    error: str | None = None
    error_node: str | None = None
    node_errors: dict[str, Any] = field(default_factory=dict)

    def report(self, node_id: str) -> Any:
        """Returns the JSON that a testkit node reported."""
        return json.loads(self.outputs[node_id]["text"][0])

    def validation_errors(self, node_id: str) -> list[str]:
        """Returns the details of every error that the host found in a node of an invalid prompt."""
        errors = self.node_errors.get(node_id, {}).get("errors", [])
        return [f"{error['message']}: {error['details']}" for error in errors]


class Host:
    """One running ComfyUI server; a context manager. It ends with the process that started it.

    ``folder`` receives everything the server writes. ``arguments`` are added to its command line,
    for example ``("--cache-lru", "100")``.
    """

    def __init__(
        self,
        install: HostInstall,
        folder: Path,
        models: Path,
        arguments: Iterable[str] = (),
        packs: Mapping[str, Path] = PACKS,
    ) -> None:
        self.install = install
        self.folder = folder
        self.arguments = tuple(arguments)
        self.output_dir = folder / "output"
        self.loras_dir = folder / "models" / "loras"
        self.port = 0
        self._log_file = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._client_id = str(uuid.uuid4())
        _lay_out(folder, models, packs)

    def __enter__(self) -> Host:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.port = _free_port()
        command: list[str | Path] = [
            *(self.install.python, self.install.path / "main.py", "--cpu", "--disable-api-nodes"),
            *("--port", str(self.port), "--base-directory", self.folder),
            *("--database-url", "sqlite:///:memory:"),
            *self.arguments,
        ]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=_environment() | WATCHED,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_for(self._answers, START_SECONDS, "start")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and every process that it started."""
        if self._process is None:
            return
        _kill_tree(self._process)
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None

    def run(self, prompt: Prompt, expect_error: bool | None = False) -> RunResult:
        """Run a prompt to its end.

        An unexpected status raises HostError; None accepts any status.
        """
        answer = self._post("/prompt", {"prompt": prompt, "client_id": self._client_id})
        # A prompt with one bad output node still runs; to a test that is just as invalid.
        if "error" in answer or answer["node_errors"]:
            result = _refused(answer)
        else:
            result = self.result(answer["prompt_id"])
        if expect_error not in (None, result.status != "success"):
            wanted = "an error" if expect_error else "success"
            raise HostError(
                f"expected {wanted}, got {result.status}: {result.error_node} {result.error} "
                f"{result.node_errors}\n{self._log_tail()}"
            )
        return result

    def interrupt(self, prompt: Prompt, after: int) -> RunResult:
        """Start a prompt, and interrupt it once it has evaluated its model ``after`` times."""
        calls = self.counters()["_apply_model"] + after
        answer = self._post("/prompt", {"prompt": prompt, "client_id": self._client_id})
        self._wait_for(lambda: self.counters()["_apply_model"] >= calls, RUN_SECONDS, "sample")
        self._post("/interrupt", {})
        return self.result(answer["prompt_id"])

    def log(self) -> str:
        """Return everything that the server has printed, without its colours."""
        return _COLOUR.sub("", self._log_file.read_text(encoding="utf-8", errors="replace"))

    def object_info(self, node_id: str | None = None) -> dict[str, Any]:
        """Return the host's description of all nodes, or of one ({} if it is unknown)."""
        return self._get(f"/object_info/{node_id}" if node_id else "/object_info")

    def counters(self) -> dict[str, int]:
        """Return the calls of the host's functions so far, without running a prompt; see
        testkit/watch.py."""
        return self._get("/testkit/counters")

    def model_calls(self) -> list[dict[str, Any]]:
        """Return the evaluations of models since the last call; see testkit/gates.py."""
        return self._get("/testkit/calls")

    def routes(self) -> list[list[str]]:
        """Return all routes of the server, as [method, path]."""
        return self._get("/testkit/routes")

    def shown(self, result: RunResult) -> dict[str, Any]:
        """Return what the page was sent last as the output of each node of a prompt."""
        return self._get(f"/testkit/shown/{result.prompt_id}")

    def told(self) -> list[list[Any]]:
        """Return the pack's events since the last call, as [name, data, client]."""
        return self._get("/testkit/told")

    def release(self) -> None:
        """Let files open that the testkit holds back; see SLOW in testkit/watch.py."""
        self._get("/testkit/release")

    def fail_at(self, function: str, call: int) -> None:
        """Let the ``call``-th next call of a counted function of the host raise, once."""
        self._get(f"/testkit/fail/{function}/{call}")

    def free(self, unload_models: bool = True, free_memory: bool = True) -> None:
        """Unload the models and drop the node cache, and wait until that is done."""
        # The host implies the first from the second, and does nothing without either.
        marker = "reset" if free_memory else "unload_all_models"
        before = self.counters()[marker]

        def freed() -> bool:
            return self._get("/testkit/wake")[marker] > before

        self._post("/free", {"unload_models": unload_models, "free_memory": free_memory})
        self._wait_for(freed, RUN_SECONDS, "free its memory")

    def add_lora(self, source: Path, name: str | None = None) -> str:
        """Copy a file into the host's LoRA folder; return the name to choose it by."""
        target = self.loras_dir / (name or source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return target.relative_to(self.loras_dir).as_posix()

    def add_user(self, name: str) -> str:
        """Add a user to a host that was started with --multi-user; return the id."""
        return self._post("/users", {"username": name})

    def result(self, prompt_id: str) -> RunResult:
        """Return the result of a prompt that anybody has queued, when it has finished."""
        entry: dict[str, Any] = {}

        def done() -> bool:
            entry.update(self._get(f"/history/{prompt_id}").get(prompt_id, {}))
            return bool(entry)

        self._wait_for(done, RUN_SECONDS, "finish the prompt")
        messages = [(name, data) for name, data in entry["status"]["messages"]]
        events = dict(messages)
        failure = events.get("execution_error", {})
        return RunResult(
            prompt_id=prompt_id,
            status=entry["status"]["status_str"],
            outputs=entry["outputs"],
            messages=messages,
            executed=self._get(f"/testkit/executed/{prompt_id}"),
            cached=events.get("execution_cached", {}).get("nodes", []),
            error=failure.get("exception_message"),
            error_node=failure.get("node_id"),
        )

    def _answers(self) -> bool:
        try:
            self._get("/testkit/counters")
        except (OSError, http.client.HTTPException, HostError):
            return False
        return True

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds; HostError if it takes too long."""
        self._wait_for(condition, RUN_SECONDS, what)

    def _wait_for(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if self._process is None or self._process.poll() is not None:
                raise HostError(f"ComfyUI ended before it could {what}.\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise HostError(f"ComfyUI did not {what} in {seconds:.0f} s.\n{self._log_tail()}")
            time.sleep(POLL_SECONDS)

    def _get(self, path: str) -> Any:
        return self._exchange("GET", path)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._exchange("POST", path, json.dumps(body))

    def _exchange(self, method: str, path: str, body: str | None = None) -> Any:
        """Return the decoded answer, also of a refusal (400), which explains itself in JSON."""
        headers = {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection(LOCAL, self.port, timeout=RUN_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status not in {200, 400}:
            raise HostError(f"{method} {path}: {answer.status} {content[:400]!r}")
        return json.loads(content) if content else {}

    def _log_tail(self) -> str:
        return "\n".join(self.log().splitlines()[-LOG_TAIL_LINES:])


def _lay_out(folder: Path, models: Path, packs: Mapping[str, Path]) -> None:
    loras = folder / "models" / "loras"
    nodes = folder / "custom_nodes"
    for directory in (loras, nodes):
        directory.mkdir(parents=True, exist_ok=True)
    for source in models.iterdir():
        (loras.parent / source.name).symlink_to(source, target_is_directory=True)
    for name, source in packs.items():
        (nodes / name).symlink_to(source, target_is_directory=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return probe.getsockname()[1]


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, check=False)
    else:
        # start_new_session made it the leader of its own group, which may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def _refused(answer: dict[str, Any]) -> RunResult:
    error = answer.get("error", {"message": "a part of the prompt is invalid", "details": ""})
    return RunResult(
        prompt_id=answer.get("prompt_id", ""),
        error=f"{error['message']} {error['details']}".strip(),
        node_errors=answer["node_errors"],
    )
