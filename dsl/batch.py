"""Texts made ready for evaluation: padded, strings interned, features computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dsl.nodes import Expr
from dsl.text import Text

MISSING = -1  # the code of a missing text and of a missing word


class Batch:
    """B texts padded to N tokens, for one kind of target (causal, or not; `window` keys at most if the target has one).

    Arrays of values have the axes (…, text, query, key); an axis of length 1 is one the value does not depend on.
    """

    def __init__(self, texts: Sequence[Text], causal: bool = True, window: int | None = None) -> None:
        if not texts:
            raise ValueError("a batch needs at least one text")
        self.texts = tuple(texts)
        self.causal = causal
        self.lengths = np.array([len(t) for t in texts])  # (B,)
        self.size = int(self.lengths.max())  # N
        self.words = max(1, max(len(t.words) for t in texts))  # W
        at = np.arange(self.size)
        self.valid = at < self.lengths[:, None]  # (B, N)
        self.valid_words = np.arange(self.words) < np.array([len(t.words) for t in texts])[:, None]  # (B, W)
        allowed = self.valid[:, :, None] & self.valid[:, None, :]  # (B, Q, K)
        dist = at[:, None] - at
        if causal:
            allowed &= dist >= 0
        if window is not None:
            allowed &= np.abs(dist) < window
        self.allowed = allowed
        self.strings: list[str] = []  # interned: code -> string
        self._codes: dict[str, int] = {}
        self._pointwise: dict[Any, np.ndarray] = {}
        self.cache: dict[Expr, np.ndarray] = {}  # values of expressions over q and k alone
        self.cached_bytes = 0

    def __len__(self) -> int:
        return len(self.texts)

    def code(self, string: str) -> int:
        """The number that stands for a string in this batch."""
        known = self._codes.get(string)
        if known is None:
            known = self._codes[string] = len(self.strings)
            self.strings.append(string)
        return known

    def per_position(self, key: str, evaluate: Callable[[Text, int], Any], sort: str) -> np.ndarray:
        """(B, N): a feature of every position; texts as codes, words as indices, numbers with NaN for missing."""
        return self._table(key, evaluate, sort, [len(t) for t in self.texts], self.size)

    def per_word(self, key: str, evaluate: Callable[[Text, int], Any], sort: str) -> np.ndarray:
        """(B, W): a feature of every annotated word."""
        return self._table(key + " of word", evaluate, sort, [len(t.words) for t in self.texts], self.words)

    def _table(self, key: str, evaluate: Callable[[Text, int], Any], sort: str, counts: list[int], size: int) -> np.ndarray:
        if key not in self._pointwise:
            table = np.full((len(self.texts), size), *_EMPTY[sort])
            for b, text in enumerate(self.texts):
                values = [evaluate(text, i) for i in range(counts[b])]
                table[b, : counts[b]] = [self.code(v) for v in values] if sort == "text" else values
            self._pointwise[key] = table
        return self._pointwise[key]

    def pairs(self, key: str, evaluate: Callable[[Text, int, int], float]) -> np.ndarray:
        """(B, N, N): a relation of two positions, NaN beyond a text's end."""
        if key not in self._pointwise:
            table = np.full((len(self.texts), self.size, self.size), np.nan)
            for b, text in enumerate(self.texts):
                n = len(text)
                if key == "similarity":  # the evaluator of the vocabulary, for all pairs at once
                    table[b, :n, :n] = text.similarity
                else:
                    table[b, :n, :n] = [[evaluate(text, i, j) for j in range(n)] for i in range(n)]
            self._pointwise[key] = table
        return self._pointwise[key]

    def membership(self, key: str, evaluate: Callable[[Text, int | None], list[int]], over_words: bool | None) -> np.ndarray:
        """(B, X, W) bool: the words that range `key` holds for each word (True), position (False), or the text (None: X = 1)."""
        name = f"{key} {over_words}"
        if name not in self._pointwise:
            size = 1 if over_words is None else self.words if over_words else self.size
            table = np.zeros((len(self.texts), size, self.words), bool)
            for b, text in enumerate(self.texts):
                count = 1 if over_words is None else len(text.words) if over_words else len(text)
                for i in range(count):
                    table[b, i, evaluate(text, None if over_words is None else i)] = True
            self._pointwise[name] = table
        return self._pointwise[name]


def indices(values: np.ndarray, size: int) -> np.ndarray:
    """Whole numbers from 0 to size - 1 as they are, everything else (missing included) as MISSING."""
    inside = (values >= 0) & (values < size) & (values == np.floor(values))
    return np.where(inside, values, MISSING).astype(np.int64)


_EMPTY: dict[str, tuple[Any, Any]] = {
    "text": (MISSING, np.int32),
    "word": (MISSING, np.int32),
    "guard": (False, bool),
    "number": (np.nan, np.float64),
}
