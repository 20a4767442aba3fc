"""Comprehensions and dictionaries."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.dictionaries import constant_key
from dsl.lift.expressions import _conditional_all
from dsl.lift.guards import and_
from dsl.lift.operators import Operators
from dsl.lift.sequences import as_filter, items_of, renewed
from dsl.lift.values import CondEl, Dict, Item, Loop, LoopEl, Over, Refusal, Seq, Write
from dsl.nodes import FALSE, TRUE, Expr


class Comprehensions(Operators):
    def comprehension(self, generators: list[ast.comprehension], make: Any) -> Seq:
        outer = self.scope
        self.scope = self.new_scope(outer)
        try:
            return self.generate(generators, make)
        finally:
            self.scope = outer

    def generate(self, generators: list[ast.comprehension], make: Any) -> Seq:
        if not generators:
            return Seq((Item(make()),))
        g, *rest = generators
        source = self.iterable(self.evaluate(g.iter))
        if source.is_set and items_of(source) is None:
            try:
                source = as_filter(self, source)
            except Refusal:
                source = Seq(source.segments, False, False)
        segments: list[Item | Over] = []
        for s in source.segments:
            if isinstance(s, Item):
                if s.cond != TRUE:
                    self.push(CondEl(self.fresh(), s.cond))
                pushed = s.cond != TRUE
                made = self.generate_one(g, s.value, rest, make)
                if pushed:
                    self.path.pop()
                segments.extend(_conditional_all(made, s.cond))
                continue
            o = renewed(self, s)
            if isinstance(g.target, ast.Name):
                self.named[o.ranges[0].var] = g.target.id
            elif isinstance(g.target, ast.Tuple) and isinstance(g.target.elts[0], ast.Name):
                self.named[o.ranges[0].var] = g.target.elts[0].id
            loops = [Loop(self.fresh(), r, TRUE, o.descending, self.line) for r in o.ranges]
            loops[-1].guard = o.guard
            for loop in loops:
                self.push(LoopEl(loop))
            made = self.generate_one(g, o.value, rest, make)
            del self.path[len(self.path) - len(loops) :]
            for m in made:
                if isinstance(m, Item):
                    segments.append(Over(o.ranges, and_(o.guard, m.cond), m.value, o.descending))
                else:
                    if m.descending != o.descending:
                        source = Seq(source.segments, source.is_set, False)
                    segments.append(Over((*o.ranges, *m.ranges), and_(o.guard, m.guard), m.value, o.descending))
            if len(made) > 1:
                source = Seq(source.segments, source.is_set, False)
        kept = tuple(s for s in segments if (s.cond if isinstance(s, Item) else s.guard) != FALSE)
        return Seq(kept, False, source.ordered)

    def generate_one(self, g: ast.comprehension, value: Any, rest: list[ast.comprehension], make: Any) -> list[Item | Over]:
        self.assign(g.target, value)
        conds: list[Expr] = []
        pushed = 0
        result: list[Item | Over] = []
        for test in g.ifs:
            cond = self.condition(test)
            if cond == FALSE:
                break
            if cond != TRUE:
                conds.append(cond)
                self.push(CondEl(self.fresh(), cond))
                pushed += 1
        else:
            inner = self.generate(rest, make)
            result = _conditional_all(list(inner.segments), and_(*conds))
        if pushed:
            del self.path[len(self.path) - pushed :]
        return result

    def dictionary(self, keys: list[ast.expr | None], values: list[ast.expr]) -> Any:
        result = Dict()
        for k, v in zip(keys, values, strict=True):
            if k is None:
                other = self.unbox(self.evaluate(v))
                if not isinstance(other, Dict):
                    self.refuse("a dictionary unpacked")
                result = self.updated(result, other)
                continue
            result = self.with_entry(result, self.evaluate(k), self.evaluate(v))
        return self.box(result)

    def updated(self, d: Dict, other: Dict) -> Dict:
        for k, v in other.items:
            d = self.with_entry(d, k, v)
        return Dict(d.items, (*d.writes, *other.writes), d.factory)

    def with_entry(self, d: Dict, key: Any, value: Any) -> Dict:

        if constant_key(key) and not d.writes:
            items = dict(d.items)
            items[key] = value
            return Dict(tuple(items.items()), d.writes, d.factory)
        return Dict(d.items, (*d.writes, Write((), TRUE, key, self.frozen(value))), d.factory)

    def dict_comprehension(self, key: ast.expr, value: ast.expr, generators: list[ast.comprehension]) -> Any:

        pairs = self.comprehension(generators, lambda: (self.evaluate(key), self.frozen(self.evaluate(value))))
        result = Dict()
        for s in pairs.segments:
            k, v = s.value
            if isinstance(s, Item):
                if s.cond != TRUE:
                    self.refuse("a dictionary whose keys depend on the data")
                result = self.with_entry(result, k, v)
            else:
                result = Dict(result.items, (*result.writes, Write(s.ranges, s.guard, k, v, "last", 0.0, s.descending)))
        return self.box(result)
