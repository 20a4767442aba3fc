"""THE table of golden programs: what each must give on a small text. Parser, evaluator, lifter and harness tests share it.

for golden in GOLDEN: pattern = evaluate(parse(golden.program), Batch([golden.text], golden.causal))[0]  # == golden.expected
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dsl.text import Text, Word, plain_text

STORY = plain_text(("<s>", " the", " cat", ".", " the"), ("<s>", "▁the", "▁cat", ".", "▁the"))
PIECES = plain_text(("[CLS]", "un", "believ", "able", "!", "[SEP]"), ("[CLS]", "un", "##believ", "##able", "!", "[SEP]"))
TAGGED = replace(
    plain_text(("[CLS]", "big", "cats", "run", ".", "[SEP]")),
    words=(
        Word("big", 0, lemma="big", pos="ADJ", dep="amod", head=1, is_sent_start=True),
        Word("cats", 4, lemma="cat", pos="NOUN", dep="nsubj", head=2),
        Word("run", 9, lemma="run", pos="VERB", dep="ROOT", head=2),
        Word(".", 12, lemma=".", pos="PUNCT", dep="punct", head=2, is_punct=True),
    ),
    alignment=((), (0,), (1,), (2,), (3,), ()),
    annotated=True,
)


@dataclass(frozen=True, eq=False)
class Golden:
    """A program, a text, and the (n, n) pattern that they must give: rows the queries, columns the keys."""

    name: str
    program: str
    text: Text
    expected: np.ndarray
    causal: bool = True


def _normalised(weights: np.ndarray, causal: bool = True) -> np.ndarray:
    weights = np.tril(weights) if causal else weights
    total = weights.sum(1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def _cells(n: int, *cells: tuple[int, int]) -> np.ndarray:
    matrix = np.zeros((n, n))
    for q, k in cells:
        matrix[q, k] = 1
    return matrix


_Q, _K = np.arange(5.0)[:, None], np.arange(5.0)
_ONES, _EYE, _FIRST = np.ones((5, 5)), np.eye(5), _cells(5, *((q, 0) for q in range(5)))
_PREVIOUS = np.eye(5, k=-1)


def _divided(base: np.ndarray, guard: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Causal rows with masses in the guard's cells and in the others, each in the proportions of the base."""
    seen = np.tril(np.ones_like(base))
    here, there = _normalised(base * guard * seen), _normalised(base * (1 - guard) * seen)
    share = np.where((here.sum(1, keepdims=True) > 0) & (there.sum(1, keepdims=True) > 0), share, here.sum(1, keepdims=True))
    return share * here + (1 - share) * there


_SHARED = _divided(_ONES, _FIRST, 0.75)
_SHARED_QUARTER = _divided(_ONES, _FIRST, 0.25)
_PROPORTIONS = _divided(_ONES * (1 + _K), _ONES * (_K < 2), 0.25)
_LEFT = np.where((_Q < 2) | (_K > _Q), 0.0, np.where(_K == 2, 0.25, 0.75 / np.maximum(_Q, 1)))
_LEFT[:2] = [[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0]]
_BY_QUERY = _divided(_ONES, _FIRST, np.array([[0.25], [0.25], [0.25], [0.75], [0.25]]))
_AHEAD = np.where(np.arange(6) >= np.arange(6)[:, None], 0.5 / (6 - np.arange(6.0))[:, None], 0.0)
_AHEAD[1:] += np.where(np.arange(6) < np.arange(6)[1:, None], 0.5 / np.arange(1.0, 6)[:, None], 0.0)
_AHEAD[0] = 1 / 6

GOLDEN: tuple[Golden, ...] = (
    Golden("uniform", "add 1", STORY, _normalised(_ONES)),
    Golden("nothing", "", STORY, np.zeros((5, 5))),
    Golden("first", "when k == 0 add 1", STORY, _FIRST),
    Golden("self", "when q == k set 2", STORY, _EYE),
    Golden("previous", "when dist == 1 add 0.6", STORY, _PREVIOUS),
    Golden(
        "previous and first", "when dist == 1 add 0.75\nwhen k == 0 add 0.25", STORY, _normalised(0.75 * _PREVIOUS + 0.25 * _FIRST)
    ),
    Golden("next", "when dist == -1 add 1", PIECES, np.eye(6, k=1), causal=False),
    Golden("masked next", "when dist == -1 add 1", STORY, np.zeros((5, 5))),
    Golden("distance", "add exp(-0.5 * abs(dist))", STORY, _normalised(np.exp(-0.5 * abs(_Q - _K)), False), causal=False),
    Golden("window", "when q - 2 <= k <= q add 1", STORY, _normalised(((_Q - _K) <= 2) * 1.0)),
    Golden("same token", "when same(text) and dist > 0 add 1", STORY, _cells(5, (4, 1))),
    Golden("after the same token", "when text(k - 1) == text(q) and dist > 0 add 1", STORY, _cells(5, (4, 2))),
    Golden("set of tokens", 'when text(k) in {" cat", "."} add 1', STORY, _normalised(_ONES * [0, 0, 1, 1, 0])),
    Golden(
        "row counts masked cells",
        "when punctuation(k) add 1\nwhen row == 0 and k == 0 set 1",
        STORY,
        _normalised(_ONES * [0, 0, 0, 1, 0]),
    ),
    Golden(
        "word start",
        "when k == nearest(p <= q: word_start(p)) add 1",
        PIECES,
        _cells(6, (0, 0), (1, 0), (2, 0), (3, 0), (4, 4), (5, 5)),
    ),
    Golden("nothing found", 'when k == nearest(p < q: text(p) == ".") add 1', STORY, _cells(5, (4, 3))),
    Golden(
        "special",
        "when special(k) and not special(q) add 1",
        PIECES,
        _normalised(_cells(6, *((q, k) for q in range(1, 5) for k in (0, 5))), False),
        False,
    ),
    Golden("missing is not equal to nothing", 'when text(q - 1) != "x" and dist == 0 add 1', STORY, np.diag([0.0, 1, 1, 1, 1])),
    Golden("not of missing", 'when not text(q - 1) == "x" and dist == 0 add 1', STORY, _EYE),
    Golden(
        "missing values do not act",
        "add 1\nwhen k == 0 set 5 / q",
        STORY,
        _normalised(np.where(_K == 0, np.divide(5, _Q, out=_ONES * 1, where=_Q > 0), 1.0)),
    ),
    Golden(
        "default",
        "when k == default(nearest(p < q: punctuation(p)), 0) add 1",
        STORY,
        _cells(5, (0, 0), (1, 0), (2, 0), (3, 0), (4, 3)),
    ),
    Golden("later set wins", "add 1\nwhen k == 0 set 3", STORY, _normalised(np.where(_K == 0, 3.0, 1.0))),
    Golden("scale", "add 1\nwhen dist == 0 scale 4", STORY, _normalised(_ONES + 3 * _EYE)),
    Golden("max and min", "add 1\nwhen k == 0 max 3\nwhen k == 1 min 0.5", STORY, _normalised(_ONES * [3, 0.5, 1, 1, 1])),
    Golden("negative is zero", "add 1\nwhen k == 0 add -2", STORY, _normalised(_ONES * [0, 1, 1, 1, 1])),
    Golden(
        "normalize",
        "when k == 0 add 3\nwhen dist == 0 add 1\nnormalize\nwhen k == 0 add 1",
        STORY,
        _normalised(_normalised(3 * _FIRST + _EYE) + _FIRST),
    ),
    Golden("shares are of the row", "when k == 0 share 0.75", STORY, _SHARED),
    Golden("shares keep proportions", "add 1 + k\nwhen k < 2 share 0.25", STORY, _PROPORTIONS),
    Golden(
        "a mixture",
        "when k == 0 share 0.5\nwhen dist == 0 share 0.25",
        STORY,
        _normalised(np.array([[1.0, 0, 0, 0, 0], [3, 1, 0, 0, 0], [2, 1, 1, 0, 0], [9, 3, 3, 5, 0], [12, 3, 3, 3, 7]])),
    ),
    Golden("a share of nothing", "when k == 0 set 1\nwhen k == 2 share 0.25", STORY, _normalised(_ONES * [3, 0, 1, 0, 0])),
    Golden("the share that is left", "when k == 2 set 1\nwhen k == 2 share 0.25", STORY, _LEFT),
    Golden("a share by query", "when k == 0 share 0.75 if punctuation(q) else 0.25", STORY, _BY_QUERY),
    Golden(
        "shares where a block says",
        "when punctuation(q) { when k == 0 share 0.25 } else { when k == 0 share 0.25 }\nwhen dist == 0 add 1",
        STORY,
        _normalised(np.where(_Q == 0, _FIRST, _SHARED_QUARTER) + _EYE),
    ),
    Golden("shares see what the query sees", "add -1\nwhen dist <= 0 share 0.5", PIECES, _AHEAD, causal=False),
    Golden(
        "else",
        "when punctuation(k) { add 3 } else when k == 0 { add 2 } else { add 1 }",
        STORY,
        _normalised(_ONES * [2, 1, 1, 3, 1]),
    ),
    Golden("guards are decided on entry", "when weight == 0 { add 1\n add 1 } else { set 9 }", STORY, _normalised(_ONES)),
    Golden("let keeps weights", "when k == 0 add 1\nlet old = weight\nadd 1\nset old", STORY, _FIRST),
    Golden(
        "weight elsewhere", "when k == 0 add 2\nwhen dist == 1 add weight(q, 0) / 2", STORY, _normalised(2 * _FIRST + _PREVIOUS)
    ),
    Golden("choice", "add 2 if k == 0 else 1", STORY, _normalised(_ONES + _FIRST)),
    Golden("count", 'add 1 + count(p < k: text(p) == " the")', STORY, _normalised(_ONES * [1, 1, 2, 2, 2])),
    Golden("parts of speech", 'when pos(q) == "VERB" and pos(k) == "NOUN" add 1', TAGGED, _cells(6, (3, 2)), causal=False),
    Golden("to the head", "when word(k) == head(q) and dist != 0 add 1", TAGGED, _cells(6, (1, 2), (2, 3), (4, 3)), causal=False),
    Golden(
        "children",
        "when any(w in children(q): w == word(k)) add 1",
        TAGGED,
        _normalised(_cells(6, (2, 1), (3, 2), (3, 4)), False),
        causal=False,
    ),
    Golden("unaligned", "when not aligned(q) and k == 0 set 1", TAGGED, _cells(6, (0, 0), (5, 0)), causal=False),
)
