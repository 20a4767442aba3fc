"""Programs without some of their leaf rules, and what each rule adds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dsl.nodes import Block, Let, Program, Rule, Statement

if TYPE_CHECKING:
    from search.problem import Problem


def without(program: Program, off: Collection[int]) -> Program:
    """The program without the leaf rules of these numbers (in the order of `program.rules()`); blocks that are left empty go too.

    >>> from dsl import parse
    >>> str(without(parse("add 1 when q == k { add 2 add 3 } set 4"), {1, 3}))
    'add 1\\nwhen q == k {\\n    add 3\\n}'
    """
    return Program(_kept(program.statements, iter(range(len(program.rules()))), off))


def _kept(statements: Sequence[Statement], numbers: Iterator[int], off: Collection[int]) -> tuple[Statement, ...]:
    kept: list[Statement] = []
    for s in statements:
        match s:
            case Rule():
                if next(numbers) not in off:
                    kept.append(s)
            case Block(_, then, other):
                inside, outside = _kept(then, numbers, off), _kept(other, numbers, off)
                if inside or outside:
                    kept.append(replace(s, then=inside, other=outside))
            case Let():
                kept.append(s)
    return tuple(kept)


def gains(program: Program, problem: Problem, head: int, off: Collection[int] = ()) -> tuple[float, dict[str, float], list[float]]:
    """(IoU, IoU of each domain, what each leaf rule adds): means over the texts of a problem, of one head.

    A rule adds the IoU that is lost without it; of one that is off, what it would add.
    """
    from search.scoring import score

    rules = range(len(program.rules()))
    variants = [without(program, off), *(without(program, {*off, i} if i not in off else {*off} - {i}) for i in rules)]
    values = score(variants, problem, [head])[:, 0]  # (variants, T)
    means = problem.domains.mean(values)
    by_domain = {name: float(value[0]) for name, value in problem.domains.means(values).items()}
    return float(means[0]), by_domain, [float(means[0] - m) * (1 if i not in off else -1) for i, m in enumerate(means[1:])]
