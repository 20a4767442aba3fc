"""A shape with a head's attention: its IoU, derivatives, and constants fitted by Adam."""

from __future__ import annotations

import numpy as np

from search.adam import Adam
from search.forms import kernels
from search.forms.board import Board
from search.forms.shapes import RuleShape, Shape

SMOOTH = np.float32(3e-4)  # differences of probabilities below this count little in the sign of A - P
NOTHING = np.zeros(0, np.float32)


class Fit:
    """The rules of a shape in arrays, on a board."""

    def __init__(self, board: Board, rules: tuple[RuleShape, ...]) -> None:
        self.board, self.rules = board, rules
        lists = [board.cells(r.guard if r.feature is None else (*r.guard, *r.feature.where)) for r in rules]
        offsets = np.cumsum([0, *(len(c) for c, _ in lists)])
        self.cells = np.concatenate([c for c, _ in lists]) if lists else np.zeros(0, np.int32)
        self.ptr = np.array([starts + o for (_, starts), o in zip(lists, offsets, strict=False)], np.int64)
        self.ops = np.array([kernels.OPERATIONS.index(r.op) for r in rules], np.int64)
        self.steps = np.array([board.steps(r.steps) for r in rules], np.uint8)
        names = [f.name for f in board.features]
        self.feats = np.array([-1 if r.feature is None else names.index(r.feature.name) for r in rules], np.int64)
        self.single = np.array([not r.steps for r in rules])
        self.most = max(len(r.steps) for r in rules) + 1

    def theta(self, theta: tuple[tuple[float, ...], ...]) -> np.ndarray:
        table = np.zeros((len(self.rules), self.most))
        for i, t in enumerate(theta):
            table[i, : len(t)] = t
        return table

    def run(
        self,
        target: np.ndarray,
        theta: np.ndarray,
        beta: np.ndarray,
        slopes: bool = False,
        rows: bool = False,
        out: tuple | None = None,
    ):  # type: ignore[no-untyped-def]
        """(mean IoU, IoU (T), d theta, d beta, d theta by row)."""
        b = self.board
        count = len(self.rules)
        gtheta = np.zeros((count if slopes else 0, self.most))
        gbeta = np.zeros(count)
        grow = np.zeros((count if rows else 0, len(b.rows) - 1), np.float32)
        W, G, P = out if out is not None else (NOTHING, NOTHING, NOTHING)
        iou, each = kernels.evaluate(
            target.reshape(-1, len(b.q)), b.omega, self.single, self.ops, self.ptr, self.cells, self.steps, theta, self.feats, beta,
            b.table, b.index, b.q, b.rows, b.texts, SMOOTH, gtheta, gbeta, grow, out is not None, W, G, P,
        )  # fmt: skip
        return iou, each, gtheta, gbeta, grow


def score(board: Board, shape: Shape, target: np.ndarray) -> float:
    fit = Fit(board, shape.rules)
    return float(fit.run(target, fit.theta(shape.theta), np.array(shape.beta, float))[0])


def fitted(board: Board, shape: Shape, target: np.ndarray, steps: int, rate: float = 0.15) -> tuple[float, Shape]:
    """(IoU, shape) with the best constants that Adam met on the way."""
    fit = Fit(board, shape.rules)
    theta, beta = fit.theta(shape.theta), np.array(shape.beta, float)
    uses = fit.feats >= 0
    best = (-1.0, theta, beta)
    of_theta, of_beta = Adam(theta, 1e-10), Adam(beta, 1e-10)
    scale = np.where(uses, 0.5, 0.0)
    for i, f in enumerate(fit.feats):
        if f == 0:
            scale[i] = 0.1  # a decay per token: small numbers
    for s in range(steps + 1):
        iou, _, gt, gb, _ = fit.run(target, theta, beta, slopes=s < steps)
        if iou > best[0]:
            best = (iou, theta.copy(), beta.copy())
        if s == steps:
            break
        speed = rate * (1 - 0.9 * s / steps)
        theta = np.clip(theta + speed * of_theta.step(gt), -20, 20)
        beta = np.where(uses, np.clip(beta + speed * scale * of_beta.step(gb * scale), -12, 12), 0)
    iou, theta, beta = best
    found = tuple(tuple(float(x) for x in theta[i, : len(r.steps) + 1]) for i, r in enumerate(shape.rules))
    return float(iou), Shape(shape.rules, found, tuple(float(x) for x in beta))
