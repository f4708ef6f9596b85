"""Ray itself: our own on this machine, or somebody's at an address."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import math
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lora_core.errors import LoraInputError
from lora_core.lock import lock

from .comfy import Place
from .process import Own
from .worker import Gone

STORE_BYTES: Final = 256 << 20
"""What Ray keeps in memory of results on their way; more goes to the disk."""

_CALLS_AT_A_TIME: Final = 4
"""For an actor: two jobs are under way, and there is room to ask it something else meanwhile."""

_CLOSE_SECONDS: Final = 30.0


_ROUNDING: Final = 1e-9
_PREFIX, _LOCK = "lora-ray-", "lora-algebra.lock"
_NEW_SECONDS: Final = 60.0


def words(error: Any) -> str:
    """Returns the first line of an error of Ray's, which tells a long story."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


class Cluster:
    """Ray itself: our own on this machine, or somebody's at an address."""

    def __init__(self, address: str | None, gpus: float, *, dashboard: bool = False) -> None:
        self._address = address
        self._gpus = gpus
        self._folder = None if address else OwnFolder()
        try:
            self._ray = _join(address) if self._folder is None else _start(self._folder, dashboard)
        except BaseException:
            if self._folder:
                self._folder.remove()
            raise

    def needs(self, workers: int) -> None:
        """LoraInputError if this machine has too few GPUs for so many workers. A cluster may still grow."""
        there, gpus = self._ray.cluster_resources().get("GPU", 0), self._gpus * workers
        if not self._address and self._gpus and _workers(self._gpus, there) < workers:
            raise LoraInputError(
                f"{workers} workers with {self._gpus:g} of a GPU each need more than the {there:g} GPUs of this machine.",
                key="gpus",
                expected=f"at most {_workers(self._gpus, there)} workers, or a smaller share",
                found=f"{gpus:g}",
            )

    def actors(
        self, places: Sequence[Place], factory: type, calls: int = _CALLS_AT_A_TIME
    ) -> list[Any]:
        """Starts an actor for each place, for so many calls at a time; returns their handles."""
        remote = self._ray.remote(
            num_cpus=0,  # what its ComfyUI takes is not the actor's
            memory=1,  # a byte: Ray puts an actor that takes nothing at all anywhere, whatever is asked
            num_gpus=self._gpus,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=calls,
        )(factory)
        own = sum(isinstance(place.at, Own) for place in places)
        threads = threads_each(1 if self._address else own)
        return [
            remote.options(scheduling_strategy=where).remote(_with_threads(place, threads))
            for place, where in zip(places, self._spread(), strict=False)
        ]

    def _spread(self) -> Iterator[Any]:
        """Yields where the next actor goes: round the machines. Ray's own "SPREAD" sees actors only by what they take,
        and may put two without a GPU on one machine while another has none."""
        if self._gpus:
            return itertools.repeat("SPREAD")
        affinity = importlib.import_module("ray.util.scheduling_strategies")
        machines = [node["NodeID"] for node in self._ray.nodes() if node["Alive"]]
        return itertools.cycle(
            affinity.NodeAffinitySchedulingStrategy(machine, soft=True) for machine in machines
        )

    def ask(self, method: Any) -> Any:
        """Returns what an actor answers, Gone if it is lost meanwhile."""
        try:
            return self._ray.get(method.remote())
        except self._ray.exceptions.RayError as error:
            return Gone(words(error))

    def stop(self, actors: Sequence[Any]) -> None:
        """Ends actors: first what they have started, then they themselves."""
        stopping = [actor.stop.remote() for actor in actors]
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.wait(stopping, num_returns=len(stopping), timeout=_CLOSE_SECONDS)
        for actor in actors:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)

    def close(self) -> None:
        """Leaves the cluster, or ends our own."""
        self._ray.shutdown()
        if self._folder:
            self._folder.remove()


def _workers(share: float, gpus: float) -> int:
    """Returns for how many workers there is room: the share of one lies on one GPU."""
    each = int(1 / share + _ROUNDING) if share <= 1 else 1 / math.ceil(share)
    return int(gpus * each)


class OwnFolder:
    """A new folder that is ours alone, below ``parent``. Its path is short, as paths of sockets must be.

    Those of runs that were killed are removed: Ray may have put gigabytes there.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir() if os.name == "nt" else "/tmp")  # noqa: S108
        for left in parent.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):  # somebody else has removed it meanwhile
                _remove_left(left)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._file = (self.path / _LOCK).open("ab")
        lock(self._file)

    def remove(self) -> None:
        """Removes it with all that is in it."""
        self._file.close()
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_left(folder: Path) -> None:
    state = folder.lstat()
    ours = stat.S_ISDIR(state.st_mode) and (os.name == "nt" or state.st_uid == os.getuid())
    if not ours or not (folder / _LOCK).exists():
        return
    # A new one may not be locked yet.
    if time.time() - state.st_mtime > _NEW_SECONDS and _is_free(folder / _LOCK):
        shutil.rmtree(folder, ignore_errors=True)


def _is_free(path: Path) -> bool:
    with path.open("ab") as file:
        try:
            return lock(file)
        except BlockingIOError:
            return False


def _join(address: str | None) -> Any:
    ray = _imported()
    package = Path(__file__).parent
    code = [str(package), str(package.parent / "lora_core")]
    try:
        ray.init(
            address=address,
            runtime_env={"py_modules": code},
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LoraInputError(
            f'There is no Ray cluster at "{address}": {error}', key="address", found=address
        ) from error
    return ray


def _start(folder: OwnFolder, dashboard: bool) -> Any:
    """Starts Ray on this machine. Nothing of it listens beyond loopback, and it tells nobody."""
    os.environ.update(_LOCAL)
    # Ray reads it once in a process; without it, it would write one into the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = _imported()
    try:
        ray.init(
            address="local",
            include_dashboard=dashboard,
            object_store_memory=STORE_BYTES,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=str(folder.path),
        )
    except Exception as error:
        raise LoraInputError(
            f"Ray, which runs the workers, did not start. Try again. It says: {words(error)}",
            key="ray",
            expected="Ray runs",
            found=type(error).__name__,
        ) from error
    return ray


_LOCAL: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # by which Ray takes 127.0.0.1 as its address on every system
    "RAY_AUTH_MODE": "token",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or workers without a GPU of their own would see none
}


def _imported() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise LoraInputError(
            'Rendering a table needs Ray. Install it: pip install "lora-algebra[render]"',
            key="ray",
            expected="the package ray",
            found=str(error),
        ) from error


def threads_each(own: int) -> str | None:
    """Returns OMP_NUM_THREADS of so many ComfyUIs on this machine; None for ComfyUI's own choice.

    That is all cores. Several share them, since threads that wait for each other are many times slower.
    """
    given = os.environ.get("OMP_NUM_THREADS")
    if given or own < 2:
        return given
    return str(max(1, (os.cpu_count() or 1) // own))


def _with_threads(place: Place, threads: str | None) -> Place:
    """Returns the place with an OMP_NUM_THREADS: Ray sets it to 1, and ComfyUI would inherit that."""
    if not isinstance(place.at, Own):
        return place
    environment = {"OMP_NUM_THREADS": threads, **place.at.environment}
    return replace(place, at=replace(place.at, environment=environment))
