"""The compiled IoU against the definition: sum of minima over sum of maxima."""

import numpy as np
import pytest

from dsl import evaluate, parse
from search.distances import overlaps
from search.scoring import score

HEADS = [
    "when dist == 1 add 1",
    "add exp(-0.1 * dist)",
    "when same(text) add 1\nwhen k == 0 add 0.001",
    "add 1",
    "when word_start(k) add 1",
]
PROGRAMS = ["add 1 / (1 + abs(dist))", "when dist == 1 add 1", 'when text(k) == "nowhere" add 1', "when k == q set 1"]


def definition(programs: list[str], problem) -> np.ndarray:
    result = np.zeros((len(programs), problem.heads, len(problem)))
    for p, program in enumerate(programs):
        patterns = evaluate(parse(program), problem.batch).astype(np.float64)
        for h in range(problem.heads):
            for t, text in enumerate(problem.texts_given):
                n = len(text)
                a = np.asarray(problem.targets[h], np.float64)[problem.offsets[t] : problem.offsets[t + 1]].reshape(n, n)
                b = patterns[t, :n, :n]
                result[p, h, t] = np.minimum(a, b).sum() / np.maximum(a, b).sum()
    return result


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_score_is_the_definition(planted, causal, dtype):
    problem = planted(*HEADS, causal=causal, dtype=dtype, number=5)
    programs = [parse(p) for p in PROGRAMS]
    found = score(programs, problem, range(len(HEADS)))
    assert np.abs(found - definition(PROGRAMS, problem)).max() < 2e-6
    some = score(programs, problem, [3, 1])
    assert np.array_equal(some, found[:, [3, 1]])


def test_a_row_longer_than_a_piece(planted):
    problem = planted("add 1", HEADS[1], number=1, high=13, causal=False)
    texts = [problem.texts_given[0]]
    long = type(texts[0])(text="", tokens=("a",) * 2100, special=(False,) * 2100, word_start=(True,) * 2100)
    n = len(long)
    target = np.full((1, n * n), 1 / n, np.float16)
    wide = type(problem)([long], False, target)
    pattern = np.full((1, n * n), 1 / n, np.float32)
    pattern[0, : n * n // 2] = 0
    expected = 1 / (1 + abs(n * float(np.float16(1 / n)) - 1))  # of the second half, whose rows are the target's
    assert overlaps(pattern, wide, [0])[0, 0, 0] == pytest.approx(expected / 2, abs=1e-3)


def test_torch_gives_the_same(planted):
    problem = planted(*HEADS, number=4)
    patterns = np.stack([problem.pack(evaluate(parse(p), problem.batch)) for p in PROGRAMS])
    here = overlaps(patterns, problem, range(5))
    there = overlaps(patterns, problem, range(5), device="cpu")
    assert np.abs(here - there).max() < 1e-5
