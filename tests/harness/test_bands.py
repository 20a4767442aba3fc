"""IoU by position against a loop over rows."""

import numpy as np
import pytest

from dsl import parse
from dsl.text import plain_text
from harness.bands import by_band
from search.domains import Domains
from search.problem import Problem
from search.scoring import score

PROGRAMS = [parse("when dist == 1 add 1\nwhen k == 0 add 0.3"), parse("when true add exp(-0.1 * dist)")]


def made(lengths, domains):
    random = np.random.default_rng(0)
    texts = [plain_text([f"w{i % 7}" for i in range(n)]) for n in lengths]
    targets = []
    for _ in range(3):
        matrices = [np.tril(random.random((n, n)) ** 4) for n in lengths]
        targets.append(np.concatenate([(m / m.sum(1, keepdims=True)).ravel() for m in matrices]))
    return Problem(texts, True, np.array(targets, np.float32), None, Domains(domains))


def test_bands_equal_a_loop_over_rows():
    problem = made([20, 40, 110, 100], ("a", "a", "b", "b"))
    found = by_band(problem, PROGRAMS, [2, 0])
    assert [(start, stop) for start, stop, _ in found] == [(0, 32), (32, 96), (96, 110)]
    for start, stop, value in found:
        means = []
        for program, head in zip(PROGRAMS, [2, 0], strict=True):
            of = {"a": [], "b": []}
            for t, (p, m) in enumerate(zip(problem.patterns(program), problem.matrices(head), strict=True)):
                rows = range(start, min(stop, len(p)))
                if len(rows):
                    low = sum(min(p[q, k], m[q, k]) for q in rows for k in range(len(p)))
                    high = sum(max(p[q, k], m[q, k]) for q in rows for k in range(len(p)))
                    of["ab"[t > 1]].append(low / high)
            means.append(np.mean([np.mean(values) for values in of.values() if values]))
        assert value == pytest.approx(np.mean(means), rel=1e-5)


def test_one_band_is_the_score():
    problem = made([20, 30], ("a", "b"))
    ((start, stop, value),) = by_band(problem, PROGRAMS, [1, 2])
    whole = problem.mean(score(PROGRAMS, problem, [1, 2]))
    assert (start, stop) == (0, 30) and value == pytest.approx((whole[0, 0] + whole[1, 1]) / 2, rel=1e-4)
