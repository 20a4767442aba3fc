"""The inner loops of the incremental evaluator, compiled by numba."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def run_rule(code, mask, numbers, number, before, after):  # type: ignore[no-untyped-def]
    """after <- before with one rule applied where mask is set: set 0, add 1, scale 2, max 3, min 4.

    numbers (C), NaN where the rule does not act, or empty: then `number` for all cells.
    """
    if len(numbers) == 0:
        if code == 0:
            for c in range(len(mask)):
                after[c] = number if mask[c] else before[c]
        elif code == 1:
            for c in range(len(mask)):
                after[c] = before[c] + number if mask[c] else before[c]
        elif code == 2:
            for c in range(len(mask)):
                after[c] = before[c] * number if mask[c] else before[c]
        elif code == 3:
            for c in range(len(mask)):
                after[c] = max(before[c], number) if mask[c] else before[c]
        else:
            for c in range(len(mask)):
                after[c] = min(before[c], number) if mask[c] else before[c]
        return
    for c in range(len(mask)):
        x, old = numbers[c], before[c]
        new = old
        if code == 0:
            new = x
        elif code == 1:
            new = old + x
        elif code == 2:
            new = old * x
        elif code == 3:
            new = max(old, x)
        else:
            new = min(old, x)
        after[c] = new if mask[c] and x == x else old


@njit(cache=True)
def run_share(mask, numbers, number, rows, top, before, after):  # type: ignore[no-untyped-def]
    """after <- before with each row divided up (see dsl.nodes.Rule); rows point to their first cells, numbers as in run_rule."""
    same = len(numbers) == 0
    for r in range(len(rows) - 1):
        inside, outside, share, chosen = 0.0, 0.0, 0.0, 0
        for c in range(rows[r], rows[r + 1]):
            x = min(max(before[c], np.float32(0)), top)
            after[c] = x
            y = number if same else numbers[c]
            if mask[c] and y == y:
                chosen += 1
                share += min(max(np.float64(y), 0.0), 1.0)
                inside += x
            else:
                outside += x
        others = rows[r + 1] - rows[r] - chosen
        empty = inside + outside == 0
        if empty:
            inside, outside = np.float64(chosen), np.float64(others)
        if chosen == 0 or others == 0:
            here = there = 1 / (inside + outside)
        else:
            share /= chosen
            here = share / inside if inside > 0 else share / chosen
            there = (1 - share) / outside if outside > 0 else (1 - share) / others
        for c in range(rows[r], rows[r + 1]):
            held = mask[c] and (same or numbers[c] == numbers[c])
            even = empty or (chosen > 0 and others > 0 and (inside if held else outside) == 0)
            after[c] = (1.0 if even else np.float64(after[c])) * (here if held else there)


@njit(cache=True, fastmath=True)
def finish(weights, target, mass, rows, texts, shares, largest, scratch):  # type: ignore[no-untyped-def]
    """Mean IoU of the target with the weights, clipped to [0, largest] and normalised by rows.

    mass (T) sums the target; shares (T) says how much each text counts.
    """
    result = 0.0
    top = np.float32(largest)
    for t in range(len(texts) - 1):
        distance = np.float32(0)
        present = 0.0
        for r in range(texts[t], texts[t + 1]):
            a, w = target[rows[r] : rows[r + 1]], weights[rows[r] : rows[r + 1]]
            total = np.float32(0)
            for c in range(len(w)):
                x = min(max(w[c], np.float32(0)), top)
                scratch[c] = x
                total += x
            if total > 0:
                total = np.float32(1) / total
                present += 1
            for c in range(len(a)):
                distance += abs(a[c] - scratch[c] * total)
        result += shares[t] * (mass[t] + present - distance) / (mass[t] + present + distance)
    return result
