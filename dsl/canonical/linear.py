"""Whole-number linear forms over q, k, n and other whole-number terms, and what bounds on their differences imply.

A form is a tuple of (term, coefficient) in a fixed order, beside a constant. Bounds are kept as a matrix of differences, closed
under "x - y <= c and y - z <= d give x - z <= c + d"; the term ZERO stands for the number 0.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

from dsl.canonical.binders import depth, is_position
from dsl.canonical.order import key
from dsl.nodes import DIST, Aggregate, Binary, Call, Compare, Expr, Find, K, N, Name, Neg, Num, Q

ZERO = Num(0.0)
LARGEST = 2**40  # beyond this, whole numbers are left alone: sums of them must stay exact
WHOLE = frozenset({"length", "occurrence", "occurrences", "sentence", "index", "first_token", "last_token", "floor", "round"})
COUNTS = frozenset({"length", "occurrence", "occurrences", "sentence", "index"})  # never below 0
POSITIONS = frozenset({"first_token", "last_token"})
INFINITE = float("inf")

Form = tuple[tuple[tuple[Expr, int], ...], int]
Edge = tuple[Expr, Expr, int]  # x - y <= c
Matrix = dict[tuple[Expr, Expr], int]


def is_term(node: Expr) -> bool:
    """Certainly a whole number, where it is not missing."""
    match node:
        case Name(name):
            return name in ("q", "k", "n") or is_position(name)
        case Call(name):
            return name in WHOLE
        case Find(_, over):
            return over.domain is None
        case Aggregate(kind):
            return kind == "count"
    return False


def linear(node: Expr) -> Form | None:
    """The expression as a sum of whole multiples of terms; None where it is something else. Computed once per node."""
    if "_form" not in node.__dict__:
        found = _linear(node)
        node.__dict__["_form"] = None if found is None else (_in_order(found[0]), found[1])
    return node.__dict__["_form"]


def difference(a: Expr, b: Expr) -> Form | None:
    """a - b as a linear form."""
    first, second = linear(a), linear(b)
    if first is None or second is None:
        return None
    terms = dict(first[0])
    for t, c in second[0]:
        terms[t] = terms.get(t, 0) - c
    return _in_order(terms), first[1] - second[1]


def _in_order(terms: dict[Expr, int]) -> tuple[tuple[Expr, int], ...]:
    return tuple(sorted(((t, c) for t, c in terms.items() if c), key=lambda tc: key(tc[0])))


def _linear(node: Expr) -> tuple[dict[Expr, int], int] | None:
    match node:
        case Num(value):
            return ({}, int(value)) if abs(value) < LARGEST and value == int(value) else None
        case Name("dist"):
            return {Q: 1, K: -1}, 0
        case Neg(item):
            return _times(_linear(item), -1)
        case Binary("+", left, right):
            return _plus(_linear(left), _linear(right))
        case Binary("-", left, right):
            return _plus(_linear(left), _times(_linear(right), -1))
        case Binary("*", left, right):
            a, b = _linear(left), _linear(right)
            if a is not None and b is not None:
                if not a[0]:
                    return _times(b, a[1])
                if not b[0]:
                    return _times(a, b[1])
            return None
    return ({node: 1}, 0) if is_term(node) else None


def _plus(a: tuple[dict[Expr, int], int] | None, b: tuple[dict[Expr, int], int] | None) -> tuple[dict[Expr, int], int] | None:
    if a is None or b is None:
        return None
    terms = dict(a[0])
    for term, c in b[0].items():
        terms[term] = terms.get(term, 0) + c  # a sum of 0 stays listed: the term may be missing
    return terms, a[1] + b[1]


def _times(a: tuple[dict[Expr, int], int] | None, factor: int) -> tuple[dict[Expr, int], int] | None:
    if a is None or abs(factor) >= LARGEST:
        return None
    return {t: c * factor for t, c in a[0].items()}, a[1] * factor


def cancelled(node: Expr) -> set[Expr]:
    """Terms that occur in the expression but cancel out."""
    found = _linear(node)
    return set() if found is None else {t for t, c in found[0].items() if not c}


def number(form: Form) -> Expr:
    """The form as an expression: q - 1, n - k, 1 - dist."""
    terms, constant = dict(form[0]), form[1]
    if terms.get(Q, 0) and terms[Q] == -terms.get(K, 0):
        terms = {DIST: terms.pop(Q), **terms}
        del terms[K]
    parts = [(c < 0, t if abs(c) == 1 else Binary("*", Num(float(abs(c))), t)) for t, c in terms.items()]
    return summed(parts, float(constant))


def summed(parts: list[tuple[bool, Expr]], constant: float) -> Expr:
    """A sum of (is negative, absolute value): positive parts, the constant, negative parts; a negative constant alone last."""
    positive = [p for p in parts if not p[0]]
    negative = [p for p in parts if p[0]]
    middle: list[tuple[bool, Expr]] = [(constant < 0, Num(abs(constant)))] if constant else []
    ordered = [*positive, *middle, *negative] if positive or constant > 0 else [*negative, *middle]
    if not ordered:
        return Num(0.0)
    (minus, result), *rest = ordered
    result = negated(result) if minus else result
    for minus, part in rest:
        result = Binary("-" if minus else "+", result, part)
    return result


def negated(product: Expr) -> Expr:
    """-x, with the sign at the first factor."""
    match product:
        case Num(value):
            return Num(-value)
        case Binary("*" | "/" as op, left, right):
            return Binary(op, negated(left), right)
    return Neg(product)


def atom(op: str, form: Form) -> Expr | bool:
    """`form op 0` in its one spelling; True or False where no term is left (the caller looks after missing terms)."""
    terms, constant = form
    if op == "<":
        op, constant = "<=", constant + 1
    if op == ">":
        op, constant = ">=", constant - 1
    if not terms:
        return {"==": constant == 0, "!=": constant != 0, "<=": constant <= 0, ">=": constant >= 0}[op]
    if _leading(terms) < 0:
        terms = tuple((t, -c) for t, c in terms)
        constant = -constant
        op = {"<=": ">=", ">=": "<="}.get(op, op)
    divisor = gcd(*(c for _, c in terms))
    bound = -constant  # terms op bound
    if op in ("==", "!=") and bound % divisor:
        return op == "!="
    bound = -(-bound // divisor) if op == ">=" else bound // divisor
    terms = tuple((t, c // divisor) for t, c in terms)
    # whole numbers: of x <= 3 and x < 4, of x >= 1 and x > 0, the one with the smaller number
    if op == "<=" and bound < 0:
        op, bound = "<", bound + 1
    elif op == ">=" and bound > 0:
        op, bound = ">", bound - 1
    return Compare(op, *_sides(terms, bound))


def _leading(terms: tuple[tuple[Expr, int], ...]) -> int:
    """The coefficient of the term that stands first: the innermost range's variable, then q, then k, then others, then n."""

    def place(term: Expr) -> tuple[int, str]:
        if isinstance(term, Name):
            return {"q": 1, "k": 2, "n": 4}.get(term.name, -depth(term.name)), term.name
        return 3, key(term)

    return min((place(t), c) for t, c in terms)[1]


def _sides(terms: tuple[tuple[Expr, int], ...], bound: int) -> tuple[Expr, Expr]:
    found = dict(terms)
    left = {t: c for t, c in terms if c > 0}
    if found.get(Q, 0) and found.get(Q, 0) == -found.get(K, 0):
        left[K] = found[K]
    right = tuple((t, -c) for t, c in terms if t not in left)
    if right:
        return number((tuple(left.items()), 0)), number((right, bound))
    return number((tuple(left.items()), 0)), Num(float(bound))


def edges(node: Expr) -> tuple[Edge, ...] | None:
    """The bounds on differences that a comparison stands for; None where it is of another kind."""
    if not isinstance(node, Compare) or node.op == "!=":
        return None
    if "_edges" not in node.__dict__:
        node.__dict__["_edges"] = _edges(node)
    return node.__dict__["_edges"]


def _edges(node: Compare) -> tuple[Edge, ...] | None:
    form = difference(node.left, node.right)
    if form is None:
        return None
    terms, c = form
    x: Expr
    y: Expr
    match [coefficient for _, coefficient in terms]:
        case [1]:
            x, y = terms[0][0], ZERO
        case [-1]:
            x, y = ZERO, terms[0][0]
        case [1, -1]:
            x, y = terms[0][0], terms[1][0]
        case [-1, 1]:
            x, y = terms[1][0], terms[0][0]
        case _:
            return None
    upper, lower = (x, y, -c), (y, x, c)
    match node.op:
        case "<=":
            return (upper,)
        case "<":
            return ((x, y, -c - 1),)
        case ">=":
            return (lower,)
        case ">":
            return ((y, x, c - 1),)
    return (upper, lower)


def from_edge(edge: Edge, equal: bool = False) -> Expr:
    """x - y <= c (or == c) as a comparison."""
    x, y, c = edge
    terms = tuple(sorted(((t, s) for t, s in ((x, 1), (y, -1)) if t != ZERO), key=lambda tc: key(tc[0])))
    found = atom("==" if equal else "<=", (terms, -c))
    assert not isinstance(found, bool)
    return found


def range_of(term: Expr) -> tuple[Edge, ...]:
    """What is known of a term wherever it is not missing."""
    if term == N:
        return ((ZERO, N, -1),)
    if isinstance(term, Name | Find) or (isinstance(term, Call) and term.name in POSITIONS):
        return ((ZERO, term, 0), (term, N, -1), (ZERO, N, -1))
    if isinstance(term, Aggregate) or (isinstance(term, Call) and term.name in COUNTS):
        return ((ZERO, term, 0),)
    return ()


@lru_cache(maxsize=1 << 14)
def closure(known: frozenset[Edge]) -> Matrix | None:
    """All bounds on differences that follow; None where they contradict one another."""
    terms = {t for x, y, _ in known for t in (x, y)} | {ZERO}
    matrix: Matrix = {(t, t): 0 for t in terms}
    for x, y, c in known:
        if c < matrix.get((x, y), INFINITE):
            matrix[x, y] = c
    for via in terms:
        into = [(x, matrix[x, via]) for x in terms if (x, via) in matrix]
        out = [(y, matrix[via, y]) for y in terms if (via, y) in matrix]
        for x, a in into:
            for y, b in out:
                if a + b < matrix.get((x, y), INFINITE):
                    matrix[x, y] = a + b
    return None if any(matrix[t, t] < 0 for t in terms) else matrix
