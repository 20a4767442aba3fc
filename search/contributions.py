"""What each rule of a program adds to its IoU with a head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dsl.nodes import Block, Program, Rule, Statement

if TYPE_CHECKING:
    from search.problem import Problem


def without(program: Program, rule: int) -> Program:
    """The program without its leaf rule of this number, counted as `Program.rules` does; constants stay as they are."""
    numbers = iter(range(len(program.rules())))

    def kept(statements: Sequence[Statement]) -> Iterator[Statement]:
        for s in statements:
            match s:
                case Rule():
                    if next(numbers) != rule:
                        yield s
                case Block(guard, then, other):
                    inside, outside = tuple(kept(then)), tuple(kept(other))
                    if inside or outside:
                        yield Block(guard, inside, outside)
                case _:
                    yield s

    return Program(tuple(kept(program.statements)))


def contributions(program: Program, problem: Problem, head: int) -> list[float]:
    """For each leaf rule the IoU that the program loses without it, nothing fitted anew; below 0 where it gains."""
    from search.scoring import score

    parts = [without(program, i) for i in range(len(program.rules()))]
    whole, *less = problem.mean(score([program, *parts], problem, [head]))[:, 0]
    return [float(whole - x) for x in less]
