"""Which conditions a rule may be guarded by, and which conjunctions of them look best for a head, all scored at once.

A guard is a conjunction of at most one relation of query and key, one condition on the query and one on the key. For every such
triple the attention A and the program's mass P on its cells and the slope of the IoU follow from matrix products per text.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from dsl.nodes import Expr
from search.forms.board import Board
from search.forms.shapes import tokens
from search.forms.vocabulary import Vocabulary

PRIOR = 2.0  # rows' worth of mass below which a slope counts less
FEW = 0.6  # cells for each place of a key, up to which sums go cell by cell


@dataclass(frozen=True)
class Sums:
    """Of every triple (relation, query, key), index 0 standing for no condition: attention, program's mass, slopes, rows."""

    attention: np.ndarray
    mass: np.ndarray
    slope: np.ndarray  # of the IoU with respect to the logarithm of a factor on the cells
    lift: np.ndarray  # with respect to a constant added to the cells, in units of the row's sum


class Candidates:
    """The vocabulary on a board, its masks as matrices (text, condition, position)."""

    def __init__(self, board: Board, vocabulary: Vocabulary) -> None:
        self.board = board
        problem = board.problem
        self.valid = problem.batch.valid
        self.size = problem.batch.size
        self.query = [g for g in vocabulary.query if self._telling(g)]
        self.key = [g for g in vocabulary.key if self._telling(g)]
        self.relation = [g for g in vocabulary.relation if self._telling(g)]
        counts = np.diff(board.texts)
        text = np.repeat(np.arange(len(problem)), counts)
        self.height = int(counts.max())  # rows of a text in the sample
        self.line = np.arange(len(text)) - board.texts[text]  # (R) number of each row in its text
        rows = np.zeros((len(problem), len(self.query) + 1, self.height), np.float32)
        rows[text, 0, self.line] = 1
        for i, guard in enumerate(self.query):
            rows[text, i + 1, self.line] = board.mask(guard)[1]
        self.q = rows  # (T, Q + 1, height)
        keys = np.ones((len(problem), len(self.key) + 1, self.size), np.float32)
        for i, guard in enumerate(self.key):
            keys[:, i + 1][~self.valid] = 0
            keys[:, i + 1][self.valid] = board.mask(guard)[1]
        self.k = np.ascontiguousarray(keys.transpose(1, 0, 2).reshape(keys.shape[1], -1).T)  # (T N, K + 1)
        self.place = (text[board.q].astype(np.int64) * self.height + self.line[board.q]) * self.size + problem.position[board.k]
        self.omega = board.omega[text].astype(np.float32) * np.float32(len(text))  # (R) weight of each row's text, 1 on average
        self._finish()

    def extended(self, query: Sequence[Expr], key: Sequence[Expr]) -> Candidates:
        """With more conditions, those that tell something."""
        more = copy(self)
        query = [g for g in query if g not in self.query and self._telling(g)]
        key = [g for g in key if g not in self.key and self._telling(g)]
        more.query, more.key = [*self.query, *query], [*self.key, *key]
        rows = np.zeros((len(self.q), len(query), self.height), np.float32)
        text = np.repeat(np.arange(len(self.q)), np.diff(self.board.texts))
        for i, guard in enumerate(query):
            rows[text, i, self.line] = self.board.mask(guard)[1]
        more.q = np.concatenate([self.q, rows], 1)
        keys = np.zeros((self.k.shape[0], len(key)), np.float32)
        for i, guard in enumerate(key):
            keys[self.valid.ravel(), i] = self.board.mask(guard)[1]
        more.k = np.concatenate([self.k, keys], 1)
        more._finish()
        return more

    def _finish(self) -> None:
        """What follows from the matrices of conditions."""
        text = np.repeat(np.arange(len(self.q)), np.diff(self.board.texts))
        self.cost = self._cost()
        self.row_conditions = np.ascontiguousarray(self.q[text, :, self.line])  # (R, Q + 1)
        self.key_conditions = self.k[self.valid.ravel()]  # (positions, K + 1)
        self.telling = self._sums([np.ones(len(self.board.q), np.float32)])[0]

    def _telling(self, guard: Expr) -> bool:
        _, mask = self.board.mask(guard)
        return 0 < int(mask.sum()) < len(mask)

    def _cost(self) -> np.ndarray:
        """(R + 1, Q + 1, K + 1): tokens of `when` with the guard."""
        r, q, k = (np.array([0, *(tokens(g) + 1 for g in side)]) for side in (self.relation, self.query, self.key))
        return r[:, None, None] + q[:, None] + k  # `when` and the words `and` between: one for each part

    def _sums(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """(V, R + 1, Q + 1, K + 1): sums of some values of the cells (C) where a relation, a query's and a key's condition hold."""
        found = np.empty((len(values), len(self.relation) + 1, self.q.shape[1], self.k.shape[1]), np.float32)
        found[:, 0] = [self._dense(v) for v in values]
        for r, guard in enumerate(self.relation, 1):
            cells, _ = self.board.cells((guard,))
            if len(cells) < FEW * len(self.k):
                found[:, r] = self._sparse(cells, values)
            else:
                found[:, r] = [self._dense(v * self.board.mask(guard)[1]) for v in values]
        return found

    def _dense(self, values: np.ndarray) -> np.ndarray:
        """(Q + 1, K + 1): sums over all cells, text by text as matrices."""
        padded = np.zeros(len(self.valid) * self.height * self.size, np.float32)
        padded[self.place] = values
        left = np.matmul(self.q, padded.reshape(len(self.valid), self.height, self.size))  # (T, Q + 1, N)
        return left.transpose(1, 0, 2).reshape(left.shape[1], -1) @ self.k

    def _sparse(self, cells: np.ndarray, values: Sequence[np.ndarray]) -> np.ndarray:
        """(V, Q + 1, K + 1): the same over a few cells, one by one."""
        rows, keys = self.row_conditions[self.board.q[cells]], self.key_conditions[self.board.k[cells]]
        left = np.concatenate([rows * v[cells, None] for v in values], 1)
        return (left.T @ keys).reshape(len(values), rows.shape[1], keys.shape[1])

    def attention(self, target: np.ndarray) -> np.ndarray:
        """(R + 1, Q + 1, K + 1): the target's mass where each triple holds; the same however a program grows."""
        found: np.ndarray = self._sums([target * self.omega[self.board.q]])[0]
        return found

    def sums(self, attention: np.ndarray, W: np.ndarray, G: np.ndarray, P: np.ndarray) -> Sums:
        board = self.board
        row = np.add.reduceat(W, board.rows[:-1])
        return Sums(attention, *self._sums([P * self.omega[board.q], G * W, G * row[board.q]]))

    def ranked(self, sums: Sums, most: int, limit: int) -> list[tuple[int, int, int]]:
        """The most promising triples by several rankings, each with and without regard to length; at most `limit` tokens."""
        rows = float(self.omega.sum())
        a, p = np.clip(sums.attention / rows, 1e-7, 1 - 1e-7), np.clip(sums.mass / rows, 1e-7, 1 - 1e-7)
        kl = a * np.log(a / p) + (1 - a) * np.log((1 - a) / (1 - p))
        drift = sums.slope**2 / (np.maximum(sums.mass, 0) / rows + 0.002)
        lift = np.maximum(sums.lift, 0) / np.sqrt(np.maximum(self.telling, 1))
        allowed = (self.telling > 8) & (self.cost <= limit)
        allowed[0, 0, 0] = False
        order: dict[int, None] = {}
        for worth in (kl, drift, np.abs(sums.slope), lift):
            worth = np.where(allowed, worth, 0)
            for ranking in (worth, worth / (self.cost + 3)):
                flat = ranking.ravel()
                top = np.argpartition(-flat, most)[:most]
                for i in top[np.argsort(-flat[top], kind="stable")]:
                    order[int(i)] = None
        return [tuple(int(x) for x in np.unravel_index(i, self.cost.shape)) for i in order]  # type: ignore[misc]

    def guard(self, triple: tuple[int, int, int]) -> tuple[Expr, ...]:
        r, q, k = triple
        parts = []
        if r:
            parts.append(self.relation[r - 1])
        if q:
            parts.append(self.query[q - 1])
        if k:
            parts.append(self.key[k - 1])
        return tuple(parts)
