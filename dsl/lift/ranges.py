"""Searches, counts and sums over ranges; expressions built anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dsl.lift.guards import and_, compare, conjuncts, default, exists, if_, member, not_, or_
from dsl.lift.terms import (
    FLIP,
    MISSING,
    MISSING_NUMBER,
    MISSING_WORD,
    ONE,
    ZERO,
    N,
    arith,
    at_most_last,
    bounds,
    extreme,
    from_linear,
    linear,
    neg,
    spend,
    sure,
    whole,
)
from dsl.nodes import (
    FALSE,
    TRUE,
    Aggregate,
    And,
    Binary,
    Bool,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    Member,
    Name,
    Neg,
    Node,
    Not,
    Num,
    Or,
    Range,
    children,
    free_names,
    substitute,
)


def bounded(var: str, low: Expr | None, high: Expr | None, domain: Call | None = None) -> Range:
    if low is not None and bounds(low)[1] <= 0:
        low = None
    if high is not None and high == arith("-", N, ONE):
        high = None
    return Range(var, low, high, domain)


def _pinned(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the guard fixes the variable to x."""
    if over.domain is not None:
        return None
    var = Name(over.var)
    parts = conjuncts(guard)
    for i, part in enumerate(parts):
        if isinstance(part, Compare) and part.op == "==" and whole(part.left) and whole(part.right):
            terms, const = linear(part.left)
            right, cr = linear(part.right)
            for atom, c in right.items():
                terms[atom] = terms.get(atom, 0.0) - c
            c = terms.pop(var, 0.0)
            if abs(c) == 1 and not any(over.var in free_names(a) for a in terms):
                x = from_linear({a: -t / c for a, t in terms.items() if t}, -(const - cr) / c)
                rest = substitute(and_(*parts[:i], *parts[i + 1 :]), {over.var: x})
                return x, and_(exists(x), within(x, over), refold(rest))
    return None


def _pinned_search(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the guard says that the variable is the first or last: not p > first(r: G(r)) and G(p)."""
    var = Name(over.var)
    parts = conjuncts(guard)
    for i, part in enumerate(parts):
        match part:
            case Not(Compare(op, left, Find(which, Range() as searched, sought) as x)) if left == var:
                pass
            case _:
                continue
        same = (searched.low, searched.high, searched.domain) == (over.low, over.high, None)
        if op != {"first": ">", "last": "<"}[which] or not same:
            continue
        known = conjuncts(substitute(sought, {searched.var: var}))
        if over.domain is None and all(k in parts for k in known):
            rest = and_(*(p for j, p in enumerate(parts) if j != i and p not in known))
            return x, and_(exists(x), refold(substitute(rest, {over.var: x})))
    return None


def _pinned_start(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the variable begins a stretch that holds a position: B(p), p <= i, and the next B comes after i."""
    if over.domain is not None:
        return None
    var = Name(over.var)
    parts = conjuncts(guard)
    for i, part in enumerate(parts):
        found = _stretch(part, var)
        if found is None:
            continue
        following, inside, last = found
        t = following.range.var
        begins = following.guard
        begun = conjuncts(substitute(begins, {t: var}))
        if not all(b in parts for b in begun):
            names: dict[str, Any] = {over.var: Name(t)}
            after = Range(t, following.range.low)
            one = [p for p in parts if isinstance(p, Or) and find("first", after, substitute(p, names)) == following]
            if not one:
                continue
            begun, begins = (one[0],), substitute(one[0], names)
        rest = [p for j, p in enumerate(parts) if j != i and p not in begun]
        limits = [p for p in rest if p in (Compare("<=", var, inside), Compare(">=", inside, var))]
        if not limits and over.high != inside:
            continue
        at = find("last", Range(t, over.low, inside), begins)
        left = and_(*(p for p in rest if p not in limits))
        covered = TRUE if last == N and at_most_last(inside) else compare(">", last, inside)
        return at, and_(exists(at), covered, within(at, over), refold(substitute(left, {over.var: at})))
    return None


def _pinned_new(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the variable is the first with a certain key: K(p) == c, and no r < p has K(r) == K(p)."""
    if over.domain is not None:
        return None
    var = Name(over.var)
    parts = conjuncts(guard)
    for i, part in enumerate(parts):
        match part:
            case Not(Aggregate("any", Range(r, low, high, None), before)) if before is not None and low == over.low:
                pass
            case _:
                continue
        if high != arith("-", var, ONE):
            continue
        same = [p for p in conjuncts(before) if isinstance(p, Compare) and p.op == "==" and over.var in free_names(p)]
        others = [p for p in conjuncts(before) if p not in same]
        if len(same) != 1:
            continue
        key = same[0].right if r in free_names(same[0].left) else same[0].left
        if substitute(key, {over.var: Name(r)}) not in (same[0].left, same[0].right) or r in free_names(key):
            continue
        told = [p for p in parts if isinstance(p, Compare) and p.op == "==" and key in (p.left, p.right) and p.left != p.right]
        values = [p.right if p.left == key else p.left for p in told]
        at = next((j for j, c in enumerate(values) if over.var not in free_names(c)), None)
        held = [substitute(p, {r: var}) for p in others]
        if at is None or not all(h in parts for h in held):
            continue
        c = values[at]
        rest = [p for j, p in enumerate(parts) if j != i and p is not told[at] and p not in held]
        rest = [_exchanged(p, key, c) for p in rest]
        x = find("first", over, and_(*held, told[at]))
        if any(over.var in free_names(p) for p in rest):
            rest = [refold(substitute(p, {over.var: x})) for p in rest]
        return x, and_(exists(x), *rest)
    return None


def _exchanged(e: Expr, old: Expr, new: Expr) -> Expr:
    return transform(e, lambda x: new if x == old else None)  # type: ignore[no-any-return]


def _stretch(part: Expr, var: Expr) -> tuple[Find, Expr, Expr] | None:
    """(f, i, last) of `i < default(f, last)` in one of its spellings, where f is the first of something after the variable."""
    if not isinstance(part, Compare) or part.op not in FLIP or part.op in ("==", "!="):
        return None
    op, end, inside = (part.op, part.left, part.right) if part.op in (">", ">=") else (FLIP[part.op], part.right, part.left)
    back: Expr = ZERO
    match end:
        case Binary("-", Call("default", (Find() as following, last)), Num() as back):
            pass
        case Call("default", (Binary("-", Find() as following, Num() as back), last)):
            last = arith("+", last, back)
        case Call("default", (Find() as following, last)):
            pass
        case _:
            return None
    inside = arith("+", inside, back) if op == ">" else arith("-", arith("+", inside, back), ONE)
    searched = following.range
    if following.which != "first" or searched.domain is not None or searched.low != arith("+", var, ONE):
        return None
    return None if free_names(var) & (free_names(inside) | free_names(last)) else (following, inside, last)


def _pinned_rank(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the variable is the element of a list with a certain number: count(r < p: G(r)) == c and G(p)."""
    var = Name(over.var)
    parts = conjuncts(guard)
    for i, part in enumerate(parts):
        if over.domain is not None or not isinstance(part, Compare) or part.op != "==":
            continue
        for rank, c in ((part.left, part.right), (part.right, part.left)):
            match rank:
                case Aggregate("count", Range(r, low, high, None), counted) if counted is not None and over.var not in free_names(
                    c
                ):
                    pass
                case _:
                    continue
            listed = [substitute(p, {r: var}) for p in conjuncts(counted)]
            if low != over.low or high != arith("-", var, ONE) or not all(p in parts for p in listed):
                continue
            rest = and_(*(p for j, p in enumerate(parts) if j != i and p not in listed))
            x = find("first", over, and_(*listed, part))
            return x, and_(exists(x), refold(substitute(rest, {over.var: x})))
    return None


def determined(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the guard leaves the variable one place x at most."""
    found = _pinned(over, guard) or _pinned_search(over, guard) or _pinned_start(over, guard) or _pinned_new(over, guard)
    if found is None:
        found = _pinned_rank(over, guard)
    if found is None and over.domain is not None:
        word = _pinned_word(over, guard)
        if word is not None:
            inside = Aggregate("any", over, Compare("==", Name(over.var), word[0]))
            return word[0], and_(inside, word[1])
    return found


def _pinned_word(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the guard fixes the word variable to the word x."""
    var = Name(over.var)
    parts = conjuncts(guard)
    for i, part in enumerate(parts):
        if isinstance(part, Compare) and part.op == "==" and var in (part.left, part.right) and part.left != part.right:
            x = part.right if part.left == var else part.left
            if over.var not in free_names(x):
                return x, refold(substitute(and_(*parts[:i], *parts[i + 1 :]), {over.var: x}))
    return None


def within(x: Expr, over: Range) -> Expr:
    """x is one of the positions of the range."""
    low, high = ends(over)
    last = high == arith("-", N, ONE) and at_most_last(x)
    return and_(compare(">=", x, low), TRUE if last else compare("<=", x, high))


def ends(over: Range) -> tuple[Expr, Expr]:
    """First and last position of the range, inside the text."""
    low = over.low if over.low is not None else ZERO
    high = over.high if over.high is not None else arith("-", N, ONE)
    if bounds(low)[0] < 0:
        low = extreme("max", [low, ZERO])
    if not at_most_last(high):
        high = extreme("min", [high, arith("-", N, ONE)])
    return low, high


def _outside_variable(over: Range, guard: Expr) -> tuple[list[Expr], list[Expr]]:
    inner: list[Expr] = []
    outer: list[Expr] = []
    for part in conjuncts(guard):
        (inner if over.var in free_names(part) else outer).append(part)
    return inner, outer


def _tightened(over: Range, guard: Expr) -> tuple[Range, Expr]:
    """Bounds of the variable that stand in the guard move into the range, where the range has none on that side."""
    if over.domain is not None:
        return over, guard
    var = Name(over.var)
    low, high = over.low, over.high
    rest: list[Expr] = []
    for part in conjuncts(guard):
        ordered = isinstance(part, Compare) and part.op in ("<", "<=", ">", ">=")
        if isinstance(part, Compare) and ordered and all(sure(e) and whole(e) for e in (part.left, part.right)):
            terms, const = linear(part.left)
            right, cr = linear(part.right)
            for atom, c in right.items():
                terms[atom] = terms.get(atom, 0.0) - c
            c = terms.pop(var, 0.0)
            if abs(c) == 1 and not any(over.var in free_names(a) for a in terms):
                limit = from_linear({a: -t / c for a, t in terms.items() if t}, -(const - cr) / c)
                op = part.op if c > 0 else FLIP[part.op]
                if op in ("<", "<="):
                    limit = arith("-", limit, ONE) if op == "<" else limit
                    if high is None or high == limit:
                        high = limit
                        continue
                else:
                    limit = arith("+", limit, ONE) if op == ">" else limit
                    if low is None or low == limit:
                        low = limit
                        continue
        rest.append(part)
    return bounded(over.var, low, high), and_(*rest)


def _next_start(over: Range, guard: Expr) -> Expr | None:
    """first(r > last(p < x: B(p)): B(r)) = x, where x was found by B."""
    match over.low:
        case Binary("+", Find("last", Range(v, _, Binary("-", Find() as x, Num(1.0)), None), begins) as before, Num(1.0)):
            pass
        case _:
            return None
    if over.high is not None or x.range.domain is not None:
        return None
    here = and_(*(_possible(over, p) for p in conjuncts(substitute(begins, {v: Name(over.var)}))))
    same = substitute(x.guard, {x.range.var: Name(v)}) == begins
    return if_(exists(before), x, MISSING_NUMBER) if same and here == guard else None


def _possible(over: Range, guard: Expr) -> Expr:
    """A disjunction without what fixes the variable to a place outside the range."""
    if not isinstance(guard, Or) or over.domain is not None:
        return guard
    fixed = [_pinned(over, part) for part in guard.items]
    return or_(*(part for part, one in zip(guard.items, fixed, strict=True) if one is None or one[1] != FALSE))


def holds_at(over: Range, guard: Expr, low: bool) -> bool:
    """Whether the guard certainly holds at the first (or last) position of the range, if there is any."""
    end = ends(over)[0 if low else 1]
    return sure(end) and _truth_at(guard, Name(over.var), end) is True


def _same_as_another(guard: Expr, var: str) -> bool:
    """piece(p) == piece(q) and the like: q itself is such a p."""
    match guard:
        case Compare("==", Call("text" | "piece" as one, (Name(a),)), Call(other, (Name(b),))) if one == other:
            return var in (a, b) and {a, b} - {var} <= {"$x0", "$x1"}
    return False


def _truth_at(guard: Expr, var: Name, end: Expr) -> bool | None:
    """The guard's truth where the variable is `end`, as far as comparisons of the variable itself tell."""
    match guard:
        case And(items) | Or(items):
            found = [_truth_at(i, var, end) for i in items]
            decisive = isinstance(guard, Or)
            return decisive if decisive in found else None if None in found else not decisive
        case Not(item):
            inner = _truth_at(item, var, end)
            return None if inner is None else not inner
        case Compare(op, left, right) if var in (left, right):
            told = compare(op, *(end if x == var else x for x in (left, right)))
            return told.value if isinstance(told, Bool) else None
    return None


def find(which: str, over: Range, guard: Expr) -> Expr:
    if guard == FALSE:
        return MISSING_NUMBER if over.domain is None else MISSING_WORD
    pinned = _pinned(over, guard) or _pinned_search(over, guard) or _pinned_start(over, guard) or _pinned_new(over, guard)
    if pinned is not None:
        return if_(pinned[1], pinned[0], MISSING_NUMBER)
    guard = and_(*(_possible(over, part) for part in conjuncts(guard)))
    if which == "first" and (next_one := _next_start(over, guard)) is not None:
        return next_one
    inner, outer = _outside_variable(over, guard)
    if outer:
        return if_(and_(*outer), find(which, over, and_(*inner)), MISSING["number" if over.domain is None else "word"])
    over, guard = _tightened(over, guard)
    if guard == TRUE and over.domain is None:
        low, high = ends(over)
        return if_(compare("<=", low, high), low if which == "first" else high, MISSING_NUMBER)
    if over.domain is None and holds_at(over, guard, which == "first"):
        low, high = ends(over)
        return if_(compare("<=", low, high), low if which == "first" else high, MISSING_NUMBER)
    if which == "first" and over.domain is not None and over.domain.name == "words" and over.domain.args and guard == TRUE:
        return Call("word", over.domain.args)
    return Find(which, over, guard)


def quantified(kind: str, over: Range, guard: Expr, value: Expr | None = None) -> Expr:
    """any, all, count, sum, min, max over a range."""
    if kind == "all":
        return not_(quantified("any", over, not_(guard)))
    empty: Expr = FALSE if kind == "any" else ZERO if kind in ("count", "sum") else MISSING_NUMBER
    if guard == FALSE or (kind == "sum" and value == ZERO):
        return empty
    pinned = _pinned(over, guard) or _pinned_search(over, guard) or _pinned_start(over, guard) or _pinned_new(over, guard)
    if pinned is not None:
        x, holds = pinned
        if kind == "any":
            return holds
        inside = ONE if kind == "count" else refold(substitute(value, {over.var: x}))
        return if_(holds, inside, empty)
    if over.domain is not None and kind in ("any", "count", "sum"):
        fixed = _pinned_word(over, guard)
        if fixed is not None:
            x, rest = fixed
            there = Aggregate("any", over, Compare("==", Name(over.var), x))
            if rest != TRUE or kind != "any":
                here: Expr = ONE if kind != "sum" or value is None else refold(substitute(value, {over.var: x}))
                holds = and_(there, rest)
                return holds if kind == "any" else if_(holds, here, ZERO)
    if kind == "any" and over.domain is None and isinstance(guard, Or):
        for i, part in enumerate(guard.items):
            one = _pinned(over, part)
            if one is not None:
                low, high = ends(over)
                if one[1] == compare("<=", low, high):
                    return one[1]  # holds for the one position wherever there is any
                return or_(one[1], quantified("any", over, or_(*guard.items[:i], *guard.items[i + 1 :])))
    inner, outer = _outside_variable(over, guard)
    if outer:
        below = quantified(kind, over, and_(*inner), value)
        return and_(*outer, below) if kind == "any" else if_(and_(*outer), below, empty)
    if kind == "sum" and value is not None and over.var not in free_names(value):
        return arith("*", value, quantified("count", over, guard))
    if kind in ("min", "max") and value is not None and over.var not in free_names(value):
        return if_(quantified("any", over, guard), value, MISSING_NUMBER)
    over, guard = _tightened(over, guard)
    if guard == TRUE and over.domain is None:
        low, high = ends(over)
        if kind == "any":
            return compare("<=", low, high)
        if kind == "count":
            size = arith("+", arith("-", high, low), ONE)
            return size if bounds(size)[0] >= 0 else extreme("max", [size, ZERO])
        if kind == "sum" and value is not None and bounds(arith("-", high, low)) == (0, 0):
            return refold(substitute(value, {over.var: low}))
    if kind == "any" and over.low is over.high is over.domain is None and _same_as_another(guard, over.var):
        return TRUE
    if kind == "any" and over.domain is None and (holds_at(over, guard, True) or holds_at(over, guard, False)):
        return compare("<=", *ends(over))
    if kind == "any" and over.domain is not None and over.domain.name == "words" and over.domain.args and guard == TRUE:
        return Call("aligned", over.domain.args)
    if kind in ("sum", "min", "max"):
        return Aggregate(kind, over, None if guard == TRUE else guard, value)
    return Aggregate(kind, over, guard)


def rename_in(e: Expr, values: dict[str, Expr]) -> Expr:
    return replace_names(e, values)


def refold(e: Any) -> Any:
    """The expression built anew by the folding constructors, from the leaves up."""
    return transform(e, lambda x: None)


def replace_names(e: Expr, values: dict[str, Expr]) -> Expr:
    """Names replaced by expressions, folded again; bound names are unique, so nothing is captured."""
    if not values or not (free_names(e) & values.keys()):
        return e
    return transform(e, lambda x: values.get(x.name) if isinstance(x, Name) else None)


def transform(e: Any, change: Callable[[Any], Any]) -> Any:
    """Bottom-up: `change` gives a replacement (final) or None; everything else is built by the folding constructors."""
    known: dict[int, Any] = {}
    keep: list[Any] = []

    def go(x: Any) -> Any:
        done = known.get(id(x))
        if done is None:
            spend(10)
            done = change(x)
            if done is None:
                done = built_anew(x, go)
            known[id(x)] = done
            keep.append(x)
        return done

    return go(e)


def built_anew(x: Any, go: Callable[[Any], Any]) -> Any:
    match x:
        case Binary(op, a, b):
            return arith(op, go(a), go(b))
        case Neg(a):
            return neg(go(a))
        case Compare(op, a, b):
            return compare(op, go(a), go(b))
        case Member(a, values):
            return member(go(a), values)
        case Not(a):
            return not_(go(a))
        case And(items):
            return and_(*(go(i) for i in items))
        case Or(items):
            return or_(*(go(i) for i in items))
        case IfElse(test, a, b):
            return if_(go(test), go(a), go(b))
        case Call("default", (a, b)):
            return default(go(a), go(b))
        case Call("exists", (a,)):
            return exists(go(a))
        case Call("min" | "max", args):
            return extreme(x.name, [go(a) for a in args])
        case Call("nth_word", (a,)):
            return nth_word(go(a))
        case Call("text" | "piece" | "decode" | "word_id" | "word" | "special" | "word_start" | "aligned", (a,)):
            new = (_bare_position(go(a)),)
            return x if new[0] is a else Call(x.name, new)
        case Call(name, args):
            new = tuple(go(a) for a in args)
            return x if all(a is b for a, b in zip(new, args, strict=True)) else Call(name, new)
        case Find(which, over, guard):
            if x in (MISSING_NUMBER,):
                return x
            return find(which, _rebuilt(over, go), go(guard))
        case Aggregate(kind, over, guard, value):
            return quantified(kind, _rebuilt(over, go), TRUE if guard is None else go(guard), None if value is None else go(value))
    return x


def _bare_position(e: Expr) -> Expr:
    """Of `q - 1 if q >= 1 else missing` the position alone: what a feature says of a place outside the text is missing, too."""
    if not isinstance(e, IfElse) or e.other != MISSING_NUMBER:
        return e
    return e.then if e.test in (compare("<=", ZERO, e.then), compare("<=", e.then, arith("-", N, ONE))) else e


def _rebuilt(over: Range, go: Callable[[Any], Any]) -> Range:
    domain = over.domain
    if domain is not None:
        return Range(over.var, None, None, Call(domain.name, tuple(go(a) for a in domain.args)))
    return bounded(over.var, None if over.low is None else go(over.low), None if over.high is None else go(over.high))


def nth_word(index: Expr) -> Expr:
    """The word with the given index."""
    if isinstance(index, Call) and index.name == "index":
        return index.args[0]
    if isinstance(index, IfElse):
        return if_(index.test, nth_word(index.then), nth_word(index.other))
    if index == MISSING_NUMBER:
        return MISSING_WORD
    return Call("nth_word", (index,))


def size_of(e: Node, limit: int) -> int:
    """Number of nodes as a tree, counted up to the limit."""

    count = 0
    todo: list[Any] = [e]
    while todo and count <= limit:
        here = todo.pop()
        count += 1
        todo.extend(children(here))
    return count
