"""A program as a flat list of guarded rules in canonical order, with what has no effect left out.

A name that holds weights as they were (a `let` or a block's guard that reads them) stays in the list as a `let`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from dsl.nodes import (
    FALSE,
    TRUE,
    And,
    Binary,
    Block,
    Call,
    Compare,
    Expr,
    IfElse,
    Let,
    Member,
    Name,
    Not,
    Num,
    Or,
    Rule,
    Statement,
    free_names,
    substitute,
)
from dsl.canonical.binders import rename
from dsl.canonical.compare import decide, opposite
from dsl.canonical.expressions import simplified
from dsl.canonical.facts import BEFORE, NO_FACTS, WAS, Facts, bounds, may_be_missing, sort
from dsl.canonical.logic import conjunction, parts
from dsl.canonical.order import key, rank

WEIGHT = Name("weight")
MOST_LEAVES = 8
MOST_ORDERED = 250  # longer lists keep their order


@dataclass(frozen=True)
class Act:
    """One rule; the guard is a conjunction in canonical form (TRUE: everywhere)."""

    op: str
    value: Expr | None
    guard: Expr

    @property
    def reads(self) -> bool:
        """Whether it reads weights (those of its own cell through the operation aside)."""
        return self.op == "normalize" or _reads(self.guard) or (self.value is not None and _reads(self.value))

    @property
    def sure(self) -> bool:
        """Whether it acts wherever the guard holds."""
        return self.value is None or not may_be_missing(self.value, NO_FACTS.given(parts(self.guard)))


Item = Act | Let


def _reads(node: Expr) -> bool:
    return bool(free_names(node) & {"weight", "row"})


def _kept(node: Expr) -> bool:
    """Whether the value depends on when it is computed."""
    return any(n in ("weight", "row") or n.startswith((WAS, BEFORE)) for n in free_names(node))


def flatten(statements: tuple[Statement, ...]) -> list[Item]:
    """The rules with all guards around them; names are replaced by what they stand for."""
    counts = {WAS: 0, BEFORE: 0}
    return list(_flat(statements, (), {}, counts))


def _flat(statements: tuple[Statement, ...], path: tuple[Expr, ...], names: dict[str, Expr], counts: dict[str, int]) -> Iterator[Item]:
    def keep(value: Expr) -> tuple[Name, Let]:
        prefix = WAS if sort(value) == "guard" else BEFORE
        counts[prefix] += 1
        name = prefix + (str(counts[prefix]) if counts[prefix] > 1 else "")
        return Name(name), Let(name, value)

    for s in statements:
        match s:
            case Let(name, value):
                value = simplified(rename(substitute(value, names)))
                if _kept(value):
                    new, let = keep(value)
                    yield let
                    value = new
                names = {**names, name: value}
            case Block(guard, then, other):
                guard = simplified(rename(substitute(guard, names)))
                if _reads(guard) and (other or len(then) != 1 or not isinstance(then[0], Rule)):
                    new, let = keep(guard)
                    yield let
                    guard = new
                yield from _flat(then, (*path, guard), names, counts)
                yield from _flat(other, (*path, Not(guard)), names, counts)
            case Rule(op, value, guard):
                own = () if guard is None else (rename(substitute(guard, names)),)
                whole = simplified(And((*path, *own))) if path or own else TRUE
                yield from _acts(op, None if value is None else rename(substitute(value, names)), whole)


def _acts(op: str, value: Expr | None, guard: Expr) -> Iterator[Act]:
    """The rule in simpler rules: choices become guards, sums of choices several rules."""
    if guard == FALSE:
        return
    if value is None:
        yield Act(op, None, guard)
        return
    facts = NO_FACTS.given(parts(guard))
    value = simplified(value, facts)
    op, value = _own_weight(op, value)
    if not _reads(value) and not _reads(guard):
        if op == "add":
            yield from _added(value, guard, facts)
            return
        leaves = list(_leaves(value))
        if 1 < len(leaves) <= MOST_LEAVES:
            for tests, leaf in leaves:
                yield from _acts(op, leaf, simplified(And((guard, *tests))))
            return
    neutral = {"add": Num(0.0), "scale": Num(1.0)}
    if value != neutral.get(op) and not (op == "set" and value == WEIGHT):
        yield Act("set", value, guard) if (op, value) == ("scale", Num(0.0)) else Act(op, value, guard)


def _added(value: Expr, guard: Expr, facts: Facts) -> Iterator[Act]:
    """add a + (b if t else c) is add a, and add b where t, add c elsewhere."""
    addends = list(_addends(value, False))
    choices = [(a, minus) for a, minus in addends if _chooses(a)]
    if choices and not (len(addends) > 1 and any(may_be_missing(a, facts) for a, _ in addends)):
        rest = [Binary("*", Num(-1.0), a) if minus else a for a, minus in addends if not _chooses(a)]
        total: Expr | None = None
        for r in rest:
            total = r if total is None else Binary("+", total, r)
        if total is not None:
            yield from _acts("add", total, guard)
        for choice, minus in choices:
            leaves = list(_leaves(_lifted(choice)))
            if len(leaves) > MOST_LEAVES:
                yield Act("add", Binary("*", Num(-1.0), choice) if minus else choice, guard)
                continue
            for tests, leaf in leaves:
                yield from _acts("add", Binary("*", Num(-1.0), leaf) if minus else leaf, simplified(And((guard, *tests))))
    elif value != Num(0.0):
        yield Act("add", value, guard)


def _addends(value: Expr, minus: bool) -> Iterator[tuple[Expr, bool]]:
    match value:
        case Binary("+" | "-" as op, left, right):
            yield from _addends(left, minus)
            yield from _addends(right, minus != (op == "-"))
        case _:
            yield value, minus


def _chooses(value: Expr) -> bool:
    return isinstance(_lifted(value), IfElse)


def _lifted(value: Expr) -> Expr:
    """x * (a if t else 0) is (x * a) if t else 0 where x is never missing."""
    if isinstance(value, Binary) and value.op in ("*", "/"):
        left = _lifted(value.left)
        for choice, put in ((left, lambda x: Binary(value.op, x, value.right)), (value.right, lambda x: Binary("*", value.left, x))):
            if isinstance(choice, IfElse) and Num(0.0) in (choice.then, choice.other) and (choice is left or value.op == "*"):
                if may_be_missing(value.right if choice is left else value.left):
                    continue
                then, other = (x if x == Num(0.0) else put(x) for x in (choice.then, choice.other))
                return IfElse(choice.test, then, other)
    return value


def _leaves(value: Expr) -> Iterator[tuple[tuple[Expr, ...], Expr]]:
    if not isinstance(value, IfElse):
        yield (), value
        return
    for tests, leaf in _leaves(value.then):
        yield (value.test, *tests), leaf
    for tests, leaf in _leaves(value.other):
        yield (Not(value.test), *tests), leaf


def _own_weight(op: str, value: Expr) -> tuple[str, Expr]:
    """set weight + v is add v; set c * weight is scale c; set max(weight, v) is max v."""
    if op != "set":
        return op, value
    match value:
        case Binary("+", w, v) if w == WEIGHT:
            return "add", v
        case Binary("+", v, w) if w == WEIGHT:
            return "add", v
        case Binary("-", w, v) if w == WEIGHT:
            return "add", simplified(Binary("*", Num(-1.0), v))
        case Binary("*", v, w) if w == WEIGHT:
            return "scale", v
        case Binary("*", w, v) if w == WEIGHT:
            return "scale", v
        case Binary("/", w, v) if w == WEIGHT:
            return "scale", simplified(Binary("/", Num(1.0), v))
        case Call("max" | "min" as name, args) if WEIGHT in args and len(args) == 2:
            return name, args[0] if args[1] == WEIGHT else args[1]
    return op, value


# What has no effect, and what can be said in one rule


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
    here, there = one.matrix(), other.matrix()
    if here is None or there is None or any(c + there.get((y, x), inf) < 0 for (x, y), c in here.items()):
        return True
    for term, (may, never) in one.texts.items():
        if term in other.texts:
            may_there, never_there = other.texts[term]
            both = may if may_there is None else may_there if may is None else may & may_there
            if both is not None and not both - never - never_there:
                return True
    return False


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
                if isinstance(before, Let) or before.reads:
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
    items = list(items)
    while items and isinstance(last := items[-1], Act) and _idle_at_end(last, items[:-1]):
        items.pop()
    used = {n for i in items for n in free_names(i)}
    return [i for i in items if not isinstance(i, Let) or i.name in used]


def _idle_at_end(last: Act, before: list[Item]) -> bool:
    if last.op == "max" and last.value == Num(0.0):
        return True
    if "k" in free_names(last.guard) or _kept(last.guard):
        return False
    if last.op == "normalize":
        return all(_keeps_nonnegative(b) for b in before)
    if last.op == "scale" and last.value is not None and not _kept(last.value) and "k" not in free_names(last.value):
        facts = NO_FACTS.given(parts(last.guard))
        return bounds(last.value, facts)[0] > 0 and not may_be_missing(last.value, facts)
    return False


def _keeps_nonnegative(item: Item) -> bool:
    return isinstance(item, Let) or item.value is None or bounds(item.value, NO_FACTS.given(parts(item.guard)))[0] >= 0


def commute(a: Item, b: Item) -> bool:
    if isinstance(a, Let) or isinstance(b, Let) or a.reads or b.reads:
        return False
    if a.op == b.op and (a.op != "set" or a.value == b.value):
        return True
    return disjoint(a.guard, b.guard)


def ordered(items: list[Item]) -> list[Item]:
    """The least order, by `place`, among those that commuting rules allow."""
    if len(items) > MOST_ORDERED:
        return items
    waits = [{i for i in range(j) if not commute(items[i], items[j])} for j in range(len(items))]
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
    """add a where G and T, add b where G and not T: add a if T else b where G."""
    return _joined(items, _pair)


def _joined(items: list[Item], join: Callable[[Act, Act], Act | None]) -> list[Item]:
    """Each rule joined with the nearest earlier one that it can be joined with and moved to."""
    result: list[Item] = []
    for item in items:
        if isinstance(item, Let) or item.reads:
            result.append(item)
            continue
        for at in range(len(result) - 1, -1, -1):
            other = result[at]
            one = join(other, item) if isinstance(other, Act) and not other.reads else None
            if one is not None:
                result[at] = one
                break
            if not commute(other, item):
                result.append(item)
                break
        else:
            result.append(item)
    return result


def _pair(a: Act, b: Act) -> Act | None:
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


def _one(a: Act, b: Act) -> Act | None:
    assert a.value is not None and b.value is not None
    if a.guard == b.guard and a.sure and b.sure:
        facts = NO_FACTS.given(parts(a.guard))
        if b.op == "add" and a.op in ("set", "add"):
            return Act(a.op, simplified(Binary("+", a.value, b.value), facts), a.guard)
        if b.op == "scale" and a.op in ("set", "scale"):
            return Act(a.op, simplified(Binary("*", a.value, b.value), facts), a.guard)
        if b.op in ("max", "min") and a.op in ("set", b.op):
            return Act(a.op, simplified(Call(b.op, (a.value, b.value)), facts), a.guard)
    if a.op == b.op and a.value == b.value and _alike(set(parts(a.guard)), set(parts(b.guard))):
        if a.op in ("set", "max", "min") or disjoint(a.guard, b.guard):
            guard = simplified(Or((a.guard, b.guard)))
            if len(key(guard)) <= len(key(a.guard)) + len(key(b.guard)) + len("when  add ") + len(key(a.value)):
                return Act(a.op, simplified(a.value, NO_FACTS.given(parts(guard))), guard)
    return None


def _alike(a: set[Expr], b: set[Expr]) -> bool:
    """Guards that differ in one part at most: their union is one guard that reads well."""
    return len(a - b) <= 1 and len(b - a) <= 1


