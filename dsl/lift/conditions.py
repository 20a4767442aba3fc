"""Conditions, comparisons and membership."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.decimals import compares_alike, counted
from dsl.lift.dictionaries import dict_has, entries_asked, renewed_write
from dsl.lift.elements import element
from dsl.lift.expressions import Expressions
from dsl.lift.guards import and_, compare, exists, guard_if, member, not_, or_
from dsl.lift.infinity import compared as infinite_limit
from dsl.lift.machine import Conflict
from dsl.lift.sequences import constant, contains, items_of, nonempty, one_to_one, plain, quantify, renewed
from dsl.lift.terms import FLIP, ONE, N, arith, num
from dsl.lift.values import (
    Arr,
    Builtin,
    Class,
    CondEl,
    Dict,
    DictSlot,
    Doc,
    Func,
    Instance,
    Item,
    Joined,
    Module,
    Opaque,
    Over,
    RowView,
    S,
    Sentence,
    Seq,
    Stream,
    equal,
    expr,
    high_of,
    is_none,
    kind_of,
    low_of,
    number,
    rename,
    sort_of,
    value_of,
)
from dsl.nodes import FALSE, TRUE, Bool, Call, Expr, Name, Num, Or

_COMPARISON = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


FEW = 8  # elements of slices that are compared one by one


class Conditions(Expressions):
    def condition(self, node: ast.expr) -> Expr:
        """An expression where only its truth matters."""
        match node:
            case ast.BoolOp(op, values):
                parts: list[Expr] = []
                pushed = 0
                for v in values:
                    before = dict(self.store)
                    part = self.condition(v)
                    parts.append(part)
                    self.unchanged(before, first=len(parts) == 1)
                    if part == (FALSE if isinstance(op, ast.And) else TRUE):
                        break
                    if not isinstance(part, Bool):
                        self.push(CondEl(self.fresh(), part, isinstance(op, ast.And)))
                        pushed += 1
                if pushed:
                    del self.path[len(self.path) - pushed :]
                return self.decide(and_(*parts) if isinstance(op, ast.And) else or_(*parts))
            case ast.UnaryOp(ast.Not(), operand):
                return self.decide(not_(self.condition(operand)))
            case ast.Name(name):
                value = self.lookup(name)
                if isinstance(value, Conflict):
                    return self.decide(self.truth_of_conflict(value))
        return self.decide(self.truth(self.evaluate(node)))

    def truth_of_conflict(self, value: Any) -> Expr:
        if isinstance(value, Conflict):
            return or_(and_(value.cond, self.truth_of_conflict(value.a)), and_(not_(value.cond), self.truth_of_conflict(value.b)))
        return self.truth(value)

    def truth(self, value: Any) -> Expr:
        holder, value = value, self.unbox(value)
        match value:
            case S("guard", e):
                return e
            case S("number", e):
                self.rounding.doubt("!=", e)
                return and_(exists(e), compare("!=", e, num(0))) if not isinstance(e, Name) or e.name != "n" else TRUE
            case S("text", e):
                return and_(exists(e), compare("!=", e, expr("")))
            case S("word", e):
                return exists(e)
            case Seq():
                return nonempty(self, value)
            case Dict(items, writes):
                entries_asked(self, holder)
                if items:
                    return TRUE
                return or_(*(self.any_write(w) for w in writes))
            case None | bool() | int() | float() | str() | tuple():
                return Bool(bool(value))
            case Arr() | RowView():
                return self.refuse("the truth of an array")
            case Doc():
                return self.truth(self.iterable(value))
            case DictSlot():
                return self.truth(self.slot_list(value))
            case Joined(parts):
                return or_(*(self.truth(p) for p in parts))
            case Func() | Builtin() | Class() | Module() | Instance() | Stream() | Sentence():
                return TRUE
            case Opaque(name) if name not in ("string", "constant"):
                return TRUE
        return self.refuse(f"the truth of a {kind_of(value)}")

    def any_write(self, w: Any) -> Expr:

        o = renewed_write(self, w)
        return quantify("any", Over(o.ranges, o.cond, None), o.cond) if o.ranges else o.cond

    def boolean(self, node: ast.BoolOp) -> Any:
        """`a and b`, `a or b` as values."""
        is_and = isinstance(node.op, ast.And)
        result: Any = None
        pushed = 0
        values: list[tuple[Any, Expr]] = []
        for v in node.values:
            before = dict(self.store)
            value = self.evaluate(v)
            self.unchanged(before, first=not values)
            truth = self.decide(self.truth(value))
            values.append((value, truth))
            if truth == (FALSE if is_and else TRUE):
                break
            if not isinstance(truth, Bool):
                self.push(CondEl(self.fresh(), truth, is_and))
                pushed += 1
        if pushed:
            del self.path[len(self.path) - pushed :]
        plain_values = all(sort_of(v) is not None or v is None for v, _ in values)
        sorts = {sort_of(v) for v, _ in values if v is not None}
        if plain_values and sorts == {"guard", "number"}:  # i > 2 and j: a truth value counts as 1 or 0
            values = [(v if v is None else value_of("number", number(v)), t) for v, t in values]
            sorts = {"number"}
        if plain_values and len(sorts) == 1 and sorts != {"guard"}:
            *rest, (result, _) = values
            for value, truth in reversed(rest):
                result = self.merge(truth, result, value) if is_and else self.merge(truth, value, result)
            return result
        if not is_and and any(isinstance(self.unbox(v), Seq | Dict) for v, _ in values):
            *rest, (result, _) = values
            for value, truth in reversed(rest):
                result = self.merge(truth, value, result)
            return result
        guards = [t for _, t in values]
        return value_of("guard", self.decide(and_(*guards) if is_and else or_(*guards)))

    def unchanged(self, before: dict[Any, Any], first: bool) -> None:
        """`x in seen or seen.add(x)` changes a list only in some cases."""
        if not first and any(k in before and v is not before[k] for k, v in self.store.items() if k[0] == "h"):
            self.refuse("a list changed inside a condition")

    def conditional(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Any:
        cond = self.condition(test)
        if isinstance(cond, Bool):
            return self.evaluate(body if cond.value else orelse)
        before = dict(self.store)
        self.push(CondEl(self.fresh(), cond))
        a = self.evaluate(body)
        self.path.pop()
        after_body, self.store = self.store, dict(before)
        self.push(CondEl(self.fresh(), cond, False))
        b = self.evaluate(orelse)
        self.path.pop()
        if after_body != before or self.store != before:  # x.append(1) if c else y.append(1)
            after_other = self.store
            self.store = {**after_other, **after_body}
            self.store = self.merge_stores(cond, after_body, after_other)
        return self.merge(cond, a, b)

    def comparison(self, node: ast.Compare) -> Any:
        left = self.compared(node.left, node.ops[0])
        parts: list[Any] = []
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.compared(right_node, op)
            parts.append(self.compare_values(op, left, right))
            left = right
        if len(parts) == 1:
            return parts[0]
        return value_of("guard", self.decide(and_(*(expr(p) for p in parts))))

    def compared(self, node: ast.expr, op: ast.cmpop) -> Any:
        """One side of a comparison; None beside a truth value stays None where Python would tell the two apart."""
        if isinstance(node, ast.Name) and isinstance(op, ast.Is | ast.IsNot | ast.Eq | ast.NotEq):
            held = self.decided_conflict(self.lookup(node.id), used=False)
            if isinstance(held, Conflict) and (held.a is None or held.b is None):
                return held
        return self.evaluate(node)

    def compare_values(self, op: ast.cmpop, a: Any, b: Any) -> Any:
        used = not isinstance(op, ast.Is | ast.IsNot | ast.Eq | ast.NotEq)
        a, b = self.decided_conflict(a, used), self.decided_conflict(b, used)
        match op:
            case ast.Is() | ast.IsNot() | ast.Eq() | ast.NotEq() if isinstance(a, Conflict) or isinstance(b, Conflict):
                conflict, other = (a, b) if isinstance(a, Conflict) else (b, a)
                assert isinstance(conflict, Conflict)
                same = or_(
                    and_(conflict.cond, expr(self.compare_values(ast.Eq(), conflict.a, other))),
                    and_(not_(conflict.cond), expr(self.compare_values(ast.Eq(), conflict.b, other))),
                )
                return value_of("guard", not_(same) if isinstance(op, ast.IsNot | ast.NotEq) else same)
            case ast.Is() | ast.IsNot():
                same = is_none(b if a is None else a) if a is None or b is None else equal(a, b)
                return value_of("guard", self.decide(not_(same) if isinstance(op, ast.IsNot) else same))
            case ast.In() | ast.NotIn():
                found = self.decide(self.inside_of(a, b))
                return value_of("guard", not_(found) if isinstance(op, ast.NotIn) else found)
        if isinstance(a, RowView) or isinstance(b, RowView):
            a, b = self.row_array(a), self.row_array(b)
        if isinstance(a, Arr) or isinstance(b, Arr):
            return self.elementwise(lambda x, y: self.compare_values(op, x, y), a, b)
        ua, ub = self.unbox(a), self.unbox(b)
        if isinstance(ua, Seq) != isinstance(ub, Seq) and (sort_of(ub if isinstance(ua, Seq) else ua) == "number"):
            left = isinstance(ua, Seq)  # an array of numpy; Python's lists do not compare with numbers
            return self.same_places(
                ua if left else ub, lambda v: self.compare_values(op, v, ub) if left else self.compare_values(op, ua, v)
            )
        if isinstance(ua, Seq) or isinstance(ub, Seq):
            if isinstance(op, ast.Eq | ast.NotEq):
                same = self.equal_lists(ua, ub)
                return value_of("guard", self.decide(not_(same) if isinstance(op, ast.NotEq) else same))
            if isinstance(op, ast.LtE) and isinstance(ua, Seq):
                known = items_of(ua)
                if known is not None:
                    return value_of("guard", and_(*(self.inside_of(x, b) for x in known)))
            self.refuse("comparing lists")
        if isinstance(op, ast.Eq | ast.NotEq):
            endless = None
            if sort_of(a) == sort_of(b) == "number":
                self.rounding.doubt("==", number(a), number(b))
                endless = self.beside_infinity("==", number(a), number(b))
            same = self.decide(equal(a, b) if endless is None else endless)
            return value_of("guard", not_(same) if isinstance(op, ast.NotEq) else same)
        if sort_of(a) == "text" and isinstance(a, str) and isinstance(b, str):
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[_COMPARISON[type(op)]]
        if a is None or b is None:
            return False
        if sort_of(a) == sort_of(b) == "text":
            self.refuse("the alphabetical order of two texts")
        return value_of("guard", self.decide(self.compare_numbers(_COMPARISON[type(op)], number(a), number(b))))

    def compare_numbers(self, op: str, a: Expr, b: Expr) -> Expr:
        """a op b as Python's doubles have it: by how often a decimal is added, where its product compares otherwise."""
        for x, y, way in ((a, b, op), (b, a, FLIP[op])):
            repeated = self.rounding.repeated.get(x) if x not in self.multiplied else None
            if repeated is not None and isinstance(y, Num) and not compares_alike(way, repeated, y.value):
                reached = counted(way, repeated, y.value)
                if reached is not None:
                    return compare(reached[0], repeated.count, num(reached[1]))
        self.rounding.doubt(op, a, b)
        endless = self.beside_infinity(op, a, b)
        return compare(op, a, b) if endless is None else endless

    def beside_infinity(self, op: str, a: Expr, b: Expr) -> Expr | None:
        """a op b where one of them is infinity."""
        for x, y, way in ((a, b, op), (b, a, FLIP[op])):
            endless = infinite_limit(way, x, y)
            if endless is not None:
                return compare(endless[0], x, endless[1]) if isinstance(endless, tuple) else and_(exists(x), endless)
        return None

    def same_places(self, seq: Seq, change: Any) -> Seq:
        """The list with every element changed, over the same variables, so that the two can be laid side by side."""
        segments: list[Item | Over] = []
        for s in seq.segments:
            if isinstance(s, Item):
                segments.append(Item(change(s.value), s.cond))
            else:
                segments.append(Over(s.ranges, s.guard, change(s.value), s.descending))
        return Seq(tuple(segments), seq.is_set, seq.ordered)

    def picked(self, seq: Seq, mask: Seq) -> Seq | None:
        """array[mask], where the mask was made from the array."""
        if len(seq.segments) != len(mask.segments):
            return None
        segments: list[Item | Over] = []
        for s, t in zip(seq.segments, mask.segments, strict=True):
            if sort_of(t.value) != "guard" or type(s) is not type(t):
                return None
            if isinstance(s, Item) and isinstance(t, Item):
                segments.append(Item(s.value, and_(s.cond, expr(t.value))))
            elif isinstance(s, Over) and isinstance(t, Over):
                if s.ranges != t.ranges or s.guard != t.guard:
                    return None
                segments.append(Over(s.ranges, and_(s.guard, expr(t.value)), s.value, s.descending))
        return Seq(tuple(segments), seq.is_set, seq.ordered)

    def equal_slices(self, a: Over, b: Over) -> Expr | None:
        """tokens[i - 2:i] == tokens[j - 2:j]: as many elements on both sides, a few."""
        sizes = []
        for o in (a, b):
            r = o.ranges[0]
            if len(o.ranges) != 1 or r.domain is not None or o.guard != TRUE or o.descending:
                return None
            sizes.append(arith("-", arith("+", high_of(r), ONE), low_of(r)))
        size = sizes[0]
        if sizes[1] != size or not isinstance(size, Num) or not 0 <= size.value <= FEW:
            return None
        pairs = []
        for i in range(int(size.value)):
            x, y = (rename(o.value, {o.ranges[0].var: arith("+", low_of(o.ranges[0]), num(i))}) for o in (a, b))
            pairs.append(equal(x, y))
        return and_(*pairs)

    def equal_lists(self, a: Any, b: Any) -> Expr:
        def listed(v: Any) -> Any:
            return list(v) if isinstance(v, tuple) else v

        a, b = listed(a), listed(b)
        overs = [x.segments[0] for x in (a, b) if isinstance(x, Seq) and len(x.segments) == 1 and isinstance(x.segments[0], Over)]
        domains = [o.ranges[0].domain for o in overs if one_to_one(o)]
        if len(domains) == 2 and all(d is not None and d.name == "words" for d in domains):
            return not_(or_(self.some_beyond(a, b), self.some_beyond(b, a)))
        if len(overs) == 2 and (one_by_one := self.equal_slices(*overs)) is not None:
            return one_by_one
        if isinstance(a, Seq) and not (isinstance(b, Seq) and items_of(a) is not None):
            a, b = b, a
        known = a if isinstance(a, list) else items_of(a) if isinstance(a, Seq) else None
        if known is None or not isinstance(b, Seq):
            return self.refuse("comparing lists")
        other = items_of(b)
        if other is not None:
            return and_(*(equal(x, y) for x, y in zip(known, other, strict=True))) if len(known) == len(other) else FALSE
        if len(b.segments) != 1 or not isinstance(b.segments[0], Over) or not plain(b.segments[0]):
            if not known:
                return not_(nonempty(self, b))
            return self.refuse("comparing lists")
        over = b.segments[0].ranges[0]
        size = arith("+", arith("-", high_of(over), low_of(over)), ONE)
        same_size = compare("==", size, num(len(known))) if size != N else compare("==", N, num(len(known)))
        return and_(same_size, *(equal(element(self, b, i), x) for i, x in enumerate(known)))

    def some_beyond(self, a: Seq, b: Seq) -> Expr:
        """Whether the first list of words, each in the text's order, has one that the second has not."""
        o = renewed(self, a.segments[0])  # type: ignore[arg-type]
        return quantify("any", o, and_(o.guard, not_(contains(self, b, o.value))))

    def inside_of(self, x: Any, container: Any) -> Expr:
        """x in container."""
        holder, container = container, self.unbox(container)
        match container:
            case Seq():
                return contains(self, container, self.frozen(x))
            case Stream():
                return contains(self, self.iterable(container), self.frozen(x))
            case tuple():
                return contains(self, constant(container), x)
            case Dict():
                entries_asked(self, holder)
                return dict_has(self, container, x)
            case DictSlot():
                return contains(self, self.unbox(self.slot_list(container)), x)
            case Conflict(cond=cond, a=a, b=b):
                yes, no = self.inside_of(x, a), self.inside_of(x, b)
                cases = no.items if isinstance(no, Or) else (no,)
                if all(and_(cond, case) == FALSE for case in cases):  # they say which case they are of
                    return or_(and_(cond, yes), no)
                return guard_if(cond, yes, no)
            case str():
                if isinstance(x, str):
                    return Bool(x in container)
                return self.substring(x, container)
            case S("text", e):
                return Call("contains", (e, expr(x)))
            case Arr():
                if len(container.dims) == 1:
                    return contains(self, self.iterable(container), x)
        return self.refuse(f"membership in a {kind_of(container)}")

    def substring(self, x: Any, container: str) -> Expr:
        """A text inside a constant string: one of its parts."""
        parts = {container[i:j] for i in range(len(container) + 1) for j in range(i, len(container) + 1)}
        if len(container) > 12:
            return Call("contains", (expr(container), expr(x)))
        ordered = sorted(parts, key=lambda s: (len(s), container.find(s)))
        if len(ordered) > 20:
            return Call("contains", (expr(container), expr(x)))
        return member(expr(x), ordered)
