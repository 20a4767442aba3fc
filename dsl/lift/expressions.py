"""Expressions: names, operators, comprehensions, subscripts."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.build import (
    ONE,
    N,
    and_,
    arith,
    compare,
    exists,
    member,
    neg,
    not_,
    num,
    or_,
)
from dsl.lift.loops import Poison
from dsl.lift.machine import UNDEFINED, Conflict
from dsl.lift.sequences import (
    combine_sets,
    constant,
    constant_key,
    contains,
    dict_get,
    dict_has,
    dict_values,
    element,
    items_of,
    mapped,
    nonempty,
    plain,
    renewed,
    sliced,
)
from dsl.lift.statements import Statements
from dsl.lift.values import (
    Arr,
    Builtin,
    CondEl,
    Dict,
    DictSlot,
    Doc,
    EmptyList,
    Item,
    Later,
    Loop,
    LoopEl,
    Opaque,
    Over,
    Ref,
    Refusal,
    RowView,
    S,
    Sentence,
    Seq,
    Slice,
    equal,
    expr,
    high_of,
    is_none,
    kind_of,
    low_of,
    number,
    sort_of,
    value_of,
)
from dsl.nodes import FALSE, TRUE, Bool, Call, Expr, Name, Range

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}
_COMPARISON = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


class Expressions(Statements):
    def evaluate(self, node: ast.expr) -> Any:
        self.step(node)
        value = self.value(node)
        if isinstance(value, Later):
            value = value.find()
        if isinstance(value, Poison):
            self.refuse(f"the value of {value.name!r} after the loop that changes it")
        return value

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value):
                if isinstance(value, complex | bytes) or value is Ellipsis:
                    return Opaque("..." if value is Ellipsis else "constant")
                return value
            case ast.Name(name):
                return self.name(name)
            case ast.BinOp(left, op, right):
                return self.binary(op, self.evaluate(left), self.evaluate(right))
            case ast.UnaryOp(op, operand):
                return self.unary(op, operand)
            case ast.BoolOp():
                return self.boolean(node)
            case ast.Compare():
                return self.comparison(node)
            case ast.IfExp(test, body, orelse):
                return self.conditional(test, body, orelse)
            case ast.Call():
                return self.call(node)
            case ast.Attribute(of, name):
                return self.attribute(self.evaluate(of), name)
            case ast.Subscript(of, index):
                return self.item(self.evaluate(of), self.index(index))
            case ast.Tuple(elts):
                return tuple(self.elements(elts))
            case ast.List(elts):
                return self.box(constant(self.elements(elts)))
            case ast.Set(elts):
                return self.box(constant(self.elements(elts), True))
            case ast.Dict(keys, values):
                return self.dictionary(keys, values)
            case ast.ListComp(elt, generators):
                seq = self.comprehension(generators, lambda: self.frozen(self.evaluate(elt)))
                if len(seq.segments) == 1 and isinstance(seq.segments[0].value, Arr) and plain_over(seq.segments[0]):
                    rows = self.as_array(seq)
                    rows.is_list = True
                    return rows
                return self.box(seq)
            case ast.SetComp(elt, generators):
                seq = self.comprehension(generators, lambda: self.frozen(self.evaluate(elt)))
                return self.box(Seq(seq.segments, True))
            case ast.GeneratorExp(elt, generators):
                return self.comprehension(generators, lambda: self.frozen(self.evaluate(elt)))
            case ast.DictComp(key, value, generators):
                return self.dict_comprehension(key, value, generators)
            case ast.Lambda(args):
                return self.function(node, args)
            case ast.JoinedStr():
                return Opaque("string")
            case ast.NamedExpr(target, value):
                result = self.evaluate(value)
                self.assign(target, result)
                return result
        return self.refuse(f"an expression of this kind ({type(node).__name__.lower()})")

    def elements(self, nodes: list[ast.expr]) -> list[Any]:
        result: list[Any] = []
        for n in nodes:
            if isinstance(n, ast.Starred):
                value = self.unbox(self.evaluate(n.value))
                known = list(value) if isinstance(value, tuple) else items_of(value) if isinstance(value, Seq) else None
                if known is None:
                    self.refuse("a starred list of unknown length")
                result.extend(known or [])
            else:
                result.append(self.evaluate(n))
        return result

    def stored(self, value: Any) -> Any:
        """A list put into another, by value; it must not be changed by its own name afterwards."""
        if isinstance(value, Ref):
            self.shared.add(value.id)
        return self.frozen(value)

    def frozen(self, value: Any) -> Any:
        """Lists inside lists are held by value; a list that is changed later through its own name would be missed."""
        if isinstance(value, Ref):
            return self.unbox(value)
        return value

    def name(self, name: str) -> Any:
        value = self.lookup(name)
        if value is UNDEFINED:
            value = self.environment.get(name, UNDEFINED)
            if value is UNDEFINED:
                self.refuse(f"the name {name!r} is not part of the environment")
        if isinstance(value, Conflict):
            resolved = self.decided_conflict(value)
            if isinstance(resolved, Conflict):
                self.refuse(f"{name!r} holds values of different kinds ({kind_of(value.a)}, {kind_of(value.b)})")
            return resolved
        return value

    def decided_conflict(self, value: Any) -> Any:
        """On this path only one side may be possible."""
        while isinstance(value, Conflict):
            verdict = self.decide(value.cond)
            if verdict == TRUE:
                value = value.a
            elif verdict == FALSE:
                value = value.b
            elif value.a is None and not isinstance(value.b, Conflict):
                value = value.b  # where it is None, using it would raise
            elif value.b is None and not isinstance(value.a, Conflict):
                value = value.a
            else:
                break
        return value

    # --- conditions ---------------------------------------------------------------------------------------------

    def condition(self, node: ast.expr) -> Expr:
        """An expression where only its truth matters."""
        match node:
            case ast.BoolOp(op, values):
                parts: list[Expr] = []
                pushed = 0
                for v in values:
                    part = self.condition(v)
                    parts.append(part)
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
        value = self.unbox(value)
        match value:
            case S("guard", e):
                return e
            case S("number", e):
                return compare("!=", e, num(0)) if not isinstance(e, Name) or e.name != "n" else TRUE
            case S("text", e):
                return and_(exists(e), compare("!=", e, expr("")))
            case S("word", e):
                return exists(e)
            case Seq():
                return nonempty(self, value)
            case Dict(items, writes):
                if items:
                    return TRUE
                return or_(*(self.any_write(w) for w in writes))
            case None | bool() | int() | float() | str() | tuple():
                return Bool(bool(value))
            case Arr() | RowView():
                return self.refuse("the truth of an array")
            case Doc():
                return self.truth(self.iterable(value))
        return TRUE

    def any_write(self, w: Any) -> Expr:
        from dsl.lift.sequences import quantify, renewed_write

        o = renewed_write(self, w)
        return quantify("any", Over(o.ranges, o.cond, None), o.cond) if o.ranges else o.cond

    def boolean(self, node: ast.BoolOp) -> Any:
        """`a and b`, `a or b` as values."""
        is_and = isinstance(node.op, ast.And)
        result: Any = None
        pushed = 0
        values = []
        for v in node.values:
            value = self.evaluate(v)
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

    def conditional(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Any:
        cond = self.condition(test)
        if isinstance(cond, Bool):
            return self.evaluate(body if cond.value else orelse)
        self.push(CondEl(self.fresh(), cond))
        a = self.evaluate(body)
        self.path.pop()
        self.push(CondEl(self.fresh(), cond, False))
        b = self.evaluate(orelse)
        self.path.pop()
        return self.merge(cond, a, b)

    def comparison(self, node: ast.Compare) -> Any:
        left = self.evaluate(node.left)
        parts: list[Any] = []
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(right_node)
            parts.append(self.compare_values(op, left, right))
            left = right
        if len(parts) == 1:
            return parts[0]
        return value_of("guard", self.decide(and_(*(expr(p) for p in parts))))

    def compare_values(self, op: ast.cmpop, a: Any, b: Any) -> Any:
        a, b = self.decided_conflict(a), self.decided_conflict(b)
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
        for x, y in ((a, b), (b, a)):
            if isinstance(x, Opaque) and x.name.startswith("token:") and sort_of(y) == "text":
                same = member(expr(y), x.name[6:].split(" "))
                return value_of("guard", not_(same) if isinstance(op, ast.NotEq | ast.IsNot) else same)
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
            same = self.decide(equal(a, b))
            return value_of("guard", not_(same) if isinstance(op, ast.NotEq) else same)
        if sort_of(a) == "text" and isinstance(a, str) and isinstance(b, str):
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[_COMPARISON[type(op)]]
        if a is None or b is None:
            return False
        return value_of("guard", self.decide(compare(_COMPARISON[type(op)], number(a), number(b))))

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

    def equal_lists(self, a: Any, b: Any) -> Expr:
        def listed(v: Any) -> Any:
            return list(v) if isinstance(v, tuple) else v

        a, b = listed(a), listed(b)
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

    def inside_of(self, x: Any, container: Any) -> Expr:
        """x in container."""
        container = self.unbox(container)
        match container:
            case Seq():
                return contains(self, container, self.frozen(x))
            case tuple():
                return contains(self, constant(container), x)
            case Dict():
                return dict_has(self, container, x)
            case DictSlot(ref, key):
                found = dict_get(self, self.unbox(ref), key, Seq())
                return contains(self, self.unbox(found), x)
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

    # --- operators ----------------------------------------------------------------------------------------------

    def unary(self, op: ast.unaryop, operand: ast.expr) -> Any:
        if isinstance(op, ast.Not):
            return value_of("guard", self.decide(not_(self.condition(operand))))
        value = self.row_array(self.evaluate(operand))
        if isinstance(value, Arr):
            return self.elementwise(lambda x: self.unary_value(op, x), value)
        return self.unary_value(op, value)

    def unary_value(self, op: ast.unaryop, value: Any) -> Any:
        match op:
            case ast.USub():
                return value_of("number", neg(number(value)))
            case ast.UAdd():
                return value
            case ast.Invert():
                if sort_of(value) == "guard":
                    return value_of("guard", not_(expr(value)))
                return value_of("number", arith("-", neg(number(value)), ONE))
        return value_of("guard", not_(self.truth(value)))

    def binary(self, op: ast.operator, a: Any, b: Any) -> Any:
        a, b = self.row_array(self.decided_conflict(a)), self.row_array(self.decided_conflict(b))
        for v in (a, b):
            if isinstance(v, Conflict):
                self.refuse(f"a value of different kinds ({kind_of(v.a)}, {kind_of(v.b)})")
        ua, ub = self.unbox(a), self.unbox(b)
        if (isinstance(ua, Arr) and not ua.is_list) or (isinstance(ub, Arr) and not ub.is_list):
            if isinstance(op, ast.MatMult):
                return self.refuse("a matrix product")
            return self.elementwise(
                lambda x, y: self.binary(op, x, y), self.as_array(a) if isinstance(ua, Seq) else a,
                self.as_array(b) if isinstance(ub, Seq) else b,
            )  # fmt: skip
        if isinstance(ua, Seq) != isinstance(ub, Seq) and isinstance(op, ast.Sub | ast.Div | ast.Pow | ast.Add):
            if sort_of(ub if isinstance(ua, Seq) else ua) == "number":
                left = isinstance(ua, Seq)
                return self.box(
                    self.same_places(ua if left else ub, lambda v: self.binary(op, v, ub) if left else self.binary(op, ua, v))
                )
        if (
            isinstance(ua, Seq | tuple | DictSlot)
            or isinstance(ub, Seq | tuple | DictSlot)
            or isinstance(ua, Arr)
            or isinstance(ub, Arr)
        ):
            return self.list_operation(op, ua, ub)
        if isinstance(ua, Opaque) or isinstance(ub, Opaque):
            return Opaque("string")
        if sort_of(a) == "text" or sort_of(b) == "text":
            return self.text_operation(op, a, b)
        if isinstance(op, ast.BitAnd | ast.BitOr | ast.BitXor) and sort_of(a) == sort_of(b) == "guard":
            x, y = expr(a), expr(b)
            made = (
                and_(x, y)
                if isinstance(op, ast.BitAnd)
                else or_(x, y)
                if isinstance(op, ast.BitOr)
                else or_(and_(x, not_(y)), and_(not_(x), y))
            )
            return value_of("guard", made)
        if type(op) not in _BINARY:
            self.refuse("an operator on bits")
        if isinstance(a, int | float) and isinstance(b, int | float):
            return self.constant_operation(_BINARY[type(op)], a, b)
        if a is None or b is None:
            self.refuse("arithmetic with None")
        symbol = _BINARY[type(op)]
        x, y = number(a), number(b)
        return value_of("number", arith(symbol, x, y))

    def constant_operation(self, op: str, a: float, b: float) -> Any:
        try:
            if op == "**" and (abs(a) > 1e6 or abs(b) > 100):
                raise OverflowError
            result = {
                "+": lambda: a + b,
                "-": lambda: a - b,
                "*": lambda: a * b,
                "/": lambda: a / b,
                "//": lambda: a // b,
                "%": lambda: a % b,
                "**": lambda: a**b,
            }[op]()
        except (ZeroDivisionError, OverflowError):
            return self.refuse("a division by zero or an overflow")
        if isinstance(result, complex):
            self.refuse("a complex number")
        return result

    def list_operation(self, op: ast.operator, a: Any, b: Any) -> Any:
        for x, y in ((a, b), (b, a)):
            if isinstance(op, ast.Mult) and isinstance(x, Seq | tuple):
                known = items_of(x) if isinstance(x, Seq) else list(x)
                if known is None:
                    self.refuse("a list repeated")
                assert known is not None
                if isinstance(y, int):
                    if len(known) * y > 10_000:
                        self.refuse("a very long list")
                    return self.box(constant(known * y)) if isinstance(x, Seq) else tuple(known) * y
                if len(known) == 1:
                    size = number(y)
                    return self.list_array(size, known[0])
                self.refuse("a list repeated")
        if isinstance(a, Arr) and isinstance(op, ast.Add):
            a = self.iterable(a)
        if isinstance(b, Arr) and isinstance(op, ast.Add):
            b = self.iterable(b)
        if isinstance(a, tuple) and isinstance(b, tuple) and isinstance(op, ast.Add):
            return a + b
        a = constant(a) if isinstance(a, tuple) else self.listed(a)
        b = constant(b) if isinstance(b, tuple) else self.listed(b)
        symbol = {ast.BitOr: "|", ast.BitAnd: "&", ast.Sub: "-", ast.BitXor: "^"}.get(type(op))
        if symbol is not None:
            return self.box(combine_sets(self, symbol, a, b))
        if not isinstance(op, ast.Add):
            self.refuse("this operation on lists")
        return self.box(Seq((*a.segments, *b.segments), False, a.ordered and b.ordered))

    def listed(self, v: Any) -> Seq:
        if isinstance(v, Seq):
            return v
        return self.iterable(v)

    def text_operation(self, op: ast.operator, a: Any, b: Any) -> Any:
        if isinstance(a, str) and isinstance(b, str) and isinstance(op, ast.Add):
            return a + b
        if isinstance(a, str) and isinstance(b, int) and isinstance(op, ast.Mult) and b < 1000:
            return a * b
        if isinstance(op, ast.Mod) and isinstance(a, str):
            return Opaque("string")
        return self.refuse("strings put together")

    # --- comprehensions -----------------------------------------------------------------------------------------

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
            from dsl.lift.sequences import as_filter

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
        from dsl.lift.values import Write

        if constant_key(key) and not d.writes:
            items = dict(d.items)
            items[key] = value
            return Dict(tuple(items.items()), d.writes, d.factory)
        return Dict(d.items, (*d.writes, Write((), TRUE, key, self.frozen(value))), d.factory)

    def dict_comprehension(self, key: ast.expr, value: ast.expr, generators: list[ast.comprehension]) -> Any:
        from dsl.lift.values import Write

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

    # --- subscripts ---------------------------------------------------------------------------------------------

    def index(self, node: ast.expr) -> Any:
        """An index, slices as Slice, several as a tuple."""
        match node:
            case ast.Slice(low, high, step):
                return Slice(*(None if x is None else self.evaluate(x) for x in (low, high, step)))
            case ast.Tuple(elts):
                return tuple(self.index(e) for e in elts)
        return self.evaluate(node)

    def item(self, of: Any, index: Any) -> Any:
        """of[index]."""
        holder = of = self.decided_conflict(of)
        of = self.unbox(of)
        index = self.decided_conflict(index)
        match of:
            case Arr() | RowView():
                return self.array_item(of, index)
            case Seq():
                if isinstance(index, Slice):
                    return self.box(sliced(self, of, index.low, index.high, index.step))
                inner = self.unbox(index)
                if isinstance(inner, Seq) and (chosen := self.picked(of, inner)) is not None:
                    return self.box(chosen)
                if isinstance(index, tuple | Arr):
                    return self.array_item(self.as_array(of), index)
                if self.failing is not None:
                    from dsl.lift.sequences import length

                    self.fails_if(not_(compare("<", number(index), length(self, of))))
                return element(self, of, index)
            case tuple():
                if isinstance(index, Slice):
                    return of[slice(index.low, index.high, index.step)]
                if isinstance(index, bool | int):
                    if not -len(of) <= index < len(of):
                        self.refuse("an index beyond the end of a tuple")
                    return of[index]
                return element(self, constant(of), index)
            case Dict():
                if isinstance(holder, Ref) and isinstance(of.factory, EmptyList) and not constant_key(index):
                    return DictSlot(holder, index)
                if self.failing is not None:
                    self.fails_if(not_(dict_has(self, of, index)))
                return dict_get(self, of, index)
            case DictSlot(ref, key):
                return self.item(dict_get(self, self.unbox(ref), key, Seq()), index)
            case Doc():
                return self.doc_item(index)
            case S("text", e):
                return self.text_item(e, index)
            case str():
                if isinstance(index, int | Slice):
                    return of[slice(index.low, index.high, index.step)] if isinstance(index, Slice) else of[index]
                if isinstance(index, S):
                    return element(self, constant(tuple(of)), index)
            case Opaque("encoding" | "encodings"):
                return self.attribute(of, index) if index == "input_ids" else self.refuse("this part of the encoding")
            case Opaque("batch"):
                if index == 0 or (isinstance(index, tuple) and index[0] == 0 and index[1] == Slice(None, None, None)):
                    return Opaque("ids")
                if isinstance(index, tuple) and index[0] == 0:
                    return self.item(Opaque("ids"), index[1])
                return self.refuse("this part of the encoding")
            case Opaque("ids"):
                return self.item(self.iterable(of), index)
            case Opaque(name):
                return Opaque(name)
            case Builtin() if of.name.startswith("typing"):
                return of
            case Sentence():
                return self.sentence_item(of, index)
        if isinstance(of, Conflict):
            return self.merge(of.cond, self.item(of.a, index), self.item(of.b, index))
        return self.refuse(f"an element of a {kind_of(of)}")

    def text_item(self, e: Expr, index: Any) -> Any:
        if isinstance(index, Slice):
            if index.step not in (None, 1):
                if index.low is None and index.high is None and index.step == -1:
                    self.refuse("a string reversed")
                self.refuse("a slice with a step")
            if index.low is None and index.high is None:
                return S("text", e)
            low = num(0) if index.low is None else number(index.low)
            args = (e, low) if index.high is None else (e, low, number(index.high))
            return S("text", Call("slice", args))
        i = number(index)
        if index == -1:
            return S("text", Call("slice", (e, num(-1))))
        return S("text", Call("slice", (e, i, arith("+", i, ONE))))

    # --- iteration ----------------------------------------------------------------------------------------------

    def iterable(self, value: Any) -> Seq:
        value = self.unbox(self.decided_conflict(value))
        match value:
            case Seq():
                return value
            case tuple() | str():
                return constant(tuple(value))
            case Dict():
                return dict_values(self, value, "keys")
            case DictSlot(ref, key):
                return self.iterable(dict_get(self, self.unbox(ref), key, Seq()))
            case Opaque("ids"):
                return mapped(self, lambda p: S("id", Call("text", (p,))))
            case Opaque("batch"):
                return constant((Opaque("ids"),))
            case Doc():
                v = self.var("w")
                return Seq((Over((Range(v, None, None, Call("words", ())),), TRUE, S("word", Name(v))),))
            case Sentence(word):
                v = self.var("w")
                same = compare("==", Call("sentence", (Name(v),)), Call("sentence", (word,)))
                return Seq((Over((Range(v, None, None, Call("words", ())),), same, S("word", Name(v))),))
            case Arr(dims=dims):
                if len(dims) == 1:
                    from dsl.nodes import Num

                    if isinstance(dims[0], Num):
                        return constant([self.array_item(value, i) for i in range(int(dims[0].value))])
                    return mapped(self, lambda p: self.array_item(value, S("number", p)), None, arith("-", dims[0], ONE))
                return mapped(self, lambda p: RowView(value, S("number", p)), None, arith("-", dims[0], ONE))
            case RowView():
                return self.iterable(self.row_array(value))
            case Conflict(cond=cond, a=a, b=b):
                from dsl.lift.machine import merge_sequences

                return merge_sequences(cond, self.iterable(a), self.iterable(b))
            case S("text"):
                self.refuse("the characters of a token one by one")
        return self.refuse(f"going through a {kind_of(value)}")


def plain_over(s: Item | Over) -> bool:
    return isinstance(s, Over) and plain(s)


def _conditional_all(segments: list[Item | Over], cond: Expr) -> list[Item | Over]:
    from dsl.lift.machine import conditional

    return [conditional(s, cond) for s in segments] if cond != TRUE else segments
