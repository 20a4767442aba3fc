"""Sets of bounds on whole numbers: which of them say it all, in one spelling; and unions of intervals."""

from __future__ import annotations

from itertools import combinations
from math import inf

from dsl.canonical.compare import compare, decide, exists, member, tightened
from dsl.canonical.estimates import may_be_missing
from dsl.canonical.facts import Facts, hull, needed
from dsl.canonical.linear import ZERO, Edge, edges, from_edge, range_of
from dsl.canonical.order import key, size, sorted_items
from dsl.nodes import TRUE, And, Bool, Call, Compare, Expr, Member, Num, Or

MOST_TERMS = 6


def differences(guards: set[Expr], facts: Facts) -> set[Expr] | None:
    """The comparisons of whole numbers `guards`, all of which hold, in canonical form; None where they cannot all hold."""
    if not guards:
        return guards
    unequal = {g for g in guards if isinstance(g, Compare) and g.op == "!="}
    sets: set[Expr] = {g for g in guards if isinstance(g, Member)}
    bounds = guards - unequal - sets
    if len(guards) == 1 and not sets:
        return guards
    found: set[Edge] = set()
    for g in guards - unequal:
        found.update(hull(g) or ())
    terms = {t for x, y, _ in found for t in (x, y)} | {ZERO}
    # x != 3 where x >= 3 is known says x > 3
    known = facts.given(bounds)
    changed = True
    while changed:
        changed = False
        for g in sorted(unequal, key=key):
            new = tightened(g, known)
            if new != g:
                unequal.discard(g)
                if isinstance(new, Bool):
                    if not new.value:
                        return None
                elif isinstance(new, Compare) and new.op == "!=":
                    unequal.add(new)
                else:
                    bounds = bounds | {new}
                    found.update(hull(new) or ())
                    known = facts.given(bounds)
                    changed = True
    sets = {_within(g, known) for g in sets}
    if any(g == Bool(False) for g in sets):
        return None
    bounds |= {g for g in sets if not isinstance(g, Member | Bool)}
    sets = {g for g in sets if isinstance(g, Member)}
    for g in bounds | sets:
        for part in g.items if isinstance(g, And) else (g,):
            found.update(hull(part) or ())
    if facts.matrix(terms, found) is None:
        return None
    chosen = _chosen(found, sets, facts) if len(terms) <= MOST_TERMS else _needed(bounds, sets, facts)
    return _mentioned(_paired(chosen, facts) | sets | unequal, guards, facts)


def _within(guard: Expr, known: Facts) -> Expr:
    assert isinstance(guard, Member)
    return member(guard.item, guard.values, known.without(()) if guard not in known.items else known)


def _chosen(found: set[Edge], sets: set[Expr], facts: Facts) -> set[Expr]:
    """The shortest comparisons that imply all bounds `found`, by a fixed order; what the sets imply is not repeated."""
    terms = sorted({t for x, y, _ in found for t in (x, y)} | {ZERO}, key=key)
    given: set[Edge] = set()
    for g in sets:
        given.update(hull(g) or ())
    whole = facts.matrix(terms, found)
    assert whole is not None
    candidates: list[tuple[bool, int, str, Expr, tuple[Edge, ...]]] = []
    for x, y in combinations(terms, 2):
        up, down = whole.get((x, y), inf), whole.get((y, x), inf)
        if up == -down:
            candidates.append(_candidate(((x, y, int(up)), (y, x, int(down))), True))
        else:
            candidates += [_candidate(((a, b, int(c)),), False) for a, b, c in ((x, y, up), (y, x, down)) if c < inf]
    candidates.sort(key=lambda c: c[:3])

    def implied(bounds: tuple[Edge, ...], by: list[tuple[Edge, ...]]) -> bool:
        matrix = facts.matrix(terms, given.union(*by))
        return matrix is None or all(matrix.get((x, y), inf) <= c for x, y, c in bounds)

    kept: list[tuple[Expr, tuple[Edge, ...]]] = []
    for *_, guard, bounds in candidates:
        if not implied(bounds, [b for _, b in kept]):
            kept.append((guard, bounds))
            if implied(tuple(found), [b for _, b in kept]):
                break
    for one in kept[::-1]:
        rest = [k for k in kept if k is not one]
        if implied(one[1], [b for _, b in rest]):
            kept = rest
    return {guard for guard, _ in kept}


def _needed(guards: set[Expr], sets: set[Expr], facts: Facts) -> set[Expr]:
    """The guards without those that the others imply."""
    kept = sorted(guards, key=lambda g: (size(g), key(g)))
    for g in kept[::-1]:
        others = [o for o in (*kept, *sets) if o != g]
        if decide(g, facts.given(others)) is True:
            kept.remove(g)
    return set(kept)


def _candidate(bounds: tuple[Edge, ...], equal: bool) -> tuple[bool, int, str, Expr, tuple[Edge, ...]]:
    guard = from_edge(bounds[0], equal)
    return not equal, size(guard), key(guard), guard, bounds


def _paired(guards: set[Expr], facts: Facts) -> set[Expr]:
    """x > 0 and x <= 2 of whole numbers is x in {1, 2}."""
    by_sides: dict[Expr, list[Compare]] = {}
    for g in guards:
        if isinstance(g, Compare) and isinstance(g.right, Num) and g.op != "==":
            by_sides.setdefault(g.left, []).append(g)
    for item, both in by_sides.items():
        if len(both) == 2:
            low = [_value(g) for g in both if g.op in (">", ">=")]
            high = [_value(g) for g in both if g.op in ("<", "<=")]
            if low and high and high[0] - low[0] == 1:
                guards = (guards - set(both)) | {Member(item, (low[0], high[0]))}
    return guards


def _value(guard: Compare) -> float:
    assert isinstance(guard.right, Num)
    return guard.right.value + {">": 1, "<": -1}.get(guard.op, 0)


def _mentioned(result: set[Expr], before: set[Expr], facts: Facts) -> set[Expr]:
    """Terms that may be missing must still be mentioned: the guards were false where they are."""
    now: frozenset[Expr] = frozenset().union(*(needed(g) for g in result))
    for g in sorted(before, key=key):
        for term in sorted(needed(g) - now, key=key):
            if may_be_missing(term, facts) and range_of(term):
                result = result | {exists(term, facts)}
    return result


Interval = tuple[float, float]


def union(guards: set[Expr], facts: Facts) -> set[Expr]:
    """The guards, any of which may hold, with the intervals of one whole number united: x == 1 or x > 1 is x > 0."""
    by_item: dict[Expr, list[tuple[Expr, list[Interval]]]] = {}
    for g in guards:
        found = _intervals(g)
        if found is not None:
            by_item.setdefault(found[0], []).append((g, found[1]))
    result = set(guards)
    for item, said in by_item.items():
        if len(said) < 2:
            continue
        joined = _joined(sorted(i for _, several in said for i in several))
        before = _joined(sorted(said[0][1]))
        if len(joined) < sum(len(several) for _, several in said) or joined == before or all(a == b for a, b in joined):
            result = (result - {g for g, _ in said}) | _written(item, joined, facts)
    return result


def _intervals(guard: Expr) -> tuple[Expr, list[Interval]] | None:
    """(x, the intervals that the guard leaves to the whole number x)."""
    match guard:
        case Member(item, values) if values and not isinstance(values[0], str):
            if edges(Compare("==", item, Num(0.0))) is None:
                return None
            return item, [(float(v), float(v)) for v in values]
        case Compare(op, item, Num(value)) if op != "!=" and edges(Compare("==", item, Num(0.0))) is not None:
            low = {"==": value, ">": value + 1, ">=": value}.get(op, -inf)
            high = {"==": value, "<": value - 1, "<=": value}.get(op, inf)
            return item, [(low, high)]
        case Compare("!=", item, Num(value)) if edges(Compare("==", item, Num(0.0))) is not None:
            return item, [(-inf, value - 1), (value + 1, inf)]
        case And((a, b)):
            first, second = _intervals(a), _intervals(b)
            if first and second and first[0] == second[0] and len(first[1]) == len(second[1]) == 1:
                (low, high), (other_low, other_high) = first[1][0], second[1][0]
                return first[0], [(max(low, other_low), min(high, other_high))]
    return None


def _joined(intervals: list[Interval]) -> list[Interval]:
    result: list[Interval] = []
    for low, high in intervals:
        if result and low <= result[-1][1] + 1:
            result[-1] = result[-1][0], max(result[-1][1], high)
        else:
            result.append((low, high))
    return result


def _written(item: Expr, intervals: list[Interval], facts: Facts) -> set[Expr]:
    if intervals == [(-inf, inf)]:
        terms = sorted((t for t in needed(item) | {item} if may_be_missing(t, facts) and range_of(t)), key=key)
        return {And(tuple(Call("exists", (t,)) for t in terms)) if len(terms) > 1 else exists(terms[0], facts) if terms else TRUE}
    if len(intervals) == 2 and intervals[0][0] == -inf and intervals[1][1] == inf and intervals[1][0] - intervals[0][1] == 2:
        return {compare("!=", item, Num(intervals[0][1] + 1), facts)}
    points = [low for low, high in intervals if high - low < 2 and high < inf and low > -inf]
    points += [high for low, high in intervals if high - low == 1]
    result: set[Expr] = {member(item, points, facts)} if points else set()
    for low, high in intervals:
        if high - low < 2:
            continue
        sides = [compare(">=", item, Num(low), facts)] if low > -inf else []
        sides += [compare("<=", item, Num(high), facts)] if high < inf else []
        result.add(And(sorted_items(sides)) if len(sides) == 2 else sides[0])
    return {i for g in result for i in (g.items if isinstance(g, Or) else (g,))}
