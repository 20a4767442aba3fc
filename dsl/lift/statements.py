"""Statements: both branches of an `if` are followed, loops over positions are executed once."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.guards import and_, not_, or_
from dsl.lift.machine import Frame
from dsl.lift.values import Break, Builtin, Class, CondEl, Module, equal
from dsl.lift.whiles import Whiles
from dsl.nodes import FALSE, TRUE, Bool, Expr

ALLOWED = (
    "numpy",
    "math",
    "re",
    "string",
    "collections",
    "typing",
    "itertools",
    "functools",
    "__future__",
    "dataclasses",
    "operator",
    "bisect",
    "warnings",
    "numpy.typing",
    "collections.abc",
)

MODULES = ("numpy", "math", "re", "string", "collections", "itertools", "functools", "operator", "bisect")


def counted(of: ast.Name, key: ast.expr, value: ast.expr) -> tuple[ast.expr, ast.expr, ast.expr] | None:
    """The amount and the start in d[key] = d.get(key, start) + amount."""
    match value:
        case ast.BinOp(ast.Call(ast.Attribute(ast.Name(name), "get"), [again, start], []), ast.Add(), amount):
            pass
        case ast.BinOp(amount, ast.Add(), ast.Call(ast.Attribute(ast.Name(name), "get"), [again, start], [])):
            pass
        case _:
            return None
    if name == of.id and ast.dump(again) == ast.dump(key):
        return amount, start, value
    return None


class Statements(Whiles):
    def block(self, body: list[ast.stmt]) -> Expr:
        """Executes the statements; the guard under which the block's end is reached."""
        pushed = 0
        live: Expr = TRUE
        for node in body:
            here, element = self.statement(node)
            if here == FALSE:
                live = FALSE
                break
            if here != TRUE:
                if element is None:
                    element = CondEl(self.fresh(), here, True, tuple(self.breaks_not_taken(here)))
                self.push(element)
                pushed += 1
                live = and_(live, here)
        del self.path[len(self.path) - pushed :]
        return live

    def breaks_not_taken(self, live: Expr) -> list[int]:
        """The breaks of the innermost loop that happened on paths from here on."""
        frame = self.loop_frame()
        if frame is None:
            return []
        depth = len(self.path)
        return [b.id for b in frame.breaks if self._below(b, depth, frame)]

    def _below(self, b: Break, depth: int, frame: Frame) -> bool:
        here = self.path[frame.base : depth]
        return len(b.path) > len(here) and all(
            isinstance(x, CondEl) and x.id == y.id and x.positive == y.positive for x, y in zip(here, b.path, strict=False)
        )

    def loop_frame(self) -> Frame | None:
        for frame in reversed(self.frames):
            if frame.kind == "loop":
                return frame
            if frame.kind == "function":
                return None
        return None

    def statement(self, node: ast.stmt) -> tuple[Expr, CondEl | None]:
        self.step(node)
        match node:
            case ast.Assign([ast.Subscript(ast.Name() as of, key)], value) if (more := counted(of, key, value)) is not None:
                self.count_up(of, key, *more)
            case ast.Assign(targets, value):
                result = self.evaluate(value)
                for target in targets:
                    self.assign(target, result)
            case ast.AnnAssign(target, _, value):
                if value is not None:
                    self.assign(target, self.evaluate(value))
            case ast.AugAssign(target, op, value):
                self.augment(target, op, value)
            case ast.Expr(ast.Call(ast.Attribute(ast.IfExp(test, body, orelse), method), args, keywords)):
                calls = [
                    ast.Expr(ast.Call(ast.Attribute(of, method, ast.Load()), args, keywords)) for of in (body, orelse)
                ]  # (a if c else b).append(x)
                chosen = ast.copy_location(ast.If(test, [calls[0]], [calls[1]]), node)
                return self.if_statement(ast.fix_missing_locations(chosen))
            case ast.Expr(value):
                if not isinstance(value, ast.Constant):
                    self.evaluate(value)
            case ast.If():
                return self.if_statement(node)
            case ast.For():
                return self.for_statement(node), None
            case ast.While():
                return self.while_statement(node), None
            case ast.Break() | ast.Continue():
                self.interrupt(isinstance(node, ast.Break))
                return FALSE, None
            case ast.Return(value):
                self.return_value(None if value is None else self.evaluate(value))
                return FALSE, None
            case ast.FunctionDef():
                if node.decorator_list:
                    self.refuse("a decorated function")
                self.bind(node.name, self.function(node, node.args))
            case ast.ClassDef():
                self.bind(node.name, Class(node, self.scope))
            case ast.Import(names):
                for alias in names:
                    self.import_module(alias.name, alias.asname or alias.name.split(".")[0])
            case ast.ImportFrom(module, names):
                self.import_names(module or "", names)
            case ast.Pass() | ast.Global() | ast.Nonlocal():
                if isinstance(node, ast.Nonlocal | ast.Global):
                    self.outer_names(node)
            case ast.Assert():
                pass
            case ast.Delete():
                self.refuse("del")
            case ast.Try():
                return self.try_statement(node)
            case ast.Raise():
                return FALSE, None
            case ast.With():
                if all(isinstance(i.context_expr, ast.Call) and "errstate" in ast.unparse(i.context_expr) for i in node.items):
                    return self.block(node.body), None
                self.refuse("a with statement")
            case ast.Match():
                return self.match_statement(node), None
            case _:
                self.refuse(f"a statement of this kind ({type(node).__name__.lower()})")
        return TRUE, None

    # --- imports ------------------------------------------------------------------------------------------------

    def import_module(self, name: str, bound: str) -> None:
        if name.split(".")[0] == "random" or name.startswith("numpy.random"):
            self.bind(bound, Module("random"))
            return
        if name not in ALLOWED:
            self.refuse(f"import of {name}: only numpy and Python's pure modules are there")
        self.bind(bound, Module(name.split(".")[0] if bound == name.split(".")[0] else name))

    def import_names(self, module: str, names: list[ast.alias]) -> None:
        for alias in names:
            bound = alias.asname or alias.name
            if module == "numpy" and alias.name == "random":
                self.bind(bound, Module("random"))
            elif module.startswith(("typing", "__future__", "collections.abc", "dataclasses", "numpy.typing")):
                self.bind(bound, Builtin("typing." + alias.name))
            elif module.split(".")[0] in (
                "numpy",
                "math",
                "re",
                "string",
                "collections",
                "itertools",
                "functools",
                "operator",
                "bisect",
            ):
                self.bind(bound, self.attribute(Module(module.split(".")[0]), alias.name))
            elif module == "random":
                self.bind(bound, Builtin("random." + alias.name))
            else:
                self.refuse(f"import of {module}: only numpy and Python's pure modules are there")

    def outer_names(self, node: ast.Nonlocal | ast.Global) -> None:
        for name in node.names:
            self.outer_scopes.add((self.scope, name))

    # --- branches -----------------------------------------------------------------------------------------------

    def if_statement(self, node: ast.If) -> tuple[Expr, CondEl | None]:
        cond = self.condition(node.test)
        if isinstance(cond, Bool):
            return self.block(node.body if cond.value else node.orelse), None
        return self.branch(cond, lambda: self.block(node.body), lambda: self.block(node.orelse))

    def branch(self, cond: Expr, then: Any, other: Any) -> tuple[Expr, CondEl | None]:
        """Follows both ways; states become one again afterwards."""
        at = self.fresh()
        before = dict(self.store)
        yes, no = CondEl(at, cond), CondEl(at, cond, False)
        self.push(yes)
        live_yes = then()
        self.path.pop()
        after_yes, self.store = self.store, before
        self.push(no)
        live_no = other()
        self.path.pop()
        after_no = self.store
        if live_yes == FALSE:
            self.store = after_no
            for key, value in after_yes.items():
                if key[0] == "h":
                    self.store.setdefault(key, value)
        elif live_no == FALSE:
            self.store = after_yes
            for key, value in after_no.items():
                if key[0] == "h":
                    self.store.setdefault(key, value)
        else:
            self.store = {**after_no, **after_yes}  # so that references of both sides can be followed
            self.store = self.merge_stores(cond, after_yes, after_no)
        live = or_(and_(cond, live_yes), and_(not_(cond), live_no))
        if live_yes == FALSE and live_no == TRUE:
            return live, no
        if live_no == FALSE and live_yes == TRUE:
            return live, yes
        return live, None

    def match_statement(self, node: ast.Match) -> Expr:
        subject = self.evaluate(node.subject)
        cases = list(node.cases)

        def go(i: int) -> Expr:
            if i == len(cases):
                return TRUE
            cond = self.pattern(cases[i].pattern, subject)
            if cases[i].guard is not None:
                cond = and_(cond, self.condition(cases[i].guard))
            cond = self.decide(cond)
            if isinstance(cond, Bool):
                return self.block(cases[i].body) if cond.value else go(i + 1)
            return self.branch(cond, lambda: self.block(cases[i].body), lambda: go(i + 1))[0]

        return go(0)

    def pattern(self, pattern: ast.pattern, subject: Any) -> Expr:

        match pattern:
            case ast.MatchValue(value):
                return equal(subject, self.evaluate(value))
            case ast.MatchOr(patterns):
                return or_(*(self.pattern(p, subject) for p in patterns))
            case ast.MatchAs(None, name):
                if name is not None:
                    self.bind(name, subject)
                return TRUE
        return self.refuse("a pattern of this kind")

    def try_statement(self, node: ast.Try) -> tuple[Expr, CondEl | None]:
        """The body, as if nothing were raised: unless the body looks something up that may be absent."""
        if node.finalbody:
            self.refuse("try … finally")
        failing = self.failing
        fails: list[Expr] = []
        self.failing = fails
        base, self.try_base = self.try_base, len(self.path)
        before = dict(self.store)
        logs = {i: len(a.log) for i, a in self.arrays.items()}
        frames = [(f, len(f.breaks), len(f.continues), len(f.returns)) for f in self.frames]

        def undo() -> None:
            self.store = dict(before)
            for i, a in self.arrays.items():
                del a.log[logs.get(i, 0) :]
            for f, b, c, r in frames:
                del f.breaks[b:], f.continues[c:], f.returns[r:]

        try:
            live, element = self.statements_of_try(node.body)
        finally:
            self.failing, self.try_base = failing, base
        guard = self.decide(or_(*fails))
        if guard == FALSE or not node.handlers:
            if node.orelse and live == TRUE:
                return self.block(node.orelse), None
            return live, element
        undo()
        handler = node.handlers[0]

        def body() -> Expr:
            self.failing = []
            result = self.block(node.body)
            self.failing = failing
            return result if result != TRUE or not node.orelse else self.block(node.orelse)

        return self.branch(guard, lambda: self.block(handler.body), body)

    def statements_of_try(self, body: list[ast.stmt]) -> tuple[Expr, CondEl | None]:
        if len(body) == 1:
            return self.statement(body[0])
        return self.block(body), None

    def fails_if(self, cond: Expr) -> None:
        """Python would raise an exception here if cond held; matters inside `try`."""
        if self.failing is not None:
            cond = self.decide(cond)
            if cond != FALSE:
                self.failing.append(and_(self.since(self.try_base), cond))

    # --- leaving loops and functions ----------------------------------------------------------------------------

    def interrupt(self, is_break: bool) -> None:
        frame = self.loop_frame()
        if frame is None:
            self.refuse("break or continue outside a loop")
        assert frame is not None
        steps = tuple(el for el in self.path[frame.base :] if isinstance(el, CondEl))
        cond = and_(*(el.guard for el in steps))
        if is_break:
            frame.breaks.append(Break(self.fresh(), steps, cond, self.store))
        else:
            frame.continues.append((cond, self.store))
        self.store = dict(self.store)

    def return_value(self, value: Any) -> None:
        frame = self.frames[-1]
        steps = tuple(el for el in self.path[frame.base :] if isinstance(el, CondEl))
        cond = and_(*(el.guard for el in steps))
        if frame.kind == "loop":
            frame.breaks.append(Break(self.fresh(), steps, cond, self.store, True, value))
        elif frame.kind == "function":
            frame.returns.append((cond, value, self.store))
        else:
            self.refuse("return inside a comprehension")
        self.store = dict(self.store)
