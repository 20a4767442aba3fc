"""The best element so far: `if best is None or score(j) > score(best): best = j`, and `if s > top: top = s; best = j`."""

from __future__ import annotations

from dataclasses import dataclass

from dsl.lift.cases import Leaf, leaves_of
from dsl.lift.guards import and_, compare, conjuncts, exists
from dsl.lift.ranges import refold, replace_names
from dsl.lift.terms import FLIP, INVERSE
from dsl.nodes import Call, Compare, Expr, Name, Not, Or, free_names


@dataclass(frozen=True)
class Contest:
    """An element replaces the one before where its score compares so with the other's (or with the initial one's: `floor`)."""

    op: str  # > >= < <=
    score: Expr  # in terms of the loop's variable
    floor: Expr | None  # None: the first element always wins

    @property
    def kind(self) -> str:
        return "max" if self.op in (">", ">=") else "min"

    @property
    def strict(self) -> bool:
        """Of equal scores the first stays."""
        return self.op in (">", "<")


def comparison(test: Expr, name: str) -> tuple[str, Expr, Expr, bool] | None:
    """(op, mine, old, free) for `mine op old`, where only `old` speaks of the name; free: or there is no old one yet."""
    free = False
    negated = isinstance(test, Not)
    inner = test.item if isinstance(test, Not) else test
    if isinstance(inner, Or):
        absent = [i for i in inner.items if isinstance(i, Not) and i.item == Call("exists", (Name(name),))]
        others = [i for i in inner.items if i not in absent]
        if negated or not absent or len(others) != 1:
            return None
        inner, free = others[0], True
    if not isinstance(inner, Compare) or inner.op not in INVERSE or inner.op in ("==", "!="):
        return None
    op, mine, old = inner.op, inner.left, inner.right
    if name in free_names(mine):
        op, mine, old = FLIP[op], old, mine
    if negated:
        op = INVERSE[op]
    return None if name in free_names(mine) else (op, mine, old, free)


def single(leaves: list[Leaf], name: str) -> tuple[Leaf, Expr, Expr] | None:
    """The one leaf that acts, its test of the name, the rest of its guard."""
    acting = [x for x in leaves if x.kind != "keep"]
    if len(acting) != 1 or acting[0].kind != "set" or name in free_names(acting[0].e):
        return None
    parts = conjuncts(acting[0].guard)
    tests = [p for p in parts if name in free_names(p)]
    return (acting[0], tests[0], and_(*(p for p in parts if p not in tests))) if len(tests) == 1 else None


def by_own_score(name: str, initial: Expr, acting: list[Leaf]) -> tuple[Leaf, Contest] | None:
    """The variable is replaced where a score computed from the new value beats the same score of the old one."""
    found = single(acting, name)
    told = found and comparison(found[1], name)
    if not found or not told:
        return None
    leaf, _, rest = found
    op, mine, old, free = told
    if refold(replace_names(old, {name: leaf.e})) != mine:
        return None
    return Leaf(rest, "set", leaf.e), Contest(op, mine, None if free else refold(replace_names(old, {name: initial})))


def beside(name: str, e: Expr, other: str, other_e: Expr, other_initial: Expr) -> tuple[Leaf, Contest] | None:
    """The variable is replaced together with another one, which keeps the best score so far."""
    mine, top = [x for x in leaves_of(e, name) if x.kind != "keep"], single(leaves_of(other_e, other), other)
    if top is None or len(mine) != 1 or mine[0].kind != "set" or {name, other} & free_names(mine[0].e):
        return None
    leaf, test, rest = top
    told = comparison(test, other)
    if told is None or told[1] != leaf.e or told[2] != Name(other) or mine[0].guard != leaf.guard or name in free_names(rest):
        return None
    return Leaf(rest, "set", mine[0].e), Contest(told[0], leaf.e, None if told[3] else other_initial)


def beats(contest: Contest, best: Expr, at: Expr) -> Expr:
    """Whether the best element found beats the initial one."""
    return exists(at) if contest.floor is None else and_(exists(at), compare(contest.op, best, contest.floor))
