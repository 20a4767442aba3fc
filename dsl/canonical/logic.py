"""Conjunctions, disjunctions and negations in canonical form."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dsl.canonical.compare import NEGATED, compare, decide, member, opposite
from dsl.canonical.estimates import may_be_missing
from dsl.canonical.facts import NO_FACTS, Facts, hull, needed, sort, values_of
from dsl.canonical.intervals import differences, union
from dsl.canonical.order import key, size, sorted_items
from dsl.canonical.strings import keeps
from dsl.nodes import FALSE, TRUE, And, Binary, Bool, Call, Compare, Expr, Member, Not, Or, Same, Str, Use

Again = Callable[[Expr, Facts], Expr]  # simplifies an expression where the facts hold
MOST_ROUNDS = 4
MOST_PAIRS = 16  # longer disjunctions are not compared item by item


def negation(guard: Expr, facts: Facts) -> Expr:
    """not guard, for a guard that is simple already."""
    match guard:
        case Bool(value):
            return Bool(not value)
        case Not(item):
            return item
        case Compare(op, left, right):
            if may_be_missing(left, facts) or may_be_missing(right, facts):
                return Not(guard)
            return compare(NEGATED[op], left, right, facts)
        case And(items):
            return disjunction([negation(i, facts) for i in items], facts, None)
        case Or(items):
            return conjunction([negation(i, facts) for i in items], facts, None)
    return Not(guard)


def parts(guard: Expr) -> tuple[Expr, ...]:
    """The items of a conjunction; the guard itself where it is none."""
    return guard.items if isinstance(guard, And) else () if guard == TRUE else (guard,)


def is_atom(guard: Expr) -> bool:
    return isinstance(guard, Compare | Member | Call | Same | Use) or (isinstance(guard, Not) and is_atom(guard.item))


def conjunction(items: Iterable[Expr], facts: Facts, again: Again | None) -> Expr:
    """All of the guards, each simple already; `again` simplifies a part anew where the other parts are known to hold."""
    now = _flat(items, And)
    for _ in range(MOST_ROUNDS):
        before = now
        if any(opposite(i) in now for i in now) or FALSE in now:
            return FALSE
        numeric = differences({i for i in now if hull(i) is not None or _differs(i)}, facts)
        if numeric is None:
            return FALSE
        rest = {i for i in now if hull(i) is None and not _differs(i)}
        if numeric and any(_places(i) for i in rest):
            known = facts.given(i for i in rest if is_atom(i))
            numeric = {i for i in numeric if decide(i, known) is not True}
        now = rest | numeric
        strings = _strings(now, facts)
        if strings is None:
            return FALSE
        now = _existing(strings, facts)
        if again is not None:
            now = _again(now, facts, again)
        if FALSE in now:
            return FALSE
        if now == before:
            break
    return _joined(now, And, TRUE)


def _places(guard: Expr) -> bool:
    """Whether the guard says that a computed position exists, as text(q - 1) == "a" says that q > 0."""
    return is_atom(guard) and any(isinstance(p, Call) and p.name == "text" and isinstance(p.args[0], Binary) for p in needed(guard))


def _flat(items: Iterable[Expr], kind: type[And] | type[Or]) -> set[Expr]:
    found: set[Expr] = set()
    for i in items:
        if isinstance(i, kind):
            found |= _flat(i.items, kind)
        else:
            found.add(i)
    return found - {TRUE} if kind is And else found - {FALSE}


def _joined(items: set[Expr], kind: type[And] | type[Or], empty: Expr) -> Expr:
    if not items:
        return empty
    if len(items) == 1:
        return next(iter(items))
    return kind(sorted_items(items))


def _differs(guard: Expr) -> bool:
    """x != y of whole numbers."""
    return isinstance(guard, Compare) and guard.op == "!=" and hull(Compare("==", guard.left, guard.right)) is not None


def _strings(items: set[Expr], facts: Facts) -> set[Expr] | None:
    """What is said of one text in several parts becomes one part; None where the parts contradict one another."""
    by_term: dict[Expr, list[tuple[Expr, frozenset[str | float], bool]]] = {}
    for i in items:
        told = values_of(i)
        if told is not None and any(isinstance(v, str) for v in told[1]):
            by_term.setdefault(told[0], []).append((i, told[1], told[2]))
    result = set(items)
    for term, said in by_term.items():
        positive = [values for _, values, yes in said if yes]
        negative: frozenset[str | float] = frozenset().union(*(values for _, values, yes in said if not yes))
        others = items - {i for i, _, _ in said}
        if positive:
            allowed = frozenset.intersection(*positive) - negative
            for other in sorted(others, key=key):
                kept = keeps(other, term, allowed)
                if kept is not None:  # the other part speaks of the same text alone
                    allowed &= kept
                    result.discard(other)
            if not allowed:
                return None
            new = {member(term, allowed, facts)}
        elif len(said) == 1:
            continue
        elif not may_be_missing(term, facts.given(others)):
            new = {negation(member(term, negative, NO_FACTS), facts.given(others))}
        elif any(isinstance(i, Compare) for i, _, _ in said):  # x != "a" wants x to exist
            new = {Compare("!=", term, Str(v)) for v in negative if isinstance(v, str)}
        else:
            new = {Not(member(term, negative, NO_FACTS))}
        result = (result - {i for i, _, _ in said}) | new
    return None if FALSE in result else result - {TRUE}


def _existing(items: set[Expr], facts: Facts) -> set[Expr]:
    """Without the parts that only say that something exists, where another part says so too."""
    for i in sorted(items, key=key):
        if isinstance(i, Call) and i.name in ("exists", "aligned"):
            others = items - {i}
            if decide(i, facts.given(others)) is True:
                items = others
    return items


def _again(items: set[Expr], facts: Facts, again: Again) -> set[Expr]:
    """Composite parts, simplified where the atoms hold; negated atoms about something missing, too.

    Other atoms only learn which positions are equal: where dist == 1, text(q - 1) is text(k).
    """
    atoms = {i for i in items if is_atom(i)}
    whole = {i for i in atoms if hull(i) is not None}
    equal = {i for i in whole if isinstance(i, Compare) and i.op == "=="}
    result: set[Expr] = set()
    for i in items:
        if i not in atoms or (isinstance(i, Not) and isinstance(i.item, Compare | Member)):
            result |= _flat([again(i, facts.given(atoms - {i}))], And)
        elif isinstance(i, Not) and len(items) > 1:
            known = decide(i, facts.given(atoms - {i}))
            result |= {i} if known is None else {FALSE} if not known else set()
        elif equal and i not in whole:
            result |= _flat([again(i, facts.given(equal))], And)
        else:
            result.add(i)
    return result


def disjunction(items: Iterable[Expr], facts: Facts, again: Again | None) -> Expr:
    """Any of the guards, each simple already."""
    now = _flat(items, Or)
    for _ in range(MOST_ROUNDS):
        before = now
        now = {i for i in now if decide(i, facts) is not False}
        if any(decide(i, facts) is True or Not(i) in now for i in now):
            return TRUE
        now = _flat(_united(now, facts), Or)
        if TRUE in now:
            return TRUE
        now = _absorbed(now)
        if again is not None:
            now = _otherwise(now, facts, again)
        now = _merged_pairs(now, facts)
        if TRUE in now:
            return TRUE
        if now == before:
            break
    if len(now) < 2:
        return _joined(now, Or, FALSE)
    common = frozenset.intersection(*(frozenset(parts(i)) for i in now))
    if common:  # (a and b) or (a and c) = a and (b or c)
        rest = [conjunction(set(parts(i)) - common, facts, None) for i in now]
        return conjunction([*common, disjunction(rest, facts.given(common), again)], facts, again)
    result = _joined(now, Or, FALSE)
    if all(isinstance(i, Not) for i in now):
        inner = conjunction([i.item for i in now if isinstance(i, Not)], facts, None)
        if isinstance(inner, Bool):
            return Bool(not inner.value)
        if size(other := Not(inner)) < size(result):
            return other
    return result


def _united(items: set[Expr], facts: Facts) -> set[Expr]:
    """Memberships of one expression become one; so do bounds of one whole number."""
    by_term: dict[Expr, list[tuple[Expr, frozenset[str | float], bool]]] = {}
    result = union(items, facts)
    for i in result:
        told = values_of(i)
        if told is not None and (any(isinstance(v, str) for v in told[1]) or sort(told[0]) != "number"):
            yes = told[2]
            # x != "a" is no union's part where x may be missing: it is false there, `not x == "a"` is true
            if yes or isinstance(i, Not) or not may_be_missing(told[0], facts):
                by_term.setdefault(told[0], []).append((i, told[1], yes))
    for term, said in by_term.items():
        if len(said) < 2:
            continue
        positive: frozenset[str | float] = frozenset().union(*(values for _, values, yes in said if yes))
        negative = [values for _, values, yes in said if not yes]
        result = result - {i for i, _, _ in said}
        if negative:
            left = frozenset.intersection(*negative) - positive
            result.add(negation(member(term, left, facts), facts) if left else TRUE)
        else:
            result.add(member(term, positive, facts))
    return result


def _absorbed(items: set[Expr]) -> set[Expr]:
    """a or (a and b) = a."""
    sets = {i: frozenset(parts(i)) for i in items}
    return {i for i in items if not any(sets[j] < sets[i] for j in items)}


def _otherwise(items: set[Expr], facts: Facts, again: Again) -> set[Expr]:
    """a or (not a and b) = a or b: composite items count only where the atoms do not hold."""
    atoms = {i for i in items if is_atom(i)}
    if not atoms or len(atoms) == len(items) or len(items) > MOST_PAIRS:
        return items
    known = facts.given(negation(a, facts) for a in atoms)
    if known.contradictory:
        return items
    result = set(atoms)
    for i in items - atoms:
        result |= _flat([again(i, known)], Or)
    return result


def _merged_pairs(items: set[Expr], facts: Facts) -> set[Expr]:
    """(a and b) or (a and c) = a and (b or c) where b or c is one atom, as for two memberships of one text."""
    if len(items) > MOST_PAIRS:
        return items
    ordered = list(sorted_items(items))
    for n, i in enumerate(ordered):
        for j in ordered[n + 1 :]:
            a, b = frozenset(parts(i)), frozenset(parts(j))
            if len(a - b) == 1 and len(b - a) == 1 and a & b:
                known = facts.given(a & b)
                one = disjunction([*(a - b), *(b - a)], known, None)
                if one == TRUE or is_atom(one):
                    merged = conjunction([*(a & b), one], facts, None)
                    return _merged_pairs((items - {i, j}) | _flat([merged], Or), facts)
    return items
