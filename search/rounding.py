"""Constants with as few digits as a program can do with: 0.3 * exp(-0.1 * dist) rather than 0.287 * exp(-0.0953 * dist)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsl.nodes import AnyNode, Num, Program, rebuild

if TYPE_CHECKING:
    from search.problem import Problem

ALLOWED = 0.0005  # of IoU that fewer digits may cost in all
MOST = 3  # digits that are tried; more are left as they are
WHOLE = 100  # whole numbers below are distances and counts, which no digit can be taken from


def shortened(program: Program, problem: Problem, heads: Sequence[int], allowed: float = ALLOWED) -> Program:
    """The program with constants of one, two or three significant digits, as few as cost at most `allowed` of its mean IoU in all.

    Greedy: the fewest digits that do for all constants together, then of each constant in turn what can still be dropped. The
    result is in canonical form; it is the program itself where nothing can be dropped.
    """
    from dsl import simplify
    from search.scoring import score

    def iou(*digits: Sequence[int | None]) -> list[float]:
        found = problem.mean(score([_rounded(program, d) for d in digits], problem, heads))  # (P, H)
        return [float(x) for x in found.mean(1)]

    count = len(_constants(program))
    exact: list[int | None] = [None] * count
    alike = [[digits] * count for digits in range(1, MOST + 1)]
    whole, *rounded = iou(exact, *alike)
    kept = next((d for d, value in zip(alike, rounded, strict=True) if value >= whole - allowed), exact)
    for i in range(count):
        for digits in range(1, kept[i] or MOST + 1):
            trial = [*kept[:i], digits, *kept[i + 1 :]]
            if iou(trial)[0] >= whole - allowed:
                kept = trial
                break
    return simplify(_rounded(program, kept)) if kept != exact else program


def _constants(program: Program) -> list[float]:
    """The numbers that may be rounded, in the order in which `_rounded` takes digits for them."""
    found: list[float] = []

    def note(node: AnyNode) -> AnyNode:
        if _is_constant(node):
            found.append(node.value)  # type: ignore[union-attr, arg-type]
            return node
        return rebuild(node, note)

    note(program)
    return found


def _rounded(program: Program, digits: Sequence[int | None]) -> Program:
    """The program with so many significant digits of each constant; None leaves one as it is."""
    rest = iter(digits)

    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, Num) and _is_constant(node):
            number = next(rest)
            return node if number is None else Num(float(f"{node.value:.{number}g}"))
        return rebuild(node, change)

    changed = change(program)
    assert isinstance(changed, Program)
    return changed


def _is_constant(node: AnyNode) -> bool:
    return isinstance(node, Num) and (node.value != round(node.value) or abs(node.value) >= WHOLE)
