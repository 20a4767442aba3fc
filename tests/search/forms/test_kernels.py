"""The compiled loops of the search over forms against the language's own evaluator and against finite differences."""

import math

import numpy as np
import pytest

from dsl import parse_expression
from search.forms import kernels
from search.forms.board import Board, features
from search.forms.fitting import Fit, fitted, score
from search.forms.shapes import RuleShape, Shape
from search.forms.vocabulary import vocabulary
from tests.search.forms.shapes import means, problem, random_rule, random_shape

EACH = 40  # random shapes for each kind of model
START = (parse_expression("start(k)"),)
BEFORE = (parse_expression("dist == 1"),)
RULES = {  # rows that are empty or wholly within a guard, where a share has nothing to divide in proportion
    "share of an empty row": [RuleShape("share", START)],
    "share of all there is": [RuleShape("add", START), RuleShape("share", START)],
    "share of nothing there": [RuleShape("add", START), RuleShape("share", BEFORE)],
    "share where others are empty": [RuleShape("add", BEFORE), RuleShape("share", BEFORE)],
    "share of every cell": [RuleShape("add"), RuleShape("share")],
    "two shares": [RuleShape("add"), RuleShape("share", START), RuleShape("share", BEFORE)],
    "rows that stay empty": [RuleShape("add", BEFORE), RuleShape("scale", START)],
}


@pytest.fixture(scope="module", params=[True, False], ids=["causal", "bidirectional"])
def board(request):
    return Board(problem(3, request.param))


def plain(rules, seed=0):
    rng = np.random.default_rng(seed)
    theta = tuple(tuple(float(x) for x in rng.normal(0, 1, len(r.steps) + 1)) for r in rules)
    return Shape(tuple(rules), theta, tuple(0.0 if r.feature is None else float(rng.normal(0, 0.7)) for r in rules))


def agrees(board, shape):
    """IoU, and the pattern cell by cell."""
    fit = Fit(board, shape.rules)
    out = tuple(np.empty(len(board.q), np.float32) for _ in range(3))
    iou, *_ = fit.run(board.target([0, 1]), fit.theta(shape.theta), np.array(shape.beta, float), out=out)
    expected, pattern = means(board, shape, 2)
    assert np.abs(out[2] - pattern).max() < 3e-3, shape
    assert abs(iou - expected) < 1e-3, shape


def test_random_shapes_score_as_their_programs(board):
    rng = np.random.default_rng(1)
    for _ in range(EACH):
        agrees(board, random_shape(rng, board.problem.causal, first=str(rng.choice(["add", "set", "scale"])) or None))
        agrees(board, random_shape(rng, board.problem.causal, first=None))


def test_a_window_hides_cells():
    board = Board(problem(5, True, window=3))
    rng = np.random.default_rng(2)
    for _ in range(EACH // 3):
        agrees(board, random_shape(rng, True))


@pytest.mark.parametrize("op", ["add", "scale", "set"])
def test_every_feature_means_what_it_prints(board, op):
    for feature in features(board.problem.causal):
        for steps in ((), (parse_expression("symbol(q)"),)):
            agrees(board, plain([RuleShape("add"), RuleShape(op, (), steps, feature)]))
            agrees(board, plain([RuleShape("add"), RuleShape(op, BEFORE, steps, feature)]))


def test_every_condition_selects_the_cells_that_the_language_does(board):
    words = vocabulary(board.problem.causal)
    for guard in (*words.query, *words.key, *words.relation):
        agrees(board, plain([RuleShape("add"), RuleShape("scale", (guard,))]))
        agrees(board, plain([RuleShape("add"), RuleShape("share", (guard,))]))


@pytest.mark.parametrize("name", RULES)
def test_shares_of_rows_with_nothing_in_proportion(board, name):
    agrees(board, plain(RULES[name]))


def slopes_agree(board, shape):
    fit, target = Fit(board, shape.rules), board.target([0, 1])
    theta, beta = fit.theta(shape.theta), np.array(shape.beta, float)
    _, _, gt, gb, _ = fit.run(target, theta, beta, slopes=True)
    *_, by_row = fit.run(target, theta, beta, slopes=True, rows=True)
    assert np.allclose(by_row.sum(1), gt.sum(1), atol=2e-4 + 1e-3 * np.abs(gt).max()), shape

    def iou(theta, beta):
        return fit.run(target, theta, beta)[0]

    step = 2e-3
    for i, rule in enumerate(shape.rules):
        for s in range(len(rule.steps) + 1):
            up, down = theta.copy(), theta.copy()
            up[i, s] += step
            down[i, s] -= step
            expected = (iou(up, beta) - iou(down, beta)) / (2 * step)
            assert abs(gt[i, s] - expected) < 2e-3 + 0.05 * abs(expected), (shape, i, s, gt[i, s], expected)
        if rule.feature is not None:
            up, down = beta.copy(), beta.copy()
            up[i] += step
            down[i] -= step
            expected = (iou(theta, up) - iou(theta, down)) / (2 * step)
            assert abs(gb[i] - expected) < 4e-3 + 0.05 * abs(expected), (shape, i, gb[i], expected)


def test_slopes_are_those_of_finite_differences(board):
    rng = np.random.default_rng(4)
    for _ in range(EACH // 2):
        slopes_agree(board, random_shape(rng, board.problem.causal))


@pytest.mark.parametrize("name", RULES)
def test_slopes_of_shares_of_rows_with_nothing_in_proportion(board, name):
    slopes_agree(board, plain(RULES[name]))


def tried(board, shape, rule, values):
    target = board.target([0])
    fit = Fit(board, shape.rules)
    W, _, P = out = tuple(np.empty(len(board.q), np.float32) for _ in range(3))
    fit.run(target, fit.theta(shape.theta), np.array(shape.beta, float), out=out)
    total, common = np.empty(len(board.rows) - 1, np.float32), np.empty(len(board.rows) - 1, np.float32)
    kernels.rowwise(target[0], W, board.q, board.rows, total, common)
    mass = np.add.reduceat(target[0] + P, board.rows[board.texts[:-1]])
    result = np.empty(len(values))
    kernels.trial(
        kernels.OPERATIONS.index(rule.op), board.cells(rule.guard)[0], np.array(values, np.float32), target[0], W, total,
        common, mass, board.omega, board.q, board.rows, board.texts, result,
    )  # fmt: skip
    return result


@pytest.mark.parametrize("op", kernels.OPERATIONS)
def test_a_trial_is_worth_what_the_program_with_the_rule_is(board, op):
    rng = np.random.default_rng(6)
    words = vocabulary(board.problem.causal)
    values = [0.2, 0.7] if op == "share" else [0.2, 1.5, 8.0]
    shapes = [random_shape(rng, board.problem.causal, rules=2) for _ in range(EACH // 3)]
    shapes += [random_shape(rng, board.problem.causal, rules=2, first=None) for _ in range(EACH // 3)]
    for shape in [*shapes, plain([RuleShape("add", START)]), plain([RuleShape("add", BEFORE)])]:
        rule = random_rule(rng, words, board.problem.causal, op)
        for guard in (rule.guard, BEFORE, START):
            rule = RuleShape(op, guard)
            for found, value in zip(tried(board, shape, rule, values), values, strict=True):
                theta = math.log(value / (1 - value)) if op == "share" else math.log(value)
                expected = score(board, shape.with_rule(rule, (theta,)), board.target([0]))
                assert abs(found - expected) < 1e-4, (shape, rule, value)


def test_fitting_never_loses_and_finds_the_constants_of_a_pattern(board):
    shape = plain([RuleShape("add", (), (), features(board.problem.causal)[0]), RuleShape("add", START)])
    _, pattern = means(board, shape, 1)
    off = Shape(shape.rules, tuple(tuple(t + 0.7 for t in ts) if i else ts for i, ts in enumerate(shape.theta)), (-0.02, 0.0))
    before = score(board, off, pattern[None].astype(np.float32))
    after, better = fitted(board, off, pattern[None].astype(np.float32), 60)
    assert after > before
    assert after > 0.9
    assert abs(score(board, better, pattern[None].astype(np.float32)) - after) < 1e-6
