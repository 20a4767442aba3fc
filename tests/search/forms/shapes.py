"""Texts of every kind of token, problems on them, and random shapes over the whole vocabulary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dsl import evaluate
from dsl.text import Text, plain_text
from search.domains import Domains
from search.forms.board import Board, features
from search.forms.shapes import RuleShape, Shape, program
from search.forms.vocabulary import Vocabulary, vocabulary
from search.problem import Problem
from search.scoring import score

TOKENS = [
    " the", " a", " of", " in", " and", " not", " who", " two", " is", " cat", " dog", " ran", " Tom", "ner", "ily", "s", ".", "!",
    ",", ":", "(", ")", "[", "]", "\n", "\n   ", " ", "=", "+", "_", "3", "12", ' "', '"', "Big", " it",
]  # fmt: skip


def texts(number: int, seed: int, low: int = 3, high: int = 12) -> list[Text]:
    """Some begin with a special token; embeddings are random."""
    rng = np.random.default_rng(seed)
    found = []
    for t in range(number):
        tokens = [str(x) for x in rng.choice(TOKENS, int(rng.integers(low, high)))]
        text = plain_text(["<s>", *tokens] if t % 2 else tokens)
        rows = rng.normal(size=(len(text), 3))
        vectors = {token: row / np.linalg.norm(row) for token, row in zip(text.tokens, rows, strict=True)}
        found.append(replace(text, embeddings=np.array([vectors[token] for token in text.tokens], np.float32)))
    return found


def problem(seed: int, causal: bool = True, number: int = 5, heads: int = 2, window: int | None = None) -> Problem:
    """Random attention on texts of two domains of different size."""
    rng = np.random.default_rng(seed)
    given = texts(number, seed)
    patterns = []
    for _ in range(heads):
        cells = []
        for text in given:
            n = len(text)
            weights = rng.gamma(0.4, 1, (n, n)) + 1e-4
            allowed = np.tril(np.ones((n, n))) if causal else np.ones((n, n))
            if window is not None:
                allowed *= np.abs(np.subtract.outer(np.arange(n), np.arange(n))) < window
            weights *= allowed
            cells.append((weights / weights.sum(1, keepdims=True)).ravel())
        patterns.append(np.concatenate(cells))
    domains = Domains(("prose",) * (number - 1) + ("code",))
    return Problem(given, causal, np.array(patterns), window, domains)


def random_rule(rng: np.random.Generator, words: Vocabulary, causal: bool, op: str | None = None) -> RuleShape:
    """A rule of any operation, guard, steps and feature."""
    op = op or str(rng.choice(["scale", "add", "set", "share"]))
    sides = [side[rng.integers(len(side))] for side in (words.relation, words.query, words.key) if rng.random() < 0.4]
    steps = tuple(words.query[i] for i in rng.choice(len(words.query), int(rng.integers(0, 3)), replace=False))
    found = features(causal)
    feature = found[rng.integers(len(found))] if op != "share" and rng.random() < 0.5 else None
    return RuleShape(op, tuple(sides), steps, feature)


def random_shape(rng: np.random.Generator, causal: bool, rules: int = 4, first: str | None = "add") -> Shape:
    """first: the operation of the first rule, which then stands without a guard; None: any rule may come first."""
    words = vocabulary(causal)
    chosen = [random_rule(rng, words, causal) for _ in range(int(rng.integers(1, rules + 1)))]
    if first:
        chosen[0] = replace(random_rule(rng, words, causal, first), guard=())
    theta = tuple(tuple(float(x) for x in rng.normal(0, 1, len(r.steps) + 1)) for r in chosen)
    return Shape(tuple(chosen), theta, tuple(0.0 if r.feature is None else float(rng.normal(0, 0.7)) for r in chosen))


def means(board: Board, shape: Shape, heads: int) -> tuple[float, np.ndarray]:
    """The language's own answer: mean IoU over heads and texts, and the packed pattern."""
    given = board.problem
    printed = program(shape, 9)
    iou = score([printed], given, range(heads))[0]
    return float(given.mean(iou).mean()), given.pack(evaluate(printed, given.batch))
