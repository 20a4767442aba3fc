"""Assignment and augmented assignment."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.dictionaries import constant_key
from dsl.lift.functions import Functions
from dsl.lift.machine import UNDEFINED
from dsl.lift.sequences import items_of
from dsl.lift.values import Arr, Dict, Instance, Ref, RowView, Seq, Write
from dsl.nodes import TRUE, Num


class Assignments(Functions):
    def count_up(self, of: ast.Name, key: ast.expr, amount: ast.expr, start: ast.expr, whole: ast.expr) -> None:
        """d[key] = d.get(key, start) + amount."""
        holder = self.evaluate(of)
        held = self.unbox(holder)
        first = self.evaluate(start)
        if not isinstance(held, Dict) or not isinstance(first, int | float) or constant_key(k := self.index(key)):
            self.assign_item(holder, self.index(key), "set", self.evaluate(whole))
            return
        write = Write((), TRUE, k, self.evaluate(amount), "sum", float(first))
        self.rebox(holder, Dict(held.items, (*held.writes, write), held.factory))

    def assign(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(name):
                if (self.scope, name) in self.outer_scopes:
                    key = self.key_of(name, self.parents[self.scope])
                    self.store[key if key is not None else ("v", 0, name)] = value
                else:
                    self.bind(name, value)
            case ast.Tuple(elts) | ast.List(elts):
                parts = self.unpacked(value, elts)
                for part, v in zip(elts, parts, strict=True):
                    self.assign(part, v)
            case ast.Subscript(of, index):
                self.assign_item(self.evaluate(of), self.index(index), "set", value)
            case ast.Attribute(of, name):
                holder = self.evaluate(of)
                if not isinstance(holder, Instance):
                    self.refuse("setting an attribute")
                self.store[("v", holder.scope, name)] = value
            case _:
                self.refuse("an assignment of this kind")

    def unpacked(self, value: Any, elts: list[ast.expr]) -> list[Any]:
        if any(isinstance(e, ast.Starred) for e in elts):
            self.refuse("a starred assignment")
        value = self.unbox(value)
        if isinstance(value, Seq):
            known = items_of(value)
            value = tuple(known) if known is not None else self.refuse("unpacking a list of unknown length")
        if isinstance(value, Arr) and isinstance(value.dims[0], Num):
            value = tuple(self.item(value, i) for i in range(int(value.dims[0].value)))
        if isinstance(value, str) and len(value) == len(elts):
            value = tuple(value)
        if not isinstance(value, tuple) or len(value) != len(elts):
            self.refuse("unpacking")
        return list(value)

    def augment(self, target: ast.expr, op: ast.operator, value: ast.expr) -> None:
        match target:
            case ast.Name(name):
                old = self.lookup(name)
                new = self.evaluate(value)
                if old is UNDEFINED:
                    self.refuse(f"the name {name} is not defined")
                if isinstance(old, Arr) and not old.is_list:
                    self.augment_array(old, op, new)
                    return
                if isinstance(old, RowView):
                    self.augment_item(old.array, (old.index,), op, new)
                    return
                if isinstance(old, Ref) and isinstance(op, ast.Add | ast.BitOr | ast.Sub | ast.BitAnd):
                    held = self.unbox(old)
                    if isinstance(held, Seq):
                        result = self.unbox(self.binary(op, old, new))
                        if isinstance(result, Seq) and isinstance(op, ast.Add):
                            self.rebox(old, Seq(result.segments, held.is_set, held.ordered))
                            return
                        self.rebox(old, result)
                        return
                self.assign(target, self.binary(op, old, new))
            case ast.Subscript(of, index):
                self.augment_item(self.evaluate(of), self.index(index), op, self.evaluate(value))
            case ast.Attribute(of, name):
                holder = self.evaluate(of)
                if not isinstance(holder, Instance):
                    self.refuse("setting an attribute")
                old = self.attribute(holder, name)
                self.store[("v", holder.scope, name)] = self.binary(op, old, self.evaluate(value))
