"""python -m tests.fuzz N SEED: N files, and what became of them."""

from __future__ import annotations

import sys

import torch

from .judge import Summary, run

REPORTED = 10_000
"""Files after which it is told how far it is."""


def main(count: int, seed: int) -> int:
    torch.set_num_threads(1)
    total = Summary()
    for first in range(0, count, REPORTED):
        total.add(run(range(first, min(first + REPORTED, count)), seed))
        done = f"{min(first + REPORTED, count):,} files, {len(total.faults)} faults"
        print(done, file=sys.stderr, flush=True)
    print(f"{count:,} files, seed {seed}", *total.lines(), sep="\n")
    return 1 if total.faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
