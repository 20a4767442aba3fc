"""IoU by position: whether programs hold beyond the length that they were searched on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsl.nodes import Program
    from search.problem import Problem

EDGES = (0, 32, 96, 256, 512, 1024)  # query positions: from one up to below the next


def by_band(problem: Problem, programs: Sequence[Program], heads: Sequence[int]) -> list[tuple[int, int, float]]:
    """(from, below, IoU) of each band that texts reach: the mean over heads, each with its own program, of the mean over texts.

    programs[i] is that of the head whose patterns are row heads[i] of the problem's targets. The IoU of a band in a text is that of
    the rows of its queries; texts count as in every mean, those that do not reach a band not in it.
    """
    import numpy as np

    longest = problem.batch.size
    edges = [*(edge for edge in EDGES if edge < longest), longest]
    shared, either = (np.zeros((len(heads), len(edges) - 1, len(problem))) for _ in range(2))
    for h, (program, head) in enumerate(zip(programs, heads, strict=True)):
        for t, (of_program, of_model) in enumerate(zip(problem.patterns(program), problem.matrices(head), strict=True)):
            lower, upper = np.minimum(of_program, of_model).sum(1), np.maximum(of_program, of_model).sum(1)  # (n,)
            for band, (start, stop) in enumerate(pairwise(edges)):
                shared[h, band, t], either[h, band, t] = lower[start:stop].sum(), upper[start:stop].sum()
    found = []
    for band, (start, stop) in enumerate(pairwise(edges)):
        reached = np.flatnonzero(either[0, band] > 0)
        iou = shared[:, band, reached] / either[:, band, reached]
        found.append((start, stop, float(problem.domains.part(reached.tolist()).mean(iou).mean())))
    return found
