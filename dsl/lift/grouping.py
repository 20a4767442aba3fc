"""Lists that a loop fills one after another: `current.append(x)` … `groups.append(current); current = []`.

They are rewritten, as source, to the form in which a loop adds to the last list of lists, `groups[-1].append(x)`, which `handed_on`
knows: the list at hand becomes a flag that says whether a list is begun.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy

from dsl.lift.idioms import placed


def regrouped(tree: ast.Module) -> ast.Module:
    """The source with every such pair of lists rewritten; as it is where anything else is done with them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = _with_the_last_apart(node, node.body)
            node.body = _with_flags(node, node.body)
    return ast.fix_missing_locations(tree)


def _with_the_last_apart(function: ast.FunctionDef, body: list[ast.stmt]) -> list[ast.stmt]:
    """`groups = [[]]`, `groups[-1].append(x)` and `groups.append([])` with the last list as a variable of its own.

    Empty lists are left out, so the groups may only be gone through.
    """
    for at, node in enumerate(body):
        match node:
            case ast.Assign([ast.Name(whole)], ast.List([ast.List([])])):
                pass
            case _:
                continue
        loops = [i for i, s in enumerate(body) if isinstance(s, ast.For) and not s.orelse and _uses(s, whole)]
        last = f"_last_of_{whole}"
        rewriter = _LastApart(whole, last)
        if not loops or loops[0] < at or _uses(function, last):
            continue
        loop = rewriter.visit(deepcopy(body[loops[0]]))
        after = [s for s in body[loops[0] + 1 :] if not _drops_the_empty(s, whole)]
        gone_through = sum(
            isinstance(n, ast.For | ast.comprehension) and isinstance(n.iter, ast.Name) and n.iter.id == whole
            for s in after
            for n in ast.walk(s)
        )
        dropped = sum(_uses(s, whole) for s in body[loops[0] + 1 :] if s not in after)
        if not rewriter.found or 1 + rewriter.found + gone_through + dropped != _uses(function, whole):
            continue
        begun = ast.parse(f"{whole} = []\n{last} = []").body
        rest = ast.parse(f"if {last}:\n    {whole}.append({last})").body
        begun, rest = [placed(s, node) for s in begun], [placed(s, node) for s in rest]
        made = [*body[:at], *begun, *body[at + 1 : loops[0]], loop, *rest, *after]
        return _with_the_last_apart(function, made)
    return body


def _drops_the_empty(node: ast.stmt, whole: str) -> bool:
    """groups = [g for g in groups if g]"""
    match node:
        case ast.Assign([ast.Name(to)], ast.ListComp(ast.Name(kept), [ast.comprehension(ast.Name(each), ast.Name(of), [test], 0)])):
            named = ast.unparse(test) in (each, f"len({each}) > 0", f"len({each})")
            return to == of == whole and kept == each and named
    return False


class _LastApart(ast.NodeTransformer):
    """Rewrites the loop; `found` counts what it knew of the groups."""

    def __init__(self, whole: str, last: str) -> None:
        self.whole, self.last, self.found = whole, last, 0

    def visit_Expr(self, node: ast.Expr) -> list[ast.stmt] | ast.AST:
        match node.value:
            case ast.Call(ast.Attribute(ast.Name(self.whole), "append"), [ast.List([*begun])], []) if len(begun) <= 1:
                self.found += 1
                put_aside = ast.parse(f"if {self.last}:\n    {self.whole}.append({self.last})\n    {self.last} = []").body
                added = [_call(self.last, value) for value in begun]
                return [placed(s, node) for s in (*put_aside, *added)]
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == self.whole and ast.unparse(node.slice) == "-1":
            self.found += 1
            return ast.copy_location(ast.Name(self.last, node.ctx), node)
        self.generic_visit(node)
        return node


def _with_flags(function: ast.FunctionDef, body: list[ast.stmt]) -> list[ast.stmt]:
    for at, loop in enumerate(body):
        if not isinstance(loop, ast.For) or loop.orelse:
            continue
        for whole, part in dict.fromkeys(_pairs(loop)):
            made = _rewritten(function, body, at, whole, part)
            if made is not None:
                return _with_flags(function, made)
    return body


def _pairs(loop: ast.For) -> Iterator[tuple[str, str]]:
    """(groups, current) of every groups.append(current) in the loop."""
    for node in ast.walk(loop):
        match node:
            case ast.Expr(ast.Call(ast.Attribute(ast.Name(whole), "append"), [value], [])) if (part := _copied(value)) is not None:
                yield whole, part


def _copied(value: ast.expr) -> str | None:
    """The variable in x, list(x), tuple(x), x[:] or x.copy()."""
    match value:
        case ast.Name(name):
            return name
        case ast.Call(ast.Name("list" | "tuple"), [ast.Name(name)], []):
            return name
        case ast.Subscript(ast.Name(name), ast.Slice(None, None, None)):
            return name
        case ast.Call(ast.Attribute(ast.Name(name), "copy"), [], []):
            return name
    return None


def _rewritten(function: ast.FunctionDef, body: list[ast.stmt], at: int, whole: str, part: str) -> list[ast.stmt] | None:
    """The block with the loop at `at` rewritten; None where the two lists are used in another way."""
    before, after = body[:at], body[at + 1 :]
    begun = [i for i, s in enumerate(before) if _sets_empty(s, part)]
    made = [i for i, s in enumerate(before) if _sets_empty(s, whole)]
    last = [i for i, s in enumerate(after) if _adds_the_rest(s, whole, part)]
    if len(begun) != 1 or len(made) != 1 or len(last) != 1 or part == whole:
        return None
    if any(_uses(s, whole) or _uses(s, part) for s in after[: last[0]]):
        return None
    rewriter = _Rewriter(whole, part)
    loop = rewriter.visit(deepcopy(body[at]))
    # what is left of the list at hand in the loop: its use as a flag, and where it is set
    expected = sum(_uses(s, part) for s in (before[begun[0]], body[at], after[last[0]]))
    if not rewriter.clean or expected != _uses(function, part) or not rewriter.flushed:
        return None
    before = list(before)
    before[begun[0]] = ast.copy_location(_flag(part, False), before[begun[0]])
    return [*before, loop, *after[: last[0]], *after[last[0] + 1 :]]


class _Rewriter(ast.NodeTransformer):
    """Rewrites the loop; `clean` turns false where the lists are used in a way that has no counterpart."""

    def __init__(self, whole: str, part: str) -> None:
        self.whole, self.part = whole, part
        self.clean, self.flushed = True, False

    def visit_For(self, node: ast.For) -> ast.For:
        node.body, node.orelse = self._statements(node.body), self._statements(node.orelse)
        self._expression(node.iter)
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        node.body, node.orelse = self._statements(node.body), self._statements(node.orelse)
        self._expression(node.test)
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.stmt):
            self._expression(node)
        return node

    def _statements(self, body: list[ast.stmt], filled: bool = False) -> list[ast.stmt]:
        """filled: the list at hand is known to have an element."""
        result: list[ast.stmt] = []
        rest = list(body)
        while rest:
            node = rest.pop(0)
            new: list[ast.stmt]
            match node:
                case ast.Expr(ast.Call(ast.Attribute(ast.Name(self.part), "append"), [value], [])):
                    self._expression(value)
                    new, filled = self._adds(value), True
                case ast.Expr(ast.Call(ast.Attribute(ast.Name(self.whole), "append"), [value], [])) if _copied(value) == self.part:
                    begins = rest.pop(0) if rest else None
                    match begins:
                        case ast.Assign([ast.Name(self.part)], ast.List([])):
                            new, filled_now = [_flag(self.part, False)], False
                        case ast.Assign([ast.Name(self.part)], ast.List([value])):
                            self._expression(value)
                            new, filled_now = [_call(self.whole, ast.List([value], ast.Load())), _flag(self.part, True)], True
                        case _:
                            self.clean = False
                            return body
                    self.clean = self.clean and filled
                    self.flushed, filled = True, filled_now
                case ast.If(test):
                    named = any(isinstance(n, ast.Name) and n.id == self.part for n in _conjuncts(test))
                    untouched = not any(_uses(s, self.part) for s in (*node.body, *node.orelse))
                    node.body, node.orelse = self._statements(node.body, filled or named), self._statements(node.orelse, filled)
                    self._condition(test)
                    new, filled = [node], filled and untouched
                case _:
                    filled = filled and not _uses(node, self.part)
                    new = [self.visit(node)]
            result += [ast.copy_location(s, node) for s in new]
        return result

    def _adds(self, value: ast.expr) -> list[ast.stmt]:
        last = ast.Subscript(ast.Name(self.whole, ast.Load()), ast.UnaryOp(ast.USub(), ast.Constant(1)), ast.Load())
        more = ast.Expr(ast.Call(ast.Attribute(last, "append", ast.Load()), [value], []))
        first = _call(self.whole, ast.List([value], ast.Load()))
        empty = ast.UnaryOp(ast.Not(), ast.Name(self.part, ast.Load()))
        return [ast.If(empty, [first], [more]), _flag(self.part, True)]

    def _condition(self, test: ast.expr) -> None:
        """The list at hand may stand for whether it is empty."""
        match test:
            case ast.Name(self.part):
                return
            case ast.BoolOp():
                for value in test.values:
                    self._condition(value)
            case ast.UnaryOp(ast.Not(), operand):
                self._condition(operand)
            case _:
                self._expression(test)

    def _expression(self, node: ast.AST) -> None:
        if _uses(node, self.part) or _uses(node, self.whole):
            self.clean = False


def _conjuncts(test: ast.expr) -> list[ast.expr]:
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]


def _call(whole: str, value: ast.expr) -> ast.stmt:
    return ast.Expr(ast.Call(ast.Attribute(ast.Name(whole, ast.Load()), "append", ast.Load()), [value], []))


def _flag(name: str, value: bool) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], ast.Constant(value))


def _sets_empty(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.Assign([ast.Name(found)], ast.List([])) | ast.AnnAssign(ast.Name(found), _, ast.List([])):
            return found == name
    return False


def _adds_the_rest(node: ast.stmt, whole: str, part: str) -> bool:
    """if current: groups.append(current)"""
    match node:
        case ast.If(test, [ast.Expr(ast.Call(ast.Attribute(ast.Name(name), "append"), [value], []))], []):
            named = ast.unparse(test) in (part, f"len({part}) > 0", f"len({part})")
            return named and name == whole and _copied(value) == part
    return False


def _uses(node: ast.AST, name: str) -> int:
    return sum(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))
