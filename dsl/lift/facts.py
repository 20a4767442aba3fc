"""What follows from a path: bounds on positions, guards already decided."""

from __future__ import annotations

from collections.abc import Iterable

from dsl.lift.guards import and_, compare, conjuncts, not_, or_
from dsl.lift.terms import ONE, ZERO, N, arith, bounds, from_linear, linear, spend, sure, whole
from dsl.nodes import FALSE, TRUE, Aggregate, And, Binary, Call, Compare, Expr, Find, IfElse, Name, Not, Num, Or, Range

Form = tuple[tuple[tuple[Expr, float], ...], float]


class Facts:
    """Guards known to hold."""

    def __init__(self, guards: Iterable[Expr]):
        self.known: set[Expr] = set()
        self.forms: list[tuple[dict[Expr, float], float]] = []  # linear forms >= 0
        self.excluded: dict[Expr, list[Expr]] = {}  # x - y != 0
        for g in guards:
            for part in conjuncts(g):
                self._learn(part)

    def _learn(self, part: Expr) -> None:
        self.known.add(part)
        if isinstance(part, Compare) and whole(part.left) and whole(part.right):
            left, right = part.left, part.right
            match part.op:
                case "<":
                    self._add(arith("-", arith("-", right, left), ONE))
                case "<=":
                    self._add(arith("-", right, left))
                case ">":
                    self._add(arith("-", arith("-", left, right), ONE))
                case ">=":
                    self._add(arith("-", left, right))
                case "==":
                    self._add(arith("-", left, right))
                    self._add(arith("-", right, left))
                case "!=":
                    self._differ(left, right)
        denied = part.item if isinstance(part, Not) else None
        if isinstance(denied, Compare) and denied.op == "==" and whole(denied.left) and whole(denied.right):
            self._differ(denied.left, denied.right)
        for atom in (part.left, part.right) if isinstance(part, Compare) else ():
            self._searches(atom)

    def _searches(self, e: Expr) -> None:
        """A search's result lies in its range."""
        for atom in linear(e)[0]:
            self.about(atom)

    def about(self, atom: Expr) -> None:
        if isinstance(atom, Find) and atom.range.domain is None:
            if atom.range.high is not None:
                self._add(arith("-", atom.range.high, atom))
            else:
                self._add(arith("-", arith("-", N, ONE), atom))
            if atom.range.low is not None:
                self._add(arith("-", atom, atom.range.low))

    def _differ(self, a: Expr, b: Expr) -> None:
        if self.nonnegative(arith("-", a, b)):
            self._add(arith("-", arith("-", a, b), ONE))
        elif self.nonnegative(arith("-", b, a)):
            self._add(arith("-", arith("-", b, a), ONE))

    def _add(self, e: Expr) -> None:
        self.forms.append(linear(e))

    def nonnegative(self, e: Expr, depth: int = 2) -> bool:
        """Whether e >= 0 is certain (where it is not missing)."""
        if isinstance(e, IfElse):
            then = Facts((*self.known, e.test)) if len(self.known) < 30 else self
            other = Facts((*self.known, not_(e.test))) if len(self.known) < 30 else self
            return then.nonnegative(e.then, depth) and other.nonnegative(e.other, depth)
        terms, const = linear(e)
        return self._prove(terms, const, depth)

    def _prove(self, terms: dict[Expr, float], const: float, depth: int) -> bool:
        spend(20)
        terms = {a: c for a, c in terms.items() if c}
        low = const
        for atom, c in terms.items():
            lo, hi = bounds(atom)
            if c > 0 and depth > 0 and low + c >= 0 and isinstance(atom, Aggregate) and atom.kind == "count" and self._some(atom):
                lo = 1
            low += c * (lo if c > 0 else hi)
        if low >= 0:
            return True
        if depth == 0:
            return False
        for atom, c in terms.items():
            cases: tuple[Expr, ...] = ()  # what the atom may be
            certain = all  # whether one of them is enough
            match atom:
                case Call("max" | "min" as name, args):
                    cases, certain = args, all if (name == "min") == (c > 0) else any
                case Call("default", (Find(), _) as args):
                    cases = args
                case IfElse(_, then, otherwise):
                    cases = (then, otherwise)
            if not cases or abs(c) != 1:
                continue
            results = []
            for case in cases:
                t, k = linear(case)
                rest = {a: x for a, x in terms.items() if a != atom}
                for a, x in t.items():
                    rest[a] = rest.get(a, 0.0) + c * x
                results.append(self._prove(rest, const + c * k, depth))
            if certain(results):
                return True
        forms = list(self.forms)
        for atom in terms:
            match atom:
                case Binary("//", left, Num(by)) if by >= 1 and whole(left) and bounds(left)[0] >= 0:
                    forms.append(linear(arith("-", left, atom)))  # x // 2 <= x
            if isinstance(atom, Find) and atom.range.domain is None:
                high = atom.range.high if atom.range.high is not None else arith("-", N, ONE)
                forms.append(linear(arith("-", high, atom)))
                if atom.range.low is not None:
                    forms.append(linear(arith("-", atom, atom.range.low)))
        for other, k in forms:
            if not any(other.get(a, 0.0) * c > 0 for a, c in terms.items()):
                continue
            merged = dict(terms)
            for a, x in other.items():
                merged[a] = merged.get(a, 0.0) - x
            merged = {a: x for a, x in merged.items() if x}
            if self._prove(merged, const - k, depth - 1):
                return True
        return False

    def _counted_after(self, d: Expr) -> Expr | None:
        """count(r: G) - count(r < p: G) is 1 + count(r > p: G) where G holds at p: how many elements of a list come after one."""
        from dsl.lift.ranges import quantified, replace_names  # ranges are built without facts

        terms, const = linear(d)
        if len(terms) != 2:
            return None
        (a, c), (b, e) = terms.items()
        if not (isinstance(a, Aggregate) and isinstance(b, Aggregate) and a.kind == b.kind == "count" and c == -e and abs(c) == 1):
            return None
        every, before = (a, b) if a.range.high is None else (b, a)
        if every.range.domain is not None or every.range.high is not None or every.range.low != before.range.low:
            return None
        if before.range.high is None or every.guard is None or before.guard is None:
            return None
        place = arith("+", before.range.high, ONE)
        there = replace_names(every.guard, {every.range.var: place})
        if not isinstance(place, Name) or replace_names(before.guard, {before.range.var: place}) != there:
            return None
        if not all(self.decide(part) == TRUE for part in conjuncts(there)):
            return None
        after = quantified("count", Range(every.range.var, arith("+", place, ONE), None), every.guard)
        sign = c if every is a else e
        return from_linear({after: sign}, const + sign)

    def _some(self, count: Aggregate) -> bool:
        """Whether there is something to count."""
        from dsl.lift.ranges import quantified  # ranges are built without facts, facts of what paths say of them

        return self.decide(quantified("any", count.range, count.guard or TRUE)) == TRUE

    def decide(self, guard: Expr) -> Expr:
        """The guard, simpler where the facts decide parts of it."""
        if guard in self.known:
            return TRUE
        match guard:
            case And(items):
                return and_(*(self.decide(i) for i in items))
            case Or(items):
                return or_(*(self.decide(i) for i in items))
            case Not(item):
                return FALSE if item in self.known else not_(self.decide(item))
            case Compare(op, a, b):
                if not_(guard) in self.known:
                    return FALSE
                if whole(a) and whole(b):
                    return self._decide_numbers(guard, op, a, b)
        return FALSE if not_(guard) in self.known else guard

    def _decide_numbers(self, guard: Expr, op: str, a: Expr, b: Expr) -> Expr:
        d = arith("-", a, b)
        rest = self._counted_after(d)
        if rest is not None:
            return compare(op, rest, ZERO)
        certain = sure(a) and sure(b)
        at_least, at_most = self.nonnegative(d), self.nonnegative(arith("-", ZERO, d))
        above = self.nonnegative(arith("-", d, ONE))
        below = self.nonnegative(arith("-", arith("-", ZERO, d), ONE))
        true = {
            ">=": at_least,
            ">": above,
            "<=": at_most,
            "<": below,
            "==": at_least and at_most,
            "!=": above or below,
        }[op]
        false = {
            ">=": below,
            ">": at_most,
            "<=": above,
            "<": at_least,
            "==": above or below,
            "!=": at_least and at_most,
        }[op]
        if false:
            return FALSE
        if true and certain:
            return TRUE
        if certain and op in (">=", "<=") and (at_least or at_most):
            tight = (op == ">=" and at_most) or (op == "<=" and at_least)
            return compare("==", a, b) if tight else guard
        if certain and op == "!=" and (at_least or at_most):
            return compare(">" if at_least else "<", a, b)
        return guard


def contradictory(guards: list[Expr]) -> bool:
    """Whether the guards can be seen never to hold together."""
    return any(Facts([*guards[:i], *guards[i + 1 :]]).decide(g) == FALSE for i, g in enumerate(guards))
