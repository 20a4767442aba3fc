"""Arithmetic on numbers, lists and arrays."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.conditions import Conditions
from dsl.lift.guards import and_, compare, if_, not_, or_
from dsl.lift.infinity import LARGE, is_endless, real
from dsl.lift.infinity import REASON as NO_ARITHMETIC
from dsl.lift.machine import Conflict
from dsl.lift.sequences import combine_sets, constant, items_of
from dsl.lift.terms import ONE, ZERO, arith, neg, num
from dsl.lift.values import Arr, DictSlot, Joined, Opaque, Seq, expr, joined, kind_of, number, sort_of, value_of
from dsl.nodes import Expr

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}


class Operators(Conditions):
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
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return -value
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
                self.as_array(b) if isinstance(ub, Seq) else b, kind="float" if isinstance(op, ast.Div) else None,
            )  # fmt: skip
        if isinstance(ua, Seq) != isinstance(ub, Seq):
            one = sort_of(ub if isinstance(ua, Seq) else ua) == "number"
            if one and isinstance(op, ast.Sub | ast.Div | ast.Pow | ast.Add):
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
        if sort_of(a) == "text" or sort_of(b) == "text" or isinstance(a, Joined):
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
        if is_endless(x) or is_endless(y):
            return self.with_infinity(symbol, x, y)
        made = arith(symbol, x, y)
        if symbol == "*":
            self.multiplied.add(made)
        if symbol in ("//", "%"):
            self.rounding.doubt("whole", x, y)
        return value_of("number", made)

    def with_infinity(self, op: str, x: Expr, y: Expr) -> Any:
        """x op y where one of them may be infinite."""
        if op in "+-" and not (is_endless(x) and is_endless(y)):
            return value_of("number", arith(op, x, y))
        if op == "/" and not is_endless(x):  # divided by infinity is 0
            beyond = or_(compare(">=", y, num(LARGE)), compare("<=", y, num(-LARGE)))
            return value_of("number", if_(beyond, ZERO, arith("/", x, y)))
        return self.refuse(NO_ARITHMETIC)

    def constant_operation(self, op: str, a: float, b: float) -> Any:
        a, b = real(a), real(b)
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
        return self.known_number(result)

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
        if isinstance(op, ast.Add) and (made := joined(a, b)) is not None:
            return made
        return self.refuse("strings put together")
