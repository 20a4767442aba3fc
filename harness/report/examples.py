"""Where a program and its head agree most and least: single queries, with the text as each of them shades it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.report.matrices import FEWEST_TOKENS, pack, quantised

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Program
    from search.problem import Problem

COUNT = 3  # of each, from different texts
LEAST, MOST = "least", "most"


def examples(program: Program, problem: Problem, head: int, count: int = COUNT) -> dict[str, list[tuple[int, int, float, str]]]:
    """{"least": …, "most": …}: at most `count` queries each, worst and best first: (text, query, agreement, packed rows).

    head: a row of the problem. Agreement is sum(min) / sum(max) of the query's row. Queries at the start of a text, where every
    program is right, come last of all. The packed rows are the head's and the program's: up to the query in a causal model, else of
    all keys.
    """
    import numpy as np

    from dsl import evaluate

    true = problem.target([head])[0]  # (C,)
    pattern = problem.pack(evaluate(program, problem.batch))  # (C,)
    least, most = (np.add.reduceat(f(true, pattern), problem.rows[:-1]) for f in (np.minimum, np.maximum))  # (N,)
    agreement = least / np.maximum(most, 1e-9)
    found = {}
    for name, sign in ((LEAST, 1), (MOST, -1)):
        order = np.lexsort((sign * agreement, problem.position < FEWEST_TOKENS))
        found[name] = [_packed(problem, int(row), agreement[row], true, pattern) for row in _apart(problem, order, count)]
    return found


def _apart(problem: Problem, order: np.ndarray, count: int) -> list[int]:
    """The first rows of the order that belong to different texts; of the same text once these are used up."""
    texts = text_of(problem, order)
    first: list[int] = []
    later: list[int] = []
    seen: set[int] = set()
    for row, text in zip(order.tolist(), texts.tolist(), strict=True):
        (later if text in seen else first).append(row)
        seen.add(text)
        if len(first) >= count:
            break
    return [*first, *later][:count]


def text_of(problem: Problem, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """The text of each row (query) of a problem."""
    import numpy as np

    return np.searchsorted(problem.texts, rows, side="right") - 1


def _packed(problem: Problem, row: int, agreement: float, true: np.ndarray, pattern: np.ndarray) -> tuple[int, int, float, str]:
    import numpy as np

    text, query = int(text_of(problem, [row])[0]), int(problem.position[row])
    cells = slice(problem.rows[row], problem.rows[row + 1])
    keys = problem.k[cells] - problem.texts[text]
    size = query + 1 if problem.causal else len(problem.texts_given[text])
    both = np.zeros((2, size))
    both[0, keys], both[1, keys] = true[cells], pattern[cells]
    return text, query, round(float(agreement), 3), pack(quantised(both[0]) + quantised(both[1]))
