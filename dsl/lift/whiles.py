"""`while` loops: a counter that moves by one goes through a range of positions."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.guards import and_, compare, default, if_, not_
from dsl.lift.machine import UNDEFINED
from dsl.lift.ranges import find, quantified, rename_in
from dsl.lift.scans import Scans, climbing
from dsl.lift.terms import ONE, ZERO, N, arith, extreme, from_linear, linear, num, whole
from dsl.lift.values import CondEl, Over, S, Seq, number, sort_of, value_of
from dsl.nodes import FALSE, TRUE, Aggregate, Call, Compare, Expr, Name, Num, Range, free_names


class Whiles(Scans):
    def while_statement(self, node: ast.While) -> Expr:
        climbed = self.climb(node)
        if climbed:
            return TRUE
        reached = self.climb_by_steps(node)
        if reached is None and not self.counts_by_one(node):
            reached = self.scan(node)
        if reached is not None:
            return reached
        name, step = self.counter_of(node)
        start_value = self.lookup(name)
        if start_value is UNDEFINED or sort_of(start_value) != "number":
            self.refuse("a while loop whose counter is no number")
        start = number(start_value)
        key = self.key_of(name)
        if key != ("v", self.scope, name):
            self.refuse("a while loop whose counter belongs to another function")
        v = self.var(name)
        tests = list(node.test.values) if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else [node.test]
        low, high = (start, None) if step > 0 else (None, start)
        rest: list[ast.expr] = []
        limited = False
        kept = self.store
        changed = changed_names(node.body)
        for test in tests:
            others = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)} - {name}
            limit = None if self.impure(test) or others & changed else self.limit(name, v, test, step, start)
            if limit is None:
                rest.append(test)
            elif step > 0:
                high = limit if high is None else self.smaller(high, limit, "min")
                limited = True
            else:
                low = limit if low is None else self.smaller(low, limit, "max")
                limited = True
        self.store = kept
        if not limited:
            self.refuse("a while loop without a limit that is known beforehand")
        body = list(node.body)
        if rest:
            test = rest[0] if len(rest) == 1 else ast.BoolOp(ast.And(), rest)
            stop = ast.If(ast.UnaryOp(ast.Not(), test), [ast.Break()], [])
            ast.copy_location(stop, node)
            ast.fix_missing_locations(stop)
            body.insert(0, stop)
        assert low is not None and high is not None
        return self.count_through(node, name, key, v, low, high, step, body, start)

    def smaller(self, a: Expr, b: Expr, kind: str) -> Expr:

        return extreme(kind, [a, b])

    def impure(self, test: ast.expr) -> bool:
        return any(isinstance(n, ast.NamedExpr) for n in ast.walk(test))

    def counts_by_one(self, node: ast.While) -> bool:
        """Whether the body itself moves a tested name by one, and nothing else moves it."""
        tested = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
        moved = [n for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        own = [s.target.id for s in node.body if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name)]
        return any(n.id in tested and own.count(n.id) == 1 and [m.id for m in moved].count(n.id) == 1 for n in moved)

    def counter_of(self, node: ast.While) -> tuple[str, int]:
        """The name that the body moves by one, and the test speaks of."""
        tested = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
        steps: dict[str, set[int]] = {}
        for n in ast.walk(ast.Module(node.body, [])):
            match n:
                case ast.AugAssign(ast.Name(name), ast.Add() | ast.Sub() as op, ast.Constant(1)):
                    steps.setdefault(name, set()).add(1 if isinstance(op, ast.Add) else -1)
                case ast.Assign([ast.Name(name)], ast.BinOp(ast.Name(other), ast.Add() | ast.Sub() as op, ast.Constant(1))):
                    if name == other:
                        steps.setdefault(name, set()).add(1 if isinstance(op, ast.Add) else -1)
        counters = [name for name, found in steps.items() if name in tested and len(found) == 1]
        counters.sort(key=lambda name: isinstance(self.lookup(name), int))  # a position rather than a number of steps
        if counters:
            return counters[0], steps[counters[0]].pop()
        return self.refuse("a while loop that does not count by one (unbounded as far as can be told)"), 0

    def limit(self, name: str, v: str, test: ast.expr, step: int, start: Expr) -> Expr | None:
        """The last value of the counter for which the test holds, where it holds for all values up to there."""
        self.store = dict(self.store)
        unknown = f"$i{self.fresh()}"  # unlike a position, it may be negative
        self.bind(name, S("number", Name(unknown)))
        around = compare(">=" if step > 0 else "<=", Name(unknown), start)
        self.push(CondEl(self.fresh(), around))
        saved = self.steps
        try:
            cond = self.condition_of(test)
        finally:
            self.path.pop()
            self.steps = saved
        v = unknown
        if not isinstance(cond, Compare) or not (whole(cond.left) and whole(cond.right)):
            return None
        terms, const = linear(cond.left)
        right, c0 = linear(cond.right)
        for atom, t in right.items():
            terms[atom] = terms.get(atom, 0.0) - t
        c = terms.pop(Name(v), 0.0)
        if abs(c) != 1 or any(v in free_names(a) for a in terms):
            return None
        edge = from_linear({a: -t / c for a, t in terms.items() if t}, -(const - c0) / c)
        op = cond.op if c > 0 else {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(cond.op, cond.op)
        if op == "!=":
            op = "<" if step > 0 else ">"
            if not self.nonnegative(arith("-", edge, start) if step > 0 else arith("-", start, edge)):
                return None
        if step > 0 and op in ("<", "<="):
            return arith("-", edge, ONE) if op == "<" else edge
        if step < 0 and op in (">", ">="):
            return arith("+", edge, ONE) if op == ">" else edge
        return None

    def condition_of(self, test: ast.expr) -> Expr:
        return self.condition(test)

    def count_through(
        self, node: ast.While, name: str, key: Any, v: str, low: Expr, high: Expr, step: int, body: list[ast.stmt], start: Expr
    ) -> Expr:
        end = arith("+", high, ONE) if step > 0 else arith("-", low, ONE)
        over = self.positions_of(v, low, high, step)
        o = over.segments[0]
        assert isinstance(o, Over)
        value = o.value
        store = dict(self.store)
        store.pop(key)
        self.store = store
        ends: dict[str, Any] = {}

        def run() -> Expr:
            live = self.block(body)
            frame = self.frames[-1]
            for _c, s in frame.continues:
                self.check_step(s.get(key), value, step)
            if live != FALSE:
                self.check_step(self.store.get(key), value, step)
            ends["breaks"] = [(b.cond, b.store.get(key)) for b in frame.breaks]
            return live

        _, returns = self.run_range(o, lambda x: self.bind(name, x), run, None)
        loop = self.last_loop
        final: Expr = end
        at_break = [(c, x) for c, x in ends.get("breaks", [])]
        r = loop.range
        ranged = compare(">=", high, low)
        untouched = self.nonnegative(
            arith("-", start, arith("-", low, ONE)) if step < 0 else arith("-", arith("+", high, ONE), start)
        )
        if not untouched:
            final = if_(ranged, end, start)
        if loop.stop is not None:
            value_at_stop: Expr | None = None
            for c, x in reversed(at_break):
                e = self.resolve(number(x))
                at = rename_in(e, {r.var: loop.stop})
                if value_at_stop is None or at == value_at_stop:
                    value_at_stop = at
                else:
                    value_at_stop = if_(rename_in(self.resolve(c), {r.var: loop.stop}), at, value_at_stop)
            assert value_at_stop is not None
            final = default(value_at_stop, final)
        self.store[key] = value_of("number", final)
        if node.orelse:
            self.refuse("the else of a while loop")
        return not_(returns)

    def positions_of(self, v: str, low: Expr, high: Expr, step: int) -> Seq:
        """low..high; where the counter numbers the elements of a list, the list's elements themselves."""
        by_list = self.list_range(low, high, step < 0)
        if by_list is not None:
            return by_list
        if not self.inside_later(low):
            self.refuse("a while loop that may leave the text")
        if not self.inside_later(arith("-", arith("-", N, ONE), high)):
            self.refuse("a while loop that may leave the text")
        r = Range(v, None if low == ZERO else low, None if high == arith("-", N, ONE) else high)
        return Seq((Over((r,), TRUE, S("number", Name(v)), step < 0),))

    def list_range(self, low: Expr, high: Expr, descending: bool, step: int = 1) -> Seq | None:
        """range(len(positions)) as the positions, each with its number; range(2, len(positions) - 1, 2) as some of them."""
        terms, rest = linear(arith("+", high, ONE))
        (size, times), *more = terms.items() or ((ZERO, 0.0),)
        if more or times != 1 or rest > 0 or not isinstance(low, Num) or low.value < 0:
            return None
        if not isinstance(size, Aggregate) or size.kind != "count" or size.range.domain is not None:
            return None
        v, w = self.var(), self.var()
        guard = rename_in(size.guard if size.guard is not None else TRUE, {size.range.var: Name(v)})
        before = Range(w, size.range.low, arith("-", Name(v), ONE))
        after = Range(w, arith("+", Name(v), ONE), size.range.high)
        other = rename_in(guard, {v: Name(w)})
        rank = quantified("count", before, other)
        chosen = and_(guard, _at_least(int(low.value), before, other), _at_least(int(-rest), after, other))
        if step != 1:
            chosen = and_(chosen, compare("==", arith("%", rank, num(step)), num(low.value % step)))
        return Seq((Over((Range(v, size.range.low, size.range.high),), chosen, S("number", rank), descending),))

    def check_step(self, new: Any, old: Any, step: int) -> None:
        if (
            new is None
            or sort_of(new) != "number"
            or arith("-", self.resolve(number(new)), number(old)) not in (ONE, arith("-", ZERO, ONE))
        ):
            self.refuse("a while loop whose counter does not move by one every time")
        if arith("-", self.resolve(number(new)), number(old)) != (ONE if step > 0 else arith("-", ZERO, ONE)):
            self.refuse("a while loop whose counter moves both ways")

    def climb(self, node: ast.While) -> bool:
        """while word.head != word: word = word.head (and a counter of the steps): up to the root."""
        test = node.test.values[0] if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else node.test
        name = climbing(test)
        if name is None or node.orelse:
            return False
        if isinstance(node.test, ast.BoolOp) and not all(far_limit(t) for t in node.test.values[1:]):
            return False
        counters: list[tuple[str, float]] = []
        moved = False
        for s in node.body:
            match s:
                case ast.Assign([ast.Name(x)], ast.Attribute(ast.Name(y), "head")) if x == y == name:
                    moved = True
                case ast.AugAssign(ast.Name(x), ast.Add(), ast.Constant(int() | float() as c)) if x != name:
                    counters.append((x, float(c)))
                case _:
                    return False
        word = self.lookup(name)
        if not moved or not (isinstance(word, S) and word.sort == "word"):
            return False
        a, b = self.var("w"), self.var("w")
        chain = Call("ancestors", (word.e,))
        steps = quantified("count", Range(a, None, None, chain), TRUE)
        root = find("first", Range(b, None, None, chain), compare("==", Call("head", (Name(b),)), Name(b)))
        self.bind(name, S("word", default(root, word.e)))
        for x, c in counters:
            start = number(self.lookup(x))
            self.bind(x, value_of("number", arith("+", start, arith("*", num(c), steps))))
        return True


CHANGING = ("add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "insert", "pop", "popitem",
            "popleft", "remove", "reverse", "setdefault", "sort", "update")  # fmt: skip


def changed_names(body: list[ast.stmt]) -> set[str]:
    """Names that statements bind anew, or whose object they may change: by an item, an attribute or a method of it."""
    found: set[str] = set()
    for n in ast.walk(ast.Module(body, [])):
        match n:
            case ast.Name(name, ast.Store() | ast.Del()):
                found.add(name)
            case ast.Subscript(ast.Name(name), _, ast.Store() | ast.Del()):
                found.add(name)
            case ast.Call(ast.Attribute(ast.Name(name), method)) if method in CHANGING:
                found.add(name)
    return found


def _at_least(number: int, within: Range, guard: Expr) -> Expr:
    """So many elements of the range, or more."""
    if number <= 1:
        return quantified("any", within, guard) if number else TRUE
    return compare(">=", quantified("count", within, guard), num(number))


def far_limit(test: ast.expr) -> bool:
    """steps < 50 and the like: no sentence is nested so deep."""
    match test:
        case ast.Compare(ast.Name(), [ast.Lt() | ast.LtE()], [ast.Constant(int() as limit)]):
            return limit >= 30
    return False
