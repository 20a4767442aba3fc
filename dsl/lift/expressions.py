"""Expressions: names, operators, comprehensions, subscripts."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from dsl.lift.assignments import Assignments
from dsl.lift.guards import or_
from dsl.lift.likeness import Poison
from dsl.lift.machine import UNDEFINED, Conflict, conditional
from dsl.lift.sequences import constant, items_of, plain
from dsl.lift.values import Arr, Item, Later, LoopEl, Opaque, Over, Ref, Refusal, Seq, joined, kind_of
from dsl.nodes import FALSE, TRUE, Expr


class Expressions(Assignments):
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
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return self.known_number(value)
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
                return replace(self.comprehension(generators, lambda: self.frozen(self.evaluate(elt))), once=True)
            case ast.DictComp(key, value, generators):
                return self.dict_comprehension(key, value, generators)
            case ast.Lambda(args):
                return self.function(node, args)
            case ast.JoinedStr(values):
                return self.formatted(values)
            case ast.NamedExpr(target, value):
                result = self.evaluate(value)
                self.assign(target, result)
                return result
        return self.refuse(f"an expression of this kind ({type(node).__name__.lower()})")

    def formatted(self, values: list[ast.expr]) -> Any:
        """f"{a}_{b}": strings one after the other; of anything else in it nothing can be told."""
        parts: list[Any] = []
        for v in values:
            match v:
                case ast.Constant(text):
                    parts.append(text)
                case ast.FormattedValue(ast.Name() | ast.Subscript() as inner, -1, None):
                    try:
                        parts.append(self.evaluate(inner))
                    except Refusal:
                        return Opaque("string")
                case _:
                    return Opaque("string")
        made = joined(*parts)
        return Opaque("string") if made is None else made

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
        """A list or an array put into a list, by value; it must not be changed by its own name afterwards."""
        if isinstance(value, Arr):
            within = [i for i, el in enumerate(self.path) if isinstance(el, LoopEl) and i >= value.base]
            if within and any(len(e.path) > within[0] for e in value.log):  # a loop that began after the array was made
                self.refuse("an array that is changed after it was put into a list")
            self.shared.add(value.id)
        if isinstance(value, Ref):
            self.shared.add(value.id)
            frame = self.loop_frame()
            here = self.since(frame.base if frame is not None else 0)
            self.shared_when[value.id] = or_(self.shared_when.get(value.id, FALSE), here)
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

    def decided_conflict(self, value: Any, used: bool = True) -> Any:
        """On this path only one side may be possible. used: as something else than None."""
        while isinstance(value, Conflict):
            verdict = self.decide(value.cond)
            if verdict == TRUE:
                value = value.a
            elif verdict == FALSE:
                value = value.b
            elif used and value.a is None and not isinstance(value.b, Conflict):
                value = value.b  # where it is None, using it would raise
            elif used and value.b is None and not isinstance(value.a, Conflict):
                value = value.a
            else:
                break
        return value


def plain_over(s: Item | Over) -> bool:
    return isinstance(s, Over) and plain(s)


def _conditional_all(segments: list[Item | Over], cond: Expr) -> list[Item | Over]:

    return [conditional(s, cond) for s in segments] if cond != TRUE else segments
