"""Functions of the program, inlined; its small classes."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.machine import Conflict, Frame
from dsl.lift.statements import Statements
from dsl.lift.values import Class, Func, Instance
from dsl.nodes import FALSE


class Functions(Statements):
    def function(self, node: ast.FunctionDef | ast.Lambda, args: ast.arguments) -> Func:
        if args.kwarg:
            self.refuse("a function with ** arguments")
        defaults = [self.evaluate(d) for d in args.defaults]
        defaults += [None if d is None else self.evaluate(d) for d in args.kw_defaults]
        return Func(node, self.scope, tuple(defaults))

    def call_function(self, f: Func, args: list[Any], keywords: dict[str, Any]) -> Any:
        if len(self.frames) > 40:
            self.refuse("recursion")
        spec = f.node.args
        if f.bound is not None:
            args = [f.bound, *args]
        names = [a.arg for a in (*spec.posonlyargs, *spec.args)]
        values: dict[str, Any] = {}
        if len(args) > len(names):
            if spec.vararg is None:
                self.refuse("a call with too many arguments")
            assert spec.vararg is not None
            values[spec.vararg.arg] = tuple(args[len(names) :])
            args = args[: len(names)]
        elif spec.vararg is not None:
            values[spec.vararg.arg] = ()
        plain = len(spec.defaults)
        for name, value in zip(names[len(names) - plain :], f.defaults[:plain], strict=True):
            values[name] = value
        for kw, value in zip(spec.kwonlyargs, f.defaults[plain:], strict=True):
            values[kw.arg] = value
        values.update(zip(names, args, strict=False))
        for name, value in keywords.items():
            if name not in names and name not in [a.arg for a in spec.kwonlyargs]:
                self.refuse("a call with an unknown keyword")
            values[name] = value
        missing = [n for n in names if n not in values]
        if missing:
            self.refuse(f"a call without its argument {missing[0]}")
        outer, line = self.scope, self.line
        self.scope = self.new_scope(f.scope)
        try:
            for name, value in values.items():
                self.bind(name, value)
            if isinstance(f.node, ast.Lambda):
                self.step(f.node.body)
                result = self.evaluate(f.node.body)
            else:
                result = self.run_body(f.node)
            self.line = line  # a refusal keeps the line it happened in
            return result
        finally:
            self.scope = outer

    def run_body(self, node: ast.FunctionDef) -> Any:
        frame = Frame("function", len(self.path))
        self.frames.append(frame)
        live = self.block(node.body)
        self.frames.pop()
        if live != FALSE:
            frame.returns.append((live, None, self.store))
        if not frame.returns:
            return None
        *earlier, (_, value, store) = frame.returns
        self.store = dict(store)
        for _, _, other in earlier:  # so that references of all sides can be followed
            for key, v in other.items():
                if key[0] == "h":
                    self.store.setdefault(key, v)
        for cond, v, other in reversed(earlier):
            merged = self.merge_stores(cond, other, self.store)
            value = self.merge(cond, v, value)
            self.store = merged
        if isinstance(value, Conflict):
            self.refuse("a function that returns values of different kinds")
        return value

    def instantiate(self, cls: Class, args: list[Any], keywords: dict[str, Any]) -> Any:
        scope = self.new_scope(cls.scope)
        instance = Instance(scope, cls)
        fields = []
        for s in cls.node.body:
            if isinstance(s, ast.FunctionDef) and s.name == "__init__":
                self.call_function(Func(s, cls.scope, tuple(self.evaluate(d) for d in s.args.defaults), instance), args, keywords)
                return instance
            if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name):
                fields.append((s.target.id, s.value))
        for (name, _), value in zip(fields, args, strict=False):
            self.store[("v", scope, name)] = value
        for name, d in fields[len(args) :]:
            if name in keywords:
                self.store[("v", scope, name)] = keywords[name]
            elif d is not None:
                self.store[("v", scope, name)] = self.evaluate(d)
        return instance
