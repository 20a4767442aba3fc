"""Which rules of a program act on which cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dsl.nodes import ROW, And, Binary, Block, Compare, Num, Program, Rule, Statement

if TYPE_CHECKING:
    import numpy as np

    from dsl.batch import Batch

MARK = 2.0**90  # a weight that no program arrives at, exact in float32


def fired(program: Program, batch: Batch) -> np.ndarray:
    """(rules, B, Q, K) bool: where each leaf rule acts, in the order of `program.rules()`; masked cells are left out.

    A rule acts where its guard holds and its value exists. Guards may read the weights so far, so the program is run up to each
    rule, which then writes a mark in place of its value.
    """
    import numpy as np

    from dsl.evaluator import weights_of

    count = len(program.rules())
    result = np.zeros((count, len(batch), batch.size, batch.size), bool)
    for i in range(count):
        result[i] = (weights_of(Program(_until(program.statements, i)), batch) == np.float32(MARK)) & batch.allowed
    return result


def _until(statements: Sequence[Statement], index: int) -> tuple[Statement, ...]:
    """The statements up to leaf rule `index`, and that one marked."""
    kept: list[Statement] = []
    for s in statements:
        count = len(Program((s,)).rules())
        if index >= count:
            kept.append(s)
            index -= count
            continue
        match s:
            case Rule():
                return (*kept, _marked(s))
            case Block(_, then, other):
                first = len(Program(then).rules())
                if index < first:
                    return (*kept, replace(s, then=_until(then, index), other=()))
                return (*kept, replace(s, other=_until(other, index - first)))
    raise IndexError("the program has fewer rules")


def _marked(rule: Rule) -> Rule:
    if rule.value is None:  # normalize acts where the row has a sum
        has_sum = Compare("!=", ROW, Num(0.0))
        return Rule("set", Num(MARK), has_sum if rule.guard is None else And((rule.guard, has_sum)))
    return Rule("set", Binary("+", Num(MARK), Binary("*", Num(0.0), rule.value)), rule.guard)  # missing where the value is
