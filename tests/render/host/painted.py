"""What the tests of the engine give to painters (see harness/painter.py), and how they look on."""

from __future__ import annotations

import os

from lora_render import farm
from lora_render.engine import Calls
from lora_render.item import Item, Job


class Workers:
    """An engine on the shared Ray."""

    def __init__(self, cluster, actors):
        self.names = [*actors]
        self.late = set()
        self._cluster = cluster
        self._actors = [*actors.values()]
        self.calls = Calls(self._actors, frozenset(range(len(actors))))
        self.submit, self.wait = self.calls.submit, self.calls.wait

    @property
    def ready(self):
        return self.calls.ready

    @property
    def unheard(self):
        return self.calls.unheard | self.late

    def kill(self, worker):
        pid = int(self._cluster.ask(self._actors[worker].object_info)["pid"])
        os.kill(pid, 9)


def jobs(count, asked=None):
    """Jobs that are painted, but for those whose index ``asked`` names: index -> what it is to do."""
    items = [
        Item(index, {"do": "paint"} | (asked or {}).get(index, {}), {}, f"{index:064d}")
        for index in range(count)
    ]
    return [Job((item,), item.prompt) for item in items]


class Told(farm.Watch):
    def __init__(self):
        self.ready_, self.ended_, self.lost_ = [], [], []

    def ready(self, worker):
        self.ready_.append(worker)

    def ended(self, worker, entry):
        self.ended_.append((worker, entry.index, entry.status))

    def lost(self, worker, reason, for_good):
        self.lost_.append((worker, reason, for_good))
