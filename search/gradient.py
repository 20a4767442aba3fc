"""The gradient of the IoU with respect to the constants of any program whose rules do not read the weights so far.

Rules become trees over packed cells. Values are differentiated forwards (each has few constants), the list of rules backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dsl.batch import Batch
from dsl.evaluator import LARGEST, value
from dsl.nodes import (
    TRUE,
    And,
    Binary,
    Block,
    Call,
    Expr,
    IfElse,
    Let,
    Neg,
    Not,
    Num,
    Rule,
    Statement,
    free_names,
    substitute,
)
from search.problem import Problem
from search.shares import divided, divided_slope

SMOOTH = 5e-4  # differences of probabilities below this count little in the sign of A - P
DIFFERENTIABLE = frozenset({"exp", "log", "sqrt", "abs", "tanh", "min", "max"})

Tree = tuple[str, tuple]  # ("constant", (i,)), ("leaf", (values,)), or (operation, children)
Slopes = dict[int, Any]  # derivative with respect to each constant, per cell or for all cells alike


@dataclass
class CompiledRule:
    """A rule outside all blocks, on packed cells."""

    op: str
    cells: np.ndarray  # where it acts
    value: Tree


class Cells(Protocol):
    """The cells of some texts that a model does not mask, packed as in `search.problem.Problem`: C cells in N rows."""

    @property
    def batch(self) -> Batch: ...

    rows: np.ndarray  # (N + 1) first cell of each row

    def pack(self, values: np.ndarray) -> np.ndarray:
        """(C): those cells of an array broadcastable to (T, N, N)."""
        ...


@dataclass(frozen=True)
class Tape:
    """What the derivative of a pattern needs: pattern and weights (C), and of every rule what it changed, by how much."""

    pattern: np.ndarray
    weights: np.ndarray
    scale: np.ndarray  # (C) by which the weights of a row are multiplied so that they sum to 1
    past: list[tuple[np.ndarray, Any, Slopes]]


def gradient(rules: list[CompiledRule], numbers: np.ndarray, problem: Problem, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean IoU and its derivative with respect to each constant."""
    tape = forwards(rules, numbers, problem.rows)
    iou, slope = overlap(tape.pattern, problem, target)
    return float(problem.mean(iou).mean()), backwards(rules, tape, slope, problem.rows, len(numbers))


def forwards(rules: list[CompiledRule], numbers: np.ndarray, rows: np.ndarray) -> Tape:
    """The pattern that these constants give, and what its derivative needs. rows (N + 1): first cell of each row."""
    weights = np.zeros(rows[-1], np.float32)
    past: list[tuple[np.ndarray, Any, Slopes]] = []
    for rule in rules:
        old = weights[rule.cells]
        number, slopes = _forward(rule.value, numbers)
        number = np.clip(number, -LARGEST, LARGEST)
        if rule.op == "share":
            number = np.broadcast_to(np.asarray(number, np.float64), old.shape)
            past.append((weights.copy(), number, slopes))
            weights = divided(weights, rule.cells, number, rows)
            continue
        past.append((old, number, slopes))
        weights[rule.cells] = _OPERATIONS[rule.op](old, number)
    positive = np.clip(weights, 0, LARGEST)
    total = np.add.reduceat(positive, rows[:-1])
    scale = np.repeat(np.divide(1, total, out=np.zeros_like(total), where=total > 0), np.diff(rows))
    return Tape(positive * scale, weights, scale, past)


def backwards(rules: list[CompiledRule], tape: Tape, slope: np.ndarray, rows: np.ndarray, constants: int) -> np.ndarray:
    """The derivative with respect to each of so many constants, from that with respect to the pattern: slope (C)."""
    slope = weight_slope(tape, slope, rows)
    result = np.zeros(constants)
    for rule, (old, number, slopes) in zip(reversed(rules), reversed(tape.past), strict=True):
        if rule.op == "share":
            slope, to_number = divided_slope(slope, old, rule.cells, number, rows)
            for i, derivative in slopes.items():
                result[i] += np.sum(to_number * derivative, dtype=np.float64)
            continue
        here = slope[rule.cells]
        match rule.op:
            case "set":
                to_number, to_old = here, np.zeros_like(here)
            case "add":
                to_number, to_old = here, here
            case "scale":
                to_number, to_old = here * old, here * number
            case _:
                wins = number > old if rule.op == "max" else number < old
                to_number, to_old = np.where(wins, here, 0), np.where(wins, 0, here)
        for i, derivative in slopes.items():
            result[i] += np.sum(to_number * derivative, dtype=np.float64)
        slope[rule.cells] = to_old
    return np.nan_to_num(result)


def weight_slope(tape: Tape, slope: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(C) float32: the derivative with respect to the weights before rows are divided by their sums."""
    mean = np.repeat(np.add.reduceat(tape.pattern * slope, rows[:-1]), np.diff(rows))
    return np.where(tape.weights > 0, tape.scale * (slope - mean), 0).astype(np.float32)


def sensitivity(rules: list[CompiledRule], numbers: np.ndarray) -> np.ndarray:
    """For each constant by how much the logarithm of its rule's value changes with its own, root mean square over the cells."""
    found = np.zeros(len(numbers))
    for rule in rules:
        number, slopes = _forward(rule.value, numbers)
        for i, derivative in slopes.items() if len(rule.cells) else ():
            change = np.ravel(derivative * numbers[i] / number)
            found[i] = np.sqrt(np.mean(np.square(change[np.isfinite(change)]))) if np.isfinite(change).any() else 0
    return found


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "set": lambda old, number: number,
    "add": np.add,
    "scale": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def _forward(tree: Tree, numbers: np.ndarray) -> tuple[Any, Slopes]:
    """The value of an expression on its cells, and its derivatives (forward mode: values have few constants)."""
    name, parts = tree
    if name == "constant":
        return numbers[parts[0]], {parts[0]: 1.0}
    if name == "leaf":
        return parts[0], {}
    values, slopes = zip(*(_forward(p, numbers) for p in parts), strict=True)
    if name in ("min", "max"):
        value, slope = values[0], slopes[0]
        for other, its in zip(values[1:], slopes[1:], strict=True):
            first = value < other if name == "min" else value > other
            slope = {i: np.where(first, slope.get(i, 0.0), its.get(i, 0.0)) for i in slope.keys() | its.keys()}
            value = np.where(first, value, other)
        return value, slope
    value, partial = _PARTIAL[name](*values)
    result: Slopes = {}
    for by, slope in zip(partial, slopes, strict=True):
        for i, derivative in slope.items():
            result[i] = result.get(i, 0.0) + by * derivative
    return value, result


def _power(x: Any, y: Any) -> tuple[Any, tuple]:
    value = x**y
    return value, (y * value / x, value * np.log(np.abs(x)))


def _exponential(x: Any) -> tuple[Any, tuple]:
    value = np.exp(x)
    return value, (value,)


# Each operation's value and its derivative with respect to each argument.
_PARTIAL: dict[str, Callable[..., tuple[Any, tuple]]] = {
    "+": lambda x, y: (x + y, (1.0, 1.0)),
    "-": lambda x, y: (x - y, (1.0, -1.0)),
    "*": lambda x, y: (x * y, (y, x)),
    "/": lambda x, y: (x / y, (1 / y, -x / y**2)),
    "**": _power,
    "negative": lambda x: (-x, (-1.0,)),
    "exp": _exponential,
    "log": lambda x: (np.log(x), (1 / x,)),
    "sqrt": lambda x: (np.sqrt(x), (0.5 / np.sqrt(x),)),
    "abs": lambda x: (np.abs(x), (np.sign(x),)),
    "tanh": lambda x: (np.tanh(x), (1 - np.tanh(x) ** 2,)),
    "if": lambda test, x, y: (np.where(test, x, y), (0.0, test, ~test)),
}


@dataclass
class Compiler:
    """Turns a program's rules into trees over packed cells, counting constants in the order of `search.fitting.constants`."""

    problem: Cells
    count: int = 0

    def rules(
        self, statements: Sequence[Statement], guards: tuple[Expr, ...] = (), names: dict[str, Expr] | None = None
    ) -> list[CompiledRule]:
        """The leaf rules with all their guards. Raises ReadsWeights if any of it depends on the weights so far."""
        names = names or {}
        found: list[CompiledRule] = []
        for s in statements:
            match s:
                case Let(name, expression):
                    names = {**names, name: self._pure(expression, names)}
                case Block(guard, then, other):
                    holds = self._pure(guard, names)
                    found += self.rules(then, (*guards, holds), names)
                    found += self.rules(other, (*guards, Not(holds)), names)
                case Rule(op, number, guard):
                    if number is None:
                        raise ReadsWeights
                    own = () if guard is None else (self._pure(guard, names),)
                    found.append(self._rule(op, number, (*guards, *own), names))
        return found

    def _pure(self, expression: Expr, names: dict[str, Expr]) -> Expr:
        expression = substitute(expression, names)
        if free_names(expression) & {"weight", "row"}:
            raise ReadsWeights
        return expression

    def _rule(self, op: str, number: Expr, guards: tuple[Expr, ...], names: dict[str, Expr]) -> CompiledRule:
        problem = self.problem
        holds = problem.pack(value(And((TRUE, *guards)), problem.batch))
        defined = problem.pack(np.isfinite(value(self._pure(number, names), problem.batch)))
        cells = np.flatnonzero(holds & defined)
        return CompiledRule(op, cells, self._tree(number, names, cells))

    def _tree(self, node: Expr, names: dict[str, Expr], cells: np.ndarray) -> Tree:
        def below(*nodes: Expr) -> tuple:
            return tuple(self._tree(n, names, cells) for n in nodes)

        match node:
            case Num():
                self.count += 1
                return ("constant", (self.count - 1,))
            case Neg(item):
                return ("negative", below(item))
            case Binary("+" | "-" | "*" | "/" as op, left, right):
                return (op, below(left, right))
            case Binary("**", left, right):
                return ("**", (*below(left), self._leaf(right, names, cells) if whole(right) else below(right)[0]))
            case Call(name, args) if name in DIFFERENTIABLE:
                return (name, below(*args))
            case IfElse(test, then, other):
                return ("if", (self._leaf(test, names, cells), *below(then, other)))
        return self._leaf(node, names, cells)

    def _leaf(self, node: Expr, names: dict[str, Expr], cells: np.ndarray) -> Tree:
        array = self.problem.pack(value(self._pure(node, names), self.problem.batch))[cells]
        return ("leaf", (array if array.dtype == bool else array.astype(np.float32),))


class ReadsWeights(Exception):
    """The program's constants have no gradient here."""


def overlap(pattern: np.ndarray, problem: Problem, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IoU (H, T), and its gradient (C) with respect to the pattern, of the mean."""
    starts = problem.rows[problem.texts[:-1]]
    cells = np.diff(problem.rows[problem.texts])
    mass = np.add.reduceat(pattern, starts)
    iou = np.empty((len(target), len(problem)))
    slope = np.zeros(len(pattern), np.float32)
    for h, a in enumerate(target):
        difference = a - pattern
        size = np.abs(difference)
        distance = np.add.reduceat(size, starts)
        total = mass + np.add.reduceat(a, starts)
        iou[h] = (total - distance) / (total + distance)
        factor = (2 * total / (total + distance) ** 2 * problem.weights / len(target)).astype(np.float32)
        slope += np.repeat(factor, cells) * difference / (size + np.float32(SMOOTH))
    return iou, slope


def whole(node: Expr) -> bool:
    return isinstance(node, Num) and node.value == round(node.value)
