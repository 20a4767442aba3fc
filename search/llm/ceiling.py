"""What could be said of a head with classes of tokens and distances alone: a softmax over tables, which nobody could read.

It tells a model how much there is to gain. The weight of a cell is exp of a sum of table entries: distance; class of the query by
class of the key; what the class of the query gives to itself, and to the keys that many queries share; repetition. Tables are
fitted on `fit` by gradient, first on the cross entropy, then on the IoU, and measured on `select`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsl.vocabulary import VOCABULARY
from search.forms.vocabulary import KEYS
from search.llm.tools.queries import CLASSES, OTHER, classes

if TYPE_CHECKING:
    import numpy as np

    from search.problem import Problem

FARTHEST = 48  # distances beyond count as this
FIRST, STEPS = 40, 100  # steps on the cross entropy, and in all
RATE = 0.2


def ceiling(fit: Problem, select: Problem, row: int, cache: dict[str, Any]) -> float:
    """Mean IoU on `select` for the head in a row of the targets. cache: keeps what does not depend on the head."""
    import numpy as np

    for name, problem in (("fit", fit), ("select", select)):
        if name not in cache:
            cache[name] = _Cells(problem)
    on_fit, on_select = cache["fit"], cache["select"]
    head = on_fit.problem.target([row])[0].astype(np.float64)
    tables = np.zeros(on_fit.size)
    mean, square = np.zeros_like(tables), np.zeros_like(tables)
    for step in range(1, STEPS + 1):
        pattern = on_fit.pattern(tables)
        slope = (head - pattern) * on_fit.weight if step <= FIRST else on_fit.iou_slope(head, pattern)
        gradient = on_fit.gathered(slope)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.98 * square + 0.02 * gradient**2
        tables += RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.98**step)) + 1e-9)
    return float(select.mean(on_select.iou(select.target([row])[0], on_select.pattern(tables))))


class _Cells:
    """The table entries of a problem's cells (C)."""

    def __init__(self, problem: Problem) -> None:
        import numpy as np

        names = (*CLASSES, OTHER)
        kind = np.array([names.index(c) for text in problem.texts_given for c in classes(text)])
        strings = np.unique([t for text in problem.texts_given for t in text.tokens], return_inverse=True)[1]
        before = np.where(problem.position > 0, np.roll(strings, 1), -1)
        q, k, n = problem.q, problem.k, len(names)
        distance = np.clip(problem.position[q].astype(int) - problem.position[k], -FARTHEST, FARTHEST) + FARTHEST
        same = strings[q] == strings[k]
        mark, seen = np.zeros(len(kind), int), np.zeros(len(kind), int)
        for text, begin in zip(problem.texts_given, problem.texts, strict=False):
            for j in range(len(text)):
                mark[begin + j] = next((m + 1 for m, name in enumerate(KEYS) if VOCABULARY[name].evaluate(text, j)), 0)
                seen[begin + j] = bool(VOCABULARY["repeated"].evaluate(text, j))
        columns = [
            (distance, 2 * FARTHEST + 1),
            (kind[q] * n + kind[k], n * n),
            (mark[k] * n + kind[q], (len(KEYS) + 1) * n),
            (seen[k] * n + kind[k], 2 * n),
            (np.where(q == k, kind[q], n), n + 1),
            (same * 2 + (before[k] == strings[q]), 4),
        ]
        offsets = np.cumsum([0, *(size for _, size in columns)])
        self.problem, self.size = problem, int(offsets[-1])
        self.entries = [column + offset for (column, _), offset in zip(columns, offsets, strict=False)]
        self.lengths = np.diff(problem.rows)
        self.text = np.repeat(np.arange(len(problem)), np.diff(problem.rows[problem.texts]))  # (C)
        self.weight = problem.weights[self.text]

    def pattern(self, tables: np.ndarray) -> np.ndarray:
        """(C): the softmax of each row."""
        import numpy as np

        logits = sum(tables[e] for e in self.entries)
        starts = self.problem.rows[:-1]
        weights = np.exp(logits - np.repeat(np.maximum.reduceat(logits, starts), self.lengths))
        return weights / np.repeat(np.add.reduceat(weights, starts), self.lengths)

    def iou(self, head: np.ndarray, pattern: np.ndarray) -> np.ndarray:
        """(T)."""
        import numpy as np

        shared = np.bincount(self.text, np.minimum(head, pattern), len(self.problem))
        return shared / np.maximum(np.bincount(self.text, np.maximum(head, pattern), len(self.problem)), 1e-12)

    def iou_slope(self, head: np.ndarray, pattern: np.ndarray) -> np.ndarray:
        """(C): the derivative of the mean IoU by the logits."""
        import numpy as np

        total = np.maximum(np.bincount(self.text, np.maximum(head, pattern), len(self.problem)), 1e-12)[self.text]
        below = pattern < head
        slope = self.weight * np.where(below, 1 / total, -self.iou(head, pattern)[self.text] / total)
        mean = np.add.reduceat(slope * pattern, self.problem.rows[:-1])
        return pattern * (slope - np.repeat(mean, self.lengths))

    def gathered(self, slope: np.ndarray) -> np.ndarray:
        """(size): derivatives of the tables from those of the logits."""
        import numpy as np

        return sum((np.bincount(e, slope, self.size) for e in self.entries), np.zeros(self.size))
