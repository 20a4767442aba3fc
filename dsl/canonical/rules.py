"""Flat rules in canonical order, united where that is shorter, without those that have no effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from math import inf

from dsl.canonical.compare import decide, opposite
from dsl.canonical.estimates import bounds, may_be_missing
from dsl.canonical.expressions import simplified
from dsl.canonical.facts import NO_FACTS
from dsl.canonical.flatten import Act, Item, kept_name
from dsl.canonical.limits import before_limits, is_exact
from dsl.canonical.logic import conjunction, parts
from dsl.canonical.order import key, rank
from dsl.canonical.shares import shares_paired, without_idle
from dsl.nodes import (
    DIST,
    FALSE,
    TRUE,
    And,
    Binary,
    Call,
    Compare,
    Expr,
    IfElse,
    Let,
    Member,
    Not,
    Num,
    Or,
    free_names,
)

MOST_ORDERED = 250  # longer lists keep their order


@lru_cache(maxsize=1 << 15)
def disjoint(a: Expr, b: Expr) -> bool:
    """Whether two guards certainly never hold together."""
    first, second = set(parts(a)), set(parts(b))
    if any(opposite(x) in second or Not(x) in second for x in first):
        return True
    for some, guard in ((first, b), (second, a)):
        if any(isinstance(x, Or) and all(disjoint(i, guard) for i in x.items) for x in some):
            return True
    one, other = NO_FACTS.given(first), NO_FACTS.given(second)
    for some, known in ((first, other), (second, one)):  # not aligned(q) where pos(q) == "NOUN"
        if any(isinstance(x, Not) and isinstance(x.item, Call) and decide(x, known) is False for x in some):
            return True
    here, there = one.matrix(), other.matrix()
    if here is None or there is None or any(c + there.get((y, x), inf) < 0 for (x, y), c in here.items()):
        return True
    for term, (may, never) in one.texts.items():
        if term in other.texts:
            may_there, never_there = other.texts[term]
            both = may if may_there is None else may_there if may is None else may & may_there
            if both is not None and not both - never - never_there:
                return True
    # where q is k, what is said of q is said of k
    meet = NO_FACTS.given(first | second)
    return bounds(DIST, meet) == (0, 0) and simplified(And((a, b))) == FALSE


def without_effect(items: list[Item]) -> list[Item]:
    """Sets of cells that are still 0 become adds; rules on cells that are 0, and rules overwritten later, are dropped."""
    result: list[Item] = []
    for item in items:
        kept = _on_zero(item, result) if isinstance(item, Act) and item.op != "add" else item
        if kept is not None:
            result.append(kept)
    for i in range(len(result) - 1, -1, -1):
        item = result[i]
        if isinstance(item, Act) and not item.reads and item.op == "set" and item.sure:
            alive: list[Item] = []
            for j in range(i - 1, -1, -1):
                before = result[j]
                if isinstance(before, Let) or (before.reads and item.guard != TRUE):
                    alive = result[: j + 1] + alive
                    break
                if item.guard != TRUE and not _implies(before.guard, item.guard):
                    alive.insert(0, before)
            if len(alive) < i:
                return without_effect(alive + result[i:])
    return result


@lru_cache(maxsize=1 << 14)
def _implies(a: Expr, b: Expr) -> bool:
    facts = NO_FACTS.given(parts(a))
    return all(decide(part, facts) is True for part in parts(b))


def _on_zero(item: Act, before: list[Item]) -> Act | None:
    """The rule, simpler where all its cells are certainly still 0; None where it then does nothing."""
    if item.op == "share" or any(isinstance(b, Act) and b.op == "share" for b in before):
        return item
    touched = [b for b in before if isinstance(b, Act) and b.op not in ("scale", "normalize")]
    if len(touched) > MOST_ORDERED or not all(disjoint(item.guard, b.guard) for b in touched):
        return item
    if item.op in ("scale", "normalize"):
        return None
    assert item.value is not None
    low, high = bounds(item.value, NO_FACTS.given(parts(item.guard)))
    if item.op in ("set", "add"):
        return None if item.value == Num(0.0) else Act("add", item.value, item.guard)
    if item.op == "max" and low >= 0:
        return Act("add", item.value, item.guard)
    if (item.op == "max" and high <= 0) or (item.op == "min" and low >= 0):
        return None
    return item


def trimmed(items: list[Item]) -> list[Item]:
    """Without what the end of every program does anyway: dropping negative weights, dividing rows by a number."""
    items = without_idle(items, _idle_at_end)
    while items and isinstance(last := items[-1], Act) and _idle_at_end(last, items[:-1]):
        items.pop()
    used = {n for i in items for n in _names(i)}
    return [i for i in items if not isinstance(i, Let) or i.name in used]


def _names(item: Item) -> frozenset[str]:
    if isinstance(item, Let):
        return free_names(item.value)
    return free_names(item.guard) | (free_names(item.value) if item.value is not None else frozenset())


def _idle_at_end(last: Act, before: list[Item]) -> bool:
    if last.op == "max" and last.value == Num(0.0):
        return True
    if "k" in free_names(last.guard) or kept_name(last.guard):
        return False
    if last.op == "normalize":
        return all(_keeps_nonnegative(b) for b in before)
    if last.op == "scale" and last.value is not None and not kept_name(last.value) and "k" not in free_names(last.value):
        facts = NO_FACTS.given(parts(last.guard))
        return bounds(last.value, facts)[0] > 0 and not may_be_missing(last.value, facts)
    return False


def _keeps_nonnegative(item: Item) -> bool:
    if isinstance(item, Let) or item.value is None or item.op == "share":
        return True
    return bounds(item.value, NO_FACTS.given(parts(item.guard)))[0] >= 0


def commute(a: Item, b: Item, limited: bool) -> bool:
    """limited: what comes of them meets a limit, so that sums must keep their last bit."""
    if isinstance(a, Let) or isinstance(b, Let) or a.reads or b.reads:
        return False
    if a.op == b.op and (a.op != "set" or a.value == b.value):
        keeps_bits = not limited or a.op not in ("add", "scale") or (is_exact(a.value) and is_exact(b.value))
        return keeps_bits or disjoint(a.guard, b.guard)
    return disjoint(a.guard, b.guard)


def ordered(items: list[Item]) -> list[Item]:
    """The least order, by `place`, among those that commuting rules allow."""
    if len(items) > MOST_ORDERED:
        return items
    limited = before_limits(items)
    return [*_ordered(items[:limited], True), *_ordered(items[limited:], False)]


def _ordered(items: list[Item], limited: bool) -> list[Item]:
    waits = [{i for i in range(j) if not commute(items[i], items[j], limited)} for j in range(len(items))]
    common = Counter(part_place(p)[1] for i in items if isinstance(i, Act) for p in parts(i.guard))
    places = [_place(i, common) for i in items]
    result: list[Item] = []
    left = set(range(len(items)))
    while left:
        chosen = min((i for i in left if not waits[i] & left), key=lambda i: (places[i], i))
        left.discard(chosen)
        result.append(items[chosen])
    return result


def _place(item: Item, common: Counter[str]) -> tuple[object, ...]:
    """Rules sort by the parts of their guards, those about what most rules ask first: so blocks can form."""
    if isinstance(item, Let):
        return ((), "", item.name)
    places = sorted((-common[about], by, about, no, text) for by, about, no, text in map(part_place, parts(item.guard)))
    return tuple(places), item.op, "" if item.value is None else key(item.value)


@lru_cache(maxsize=1 << 15)
def part_place(part: Expr) -> tuple[int, str, bool, str]:
    """Parts about the same expression stand together, a part beside its negation."""
    item, no = (part.item, True) if isinstance(part, Not) else (part, False)
    about: Expr = item
    if isinstance(item, Compare):
        about, no = item.left, no or item.op == "!="
    elif isinstance(item, Member):
        about = item.item
    return rank(part)[0], key(about), no, key(part)


def merged(items: list[Item]) -> list[Item]:
    """Neighbours said in one rule: sums of adds, unions of guards, a set and what then changes it."""
    return _joined(items, _one)


def paired(items: list[Item]) -> list[Item]:
    """add a where G and T, add b where G and not T: add a if T else b where G; shares too, where T says the same of whole rows."""
    return shares_paired(_joined(items, _pair), _pair)


def _joined(items: list[Item], join: Callable[[Act, Act, bool], Act | None]) -> list[Item]:
    """Each rule joined with the nearest earlier one that it can be joined with and moved to."""
    at = before_limits(items)
    return [*_joined_part(items[:at], join, True), *_joined_part(items[at:], join, False)]


def _joined_part(items: list[Item], join: Callable[[Act, Act, bool], Act | None], limited: bool) -> list[Item]:
    result: list[Item] = []
    for item in items:
        if isinstance(item, Let) or item.reads:
            result.append(item)
            continue
        for at in range(len(result) - 1, -1, -1):
            other = result[at]
            one = join(other, item, limited) if isinstance(other, Act) and not other.reads else None
            if one is not None:
                result[at] = one
                break
            if not commute(other, item, limited):
                result.append(item)
                break
        else:
            result.append(item)
    return result


def _pair(a: Act, b: Act, limited: bool = False) -> Act | None:
    if a.op != b.op or isinstance(a.value, IfElse) or isinstance(b.value, IfElse) or a.value is None or b.value is None:
        return None
    first, second = frozenset(parts(a.guard)), frozenset(parts(b.guard))
    common, here, there = first & second, first - second, second - first
    if len(here) != 1:
        a, b, here, there = b, a, there, here
    if len(here) != 1 or not there:
        return None
    (test,) = here
    if opposite(test) not in there and not isinstance(test, Or | Not):
        return None
    guard = conjunction(common, NO_FACTS, simplified)
    facts = NO_FACTS.given(common)
    if set(parts(simplified(Not(test), facts))) != set(there):
        return None
    value = simplified(IfElse(test, a.value, b.value), facts)  # type: ignore[arg-type]
    return Act(a.op, value, guard) if isinstance(value, IfElse) else None


def _one(a: Act, b: Act, limited: bool) -> Act | None:
    assert a.value is not None and b.value is not None
    keeps_bits = not limited or b.op not in ("add", "scale") or (is_exact(a.value) and is_exact(b.value))
    if keeps_bits and a.guard == b.guard and a.sure and b.sure:
        facts = NO_FACTS.given(parts(a.guard))
        if b.op == "add" and a.op in ("set", "add"):
            return Act(a.op, simplified(Binary("+", a.value, b.value), facts), a.guard)
        if b.op == "scale" and a.op in ("set", "scale"):
            return Act(a.op, simplified(Binary("*", a.value, b.value), facts), a.guard)
        if b.op in ("max", "min") and a.op in ("set", b.op):
            return Act(a.op, simplified(Call(b.op, (a.value, b.value)), facts), a.guard)
    if a.op != b.op or a.value != b.value or not _alike(set(parts(a.guard)), set(parts(b.guard))):
        return None
    if a.op in ("set", "max", "min") or disjoint(a.guard, b.guard):
        guard = simplified(Or((a.guard, b.guard)))
        if len(key(guard)) <= len(key(a.guard)) + len(key(b.guard)) + len("when  add ") + len(key(a.value)):
            return Act(a.op, simplified(a.value, NO_FACTS.given(parts(guard))), guard)
    return None


def _alike(a: set[Expr], b: set[Expr]) -> bool:
    """Guards that differ in one part at most: their union is one guard that reads well."""
    return len(a - b) <= 1 and len(b - a) <= 1
