"""Throughput of scoring P programs x H heads x T texts, beside what this machine allows. Run: python bench/scoring.py

A comparison is one |a - p| added to a sum. Limits measured in the same run, on one core: memory (reading an array far larger than
the caches) and arithmetic (the same comparison on arrays that stay in the first-level cache). One pass over the targets needs
2 bytes per P comparisons, so for many programs arithmetic binds. Extraction of patterns from programs is not part of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from numba import njit

from bench.evaluate import WORDS
from dsl.text import plain_text
from search.distances import overlaps
from search.problem import Problem

REPEATS = 5


@njit(fastmath=True)  # type: ignore[untyped-decorator]
def arithmetic(p, a, rounds):  # type: ignore[no-untyped-def]
    """rounds x len(a[0]) x 8 comparisons, in sums that no compiler can leave out."""
    total = np.float32(0)
    for i in range(rounds):
        d0 = d1 = d2 = d3 = e0 = e1 = e2 = e3 = np.float32(0)
        for c in range(a.shape[1]):
            x, y = p[0, c], p[1, c]
            d0 += abs(x - a[0, c])
            d1 += abs(x - a[1, c])
            d2 += abs(x - a[2, c])
            d3 += abs(x - a[3, c])
            e0 += abs(y - a[0, c])
            e1 += abs(y - a[1, c])
            e2 += abs(y - a[2, c])
            e3 += abs(y - a[3, c])
        total += d0 + d1 + d2 + d3 + e0 + e1 + e2 + e3
        p[0, i % a.shape[1]] += np.float32(1e-9)
    return total


@njit(fastmath=True)  # type: ignore[untyped-decorator]
def read(values):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for c in range(len(values)):
        total += values[c]
    return total


def best(work, clock=time.process_time, repeats: int = REPEATS) -> float:  # type: ignore[no-untyped-def]
    """Seconds of the fastest of some runs, after one that compiles and warms."""
    work()
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=256)
    parser.add_argument("--heads", type=int, default=64)
    parser.add_argument("--texts", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--device")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    texts = [plain_text(["<s>", *rng.choice(WORDS, given.tokens - 1)]) for _ in range(given.texts)]
    shape = (given.heads, given.texts, given.tokens, given.tokens)
    targets = np.tril(rng.random(shape, np.float32))
    targets /= targets.sum(-1, keepdims=True)
    problem = Problem(texts, True, targets.reshape(given.heads, -1).astype(np.float16))
    patterns = problem.target(range(given.heads))[rng.integers(0, given.heads, given.programs)]
    cells = len(problem.q)

    size = 1024
    p, a = rng.random((2, size), np.float32), rng.random((4, size), np.float32)
    limit = 8 * size * 20_000 / best(partial(arithmetic, p, a, 20_000))
    large = np.ones(1 << 27, np.float32)  # half a gigabyte
    bandwidth = large.nbytes / best(partial(read, large))
    del large
    clock = time.process_time if given.device is None else time.perf_counter
    for programs in sorted({1, 16, 64, given.programs}):
        seconds = best(partial(overlaps, patterns[:programs], problem, range(given.heads), given.device), clock)
        comparisons = programs * given.heads * cells
        moved = given.heads * cells * 2 + programs * cells * 4
        allowed = max(comparisons / limit, moved / bandwidth)
        figures = {
            "programs": programs,
            "heads": given.heads,
            "texts": given.texts,
            "cells": cells,
            "seconds": round(seconds, 4),
            "program x head x text per second": round(programs * given.heads * given.texts / seconds),
            "comparisons per second": f"{comparisons / seconds:.3g}",
            "arithmetic limit per second": f"{limit:.3g}",
            "memory bandwidth, bytes per second": f"{bandwidth:.3g}",
            "binds": "arithmetic" if comparisons / limit > moved / bandwidth else "memory",
            "share of what the machine allows": round(allowed / seconds, 2),
        }
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
