"""One write as one rule: the loops' variables solved for q and k, the others summed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dsl.lift.facts import Facts
from dsl.lift.guards import and_, compare, conjuncts, if_, not_, or_
from dsl.lift.machine import MAX_SIZE, Machine
from dsl.lift.order import later, search
from dsl.lift.ranges import determined, quantified, replace_names, size_of, transform
from dsl.lift.terms import ONE, ZERO, N, arith, from_linear, linear, whole
from dsl.lift.values import (
    X0,
    X1,
    Arr,
    CondEl,
    Entry,
    Loop,
    LoopEl,
    Refusal,
    S,
    expr,
    high_of,
    low_of,
    map_range,
    map_value,
    number,
    rename,
    value_of,
)
from dsl.nodes import FALSE, TRUE, Binary, Call, Compare, Expr, IfElse, Name, Range, free_names, walk

CELLS = (X0, X1)


@dataclass
class Step:
    """A guard on the way to a rule. Steps of consecutive rules with equal keys are one block."""

    key: Any
    cond: Expr
    positive: bool = True

    @property
    def guard(self) -> Expr:
        return self.cond if self.positive else not_(self.cond)


@dataclass
class Prepared:
    """A write with the loops' variables solved for q and k, as far as the cell determines them; before sums over the others."""

    steps: list[Step]
    op: str
    value: Any
    line: int
    at: int
    names: dict[str, Expr]
    loops: list[Loop]

    @property
    def rounds(self) -> dict[int, Expr]:
        """Iterations of loops that the cell determines, in terms of the cell."""
        loose = {loop.range.var for loop in self.loose}
        solved = {loop.id: self.names[loop.range.var] for loop in self.loops if loop.range.var in self.names}
        return {at: x for at, x in solved.items() if not loose & free_names(x)}

    @property
    def loose(self) -> list[Loop]:
        return [loop for loop in self.loops if loop.range.var not in self.names]


@dataclass
class Normal:
    """A write as a rule over the cell ($x0, $x1)."""

    steps: list[Step]
    op: str
    value: Any
    line: int
    at: int = 0
    rounds: dict[int, Expr] = field(default_factory=dict)  # the iterations of loops in which a cell is written, by the loops' ids
    joined: frozenset[int] = frozenset()  # loops all of whose writes it stands for

    @property
    def guard(self) -> Expr:
        return and_(*(s.guard for s in self.steps))


def solve_for(var: str, e: Expr, target: Expr) -> Expr | None:
    """The variable's value from target == e, if e is the variable plus or minus something."""
    if var not in free_names(e) or not whole(e):
        return None
    terms, const = linear(e)
    c = terms.pop(Name(var), 0.0)
    if abs(c) != 1 or any(var in free_names(a) for a in terms):
        return None
    rest = from_linear(terms, const)
    return arith("-", target, rest) if c == 1 else arith("-", rest, target)


def normal(m: Machine, a: Arr, entry: Entry, at: int, fixed: frozenset[int] = frozenset()) -> Normal | None:
    """The write as a rule; None if it never happens. `fixed`: loops that count as given (their iteration is the reader's)."""
    return closed(m, pinned(m, prepared(m, a, entry, at, fixed)))


def prepared(m: Machine, a: Arr, entry: Entry, at: int, fixed: frozenset[int] = frozenset()) -> Prepared:
    path = [el for el in entry.path[a.base :] if not (isinstance(el, LoopEl) and el.loop.id in fixed)]
    resolve = m.resolve
    equations: list[tuple[Expr, Expr]] = [(CELLS[i], resolve(e)) for i, e in enumerate(entry.index)]
    loops = [el.loop for el in path if isinstance(el, LoopEl)]
    names: dict[str, Expr] = {}
    # plain indices first, so that A[i, i + 1] gives i = q
    for exact in (True, False):
        for loop in loops:
            var = loop.range.var
            if var in names:
                continue
            for n, (target, e) in enumerate(equations):
                e = replace_names(e, names)
                if exact and e != Name(var):
                    continue
                x = solve_for(var, e, target)
                if x is None:
                    continue
                others = free_names(e) & {other.range.var for other in loops if other is not loop and other.range.var not in names}
                if others:
                    continue
                names[var] = x
                equations.pop(n)
                break
    names = {v: replace_names(e, names) for v, e in names.items()}
    here = [compare("==", target, replace_names(e, names)) for target, e in equations]
    loose = [loop for loop in loops if loop.range.var not in names]
    steps: list[Step] = []
    signature = tuple(sorted((k, str(hash(v))) for k, v in names.items()))
    dropped: set[int] = set()
    for i, el in enumerate(path):
        if isinstance(el, LoopEl):
            loop = el.loop
            guards = list(conjuncts(loop.guard)) if loop in loose else loop_steps(m, loop)
            ending = ending_of(m, loop, path[i + 1 :], dropped)
            for j, g in enumerate([*guards, *([ending] if ending is not None else [])]):
                steps.append(Step((loop.id, j, ending if j == len(guards) else None), replace_names(resolve(g), names)))
        elif el.id not in dropped:
            steps.append(Step((el.id,), replace_names(resolve(el.cond), names), el.positive))
    value: Any = entry.value
    if isinstance(value, S):
        value = S(value.sort, replace_names(resolve(value.e), names))
    elif value is not None and isinstance(value, Expr):  # type: ignore[misc, arg-type]
        value = replace_names(resolve(value), names)
    elif value is not None:
        value = rename(value, names)
    for s in steps:
        s.key = (*s.key, signature)
    if here:
        steps.append(Step(("here", at), and_(*here)))
    return Prepared(steps, entry.op, value, entry.line, at, names, loops)


def pinned(m: Machine, p: Prepared) -> Prepared:
    """The write with those loops solved, too, of which its own guards leave a cell one iteration at most."""
    for loop in p.loose:
        var = loop.range.var
        inner = [s for s in p.steps if var in free_names(s.guard)]
        over = ranged(m, loop, p.names)
        found = determined(over, and_(*(s.guard for s in inner)))
        if found is None or any(other.range.var in free_names(found[0]) for other in p.loose):
            continue
        x, rest = found
        at: dict[str, Expr] = {var: x}
        whole_guard = Step(("pinned", loop.id, tuple(s.key for s in inner)), rest)
        steps = [whole_guard if s is inner[0] else s for s in p.steps if s is inner[0] or s not in inner]
        value = replace_names(p.value, at) if isinstance(p.value, Expr) else rename(p.value, at)
        p = Prepared(steps, p.op, value, p.line, p.at, {**p.names, **at}, p.loops)
    return p


def closed(m: Machine, p: Prepared) -> Normal | None:
    """The write as a rule of its own: once for every iteration of the loops that the cell does not determine."""
    steps, op, value = p.steps, p.op, p.value
    for loop in reversed(p.loose):
        steps, op, value = summed(m, loop, steps, op, value, p.names)
    return settled(m, Normal(steps, op, value, p.line, p.at, p.rounds))


def settled(m: Machine, rule: Normal) -> Normal | None:
    """The rule without what follows from the steps before; None if it never happens."""
    steps, value = simplified(m, rule.steps), rule.value
    if isinstance(value, Expr) and any(x == N for x in walk(value)):
        value = unwrapped(value, Facts([*CELL_RANGES, *(s.guard for s in steps)]))
    if any(s.guard == FALSE for s in steps):
        return None
    return Normal(steps, rule.op, value, rule.line, rule.at, rule.rounds, rule.joined)


def ranged(m: Machine, loop: Loop, names: dict[str, Expr]) -> Range:
    """The loop's range, with what is known about other loops' variables."""
    return map_range(loop.range, lambda e: replace_names(m.resolve(e), names))


def loop_steps(m: Machine, loop: Loop) -> list[Expr]:
    guards: list[Expr] = []
    if loop.range.domain is None:
        # not folded: the variable's own bounds hold only while it is one
        guards.append(Compare(">=", loop.var, low_of(loop.range)))
        guards.append(Compare("<=", loop.var, high_of(loop.range)))
    else:
        v = f"$p{m.fresh()}"
        inside = quantified("any", Range(v, None, None, loop.range.domain), compare("==", Name(v), loop.var))
        guards.append(inside)
    guards.extend(conjuncts(loop.guard))
    return guards


def ending_of(m: Machine, loop: Loop, below: list[CondEl | LoopEl], dropped: set[int]) -> Expr | None:
    """The guard that says that the iteration takes place, given how the path goes on; conditions it makes needless."""
    if not loop.breaks or loop.stop is None:
        return None
    conds: list[CondEl] = []
    for el in below:
        if isinstance(el, LoopEl):
            break
        conds.append(el)
    ids = {(c.id, c.positive) for c in conds}
    excluded: set[int] = set()
    for b in loop.breaks:
        steps = {(c.id, c.positive) for c in b.path}
        if steps <= ids:
            if len(loop.breaks) == 1:
                dropped.update(c.id for c in b.path)
            return Compare("==", loop.var, loop.stop)
        if any((i, not p) in ids for i, p in steps) or any(b.id in c.excludes for c in conds):
            excluded.add(b.id)
    strict = len(excluded) == len(loop.breaks)
    if strict:
        wanted = {not_(b.cond) for b in loop.breaks}
        for c in conds:
            if c.guard in wanted or all(part in wanted for part in conjuncts(c.guard)):
                dropped.add(c.id)
    if loop.range.domain is not None:
        ended = later(m, loop, loop.var, loop.stop)
        return not_(or_(ended, compare("==", loop.var, loop.stop)) if strict else ended)
    op = ("<=" if strict else "<") if loop.descending else (">=" if strict else ">")
    return not_(Compare(op, loop.var, loop.stop))


def summed(m: Machine, loop: Loop, steps: list[Step], op: str, value: Any, solved: dict[str, Expr]) -> tuple[list[Step], str, Any]:
    """A write in a loop whose variable the cell does not determine: once for every iteration."""
    var = loop.range.var
    v = m.var(m.named.get(var, ""))
    names: dict[str, Expr] = {var: Name(v)}
    r = ranged(m, loop, solved)
    over = Range(v, r.low, r.high, r.domain)
    inner = [s for s in steps if var in free_names(s.guard)]
    outer = [s for s in steps if var not in free_names(s.guard)]
    guard = and_(*(replace_names(s.guard, names) for s in inner))
    key = ("sum", loop.id, tuple(s.key for s in inner))
    e = value.e if isinstance(value, S) else value
    depends = e is not None and not isinstance(e, bool | int | float | str) and var in free_names(e)
    once = loop.parallel
    if op == "add" and not once:
        if not depends:
            count = quantified("count", over, guard)
            some = quantified("any", over, guard)
            simple = only_if(count, some)
            if simple:
                return [*outer, Step(key, some)], op, e
            return outer, op, m.rounding.note(arith("*", e, count), e)
        return outer, op, quantified("sum", over, guard, replace_names(e, names))
    if op == "scale" and not once:
        if depends:
            raise Refusal(loop.line, "a cell multiplied by different factors in a loop")
        return outer, op, m.rounding.note(arith("**", e, quantified("count", over, guard)), e)
    if op in ("max", "min") and depends:
        return outer, op, quantified(op, over, guard, replace_names(e, names))
    if op == "set" and depends:
        if not loop.ordered:
            raise Refusal(loop.line, "a cell set in a loop whose order follows from the data")
        last = search(m, "first" if loop.descending else "last", over, guard)
        set_last = replace_names(e, {var: last})
        return (
            [*outer, Step(key, quantified("any", over, guard))],
            op,
            S(value.sort, set_last) if isinstance(value, S) else set_last,
        )
    if depends:
        raise Refusal(loop.line, "a cell changed by different amounts at once")
    return [*outer, Step(key, quantified("any", over, guard))], op, value


def only_if(count: Expr, some: Expr) -> bool:
    """The count is 1 wherever there are any."""

    return (isinstance(count, IfElse) and count.then == ONE and count.other == ZERO) or count == ONE


CELL_RANGES = [compare(">=", x, ZERO) for x in CELLS] + [compare("<=", x, arith("-", N, ONE)) for x in CELLS]


def unwrapped(e: Expr, facts: Facts) -> Expr:
    """x % n as x where x is known to be a position: Python's negative indices that do not occur."""

    if not any(isinstance(x, Binary) and x.op == "%" and x.right == N for x in walk(e)):
        return e

    def change(x: Any) -> Any:
        if isinstance(x, Binary) and x.op == "%" and x.right == N:
            inner = unwrapped(x.left, facts)
            if facts.nonnegative(inner) and facts.nonnegative(arith("-", arith("-", N, ONE), inner)):
                return inner
        return None

    return transform(e, change)


def simplified(m: Machine, steps: list[Step]) -> list[Step]:
    """Steps that follow from earlier ones fall away."""
    known: list[Expr] = list(CELL_RANGES)
    result: list[Step] = []
    for s in steps:
        if size_of(s.cond, MAX_SIZE) > MAX_SIZE:
            raise Refusal(m.line, "the condition of a rule becomes too large")
        facts = Facts(known)
        s = Step(s.key, unwrapped(s.cond, facts), s.positive)
        guard = facts.decide(s.guard)
        known.append(s.guard)
        if guard == TRUE:
            continue
        if guard == s.guard:
            result.append(s)
        elif not s.positive and not_(guard) != s.cond:
            result.append(Step(s.key, not_(guard), False))
        else:
            result.append(Step(s.key, guard if s.positive else not_(guard), s.positive))
    return result


def rename_reads(value: Any, by: Expr) -> Any:
    def change(x: Any) -> Any:
        return by if isinstance(x, Call) and x.name.startswith("@") else None

    return map_value(value, lambda e: transform(e, change)) if isinstance(value, S) else transform(value, change)


class Unsettled(Exception):
    """A cell of other rounds of a loop that is still being followed."""


def fold(m: Machine, a: Arr, upto: int, index: tuple[Expr, ...]) -> Any:
    """The cell's value as one expression."""
    active = {el.loop.id: el.loop for el in m.path if isinstance(el, LoopEl)}
    value: Any = a.init
    entries = a.log[:upto]
    given = [frozenset(el.loop.id for el in e.path[a.base :] if isinstance(el, LoopEl) and el.loop.id in active) for e in entries]
    for entry, mine in zip(entries, given, strict=True):
        if mine and tuple(m.resolve(e) for e in entry.index) != tuple(m.resolve(e) for e in index):
            raise Unsettled
    for rule in m.rules_of(a, entries, given):
        names = {"$x0": index[0]} if given[rule.at] else {}
        mine = given[rule.at]
        guard = replace_names(rule.guard, names)
        if mine:
            guard = m.decide(guard)
        value = applied(m, value, guard, rule)
    names = {"$x0": index[0]} if len(index) == 1 else {"$x0": index[0], "$x1": index[1]}
    return rename(value, names)


def applied(m: Machine, old: Any, guard: Expr, rule: Normal) -> Any:
    new = rule.value
    if rule.joined:  # reads the cell as it was before
        before = expr(old)
        new = rename_reads(new, before)
    match rule.op:
        case "set":
            if isinstance(new, Expr) and not isinstance(new, S):  # type: ignore[misc, arg-type]
                new = value_of("number", new)
            return m.merge(guard, new, old)
        case "add":
            return value_of("number", arith("+", number(old), if_(guard, new, ZERO)))
        case "scale":
            return value_of("number", arith("*", number(old), if_(guard, new, ONE)))
        case "normalize" | "stochastic":
            raise Refusal(rule.line, "a normalised matrix inside another")
    raise Refusal(rule.line, f"{rule.op} inside an array that is read")
