"""Rule induction: its inner loops against plain numpy, and planted programs found again."""

import math

import numpy as np
import pytest

from dsl import evaluate, parse
from dsl.evaluator import value
from search.bank import Bank, Guard, Side
from search.guards import EVERY, OTHERS, TOKENS, gain, histogram, one_side, rescale, row_distances
from search.induction import Effort, Induction, induce
from search.kernels import loglinear
from search.loglinear import CONSTANT
from search.scoring import score

SMALL = Effort(candidates=20, refined=(4,), spare=1, steps=15)
HEAD = """
add exp(-0.2 * dist)
when text(q) in {" cat", " dog"} and text(k) in {" the", " a"} scale 20
when k == 0 scale 6
"""


def plain(weights, problem, target):
    """(IoU, pattern) by the definition, row by row."""
    pattern = np.zeros(len(weights))
    for a, z in zip(problem.rows[:-1], problem.rows[1:], strict=True):
        pattern[a:z] = weights[a:z] / weights[a:z].sum()
    starts = problem.rows[problem.texts[:-1]]
    least, most = np.minimum(pattern, target), np.maximum(pattern, target)
    return (np.add.reduceat(least, starts) / np.add.reduceat(most, starts)).mean(), pattern


@pytest.fixture
def bank(planted):
    return Bank(planted(HEAD, "when dist == 1 add 1\nadd 0.01", dtype=np.float32))


def test_loglinear_pattern_iou_and_gradient(bank):
    problem = bank.problem
    rng = np.random.default_rng(0)
    masks = [np.ones(len(problem.q), bool)] + [rng.random(len(problem.q)) < 0.3 for _ in range(3)]
    bits = np.arange(8) << 1 | 1
    ids = sum((m.astype(np.uint16) << r for r, m in enumerate(masks[1:])), np.zeros(len(problem.q), np.uint16))
    terms = np.array([[0, 0], [1, CONSTANT], [2, CONSTANT], [2, 3], [3, 1]])
    theta = np.array([0.7, 0.5, -1.2, 0.4, -0.3])
    target = problem.target([0, 1])
    share = np.array([0.5, 0.5])
    pattern, slope = np.empty(len(problem.q), np.float32), np.empty(len(problem.q), np.float32)

    def at(theta, eps=1e-6):
        rest = (bank.features, problem.rows, problem.texts, problem.weights, np.float32(eps), pattern, slope)
        return loglinear(target, share, ids, bits, terms, theta, *rest)

    def logs(theta):
        return sum(
            t * masks[r] * (1 if f == CONSTANT else bank.features[f].astype(float)) for (r, f), t in zip(terms, theta, strict=True)
        )

    iou, slopes = at(theta)
    expected = [plain(np.exp(logs(theta)), problem, a) for a in target]
    assert iou == pytest.approx((expected[0][0] + expected[1][0]) / 2, abs=1e-6)
    assert np.abs(pattern - expected[0][1]).max() < 1e-5
    for f in range(len(theta)):
        step = np.eye(len(theta))[f] * 1e-3
        both = [sum(plain(np.exp(logs(theta + s)), problem, a)[0] for a in target) / 2 for s in (step, -step)]
        assert slopes[f] == pytest.approx((both[0] - both[1]) / 2e-3, abs=1e-3)


def test_rescale_is_a_new_evaluation(bank):
    problem = bank.problem
    rng = np.random.default_rng(1)
    target = problem.target([0, 1])
    weights = np.exp(rng.normal(size=len(problem.q)))
    pattern = plain(weights, problem, target[0])[1].astype(np.float32)
    distances = np.empty((2, len(problem.position)), np.float32)
    row_distances(target, pattern, problem.rows, len(problem.position), distances)
    cells = np.flatnonzero(rng.random(len(problem.q)) < 0.1).astype(np.int32)
    factors = np.array([0.05, 1.0, 7.0])
    found = rescale(
        cells, factors, target, np.full(2, 0.5), pattern, distances, problem.q, problem.rows, problem.texts, problem.weights
    )
    for factor, iou in zip(factors, found, strict=True):
        changed = weights.copy()
        changed[cells] *= factor
        assert iou == pytest.approx(np.mean([plain(changed, problem, a)[0] for a in target]), abs=1e-5)


def test_token_sets_are_the_best_of_all_subsets():
    rng = np.random.default_rng(2)
    size = 9
    for _ in range(20):
        s = np.stack([rng.gamma(0.5, 4, size), rng.gamma(0.5, 4, size), rng.normal(size=size)]).astype(np.float32)
        sets, scores, labels = np.zeros((8, size), bool), np.zeros((8, 2)), np.zeros(8, np.int64)
        classes = rng.integers(0, 2, (2, size)).astype(np.float32)
        one_side(s, 200.0, classes, np.ones(size, bool), size, 1e-3, sets, scores, labels)
        subsets = (np.arange(1, 1 << size)[:, None] >> np.arange(size) & 1).astype(bool)
        best = max(gain(s[0, m].sum(), s[1, m].sum(), 200.0) for m in subsets)
        assert labels[2] == labels[3] == TOKENS
        assert max(scores[2, 0], scores[3, 0]) == pytest.approx(best, rel=0.1)
        assert labels[6] in (OTHERS, -999)
        for i in (2, 3, 6)[: 2 + (labels[6] == OTHERS)]:
            assert scores[i, 0] == pytest.approx(gain(s[0, sets[i]].sum(), s[1, sets[i]].sum(), 200.0), rel=1e-4)


def test_histogram_sums_the_cells(bank):
    problem = bank.problem
    target = problem.target([0])[0]
    sums = np.zeros((bank.width, bank.width, 4), np.float32)
    cells = np.flatnonzero(problem.q != problem.k).astype(np.int32)
    category = bank.category[0], bank.category[-1]
    histogram(cells, *category, problem.q, problem.k, target, 2 * target, target**2, sums)
    expected = np.zeros((bank.width, bank.width))
    np.add.at(expected, (category[0][problem.q[cells]], category[1][problem.k[cells]]), target[cells])
    assert np.abs(sums[..., 0] - expected).max() < 1e-3
    assert np.abs(sums[..., 1] - 2 * expected).max() < 1e-3


@pytest.mark.parametrize("causal", [True, False])
def test_a_guard_means_what_its_expression_says(planted, causal):
    bank = Bank(planted("add 1", causal=causal))
    problem = bank.problem
    rng = np.random.default_rng(5)
    for _ in range(120):
        sides = []
        for _ in range(2):
            shift = int(rng.integers(-1, 2))
            kind = rng.integers(4)
            if kind == 0:
                sides.append(Side(0))
            elif kind == 1:
                label = int(rng.integers(1, len(bank.classes) + 1)) * int(rng.choice([1, -1]))
                sides.append(Side(shift, label))
            else:
                names = sorted({n for n in bank.names[shift] if n})
                label = TOKENS if kind == 2 else OTHERS
                sides.append(Side(shift, label, frozenset(rng.choice(names, 3, replace=False))))
        guard = Guard(int(rng.integers(len(bank.relations))), *sides)
        expression = bank.expression(guard)
        cells = np.arange(len(problem.q))
        if expression is not None:
            cells = np.flatnonzero(problem.pack(value(expression, problem.batch)))
        assert np.array_equal(bank.cells(guard), cells), str(expression)
        assert guard.query.label != EVERY or guard.query.tokens == frozenset()


def test_a_planted_program_comes_back(bank):
    found = induce(bank, [0], np.random.default_rng(0), max_rules=4, effort=SMALL)
    best = found.candidates[-1]
    assert best.fit_iou > 0.97
    assert len(best.program.rules()) <= 4
    text = str(best.program)
    assert '" cat", " dog"' in text and '" a", " the"' in text
    sizes = [len(c.program.rules()) for c in found.candidates]
    ious = [c.fit_iou for c in found.candidates]
    assert sizes == sorted(set(sizes)) and ious == sorted(ious)


def test_what_is_printed_is_what_was_fitted(bank):
    found = induce(bank, [0, 1], np.random.default_rng(0), max_rules=3, effort=SMALL)
    for c in found.candidates:
        assert parse(str(c.program)) == c.program
        assert score([c.program], bank.problem, [0, 1]).mean() == pytest.approx(c.fit_iou, abs=0.004)


def test_same_seed_same_programs_and_the_budget_holds(bank):
    first, again = (induce(bank, [0], np.random.default_rng(7), max_rules=4, effort=SMALL) for _ in range(2))
    assert first == again
    short = induce(bank, [0], np.random.default_rng(7), max_rules=4, budget=60, effort=SMALL)
    assert short.evaluations < first.evaluations
    assert len(short.candidates) < len(first.candidates) + 1


def test_rules_after_a_given_program(bank):
    start = parse("add exp(-0.2 * dist)\nwhen k == 0 scale 6")
    alone = score([start], bank.problem, [0]).mean()
    found = induce(bank, [0], np.random.default_rng(0), max_rules=4, start=start, effort=SMALL)
    best = found.candidates[-1].program
    assert best.statements[:2] == start.statements
    assert len(best.rules()) <= 4
    assert score([best], bank.problem, [0]).mean() > alone + 0.05


def test_moves_keep_the_state_consistent(bank):
    search = Induction(bank, [0], np.random.default_rng(0), SMALL)
    while len(search.guards) < 4 and search.grow():
        search.bend()
    before = search.iou
    search.backfit(1)
    assert search.iou >= before - 1e-6
    search.prune()
    expected = score([search.program()], bank.problem, [0]).mean()
    assert expected == pytest.approx(search.iou, abs=0.004)
    pattern = problem_pattern(search)
    assert np.abs(pattern - search.pattern).max() < 0.02


def problem_pattern(search):
    return search.problem.pack(evaluate(search.program(), search.problem.batch))


def test_theta_is_the_logarithm_of_the_printed_constant(bank):
    search = Induction(bank, [1], np.random.default_rng(0), SMALL)
    assert search.grow()
    constant = dict(zip(search.terms, search.theta, strict=True))[(1, CONSTANT)]
    assert f"{math.exp(constant):.3g}" in str(search.program())
