"""A reader of three tokens: what a model's choices look like to one that sees no further back than two tokens.

How many of the original's top-1 choices it reproduces, beside how many the model with replaced heads does, tells how much context
the programs carry.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from harness.measure import Batch, Sums, read


class Trigram:
    """The most frequent token after the last two in some texts; where these were never met, after the last one, or at all."""

    def __init__(self, texts: Iterable[Sequence[int]]) -> None:
        counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for ids in texts:
            for i, token in enumerate(ids):
                for before in range(min(i, 2) + 1):
                    counts[tuple(ids[i - before : i])][token] += 1
        # The first of equals, whatever the order of the texts.
        self._likeliest = {seen: min(after, key=lambda t: (-after[t], t)) for seen, after in counts.items()}

    def __call__(self, ids: Sequence[int]) -> int:
        """The token after `ids`."""
        return next(self._likeliest[seen] for n in (2, 1, 0) if (seen := tuple(ids[len(ids) - n :])) in self._likeliest)


def measure_reader(model: Any, batch: Batch, reader: Trigram) -> Sums:
    """How often the reader's token is the unchanged causal model's top-1, "agree" of "tokens" for every "owner"."""
    import numpy as np

    top = read(model, "causal", batch, {}).argmax(-1).cpu().numpy()
    guesses = [reader(batch.passages[row].text.ids[: position + 1]) for _, row, position, _ in batch.reads.tolist()]
    owners, of = np.unique(batch.reads[:, 0], return_inverse=True)
    agree = np.bincount(of, top == np.array(guesses), len(owners))
    return {"owner": owners.tolist(), "tokens": np.bincount(of).astype(float).tolist(), "agree": agree.tolist()}
