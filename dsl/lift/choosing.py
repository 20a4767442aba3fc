"""Python's own functions that choose: min, max, any, all, next."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.collecting import Collecting
from dsl.lift.elements import choose_first
from dsl.lift.guards import and_, compare, default, if_, not_, or_
from dsl.lift.order import search
from dsl.lift.ranges import quantified
from dsl.lift.sequences import constant, fold_numbers, items_of, nonempty, quantify, renewed
from dsl.lift.terms import ZERO, arith, extreme
from dsl.lift.types import type_of
from dsl.lift.values import Arr, Item, Over, RowView, S, Seq, expr, kind_of, number, rename, sort_of, value_of
from dsl.nodes import TRUE, Call, Expr, Num

_NONE = object()
_TYPES: dict[str, type] = {t.__name__: t for t in (str, int, float, bool, list, tuple, dict, set)}


_SELF = object()  # the key of tuples that are compared themselves


def ahead(kind: str, a: tuple[Expr, ...], b: tuple[Expr, ...]) -> Expr:
    """Whether a comes before b for max or min, the first number deciding, then the second…"""
    better = compare(">" if kind == "max" else "<", a[0], b[0])
    if len(a) == 1 or len(b) == 1:
        return better
    return or_(better, and_(compare("==", a[0], b[0]), ahead(kind, a[1:], b[1:])))


class Choosing(Collecting):
    def py_min(self, *args: Any, **keywords: Any) -> Any:
        return self.extreme_of("min", args, keywords)

    def py_max(self, *args: Any, **keywords: Any) -> Any:
        return self.extreme_of("max", args, keywords)

    def extreme_of(self, kind: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        key, otherwise = keywords.pop("key", None), keywords.pop("default", _NONE)
        if keywords:
            self.refuse(f"{kind}(…) with these arguments")
        if len(args) > 1 and key is None:
            if all(isinstance(a, int | float) for a in args):
                return (min if kind == "min" else max)(args)
            es = [number(a) for a in args]
            return value_of("number", self.simplest_extreme(kind, es))
        seq = self.iterable(args[0]) if len(args) == 1 else constant(args)
        if key is None and seq.segments and all(isinstance(s.value, tuple) for s in seq.segments):
            key = _SELF
        if key is not None:
            return self.best_of(kind, seq, key, otherwise)
        known = items_of(seq)
        if known is not None and known and all(isinstance(a, int | float) for a in known):
            return (min if kind == "min" else max)(known)
        if known is not None and known and all(sort_of(v) in ("number", "guard") for v in known):
            return value_of("number", self.simplest_extreme(kind, [number(v) for v in known]))
        e = fold_numbers(self, kind, seq)
        if otherwise is not _NONE and otherwise is not None:
            e = default(e, number(otherwise))
        return value_of("number", e)

    def simplest_extreme(self, kind: str, es: list[Expr]) -> Expr:
        kept: list[Expr] = []
        for e in es:
            if any(self.below(kind, e, k) for k in kept):
                continue
            kept = [k for k in kept if not self.below(kind, k, e)]
            kept.append(e)
        return extreme(kind, kept)

    def below(self, kind: str, a: Expr, b: Expr) -> bool:
        """a can be left out beside b."""
        d = arith("-", b, a) if kind == "max" else arith("-", a, b)
        return self.nonnegative(d) and not isinstance(d, Num) if not isinstance(d, Num) else d.value >= 0

    def best_of(self, kind: str, seq: Seq, key: Any, otherwise: Any) -> Any:
        """min or max by a key: the first element whose key is the best."""
        if len(seq.segments) != 1 or not isinstance(seq.segments[0], Over) or len(seq.segments[0].ranges) != 1:
            known = items_of(seq)
            if known:
                best, score = known[0], self.scores(key, known[0])
                for v in known[1:]:
                    s = self.scores(key, v)
                    for part in s:
                        self.rounding.doubt("tie", part)
                    better = ahead(kind, s, score)
                    best, score = self.merge(better, v, best), tuple(if_(better, x, y) for x, y in zip(s, score, strict=True))
                return best
            return self.refuse(f"{kind}(…, key=…) of a list put together from several")
        if not seq.ordered:
            self.refuse("the order of this list follows from the data")
        a, b = renewed(self, seq.segments[0]), renewed(self, seq.segments[0])
        scores = [self.scores(key, o.value) for o in (a, b)]
        for part in scores[0]:
            self.rounding.doubt("tie", part)
        if len(scores[0]) == 1:
            best = quantified(kind, b.ranges[0], b.guard, scores[1][0])
            wins = compare("==", scores[0][0], best)
        else:
            wins = not_(quantified("any", b.ranges[0], and_(b.guard, ahead(kind, scores[1], scores[0]))))
        at = search(self, "last" if a.descending else "first", a.ranges[0], and_(a.guard, wins))
        value = rename(a.value, {a.ranges[0].var: at})
        if otherwise is _NONE or otherwise is None:
            return value
        return self.merge(nonempty(self, seq), value, otherwise)

    def scores(self, key: Any, value: Any) -> tuple[Expr, ...]:
        """What a key function gives, as numbers in the order of their weight."""
        found = value if key is _SELF else self.apply(key, [value], {})
        parts = found if isinstance(found, tuple) else (found,)
        if any(sort_of(p) not in ("number", "guard") for p in parts):
            self.refuse("choosing by computed strings")
        return tuple(number(p) for p in parts)

    def py_sum(self, x: Any, start: Any = 0) -> Any:
        if isinstance(x, Arr | RowView):
            total = self.numpy_call("np.sum", None, [x], {})
            if isinstance(total, S):
                self.rounding.in_turn(total.e)
            return total
        seq = self.iterable(x)
        if any(isinstance(self.unbox(s.value), Seq) for s in seq.segments):
            parts = [p for s in seq.segments if isinstance(s, Item) for p in self.iterable(s.value).segments]
            if all(isinstance(s, Item) and s.cond == TRUE for s in seq.segments):
                return self.box(Seq(tuple(parts)))
            self.refuse("a list of lists flattened by sum")
        total = fold_numbers(self, "sum", seq)
        return value_of("number", arith("+", total, number(start)))

    def py_any(self, x: Any) -> Any:
        return self.some(x, "any")

    def py_all(self, x: Any) -> Any:
        return self.some(x, "all")

    def some(self, x: Any, kind: str) -> Any:
        if isinstance(x, Arr | RowView):
            return self.numpy_call("np." + kind, None, [x], {})
        parts = []
        for s in self.iterable(x).segments:
            if isinstance(s, Item):
                t = self.truth(s.value)
                parts.append(and_(s.cond, t) if kind == "any" else or_(not_(s.cond), t))
                continue
            o = renewed(self, s)
            t = self.truth(o.value)
            if kind == "any":
                parts.append(quantify("any", o, and_(o.guard, t)))
            else:
                parts.append(not_(quantify("any", o, and_(o.guard, not_(t)))))
        return value_of("guard", self.decide(or_(*parts) if kind == "any" else and_(*parts)))

    def over_characters(self, kind: str, node: ast.expr) -> Any:
        """any(c.isdigit() for c in token) and kin."""
        if not isinstance(node, ast.GeneratorExp | ast.ListComp) or len(node.generators) != 1:
            return None
        g = node.generators[0]
        if not isinstance(g.target, ast.Name) or not isinstance(g.iter, ast.Name | ast.Subscript | ast.Call | ast.Attribute):
            return None
        if kind == "next":
            return None
        if (
            isinstance(g.iter, ast.Call)
            and isinstance(g.iter.func, ast.Name)
            and self.lookup(g.iter.func.id).__class__.__name__ == "Undefined"
        ):
            return None
        source = self.evaluate(g.iter)
        if not (isinstance(source, S) and source.sort == "text"):
            return None
        tests = [*g.ifs, node.elt] if kind != "sum" or not isinstance(node.elt, ast.Constant) else list(g.ifs)
        if len(tests) != 1:
            return self.refuse("the characters of a token one by one")
        test, negated = tests[0], False
        while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, negated = test.operand, not negated
        e = source.e
        wanted_all = kind == "all"
        c = g.target.id
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.left, ast.Name) and test.left.id == c:
            op = test.ops[0]
            if isinstance(op, ast.NotIn | ast.NotEq):
                negated = not negated
            if isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq):
                held = self.unbox(self.evaluate(test.comparators[0]))
                known = list(held) if isinstance(held, str | tuple) else items_of(held) if isinstance(held, Seq) else None
                if known is not None and all(isinstance(k, str) and len(k) == 1 for k in known) and kind != "sum":
                    some = Call("contains", (e, *(expr(k) for k in dict.fromkeys(known))))
                    only = compare("==", Call("strip", (e, expr("".join(known)))), expr(""))
                    guard = {(False, False): some, (False, True): not_(only), (True, False): only, (True, True): not_(some)}
                    return value_of("guard", guard[wanted_all, negated])
                if known is not None and kind == "sum" and not negated and all(isinstance(k, str) and len(k) == 1 for k in known):
                    total: Expr = ZERO
                    for k in dict.fromkeys(known):
                        total = arith("+", total, Call("occurrences", (e, expr(k))))
                    return value_of("number", total)
        if isinstance(test, ast.Call) and isinstance(test.func, ast.Attribute) and isinstance(test.func.value, ast.Name):
            kind_name = {"isalpha": "has_letter", "isdigit": "has_digit", "isalnum": "has_alnum", "isupper": "has_upper"}.get(
                test.func.attr
            )
            if test.func.value.id == c and not test.args and kind != "sum":
                if kind_name is not None and not wanted_all:
                    if not negated:
                        return value_of("guard", Call(kind_name, (e,)))
                    if test.func.attr in ("isalpha", "isdigit", "isalnum"):
                        whole_token = and_(compare("!=", e, expr("")), not_(Call(test.func.attr, (e,))))
                        return value_of("guard", whole_token)
                if wanted_all and not negated and test.func.attr in ("isalpha", "isdigit", "isalnum", "isspace"):
                    return value_of("guard", or_(compare("==", e, expr("")), Call(test.func.attr, (e,))))
                if wanted_all and negated and kind_name is not None:
                    return value_of("guard", not_(Call(kind_name, (e,))))
        return self.refuse("the characters of a token one by one")

    def py_isinstance(self, x: Any, kinds: Any) -> Any:
        names = [getattr(k, "name", "") for k in (kinds if isinstance(kinds, tuple) else (kinds,))]
        known = type_of(self.unbox(x))
        if known in (None, object) or not all(n in _TYPES for n in names):
            return self.refuse(f"isinstance of a {kind_of(x)}, whose type is not certain")
        assert known is not None
        return issubclass(known, tuple(_TYPES[n] for n in names))

    def py_hasattr(self, x: Any, name: Any) -> Any:
        known = type_of(self.unbox(x))
        if known in (None, object) or not isinstance(name, str):
            return self.refuse(f"hasattr of a {kind_of(x)}, whose type is not certain")
        return hasattr(known, name)

    def py_print(self, *args: Any, **keywords: Any) -> Any:
        return None

    def py_next(self, x: Any, *otherwise: Any) -> Any:
        seq = self.iterable(x)
        known = items_of(seq)
        if known is not None:
            return known[0] if known else otherwise[0] if otherwise else self.refuse("next(…) of nothing")

        value = choose_first(self, list(seq.segments), False)
        if not otherwise:
            return value
        if otherwise[0] is None and sort_of(value) in ("number", "word"):
            return value
        if sort_of(value) == "number" and isinstance(otherwise[0], int | float | S):
            return value_of("number", default(number(value), number(otherwise[0])))
        return self.merge(nonempty(self, seq), value, otherwise[0])

    def py_iter(self, x: Any) -> Any:
        return self.iterable(x)

    def py_map(self, f: Any, *lists: Any) -> Any:
        seq = self.iterable(lists[0]) if len(lists) == 1 else self.py_zip(*lists)
        return self.each(seq, lambda v: self.apply(f, list(v) if len(lists) > 1 else [v], {}))

    def each(self, seq: Seq, change: Any) -> Seq:
        segments: list[Item | Over] = []
        for s in seq.segments:
            if isinstance(s, Item):
                segments.append(Item(self.frozen(change(s.value)), s.cond))
            else:
                o = renewed(self, s)
                segments.append(Over(o.ranges, o.guard, self.frozen(change(o.value)), o.descending))
        return Seq(tuple(segments), False, seq.ordered and not seq.is_set)

    def py_filter(self, f: Any, x: Any) -> Any:
        segments: list[Item | Over] = []
        for s in self.iterable(x).segments:
            o: Any = s if isinstance(s, Item) else renewed(self, s)
            test = self.truth(o.value if f is None else self.apply(f, [o.value], {}))
            if isinstance(o, Item):
                segments.append(Item(o.value, and_(o.cond, test)))
            else:
                segments.append(Over(o.ranges, and_(o.guard, test), o.value, o.descending))
        return Seq(tuple(segments))

    def py_pow(self, a: Any, b: Any) -> Any:
        return self.binary(ast.Pow(), a, b)

    def py_divmod(self, a: Any, b: Any) -> Any:
        return self.binary(ast.FloorDiv(), a, b), self.binary(ast.Mod(), a, b)

    def py_getattr(self, of: Any, name: Any, *otherwise: Any) -> Any:
        if not isinstance(name, str):
            self.refuse("getattr with a computed name")
        if otherwise and not (isinstance(of, S) and of.sort == "word") and not self.py_hasattr(of, name):
            return otherwise[0]
        return self.attribute(of, name)
