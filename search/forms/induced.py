"""Concepts of a model's own: sets of tokens that several heads treat alike, found from what their programs still miss.

For each head: the attention that falls on each kind of token and what its program gives it; and, by the query's token, the share of
the start. A set of tokens is proposed by one head (those with the largest or smallest ratio of attention to program, on half of the
texts), judged on all heads and the other half, and kept where it serves most: facility location over sets and heads.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.problem import Problem

LEAST = 8  # occurrences of a token that may stand in a set
SIZES = (1, 2, 4, 8, 14, 22)  # of proposed sets
PRICE = 0.004  # mass per row that a set must move for a head: what its tokens of text cost
SETTLED = 3.0  # occurrences' worth of mass by which ratios are drawn towards one


@dataclass(frozen=True)
class TokenSet:
    """A concept found: folded sets compare lower(strip(text)), others the exact token; where: "k" or "q", the side it came from."""

    values: tuple[str, ...]
    folded: bool
    where: str
    heads: int

    def template(self) -> str:
        item = "lower(strip({}))" if self.folded else "text({})"
        return f"{item} in {{{', '.join(_quoted(v) for v in self.values)}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{escaped}"'


class Kinds:
    """The kinds of token of a problem, exact and folded: id of each position (N), -1 for the rare."""

    def __init__(self, problem: Problem) -> None:
        flat = [t for text in problem.texts_given for t in text.tokens]
        self.names: list[str] = []
        self.folded: list[bool] = []
        self.ids: list[np.ndarray] = []
        for fold in (False, True):
            strings = [t.strip().lower() if fold else t for t in flat]
            counts = Counter(strings)
            found = [s for s, c in counts.most_common() if c >= LEAST]
            number = {s: i for i, s in enumerate(found)}
            self.ids.append(np.array([number.get(s, -1) for s in strings]))
            self.names += found
            self.folded += [fold] * len(found)
        self.count = len(self.names)


def table(
    problem: Problem, kinds: Kinds, omega: np.ndarray, start: np.ndarray, target: np.ndarray, pattern: np.ndarray
) -> np.ndarray:
    """(2 halves, 2 sides, 3, kinds): attention, program's mass and rows for each kind of token, as key and as query.

    As key: mass on cells whose key is of the kind, the start aside. As query: the start's mass in rows of the kind. omega (N): weight
    of each row. start (C) bool: whether a cell's key is the start.
    """
    found = np.zeros((2, 2, 3, kinds.count))
    text = np.repeat(np.arange(len(problem)), np.diff(problem.texts))
    offset = 0
    q, k = problem.q, problem.k
    weight = omega[q]
    beside = ~start
    rows_start_a = np.bincount(q[start], target[start] * weight[start], len(text))
    rows_start_p = np.bincount(q[start], pattern[start] * weight[start], len(text))
    for ids in kinds.ids:
        size = int(ids.max()) + 1
        for half in (0, 1):
            chosen = beside & (text[q] % 2 == half) & (ids[k] >= 0)
            at = ids[k[chosen]]
            found[half, 0, 0, offset : offset + size] = np.bincount(at, (target * weight)[chosen], size)
            found[half, 0, 1, offset : offset + size] = np.bincount(at, (pattern * weight)[chosen], size)
            rows = (text % 2 == half) & (ids >= 0)
            found[half, 0, 2, offset : offset + size] = np.bincount(ids[rows], omega[rows], size)
            found[half, 1, 0, offset : offset + size] = np.bincount(ids[rows], rows_start_a[rows], size)
            found[half, 1, 1, offset : offset + size] = np.bincount(ids[rows], rows_start_p[rows], size)
            found[half, 1, 2, offset : offset + size] = np.bincount(ids[rows], omega[rows], size)
        offset += size
    return found


def induce(tables: np.ndarray, kinds: Kinds, known: Sequence[np.ndarray], most: tuple[int, int] = (40, 24)) -> list[TokenSet]:
    """The sets that serve most, from tables (H, 2, 2, 3, kinds) of all heads."""
    folded = np.array(kinds.folded)
    result: list[TokenSet] = []
    for side, limit in enumerate(most):
        pool: dict[tuple[int, ...], None] = {}
        for h in range(len(tables)):
            a, p, n = tables[h, 0, side]
            if side == 0:
                ratio = np.log((a + SETTLED * 0.01) / (p + SETTLED * 0.01))
                moved = np.abs(a - p)
            else:
                share_a, share_p = (a + 0.5) / (n + 1), (p + 0.5) / (n + 1)
                ratio = np.log(share_a / (1.001 - share_a)) - np.log(share_p / (1.001 - share_p))
                moved = np.abs(a - p)
            for fold in (False, True):
                mine = np.flatnonzero((folded == fold) & (n > 0))
                for sign in (1, -1):
                    agree = mine[np.sign(a - p)[mine] == sign]
                    strong = agree[np.argsort(-moved[agree], kind="stable")[:40]]
                    order = strong[np.argsort(-sign * ratio[strong], kind="stable")]
                    by_mass = strong
                    for size in SIZES:
                        if size <= len(order):
                            pool[tuple(sorted(order[:size].tolist()))] = None
                            pool[tuple(sorted(by_mass[:size].tolist()))] = None
        sets = list(pool)
        member = np.zeros((len(sets), kinds.count), np.float32)
        for i, s in enumerate(sets):
            member[i, list(s)] = 1
        gains = np.zeros((len(tables), 2, len(sets)))
        for h in range(len(tables)):
            a, p = (tables[h, :, side, x] @ member.T for x in (0, 1))  # (2, S)
            rows = tables[h, :, side, 2].sum() / 2  # both namings count every row
            same = np.sign(a[0] - p[0]) == np.sign(a[1] - p[1])
            size = np.where(same, np.minimum(np.abs(a[0] - p[0]), np.abs(a[1] - p[1])) * 2, 0) / max(rows, 1e-9)
            # a set whose members disagree moves less than it seems
            signed = np.abs(tables[h, :, side, 0] - tables[h, :, side, 1]).sum(0) @ member.T / max(rows, 1e-9)
            size = size * np.where(signed > 0, np.abs(a - p).sum(0) / max(rows, 1e-9) / np.maximum(signed, 1e-12), 0)
            up = a.sum(0) > p.sum(0)
            gains[h, 0] = np.where(up, size - PRICE, 0).clip(min=0)
            gains[h, 1] = np.where(~up, size - PRICE, 0).clip(min=0)
        flat = gains.reshape(-1, len(sets))
        best = np.zeros(len(flat))
        for _ in range(limit):
            more = np.maximum(flat - best[:, None], 0).sum(0)
            i = int(more.argmax())
            if more[i] < 2 * PRICE:
                break
            served = int((flat[:, i] > best).sum())
            best = np.maximum(best, flat[:, i])
            ids = sets[i]
            total = tables[:, :, side, 2].sum((0, 1))
            values = sorted((kinds.names[v] for v in ids), key=lambda name: -total[kinds.names.index(name)])
            result.append(TokenSet(tuple(values), bool(folded[ids[0]]), "kq"[side], served))
    return result


WORDS = {
    ",": "comma", ".": "period", "!": "exclamation", "?": "question", ":": "colon", ";": "semicolon", "(": "paren", ")": "close_paren",
    "[": "bracket", "]": "close_bracket", "{": "brace", "}": "close_brace", "$": "dollar", "\\": "backslash", "=": "equals", "+": "plus",
    "-": "dash", "*": "star", "/": "slash", "_": "underscore", "^": "caret", '"': "quote", "'": "apostrophe", "\n": "newline", "\n\n": "blank_line", "": "space",
    "<": "less", ">": "greater", "%": "percent", "&": "ampersand", "@": "at", "#": "hash", "|": "bar", "==": "double_equals",
}  # fmt: skip


def name(found: TokenSet, taken: set[str]) -> str:
    """A name after what the set holds: its most frequent members in words, with a number where that is taken."""
    parts = []
    for v in found.values:
        plain = v.strip() if v.strip() else v.strip(" ")
        word = WORDS.get(plain) or re.sub(r"\W+", "", plain).lower()
        if word and word.isascii() and word not in parts:
            parts.append(word if not word[0].isdigit() else f"n{word}")
        if len(parts) == 2:
            break
    base = "_".join(parts) or "marks"
    base = base if len(found.values) > 1 else f"word_{base}"
    result, n = base, 2
    while result in taken:
        result, n = f"{base}_{n}", n + 1
    taken.add(result)
    return result
