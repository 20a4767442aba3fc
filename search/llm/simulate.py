"""Can a reader use an explanation? A model gets one (or none) and a text, says where queries look, and is scored against the head.

The idea is that of simulation scores for neurons (Bills et al. 2023), with IoU instead of a correlation: sum(min) / sum(max) over
the rows of the queries asked about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.llm.backend import Messages
from search.llm.envelopes import spoken
from search.llm.evidence import quote

if TYPE_CHECKING:
    import numpy as np

    from dsl.text import Text

ARMS = ("headline", "english", "program", "none")
_SYSTEM = (
    "You predict where an attention head of a transformer looks. For each query named, give the key positions that get attention "
    "and their weights, which sum to 1. Answer with one line per query and nothing else, such as `17: 0 .6, 16 .3, 12 .1`."
)
_TOLD = {
    "headline": "What this head does, in brief: {}",
    "english": "What this head does, rule by rule; weights add up and each row is divided by its sum at the end:\n{}",
    "program": (
        "A program for this head: for each query q and key k, rules act in order on a weight that starts at 0 where their guard "
        "holds (add, scale = multiply, set, max, min; dist = q - k); then each row is divided by its sum:\n{}"
    ),
    "none": "Nothing is known about this head; say what is likely for any head.",
}
_LINE = re.compile(r"^[\s*`-]*(?:q(?:uery)?\s*)?(\d+)\b[^:\n]*:\s*(.+)$", re.M | re.I)
_PAIR = re.compile(r"(?<![\d.])(\d+)(?:\s*\"[^\"\n]*\")?\s*[:=( ]\s*(\d*\.\d+|\d+(?:\.\d+)?)\s*(%?)")


def chosen_queries(length: int, count: int) -> list[int]:
    """Up to `count` queries spread over a text, the first two positions left out: the mask decides those."""
    able = range(min(2, max(0, length - 1)), length)
    if len(able) <= count:
        return list(able)
    return sorted({able[round(i * (len(able) - 1) / max(1, count - 1))] for i in range(count)})


def question(arm: str, told: str, text: Text, causal: bool, queries: Sequence[int]) -> Messages:
    """The messages: what is told of the head, the text with positions, and the queries."""
    tokens = " ".join(f"{i} {quote(t)}" for i, t in enumerate(text.tokens))
    mask = "A query attends to itself and to what stands before it." if causal else "A query may attend to every position."
    asked = ", ".join(f"{q} {quote(text.tokens[q])}" for q in queries)
    user = (
        f"{_TOLD[arm].format(told)}\n\n{mask} Position 0 often takes what no rule claims.\n\nTokens: {tokens}\n\nQueries: {asked}"
    )
    return (("system", _SYSTEM), ("user", user))


def predicted(answer: str, queries: Sequence[int], length: int, causal: bool) -> np.ndarray:
    """(len(queries), n): the rows that an answer gives, each with sum 1; zeros where it says nothing usable of a query."""
    import numpy as np

    rows = np.zeros((len(queries), length))
    place = {q: i for i, q in enumerate(queries)}
    for m in _LINE.finditer(spoken(answer)[0]):
        q = int(m[1])
        if q not in place:
            continue
        row = np.zeros(length)
        for key, weight, percent in _PAIR.findall(m[2]):
            k = int(key)
            if k < length and (k <= q or not causal):
                row[k] += float(weight) / (100 if percent else 1)
        if row.sum() > 0:
            rows[place[q]] = row / row.sum()  # the last line for a query counts
    return rows


def iou(head: np.ndarray, rows: np.ndarray) -> float:
    """sum(min) / sum(max) of two (Q, n) arrays."""
    import numpy as np

    union = float(np.maximum(head, rows).sum())
    return float(np.minimum(head, rows).sum()) / union if union > 0 else 0.0


@dataclass(frozen=True)
class Question:
    """One arm for one head and text. head, program: (Q, n) rows of the queries."""

    name: str
    place: tuple[int, int]
    arm: str
    text: int
    queries: tuple[int, ...]
    messages: Messages
    head: np.ndarray
    program: np.ndarray


def interval(values: Sequence[float], resamples: int = 2000) -> tuple[float, float]:
    """95% bootstrap interval of the mean of values, one for each head."""
    import numpy as np

    rng = np.random.default_rng(0)
    given = np.array(values, float)
    low, high = np.quantile(given[rng.integers(0, len(given), (resamples, len(given)))].mean(1), [0.025, 0.975])
    return float(low), float(high)
