"""The cells of some texts that a model does not mask, in one row after the other: what gradients of programs are computed on."""

from __future__ import annotations

import numpy as np

from dsl.batch import Batch


class Packed:
    """A batch of B texts padded to N tokens, its C unmasked cells packed row by row, as in `search.problem.Problem`."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        text, query, key = np.nonzero(batch.allowed)
        self.shape = (len(batch), batch.size, batch.size)
        self.places = (text * batch.size + query) * batch.size + key  # (C) in the padded array
        self.rows = np.concatenate([[0], np.cumsum(batch.allowed.sum(-1)[batch.valid])])  # (N + 1) first cell of each row
        self.text = text.astype(np.int32)  # (C)
        self.query = query.astype(np.int32)
        self.key = key.astype(np.int32)

    def pack(self, values: np.ndarray) -> np.ndarray:
        """(C): those cells of an array broadcastable to (B, N, N)."""
        return np.broadcast_to(values, self.shape).reshape(-1)[self.places]

    def pad(self, values: np.ndarray) -> np.ndarray:
        """(B, N, N) float32: the array whose unmasked cells are `values` (C), 0 elsewhere."""
        full = np.zeros(self.shape, np.float32)
        full.reshape(-1)[self.places] = values
        return full

    def filled(self, pattern: np.ndarray) -> np.ndarray:
        """The pattern (C) as it acts inside a model: rows without weight attend to the first key that they may see."""
        starts = self.rows[:-1]
        empty = starts[np.add.reduceat(pattern, starts) == 0]
        if not len(empty):
            return pattern
        pattern = pattern.copy()
        pattern[empty] = 1
        return pattern
