"""The canonical form: `simplify(program)` has the same meaning on every text, and equal meaning written differently becomes equal.

Order of work: names of `let` are put in (rules.flatten), guards and values simplified (expressions), rules without effect dropped,
commuting rules sorted and united (rules), then laid out again as blocks and names (layout, names).
"""

from __future__ import annotations

from functools import lru_cache

from dsl.canonical.binders import rename
from dsl.canonical.concepts import settled
from dsl.canonical.expressions import simplified
from dsl.canonical.flatten import flatten
from dsl.canonical.layout import laid_out, shown
from dsl.canonical.names import named
from dsl.canonical.rules import merged, ordered, paired, trimmed, without_effect
from dsl.nodes import Program, Statement

MOST_ROUNDS = 6

__all__ = ["simplified", "simplify"]


@lru_cache(maxsize=1 << 13)
def simplify(program: Program) -> Program:
    """The canonical form of a checked program: same meaning (numbers up to rounding), deterministic, idempotent."""
    seen = [settled(program)]
    while len(seen) <= MOST_ROUNDS:
        new = _once(seen[-1])
        if new == seen[-1]:
            return new
        if new in seen:  # forms that turn into one another: the least of them, whichever came first
            return min(seen[seen.index(new) :], key=lambda p: (len(str(p)), str(p)))
        seen.append(new)
    return seen[-1]


def _once(program: Program) -> Program:
    items = flatten(program.statements)
    for _ in range(MOST_ROUNDS):
        before = items
        items = trimmed(merged(ordered(without_effect(items))))
        if items == before:
            break
    items = ordered(merged(paired(items)))
    statements: tuple[Statement, ...] = tuple(shown(s) for s in laid_out(items))
    return rename(Program(named(statements)))
