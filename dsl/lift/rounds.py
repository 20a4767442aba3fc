"""Writes of one loop that hit the same cell in several rounds: what the cell holds after all of them, as one rule.

The cell is treated like a variable that the loop hands from round to round: the rules, in their order, give its new value as an
expression of the old one, and the recurrence is solved (`recurrence`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from dsl.lift.facts import Facts, contradictory
from dsl.lift.guards import and_, conjuncts, if_
from dsl.lift.likeness import canonical
from dsl.lift.machine import Machine
from dsl.lift.normal import CELL_RANGES, Normal, Prepared, closed, pinned, prepared, ranged, settled
from dsl.lift.ranges import transform
from dsl.lift.terms import arith, extreme
from dsl.lift.values import X0, X1, Arr, Entry, Loop, LoopEl, Refusal, S, expr, high_of, low_of, sort_of
from dsl.nodes import FALSE, TRUE, Call, Compare, Expr, Name, Range, free_names, walk


@dataclass(frozen=True)
class Unordered:
    """A loop whose rounds cannot be told as rules one after the other, and the line of a write that shows it."""

    loop: int
    line: int


NO_LOOPS: frozenset[int] = frozenset()


def in_turn(m: Machine, a: Arr, entries: list[Entry], mine: dict[int, int], fixed: frozenset[int] = NO_LOOPS) -> list[Normal]:
    """The writes as rules one after the other; those of loops that change a cell in several rounds as one rule each.

    mine: the arrays whose cells these are, with the number of writes each; fixed: loops that count as given.
    """
    writes = [prepared(m, a, entry, i, fixed) for i, entry in enumerate(entries)]
    solved = [pinned(m, p) for p in writes]
    together = {p.loose[0].id for p, s in zip(writes, solved, strict=True) if reads_self_in_loop(m, s, mine)}
    while True:
        normals: list[Normal] = []
        loops = [p.loose[0].id if p.loose and p.loose[0].id in together else None for p in writes]
        for loop, group in groupby(zip(loops, writes, strict=True), lambda pair: pair[0]):
            same = [p for _, p in group]
            rules = [closed(m, solved[p.at]) for p in same] if loop is None else [joined(m, a, same)]
            normals.extend(r for r in rules if r is not None)
        found = unordered(a, entries, normals, fixed)
        if found is None:
            return normals
        within = [p for p in writes if any(x.id == found.loop for x in p.loops)]
        outermost = {p.loose[0].id for p in within if p.loose}
        if len(outermost) != 1 or outermost & together or not all(p.loose for p in within):
            raise Refusal(found.line, "this loop writes a cell in several rounds, in an order that matters")
        together |= outermost


def reads_self_in_loop(m: Machine, p: Prepared, mine: dict[int, int]) -> bool:
    """Whether the write looks at cells that the loops around it, which the cell does not determine, may have changed."""
    loose = {loop.id for loop in p.loose}
    for x in read_cells([s.cond for s in p.steps], p.value):
        which, _, at = (int(n) for n in x.name[1:].split(":"))
        if which in mine and any(loop.id in loose for loop in m.reads[at][0]):
            return True
    return False


def read_cells(guards: list[Expr], value: Any) -> list[Call]:
    e = value.e if isinstance(value, S) else value
    parts = [*guards, *([e] if isinstance(e, Expr) else [])]  # type: ignore[arg-type, misc]
    return [x for part in parts for x in walk(part) if isinstance(x, Call) and x.name.startswith("@")]


def unordered(a: Arr, entries: list[Entry], normals: list[Normal], fixed: frozenset[int]) -> Unordered | None:
    """Rules act one after the other on all cells; in a loop Python does so element by element. The same unless cells of
    different rounds are the same cells, in another order."""
    by_loop: dict[int, list[Normal]] = {}
    loops: dict[int, Loop] = {}
    for rule in normals:
        for el in entries[rule.at].path[a.base :]:
            if isinstance(el, LoopEl) and el.loop.id not in rule.joined | fixed:
                by_loop.setdefault(el.loop.id, []).append(rule)
                loops[el.loop.id] = el.loop
    for at, rules in by_loop.items():
        if len(rules) < 2:
            continue
        if all(at in r.rounds for r in rules) and len({canonical(r.rounds[at]) for r in rules}) == 1:
            continue  # all rules that can write a cell do so in the same round
        commute = all(r.op == "add" for r in rules) or all(r.op == "scale" for r in rules)
        if commute and not any(reads_itself(r) for r in rules):
            continue
        for i, r in enumerate(rules):
            for later in rules[i + 1 :]:
                if not in_order(loops[at], r, later):
                    return Unordered(at, later.line)
    return None


def reads_itself(r: Normal) -> bool:
    return bool(read_cells([s.cond for s in r.steps], r.value))


def in_order(loop: Loop, first: Normal, second: Normal) -> bool:
    """Whether, for every cell that both write, all rounds of the first come before (or are) those of the second."""
    if first.op == second.op and first.op in ("add", "scale") and not (reads_itself(first) or reads_itself(second)):
        return True
    guard = and_(first.guard, second.guard)
    if guard == FALSE or contradictory([*CELL_RANGES, *conjuncts(guard)]):
        return True
    facts = Facts([*CELL_RANGES, *conjuncts(guard)])
    x, y = first.rounds.get(loop.id), second.rounds.get(loop.id)
    low, high = low_of(loop.range), high_of(loop.range)
    if loop.range.domain is not None:
        return False

    def before(a: Expr, b: Expr) -> bool:
        return facts.nonnegative(arith("-", a, b) if loop.descending else arith("-", b, a))

    if x is not None and y is not None:
        return before(x, y)
    if x is not None:  # the second may happen in any round: at the earliest in the first round
        return before(x, high if loop.descending else low)
    if y is not None:
        return before(low if loop.descending else high, y)
    return False


def joined(m: Machine, a: Arr, rules: list[Prepared]) -> Normal | None:
    """One rule for all of them, which share their outermost loose loop. Raises Refusal where there is no counterpart."""
    first = rules[0]
    if not alike(rules):
        raise Refusal(rules[-1].line, "this loop writes a cell in several rounds, in an order that matters")
    loose = {x.range.var for r in rules for x in r.loose}
    shared = 0
    while all(
        shared < len(r.steps)
        and r.steps[shared].guard == first.steps[shared].guard
        and not loose & free_names(r.steps[shared].guard)
        for r in rules
    ):
        shared += 1
    read = m.fresh()
    m.reads[read] = ((), first.line)
    before = Call(f"@{a.id}:{first.at}:{read}", (X0, X1)[: len(a.dims)])
    sort = sort_of(a.init)
    if sort not in ("number", "text"):
        raise Refusal(first.line, "this loop writes a cell in several rounds, in an order that matters")
    value = after(m, a, rules, 0, shared, before)
    loops = frozenset(x.id for r in rules for x in r.loops)
    made = value if sort == "number" else S(sort, value)
    return settled(m, Normal(first.steps[:shared], "set", made, first.line, first.at, first.rounds, loops))


def alike(rules: list[Prepared]) -> bool:
    """Every loop that several of the rules stand in means the same round for all of them."""
    solved: dict[int, Expr | None] = {}
    for r in rules:
        for loop in r.loops:
            x = r.names.get(loop.range.var)
            if solved.setdefault(loop.id, x) != x:
                return False
    return True


def after(m: Machine, a: Arr, rules: list[Prepared], depth: int, shared: int, value: Expr) -> Expr:
    """The cell's value after the rules, all inside the same `depth` loose loops, if it is `value` before."""
    start = 0
    while start < len(rules):
        rule = rules[start]
        if len(rule.loose) == depth:
            value = applied(a, rule, shared, value)
            start += 1
            continue
        loop, end = rule.loose[depth], start
        while end < len(rules) and len(rules[end].loose) > depth and rules[end].loose[depth] is loop:
            end += 1
        value = repeated(m, a, rules[start:end], depth, shared, value, loop)
        start = end
    return value


def repeated(m: Machine, a: Arr, rules: list[Prepared], depth: int, shared: int, value: Expr, loop: Loop) -> Expr:
    """The cell's value after all rounds of the loop."""
    if not loop.ordered:
        raise Refusal(loop.line, "a cell changed in a loop whose order follows from the data")
    name = f"$f{m.fresh()}"
    sort = sort_of(a.init) or "number"
    new = after(m, a, rules, depth + 1, shared, Name(name))
    update = m.update_of(loop, sort, S(sort, value), name, new)
    v = m.var(m.named.get(loop.range.var, ""))
    r = ranged(m, loop, rules[0].names)
    return m.value_after(loop, update, Range(v, r.low, r.high, r.domain), TRUE)


def applied(a: Arr, rule: Prepared, shared: int, value: Expr) -> Expr:
    """The cell's value after one rule."""
    own = {
        x: y
        for s in rule.steps
        if isinstance(s.guard, Compare) and s.guard.op == "=="
        for x, y in ((s.guard.left, s.guard.right), (s.guard.right, s.guard.left))
        if x in (X0, X1)
    }

    def seen(e: Expr) -> Expr:
        """The rule's reads of the cell itself are its value so far; others cannot be told."""

        def change(x: Expr) -> Expr | None:
            if isinstance(x, Call) and x.name.startswith("@"):
                which, _, _ = (int(p) for p in x.name[1:].split(":"))
                if which == a.id or which in a.lineage:
                    if all(i in (c, own.get(c)) for i, c in zip(x.args, (X0, X1), strict=False)):
                        return value
                    raise Refusal(rule.line, "a cell that other rounds of the same loop write is read")
            return None

        return transform(e, change)

    guard = and_(*(seen(s.guard) for s in rule.steps[shared:]))
    amount = seen(expr(rule.value) if not isinstance(rule.value, Expr) else rule.value)  # type: ignore[arg-type, misc]
    match rule.op:
        case "set":
            return if_(guard, amount, value)
        case "add":
            return if_(guard, arith("+", value, amount), value)
        case "scale":
            return if_(guard, arith("*", value, amount), value)
        case "max" | "min":
            return if_(guard, extreme(rule.op, [value, amount]), value)
    raise Refusal(rule.line, f"{rule.op} of a cell")
