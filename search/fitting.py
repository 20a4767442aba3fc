"""Fits the constants of any program by gradient on the IoU.

The constants are the numbers in the values of rules, as far as arithmetic leads to them; numbers in guards and in arguments such
as `k - 1` stay. A constant keeps its sign: the fit moves the logarithm of its size. Programs whose rules read the weights so far
(`weight`, `row`, `normalize`) are fitted one constant after the other instead, by trial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dsl import evaluate
from dsl.nodes import (
    Binary,
    Block,
    Call,
    Expr,
    IfElse,
    Neg,
    Num,
    Program,
    Rule,
    Statement,
    rebuild,
)
from search.adam import Adam
from search.gradient import DIFFERENTIABLE, CompiledRule, Compiler, ReadsWeights, gradient, overlap, whole
from search.problem import Problem

RATE = 0.15  # first step of a constant's logarithm
LEAST = 1e-6  # gains below this are rounding
TRIALS = (0.5, 0.8, 1.25, 2.0)


def fit_constants(program: Program, problem: Problem, heads: Sequence[int], steps: int = 40) -> Program:
    """The program with constants of three significant digits that raise the mean IoU on these heads; never a worse one.

    steps: gradient steps; 0 gives the program itself.
    """
    numbers = constants(program)
    if not numbers or steps <= 0:
        return program
    target = problem.target(heads)
    with np.errstate(all="ignore"):
        try:
            rules = Compiler(problem).rules(program.statements)
        except ReadsWeights:
            numbers = _by_trial(program, problem, target, numbers)
        else:
            numbers = list(_by_gradient(rules, np.array(numbers), problem, target, steps))
    fitted = with_constants(program, numbers)
    return fitted if _iou(fitted, problem, target) > _iou(program, problem, target) + LEAST else program


def _iou(program: Program, problem: Problem, target: np.ndarray) -> float:
    return float(problem.mean(overlap(problem.pack(evaluate(program, problem.batch)), problem, target)[0]).mean())


# which numbers are constants, and in which order


def constants(program: Program) -> list[float]:
    """The constants in the order in which `with_constants` replaces them."""
    found: list[float] = []

    def note(number: Num) -> Num:
        found.append(number.value)
        return number

    _map_constants(program, note)
    return found


def with_constants(program: Program, numbers: Sequence[float]) -> Program:
    """The program with other constants, of three significant digits."""
    rest = iter(numbers)
    return _map_constants(program, lambda _: Num(float(f"{next(rest):.3g}")))


def _map_constants(program: Program, change: Callable[[Num], Num]) -> Program:
    """Applies a change to the constants of all rules, in source order."""

    def statement(s: Statement) -> Statement:
        match s:
            case Rule(op, number, guard) if number is not None:
                return Rule(op, _in_value(number, change), guard)
            case Block(guard, then, other):
                return Block(guard, tuple(statement(t) for t in then), tuple(statement(t) for t in other))
        return s

    return Program(tuple(statement(s) for s in program.statements))


def _in_value(node: Expr, change: Callable[[Num], Num]) -> Expr:
    match node:
        case Num():
            return change(node)
        case Neg() | Binary(op="+" | "-" | "*" | "/"):
            return rebuild(node, lambda n: _in_value(n, change))
        case Binary("**", left, right):  # a whole exponent of what may be negative must stay whole: only the base moves
            return Binary("**", _in_value(left, change), right if whole(right) else _in_value(right, change))
        case Call(name, _) if name in DIFFERENTIABLE:
            return rebuild(node, lambda n: _in_value(n, change))
        case IfElse(test, then, other):
            return IfElse(test, _in_value(then, change), _in_value(other, change))
    return node


# searching for better constants


def _by_gradient(rules: list[CompiledRule], start: np.ndarray, problem: Problem, target: np.ndarray, steps: int) -> np.ndarray:
    """Adam on the logarithms of the constants' sizes; the best constants seen."""
    movable = start != 0
    log_size, sign = np.log(np.abs(np.where(movable, start, 1))), np.sign(start)
    best, kept = -1.0, start
    adam = Adam(log_size)
    for s in range(steps):
        numbers = np.where(movable, sign * np.exp(log_size), 0)
        iou, slope = gradient(rules, numbers, problem, target)
        if iou > best:
            best, kept = iou, numbers
        log_size = np.clip(log_size + RATE * (1 - 0.9 * s / steps) * adam.step(slope * numbers), -20, 20)
    return kept


def _by_trial(program: Program, problem: Problem, target: np.ndarray, numbers: list[float]) -> list[float]:
    """One pass over the constants, each multiplied by a few factors."""
    best = _iou(program, problem, target)
    for i, number in enumerate(numbers):
        for factor in TRIALS:
            trial = [*numbers[:i], number * factor, *numbers[i + 1 :]]
            iou = _iou(with_constants(program, trial), problem, target)
            if iou > best:
                best, numbers = iou, trial
    return numbers
