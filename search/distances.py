"""IoU of P patterns with H heads on T texts as one pass over the targets, by numba on a processor or by torch on a GPU.

IoU = (S - L1) / (S + L1), S the sum of both masses, so all it takes is the L1 distance of every pattern to every target. Targets
are read once, in half precision, and widened in pieces that stay in the cache while all patterns are compared with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numba import njit

from search.problem import Problem

PIECE = 1024  # cells widened at once: four heads of them fit into a first-level cache


def overlaps(patterns: np.ndarray, problem: Problem, heads: Sequence[int], device: str | None = None) -> np.ndarray:
    """(P, H, T) float64: IoU of packed patterns (P, C) with the given heads.

    device: a torch device such as "cuda"; None for the compiled loops of this processor. Both agree within rounding.
    """
    starts = problem.rows[problem.texts[:-1]]
    patterns = np.ascontiguousarray(patterns, np.float32)
    present = np.add.reduceat(patterns, starts, axis=1, dtype=np.float64)  # (P, T)
    if device is not None:
        distance, mass = _by_torch(patterns, problem, heads, device)
    elif problem.targets.dtype == np.float16:
        distance = np.zeros((len(patterns), len(heads), len(problem)))
        mass = np.zeros((len(heads), len(problem)))
        rows = np.asarray(problem.row_source)
        for at in range(0, len(heads), 4):  # a memory map is read four heads at a time
            four = np.stack([problem.targets[h] for h in heads[at : at + 4]]).view(np.uint16)
            _distances(patterns, four, rows, problem.rows, problem.texts, distance[:, at : at + 4], mass[at : at + 4])
    else:
        distance = np.empty((len(patterns), len(heads), len(problem)))
        mass = np.empty((len(heads), len(problem)))
        for i, h in enumerate(heads):
            target = problem.target([h])[0]
            mass[i] = np.add.reduceat(target, starts, dtype=np.float64)
            distance[:, i] = np.add.reduceat(np.abs(patterns - target), starts, axis=1)
    total = present[:, None] + mass
    return (total - distance) / (total + distance)


def _by_torch(patterns: np.ndarray, problem: Problem, heads: Sequence[int], device: str) -> tuple[np.ndarray, np.ndarray]:
    import torch

    target = torch.from_numpy(problem.target(heads)).to(device)  # (H, C)
    pattern = torch.from_numpy(patterns).to(device)  # (P, C)
    distance, mass = [], []
    cells = problem.rows[problem.texts]
    for a, z in pairwise(cells):
        distance.append(torch.cdist(pattern[:, a:z], target[:, a:z], p=1))
        mass.append(target[:, a:z].sum(1))
    return torch.stack(distance, -1).double().cpu().numpy(), torch.stack(mass, -1).double().cpu().numpy()


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _widen(half, out, bits):  # type: ignore[no-untyped-def]
    """out <- the values of non-negative half-precision numbers; bits is out's memory as int32."""
    for c in range(len(half)):
        bits[c] = (np.int32(half[c]) << np.int32(13)) + np.int32(0x38000000)
    for c in range(len(half)):  # without a branch, so that it becomes vector instructions
        x = np.float32(half[c])
        out[c] = x * np.float32(2.0**-24) if x < np.float32(0x400) else out[c]  # below: subnormal


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _distances(patterns, halves, source, rows, texts, distance, mass):  # type: ignore[no-untyped-def]
    """distance (P, H, T) and mass (H, T) += L1 distances and sums for at most four heads, halves (H, cells) as uint16."""
    scratch = np.zeros((4, 2 * PIECE), np.int32)
    wide = scratch.view(np.float32)
    heads = len(halves)
    for t in range(len(texts) - 1):
        first = texts[t]
        while first < texts[t + 1]:
            last = first + 1  # as many rows as fit into a piece
            while last < texts[t + 1] and rows[last + 1] - rows[first] <= 2 * PIECE and rows[last] - rows[first] < PIECE:
                last += 1
            start = rows[first]
            size = rows[last] - start
            if size > wide.shape[1]:  # one long row
                scratch = np.zeros((4, size), np.int32)
                wide = scratch.view(np.float32)
            for h in range(heads):
                for r in range(first, last):
                    a, n = rows[r] - start, rows[r + 1] - rows[r]
                    _widen(halves[h, source[r] : source[r] + n], wide[h, a : a + n], scratch[h, a : a + n])
                whole = np.float32(0)
                for c in range(size):
                    whole += wide[h, c]
                mass[h, t] += whole
            a0, a1, a2, a3 = wide[0, :size], wide[1, :size], wide[2, :size], wide[3, :size]
            for p in range(len(patterns)):
                pattern = patterns[p, start : start + size]
                d0 = d1 = d2 = d3 = np.float32(0)
                for c in range(len(pattern)):
                    x = pattern[c]
                    d0 += abs(x - a0[c])
                    d1 += abs(x - a1[c])
                    d2 += abs(x - a2[c])
                    d3 += abs(x - a3[c])
                distance[p, 0, t] += d0
                if heads > 1:
                    distance[p, 1, t] += d1
                if heads > 2:
                    distance[p, 2, t] += d2
                if heads > 3:
                    distance[p, 3, t] += d3
            first = last
