"""The cases of a variable's new value, and which of them imply others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from dsl.lift.guards import and_, depends_on, exists, not_, or_, strict_in
from dsl.lift.ranges import transform
from dsl.lift.terms import ONE, ZERO, arith, from_linear, linear
from dsl.nodes import FALSE, TRUE, And, Binary, Bool, Call, Compare, Expr, IfElse, Member, Name, Not, Num, Or, Str, free_names


@dataclass(frozen=True)
class Leaf:
    """What happens to the variable where the guard holds: keep, set, add, scale, max, min."""

    guard: Expr
    kind: str
    e: Expr


def clamped(initial: Expr, acting: list[Leaf]) -> tuple[str, tuple[Leaf, ...]] | None:
    """max and min with constants in one loop: where all values stay above the bound of `min`, it sets the variable."""
    amounts = [(x, x.e.value) for x in acting if isinstance(x.e, Num)]
    if len(amounts) < len(acting) or not isinstance(initial, Num):
        return None
    for kind, other, extreme_of in (("max", "min", min), ("min", "max", max)):
        bound = [value for x, value in amounts if x.kind == other]
        rest = [initial.value, *(value for _, value in amounts)]
        if len(set(bound)) == 1 and extreme_of(rest) == bound[0]:
            return kind, tuple(Leaf(x.guard, "set" if x.kind == other else x.kind, x.e) for x in acting)
    return None


def only_positive(e: Expr, name: str) -> bool:
    """The name stands under no negation, so that the guard can only follow it."""
    match e:
        case Name():
            return True
        case And(items) | Or(items):
            return all(only_positive(i, name) for i in items)
    return name not in free_names(e)


def implied_missing(at: Expr, value: Expr) -> bool:

    return depends_on(at, value)


def without_common(guard: Expr, leaves: list[Leaf]) -> Expr:
    """Parts that all leaves share hold wherever one was found."""
    if not all(isinstance(x.guard, And) for x in leaves):
        return guard
    common = [p for p in leaves[0].guard.items if all(p in x.guard.items for x in leaves)]  # type: ignore[union-attr]
    return and_(*(p for p in (guard.items if isinstance(guard, And) else (guard,)) if p not in common))


def implies(a: Expr, b: Expr) -> bool:
    """Whether a implies b, by their parts."""
    if a in (b, FALSE) or b == TRUE:
        return True
    if isinstance(b, Or) and any(implies(a, x) for x in b.items):
        return True
    if isinstance(a, Or):
        return all(implies(x, b) for x in a.items)
    parts = a.items if isinstance(a, And) else (a,)
    wanted = b.items if isinstance(b, And) else (b,)
    if all(w in parts for w in wanted):
        return True
    return and_(a, not_(b)) == FALSE or implied_by_cases(a, b)


def indifferent(guard: Expr, name: str) -> Expr:
    """The guard without the parts that speak of the variable, where they do not matter."""
    if name not in free_names(guard):
        return guard
    parts: list[Expr] = []

    def find_parts(e: Expr) -> None:
        match e:
            case And(items) | Or(items):
                for i in items:
                    find_parts(i)
            case Not(item):
                find_parts(item)
            case _ if name in free_names(e) and e not in parts:
                parts.append(e)

    find_parts(guard)
    if len(parts) > 5:
        return guard

    first: Expr | None = None
    for case in product((FALSE, TRUE), repeat=len(parts)):
        chosen = dict(zip(parts, case, strict=True))
        other = transform(guard, chosen.get)
        if first is None:
            first = other
        elif not (implied_by_cases(first, other) and implied_by_cases(other, first)):
            return guard
    return guard if first is None else first


def implied_by_cases(a: Expr, b: Expr) -> bool:
    """Whether b holds in all cases in which a does; the cases are the values that the guards ask for."""
    atoms: list[Expr] = []
    values: dict[Expr, list[Any]] = {}

    def collect(e: Expr) -> None:
        match e:
            case And(items) | Or(items):
                for i in items:
                    collect(i)
            case Not(item):
                collect(item)
            case Member(item, options):
                values.setdefault(item, []).extend(options)
            case Compare("==" | "!=", item, Str(value) | Num(value)):
                values.setdefault(item, []).append(value)
            case Bool():
                pass
            case _:
                if e not in atoms:
                    atoms.append(e)

    collect(a)
    collect(b)
    classes = {item: [*dict.fromkeys(options), None] for item, options in values.items()}
    total = 2 ** len(atoms)
    for options in classes.values():
        total *= len(options)
    if total > 3000:
        return False

    def holds(e: Expr, truth: dict[Expr, Any]) -> bool:
        match e:
            case And(items):
                return all(holds(i, truth) for i in items)
            case Or(items):
                return any(holds(i, truth) for i in items)
            case Not(item):
                return not holds(item, truth)
            case Member(item, options):
                return truth[item] in options
            case Compare("==", item, Str(value) | Num(value)):
                return bool(truth[item] == value)
            case Compare("!=", item, Str(value) | Num(value)):
                return bool(truth[item] != value)
            case Bool(value):
                return value
        return bool(truth[e])

    keys = [*atoms, *classes]
    needing = {
        x: [y for y in keys if y is not x and (depends_on(needed, y) or strict_in(needed, y))]
        for x in atoms
        if isinstance(x, Call) and x.name in ("aligned", "exists")
        for needed in [Call("word", x.args) if x.name == "aligned" else x.args[0]]
    }
    for case in product(*([(True, False)] * len(atoms)), *classes.values()):
        truth = dict(zip(keys, case, strict=True))
        if any(not truth[x] and any(truth[y] for y in needs) for x, needs in needing.items()):
            continue
        if holds(a, truth) and not holds(b, truth):
            return False
    return True


def greatest(test: Expr, me: Expr, e: Expr) -> str | None:
    """max or min if the variable is replaced whenever the test finds a greater or smaller value."""
    negated = isinstance(test, Not)
    inner = test.item if isinstance(test, Not) else test
    if isinstance(inner, Or):
        comparisons = [i for i in inner.items if isinstance(i, Compare)]
        if len(comparisons) != 1:
            return None
        inner = comparisons[0]
    if not isinstance(inner, Compare):
        return None
    op = inner.op
    if inner.left == me and inner.right == e:
        op = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(op, "")
    elif not (inner.left == e and inner.right == me):
        return None
    if negated:
        op = {"<": ">=", ">": "<=", "<=": ">", ">=": "<"}.get(op, "")
    return {">": "max", ">=": "max", "<": "min", "<=": "min"}.get(op)


def united(leaves: list[Leaf]) -> list[Leaf]:
    """Cases with the same outcome as one."""
    result: list[Leaf] = []
    for leaf in leaves:
        for i, x in enumerate(result):
            if (x.kind, x.e) == (leaf.kind, leaf.e):
                result[i] = Leaf(or_(x.guard, leaf.guard), x.kind, x.e)
                break
        else:
            result.append(leaf)
    return result


def leaves_of(e: Expr, name: str) -> list[Leaf]:
    """The cases of a variable's new value."""
    result: list[Leaf] = []

    def go(e: Expr, guard: Expr) -> None:
        if guard == FALSE:
            return
        if isinstance(e, IfElse) and (name in free_names(e)):
            go(e.then, and_(guard, e.test))
            go(e.other, and_(guard, not_(e.test)))
            return
        if isinstance(e, Call) and e.name == "default" and e.args[1] == Name(name) and name not in free_names(e.args[0]):
            go(e.args[0], and_(guard, exists(e.args[0])))
            go(e.args[1], and_(guard, not_(exists(e.args[0]))))
            return
        if isinstance(e, Call) and e.name == "default" and e.args[0] == Name(name):
            go(e.args[0], and_(guard, exists(e.args[0])))
            go(e.args[1], and_(guard, not_(exists(e.args[0]))))
            return
        case = inner_case(e, name)
        if case is not None:
            go(replaced(e, case, case.then), and_(guard, case.test))
            go(replaced(e, case, case.other), and_(guard, not_(case.test)))
            return
        leaf = classify(e, guard, name)
        if leaf.kind in ("add", "scale") and isinstance(leaf.e, IfElse):
            nothing = ZERO if leaf.kind == "add" else ONE
            if leaf.kind == "scale" or nothing in (leaf.e.then, leaf.e.other):
                for test, x in ((leaf.e.test, leaf.e.then), (not_(leaf.e.test), leaf.e.other)):
                    result.append(Leaf(and_(guard, test), "keep" if x == nothing else leaf.kind, x))
                return
        result.append(leaf)

    go(e, TRUE)
    return result


def inner_case(e: Expr, name: str) -> IfElse | None:
    """A case distinction about the variable below arithmetic: (x + 1 if c else x) * 2."""
    match e:
        case IfElse():
            return e if name in free_names(e) else None
        case Binary(_, a, b):
            return inner_case(a, name) or inner_case(b, name)
        case Call("max" | "min", args):
            return next((c for c in (inner_case(a, name) for a in args) if c is not None), None)
    return None


def replaced(e: Expr, old: Expr, new: Expr) -> Expr:

    return transform(e, lambda x: new if x is old or x == old else None)


def classify(e: Expr, guard: Expr, name: str) -> Leaf:
    me = Name(name)
    if e == me:
        return Leaf(guard, "keep", e)
    if name not in free_names(e):
        return Leaf(guard, "set", e)

    terms, const = linear(e)
    c = terms.pop(me, 0.0)
    if c == 1 and not any(name in free_names(a) for a in terms):
        return Leaf(guard, "add", from_linear(terms, const))
    if c and not terms and not const:
        return Leaf(guard, "scale", Num(c))
    match e:
        case Binary("*", a, b) if (a == me) != (b == me):
            factor = b if a == me else a
            if name not in free_names(factor):
                return Leaf(guard, "scale", factor)
        case Binary("/", a, b) if a == me and name not in free_names(b):
            return Leaf(guard, "scale", arith("/", ONE, b))
        case Call("max" | "min", args) if me in args:
            rest = [a for a in args if a != me]
            if not any(name in free_names(a) for a in rest):
                return Leaf(guard, e.name, rest[0] if len(rest) == 1 else Call(e.name, tuple(rest)))
    return Leaf(guard, "unknown", e)
