"""Texts made ready for evaluation: padded, strings interned, features computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dsl.nodes import Expr, Program
from dsl.text import Text
from dsl.vocabulary import VOCABULARY

MISSING = -1  # the code of a missing text and of a missing word
LARGEST = 1e30  # weights beyond this size count as this size, so that every row can be divided by its sum
LARGEST_DOUBLE = 1e300  # the same for programs that read weights
KEPT_BYTES = 1 << 25  # of values per batch, and as much of operands; beyond it the batch forgets and starts anew
KEPT_PROGRAMS = 4096  # whose operands' places a batch knows
REGISTERS = 32  # rows of numbers, and of guards, that the inner loops may use for results between two steps


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
        keys = self.size if window is None else window - 1
        self.reach = np.array([keys, 0 if causal else keys])  # keys before and after the query that are not masked
        self._of_string: dict[tuple[str, tuple[Any, ...]], tuple[np.ndarray, np.ndarray]] = {}
        self.features: dict[Expr, np.ndarray] = {}  # of k, (B, 1, N)
        self.cache: dict[Expr, np.ndarray] = {}  # values of expressions over q and k alone
        self.cached_bytes = 0
        self.numbers = Buffer(np.float64, REGISTERS * self.size)
        self.guards = Buffer(np.uint8, REGISTERS * self.size)
        self.weights = Buffer(np.float32, 0)
        self.doubles = Buffer(np.float64, 0)
        self.buffers = {"number": self.numbers, "guard": self.guards, "weight": self.weights, "double": self.doubles}
        self.bound: dict[Any, np.ndarray] = {}  # stage of a plan -> where its operands lie in the buffers
        self.met: set[Program] = set()

    def __len__(self) -> int:
        return len(self.texts)

    def keep(self, expression: Expr, values: np.ndarray) -> None:
        """Remembers the value of an expression."""
        if self.cached_bytes > KEPT_BYTES:
            self.cache.clear()
            self.cached_bytes = 0
        self.cache[expression] = values
        self.cached_bytes += values.nbytes

    def make_room(self) -> None:
        """Before a program's operands are put into the buffers."""
        if sum(b.nbytes for b in self.buffers.values()) > KEPT_BYTES or len(self.bound) >= KEPT_PROGRAMS:
            self.forget()

    def forget(self) -> None:
        """Drops all values of expressions; features of positions and words stay."""
        self.cache.clear()
        self.cached_bytes = 0
        self.bound.clear()
        self.met.clear()
        for buffer in self.buffers.values():
            buffer.clear()
        self._of_string = {key: found for key, found in self._of_string.items() if not key[1]}

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

    def of_string(self, key: str, args: tuple[Any, ...], missing: Any, dtype: type) -> tuple[np.ndarray, np.ndarray]:
        """Two arrays over the codes of strings: which results of a function are known, and the results. The last is `missing`."""
        found = self._of_string.get((key, args))
        if found is None or len(found[0]) <= len(self.strings):
            size = 2 * len(self.strings) + 64
            larger: tuple[np.ndarray, np.ndarray] = np.zeros(size, bool), np.full(size, missing, dtype)
            if found is not None:
                for old, new in zip(found, larger, strict=True):
                    new[: len(old)] = old
            found = self._of_string[key, args] = larger
        return found

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

    def members(self, key: str, over_words: bool | None) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (set, word) of all texts: set b * X + x holds word b * W + w, in this order; X as in `membership`."""
        name = f"{key} {over_words} pairs"
        if name not in self._pointwise:
            texts, sets, words = np.nonzero(self.membership(key, VOCABULARY[key].evaluate, over_words))
            size = 1 if over_words is None else self.words if over_words else self.size
            self._pointwise[name] = np.stack([texts * size + sets, texts * self.words + words])
        sets, words = self._pointwise[name]
        return sets, words


class Buffer:
    """One growing array of operands, behind rows of registers; places: what lies where."""

    def __init__(self, dtype: type, registers: int) -> None:
        self.dtype, self.registers = dtype, registers
        self.cells: np.ndarray = np.empty(0, dtype)
        self.clear()

    def clear(self) -> None:
        self.used = self.registers
        self.places: dict[Any, Any] = {}
        self.slots: dict[Any, int] = {}
        self.reserve(0)

    @property
    def nbytes(self) -> int:
        return self.used * self.cells.itemsize

    def reserve(self, size: int) -> int:
        """The start of a part of its own at the end."""
        start, self.used = self.used, self.used + size
        if self.used > len(self.cells):
            larger: np.ndarray = np.empty(max(len(self.cells) * 3 // 2, self.used), self.dtype)
            larger[: len(self.cells)] = self.cells
            self.cells = larger
        return start

    def slot(self, key: object, size: int) -> int:
        """The start of a part that the owner of `key` writes anew each time."""
        if key not in self.slots:
            self.slots[key] = self.reserve(size)
        return self.slots[key]


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
