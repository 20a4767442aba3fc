"""Texts and the attention patterns that programs are to explain, packed for the search's inner loops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from dsl import evaluate
from dsl.batch import Batch
from dsl.nodes import Program
from dsl.text import Text
from search.domains import Domains, one_domain


class Problem:
    """T texts of one or more kinds, and the attention patterns of H heads on them.

    targets (H, cells): text t's n x n matrix, row-major, at offsets[t]; any float type, an array or a memory map, never copied
    as a whole. Packed arrays hold the C cells that the target model does not mask, row after row, text after text; their rows
    (queries) are counted through all texts.
    """

    def __init__(
        self,
        texts: Sequence[Text],
        causal: bool,
        targets: np.ndarray,
        window: int | None = None,
        domains: Domains | None = None,
    ) -> None:
        """domains: the kind of each text; None where all are of one kind."""
        if not texts:
            raise ValueError("a problem needs at least one text")
        self.domains = domains or one_domain(len(texts))
        if len(self.domains.each) != len(texts):
            raise ValueError(f"{len(self.domains.each)} domains for {len(texts)} texts")
        self.texts_given = tuple(texts)
        self.causal, self.targets, self.window = causal, targets, window
        lengths = np.array([len(t) for t in texts])
        self.offsets = np.concatenate([[0], np.cumsum(lengths.astype(np.int64) ** 2)])  # (T + 1)
        if targets.shape[1] != self.offsets[-1]:
            raise ValueError(f"the targets have {targets.shape[1]} cells, the texts {self.offsets[-1]}")
        allowed = self.batch.allowed
        text, query, key = (i.astype(np.int32) for i in np.nonzero(allowed))
        self.texts = np.concatenate([[0], np.cumsum(lengths)])  # (T + 1) first row of each text
        self.q = (self.texts[text] + query).astype(np.int32)  # (C)
        self.k = (self.texts[text] + key).astype(np.int32)  # (C)
        self.rows = np.concatenate([[0], np.cumsum(allowed.sum(-1)[self.batch.valid])])  # (N + 1) first cell of each row
        self._padded = (text.astype(np.int64) * self.batch.size + query) * self.batch.size + key
        self._source = self.offsets[text] + query.astype(np.int64) * lengths[text] + key
        # (N) the first unmasked cell of each row in `targets`; the others of the row follow it there as here
        self.row_source = self._source[self.rows[:-1]]
        self.position = np.concatenate([np.arange(n) for n in lengths])  # (N) position of each row in its text

    def __len__(self) -> int:
        return len(self.texts_given)

    @cached_property
    def batch(self) -> Batch:
        return Batch(self.texts_given, causal=self.causal, window=self.window)

    @property
    def heads(self) -> int:
        return len(self.targets)

    def target(self, heads: Sequence[int]) -> np.ndarray:
        """(len(heads), C) float32: the packed patterns of the given heads."""
        return np.stack([np.asarray(self.targets[h])[self._source].astype(np.float32) for h in heads])

    def pack(self, values: np.ndarray) -> np.ndarray:
        """(C): the unmasked cells of an array broadcastable to (T, N, N), as `dsl.evaluate` gives them."""
        size = self.batch.size
        full = np.broadcast_to(values, (len(self), size, size))
        return full.reshape(-1)[self._padded]

    def pack_rows(self, values: np.ndarray) -> np.ndarray:
        """(N): the positions of an array broadcastable to (T, 1, N), a value that depends on the key alone."""
        return np.broadcast_to(values, (len(self), 1, self.batch.size))[:, 0][self.batch.valid]

    def matrices(self, head: int) -> list[np.ndarray]:
        """(n, n) float32 of one head for each text."""
        row = self.targets[head]
        sizes = [len(t) for t in self.texts_given]
        return [np.asarray(row[a : a + n * n], np.float32).reshape(n, n) for a, n in zip(self.offsets, sizes, strict=False)]

    def patterns(self, program: Program) -> list[np.ndarray]:
        """(n, n) float32 of a program for each text."""
        found = evaluate(program, self.batch)
        return [found[t, : len(text), : len(text)] for t, text in enumerate(self.texts_given)]

    def part(self, chosen: Sequence[int]) -> Problem:
        """The same heads on some of the texts."""
        cells = np.concatenate([np.arange(self.offsets[t], self.offsets[t + 1]) for t in chosen])
        texts = [self.texts_given[t] for t in chosen]
        return Problem(texts, self.causal, np.asarray(self.targets)[:, cells], self.window, self.domains.part(chosen))

    @property
    def weights(self) -> np.ndarray:
        """(T) float64 with sum 1: what each text counts in a mean."""
        return self.domains.weights

    @property
    def domain_of(self) -> np.ndarray:
        """(T) int: the place of each text's domain in `domains.names`."""
        return self.domains.index

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(…): the mean of values (…, T) over texts, every domain counting the same."""
        return self.domains.mean(values)
