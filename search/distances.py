"""IoU of P patterns with H heads on T texts as one pass over the targets, by numba on a processor or by torch on a GPU.

IoU = (S - L1) / (S + L1), S the sum of both masses, so all it takes is the L1 distance of every pattern to every target. Targets
are read once, in half precision, text by text; four heads and a piece of all patterns stay in the caches while they are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from search.problem import Problem

PIECE = 1024  # cells compared at once: those of four heads and a pattern fit into a first-level cache


def overlaps(patterns: np.ndarray, problem: Problem, heads: Sequence[int], device: str | None = None) -> np.ndarray:
    """(P, H, T) float64: IoU of packed patterns (P, C) with the given heads.

    device: a torch device such as "cuda"; None for the compiled loops of this processor. Both agree within rounding.
    """
    starts = problem.rows[problem.texts[:-1]]
    patterns = np.ascontiguousarray(patterns, np.float32)
    if device is not None:
        distance, present, mass = _by_torch(patterns, problem, heads, device)
    elif problem.targets.dtype == np.float16:
        # by texts first, so that the compiled loops meet contiguous arrays alone
        distance = np.zeros((len(problem), len(patterns), len(heads)))
        present, mass = np.zeros((len(problem), len(patterns))), np.zeros((len(problem), len(heads)))
        halves, chosen = problem.targets.view(np.uint16), np.asarray(heads, np.int64)
        for t, first in enumerate(problem.texts[:-1]):
            own = slice(first, problem.texts[t + 1] + 1)
            source = problem.row_source[own.start : own.stop - 1]
            _distances(patterns, halves, chosen, source, problem.rows[own], distance[t], present[t], mass[t])
        distance, present, mass = distance.transpose(1, 2, 0), present.T, mass.T
    else:
        distance = np.empty((len(patterns), len(heads), len(problem)))
        mass = np.empty((len(heads), len(problem)))
        present = np.add.reduceat(patterns, starts, axis=1, dtype=np.float64)
        for i, h in enumerate(heads):
            target = problem.target([h])[0]
            mass[i] = np.add.reduceat(target, starts, dtype=np.float64)
            distance[:, i] = np.add.reduceat(np.abs(patterns - target), starts, axis=1)
    total = present[:, None] + mass
    return (total - distance) / (total + distance)


def _by_torch(
    patterns: np.ndarray, problem: Problem, heads: Sequence[int], device: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import torch

    target = torch.from_numpy(problem.target(heads)).to(device)  # (H, C)
    pattern = torch.from_numpy(patterns).to(device)  # (P, C)
    distance, present, mass = [], [], []
    cells = problem.rows[problem.texts]
    for a, z in pairwise(cells):
        distance.append(torch.cdist(pattern[:, a:z], target[:, a:z], p=1))
        present.append(pattern[:, a:z].sum(1))
        mass.append(target[:, a:z].sum(1))
    distances, patterns_mass, targets_mass = (torch.stack(x, -1).double().cpu().numpy() for x in (distance, present, mass))
    return distances, patterns_mass, targets_mass


@intrinsic  # type: ignore[untyped-decorator]
def _as_float(typing, bits):  # type: ignore[no-untyped-def]
    """The float32 that has the bits of an int32."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _widen(half, out):  # type: ignore[no-untyped-def]
    """out <- the values of non-negative half-precision numbers, given as uint16; returns their sum."""
    total = np.float32(0)
    for c in range(len(half)):  # without a branch, so that it becomes vector instructions
        h = np.int32(half[c])
        subnormal = np.float32(h) * np.float32(2.0**-24)
        x = subnormal if h < 0x400 else _as_float((h << np.int32(13)) + np.int32(0x38000000))  # type: ignore[call-arg]
        out[c] = x
        total += x
    return total


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _distances(patterns, halves, chosen, source, rows, distance, present, mass):  # type: ignore[no-untyped-def]
    """distance (P, H), present (P) and mass (H) += L1 distances and sums of patterns and targets on one text.

    halves: all targets as uint16, of which the rows `chosen` (H) count; source (n): where each row of the text begins there, less
    its masked cells; rows (n + 1): where it stands in patterns.
    """
    heads, number, base = len(chosen), len(source), rows[0]
    size = rows[number] - base
    place = np.empty(size, np.int32)
    for r in range(number):
        for c in range(rows[r], rows[r + 1]):
            place[c - base] = source[r] - source[0] + c - rows[r]
    half = np.empty(size, np.uint16)
    packed = np.zeros(((heads + 3) // 4 * 4, size), np.float32)
    sums = np.empty(4, np.float32)
    for h in range(heads):
        target = halves[chosen[h], source[0] :]
        for c in range(size):
            half[c] = target[place[c]]
        mass[h] += _widen(half, packed[h])
    for p in range(len(patterns)):
        pattern = patterns[p, base : base + size]
        total = np.float32(0)
        for c in range(len(pattern)):
            total += pattern[c]
        present[p] += total
    for start in range(0, size, PIECE):
        stop = min(start + PIECE, size)
        for tile in range(0, heads, 4):
            some = min(4, heads - tile)
            a0, a1 = packed[tile, start:stop], packed[tile + 1, start:stop]
            a2, a3 = packed[tile + 2, start:stop], packed[tile + 3, start:stop]
            for p in range(0, len(patterns), 2):  # two patterns with four heads: fewer loads for each comparison
                other = min(p + 1, len(patterns) - 1)
                first, second = patterns[p, base + start : base + stop], patterns[other, base + start : base + stop]
                d0 = d1 = d2 = d3 = e0 = e1 = e2 = e3 = np.float32(0)
                for c in range(len(first)):
                    x, y = first[c], second[c]
                    d0 += abs(x - a0[c])
                    d1 += abs(x - a1[c])
                    d2 += abs(x - a2[c])
                    d3 += abs(x - a3[c])
                    e0 += abs(y - a0[c])
                    e1 += abs(y - a1[c])
                    e2 += abs(y - a2[c])
                    e3 += abs(y - a3[c])
                sums[0], sums[1], sums[2], sums[3] = d0, d1, d2, d3
                for h in range(some):
                    distance[p, tile + h] += sums[h]
                if other != p:
                    sums[0], sums[1], sums[2], sums[3] = e0, e1, e2, e3
                    for h in range(some):
                        distance[other, tile + h] += sums[h]
