"""`while` loops that step by more than one: up the tree from head to head, and over stretches whose end the body looks for."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.after_loops import AfterLoops
from dsl.lift.guards import compare, if_, not_, or_
from dsl.lift.likeness import Poison
from dsl.lift.machine import UNDEFINED
from dsl.lift.ranges import replace_names
from dsl.lift.terms import ONE, ZERO, N, arith
from dsl.lift.values import Over, Refusal, S, number, sort_of, value_of
from dsl.nodes import FALSE, TRUE, Call, Expr, Find, Name, Range, free_names

ABOVE = "the word above"  # a variable that no source can name


class Scans(AfterLoops):
    def climb_by_steps(self, node: ast.While) -> Expr | None:
        """while w.head != w and …: …; w = w.head; …: a loop over the ancestors of w."""
        tests = list(node.test.values) if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else [node.test]
        up = next((t for t in tests if climbing(t) is not None), None)
        name = None if up is None else climbing(up)
        if name is None:
            return None
        word = self.lookup(name)
        steps = [i for i, s in enumerate(node.body) if goes_up(s, name)]
        written = [
            n for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
        ]
        if len(steps) != 1 or len(written) != 1 or not (isinstance(word, S) and word.sort == "word"):
            return None
        body = list(node.body)
        body[steps[0]] = ast.Assign([ast.Name(name, ast.Store())], ast.Name(ABOVE, ast.Load()))
        rest = [t for t in tests if t is not up]
        if rest:
            test = rest[0] if len(rest) == 1 else ast.BoolOp(ast.And(), rest)
            body.insert(0, ast.If(ast.UnaryOp(ast.Not(), test), [ast.Break()], []))
        for s in body:
            ast.fix_missing_locations(ast.copy_location(s, node) if not hasattr(s, "lineno") else s)
        ancestors = self.word_attribute(word.e, "ancestors")
        return self.run_sequence(ancestors, lambda v: self.bind(ABOVE, v), body, node.orelse, None)

    def scan(self, node: ast.While) -> Expr | None:
        """while i < n: …; i = the next place where something holds: a loop over these places, and the one it begins at."""
        name = self.moved_name(node)
        start_value = UNDEFINED if name is None else self.lookup(name)
        if name is None or start_value is UNDEFINED or sort_of(start_value) != "number" or node.orelse:
            return None
        key = ("v", self.scope, name)
        if self.key_of(name) != key:
            return None
        start = number(start_value)
        v = self.var(name)
        kept = self.store
        high = self.limit(name, v, node.test, 1, start)
        self.store = kept
        if high is None or not self.nonnegative(start) or not self.nonnegative(arith("-", arith("-", N, ONE), high)):
            return None
        over = Range(v, None if start == ZERO else start, None if high == arith("-", N, ONE) else high)
        begins = self.stretches(node, key, over, arith("+", high, ONE))
        if begins is None:
            return None
        guard = or_(compare("==", Name(v), start), begins)
        store = dict(self.store)
        store.pop(key)
        self.store = store
        visited = Over((over,), guard, S("number", Name(v)))
        _, returns = self.run_range(visited, lambda x: self.bind(name, x), lambda: self.block(node.body), None)
        end = if_(compare(">=", high, start), arith("+", high, ONE), start)
        self.store[key] = value_of("number", end) if self.last_loop.stop is None else Poison(name)
        return not_(returns)

    def moved_name(self, node: ast.While) -> str | None:
        """The name that the test speaks of and the body changes."""
        tested = [n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)]
        stored = {n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        names = [n for n in dict.fromkeys(tested) if n in stored]
        return names[0] if len(names) == 1 else None

    def stretches(self, node: ast.While, key: Any, over: Range, end: Expr) -> Expr | None:
        """Where an iteration that begins at the range's variable leaves the counter: the guard of such places, of the variable."""
        logs = {i: len(a.log) for i, a in self.arrays.items()}
        owed, seen, doubts = len(self.owed), len(self.seen), len(self.rounding.doubts)
        carried, kept, before = dict(self.carried), self.store, dict(self.store)
        left: list[Any] = []

        def body() -> Expr:
            left.clear()
            live = self.block(node.body)
            left.extend(s.get(key) for _, s in self.frames[-1].continues)
            if live != FALSE:
                left.append(self.store.get(key))
            return live

        before.pop(key)
        self.store = before
        try:
            probe = Over((over,), TRUE, S("number", Name(over.var)))
            self.run_range(probe, lambda x: self.bind(key[2], x), body, None)
        except Refusal:
            return None
        finally:
            self.store, self.carried = kept, carried
            for i, a in self.arrays.items():
                del a.log[logs.get(i, 0) :]
            del self.owed[owed:], self.seen[seen:], self.rounding.doubts[doubts:]
        ends = [x.find() if hasattr(x, "find") else x for x in left]
        if not ends or any(sort_of(x) != "number" for x in ends):
            return None
        places = {self.resolve(number(x)) for x in ends}
        match list(places):
            case [Call("default", (Find("first", Range(t, low, _, None), guard), other))]:
                pass
            case _:
                return None
        if other != end or low != arith("+", Name(over.var), ONE) or over.var in free_names(guard):
            return None
        return replace_names(guard, {t: Name(over.var)})


def goes_up(s: ast.stmt, name: str) -> bool:
    match s:
        case ast.Assign([ast.Name(x)], ast.Attribute(ast.Name(y), "head")):
            return x == y == name
    return False


def climbing(test: ast.expr) -> str | None:
    """The name w in w.head != w, w.head.i != w.i, w != w.head, w.dep_ != "ROOT"."""
    match test:
        case ast.Compare(ast.Attribute(ast.Name(x), "head"), [ast.NotEq() | ast.IsNot()], [ast.Name(y)]) if x == y:
            return x
        case ast.Compare(ast.Name(y), [ast.NotEq() | ast.IsNot()], [ast.Attribute(ast.Name(x), "head")]) if x == y:
            return x
        case ast.Compare(
            ast.Attribute(ast.Attribute(ast.Name(x), "head"), "i"), [ast.NotEq()], [ast.Attribute(ast.Name(y), "i")]
        ) if x == y:
            return x
        case ast.Compare(
            ast.Attribute(ast.Name(y), "i"), [ast.NotEq()], [ast.Attribute(ast.Attribute(ast.Name(x), "head"), "i")]
        ) if x == y:
            return x
    return None
