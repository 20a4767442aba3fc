"""Constant fitting: the gradient is the derivative, planted constants come back, and nothing gets worse."""

import numpy as np
import pytest

from dsl import parse
from search.fitting import fit_constants
from search.gradient import Compiler, ReadsWeights, gradient
from search.scoring import score

TARGET = 'add exp(-0.3 * dist)\nwhen text(k) in {".", ","} scale 4\nwhen same(text) add 0.5'


def iou(program, problem):
    return score([program], problem, [0]).mean()


@pytest.mark.parametrize(
    "text",
    [
        "add exp(-0.1 * dist)\nwhen same(text) add 0.9\nwhen dist == 1 scale 2 + 0.5 * dist",
        "add 1 / (2 + dist)\nwhen word_start(k) { max 0.3 * (1 + dist) ** -0.5 } else { min 0.2 }",
        "let s = last(p <= q: word_start(p))\nadd 0.2 + 0.1 * similarity(q, k)\nwhen k >= s set 0.4 if k == q else 0.7",
        "add exp(-0.2 * dist)\nwhen same(text) share 0.6\nwhen dist == 1 share 0.3 if word_start(q) else 0.2\nadd 0.01",
        "when k == 0 share 0.7\nwhen dist == 1 { share 0.4 }\nwhen dist < 3 scale 1.5\nwhen dist > 4 share 0.1 + 0.02 * dist",
        "add sqrt(0.5 + dist)\nwhen dist > 2 scale tanh(0.3) * log(3 + q)\nwhen dist > 4 add -abs(0.01 * dist - 0.05)",
    ],
)
def test_gradient_is_the_derivative(planted, text):
    problem = planted(TARGET, dtype=np.float32)
    target = problem.target([0])
    program = parse(text)
    compiler = Compiler(problem)
    rules = compiler.rules(program.statements)
    numbers = np.array([float(n) for n in _numbers(program)])
    assert len(numbers) == compiler.count
    _, slopes = gradient(rules, numbers, problem, target)
    for i in range(len(numbers)):
        step = 0.01 * abs(numbers[i])
        up, down = (gradient(rules, numbers + np.eye(len(numbers))[i] * s, problem, target)[0] for s in (step, -step))
        assert slopes[i] * numbers[i] == pytest.approx((up - down) / (2 * step) * numbers[i], abs=0.004, rel=0.2)


def _numbers(program):
    from search.fitting import constants

    return constants(program)


def test_planted_constants_come_back(planted):
    problem = planted(TARGET)
    start = parse('add exp(-0.1 * dist)\nwhen text(k) in {".", ","} scale 1.5\nwhen same(text) add 2')
    fitted = fit_constants(start, problem, [0], steps=150)
    assert iou(start, problem) < 0.8
    assert iou(fitted, problem) > 0.97


@pytest.mark.parametrize(
    "text",
    [
        "add 1\nwhen k == 0 add 0.5 * row\nnormalize\nwhen dist == 1 add 0.4",
        "add 1\nwhen dist == 1 scale weight + 1",
        "let w = weight + 0.3\nadd w * 2",
        "add 0\nwhen dist == 1 set 0",
        "add 1",
        "set -1",
        "add 1 / (dist - 1)\nwhen dist > 3 add log(dist - 5)",
        "when word_start(q) { when k == q set 2 } else { add 0.5 ** dist }",
    ],
)
def test_never_worse_and_always_a_program(planted, text):
    problem = planted(TARGET, number=5)
    start = parse(text)
    fitted = fit_constants(start, problem, [0], steps=10)
    assert iou(fitted, problem) >= iou(start, problem)
    assert parse(str(fitted)) == fitted
    assert [r.guard for r in fitted.rules()] == [r.guard for r in start.rules()]


def test_programs_that_read_weights_are_fitted_by_trial(planted):
    problem = planted("add 1\nnormalize\nwhen dist == 1 add 0.4", number=5)
    start = parse("add 1\nnormalize\nwhen dist == 1 add 0.8")
    with pytest.raises(ReadsWeights):
        Compiler(problem).rules(start.statements)
    assert iou(fit_constants(start, problem, [0]), problem) > iou(start, problem) + 0.05


def test_one_fit_for_two_heads(planted):
    problem = planted("add exp(-0.2 * dist)", "add exp(-0.6 * dist)")
    start = parse("add exp(-3 * dist)")
    both = score([fit_constants(start, problem, [0, 1], steps=60), start], problem, [0, 1]).mean((1, 2))
    assert both[0] > both[1] + 0.2
