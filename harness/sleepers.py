"""Workers that only sleep, many of them in one process: what an engine costs, without what it works for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from lora_render.cluster import Cluster
from lora_render.comfy import Place
from lora_render.engine import Calls
from lora_render.item import Item, Job, Outcome, Output


class Sleeper:
    """An actor that renders for as many workers as call it, by sleeping."""

    def __init__(self, place: Place) -> None:
        self._name = place.name

    async def ready(self) -> list[str]:
        """Is ready at once."""
        return []

    async def render(self, job: Job) -> Outcome:
        """Sleeps as long as the item says, and returns as many bytes."""
        asked = job.items[0].parameters
        await asyncio.sleep(float(asked["seconds"]))
        content = bytes(int(asked["bytes"]))
        return Outcome("ok", (Output("1", "images", "x.png", content),), worker=self._name)

    async def stop(self) -> None:
        """Has nothing to stop."""


class Sleepers:
    """An engine of ``workers`` workers in ``processes`` actors."""

    def __init__(self, workers: int, processes: int) -> None:
        self._cluster = Cluster(None, 0)
        places = [Place(f"p{number}", "") for number in range(processes)]
        self._actors = self._cluster.actors(places, Sleeper, calls=4 * workers)
        self.names: Sequence[str] = [f"w{number}" for number in range(workers)]
        self._calls = Calls([self._actors[number % processes] for number in range(workers)])
        self.submit, self.wait = self._calls.submit, self._calls.wait

    @property
    def ready(self) -> frozenset[int]:
        """Those that are ready."""
        return self._calls.ready

    @property
    def unheard(self) -> frozenset[int]:
        """None has anything of an earlier run."""
        return frozenset()

    def wait_for_all(self) -> None:
        """Waits until all workers are ready."""
        while len(self.ready) < len(self.names):
            time.sleep(0.01)

    def close(self) -> None:
        """Ends the actors and Ray."""
        self._calls.close()
        self._cluster.stop(self._actors)
        self._cluster.close()


def jobs(count: int, seconds: float, size: int, recipes: int = 50) -> list[Job]:
    """Returns ``count`` jobs that sleep for ``seconds`` and return ``size`` bytes, of that many recipes."""
    made: list[Job] = []
    for index in range(count):
        asked = {"seconds": seconds, "bytes": size}
        item = Item(index, asked, {}, f"{index:064d}", {}, "model", str(index % recipes))
        made.append(Job((item,), item.prompt))
    return made
