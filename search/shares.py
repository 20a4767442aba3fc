"""`share` on packed cells, and its derivative. Rows are what a query sees; `rows` (N + 1) points to the first cell of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dsl.evaluator import LARGEST


@dataclass(frozen=True)
class _Rows:
    """What a share makes of each row, spread over its cells (C): the part and the mass of the cell's group.

    even: the group has no mass, each cell counts as one. split: the guard holds somewhere in the row, not everywhere.
    """

    held: np.ndarray
    weights: np.ndarray
    mass: np.ndarray
    part: np.ndarray
    even: np.ndarray
    split: np.ndarray
    chosen: np.ndarray


def divided(weights: np.ndarray, cells: np.ndarray, number: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(C) float32: the weights after `share number` on the given cells; number has one entry for each of them."""
    r = _rows(weights, cells, number, rows)
    return (r.part * r.weights / r.mass).astype(np.float32)


def divided_slope(
    slope: np.ndarray, weights: np.ndarray, cells: np.ndarray, number: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The derivative with respect to the weights before (C) and to the number of each cell, from that after (C).

    With m the mean slope of a group, weighted by its cells, d/dw = part / mass (slope - m); d/dnumber is the m of the cells with a
    share, less that of the others, over the number of the first.
    """
    r = _rows(weights, cells, number, rows)
    spread = _Spread(rows)
    of_group = r.weights / r.mass * slope
    inside, outside = spread(np.where(r.held, of_group, 0)), spread(np.where(r.held, 0, of_group))
    mean = np.where(r.split, np.where(r.held, inside, outside), inside + outside)
    before = np.where((weights > 0) & ~r.even, r.part / r.mass * (slope - mean), 0)
    change = np.where(r.split, (inside - outside) / np.maximum(r.chosen, 1), 0)[cells]
    return before.astype(np.float32), np.where((number >= 0) & (number <= 1), change, 0)


class _Spread:
    """Sums of rows, on each of their cells."""

    def __init__(self, rows: np.ndarray) -> None:
        self.starts, self.lengths = rows[:-1], np.diff(rows)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.repeat(np.add.reduceat(values, self.starts), self.lengths)


def _rows(weights: np.ndarray, cells: np.ndarray, number: np.ndarray, rows: np.ndarray) -> _Rows:
    spread = _Spread(rows)
    held = np.zeros(len(weights), bool)
    held[cells] = True
    present = np.clip(weights.astype(np.float64), 0, LARGEST)
    total = spread(present)
    even = total == 0
    present = np.where(even, 1.0, present)
    count, chosen = spread(np.ones(len(weights))), spread(held.astype(np.float64))
    split = (chosen > 0) & (chosen < count)
    inside, outside = spread(np.where(held, present, 0)), spread(np.where(held, 0, present))
    mass = np.where(split, np.where(held, inside, outside), inside + outside)
    nothing = split & (mass == 0)
    present = np.where(nothing, 1.0, present)
    mass = np.where(nothing, np.where(held, chosen, count - chosen), mass)
    share = np.zeros(len(weights))
    share[cells] = np.clip(number, 0, 1)
    share = spread(share) / np.maximum(chosen, 1)
    part = np.where(split, np.where(held, share, 1 - share), 1.0)
    return _Rows(held, present, mass, part, even | nothing, split, chosen)
