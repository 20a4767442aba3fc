"""Ways of writing that are rewritten, as source, to others that say the same: lists taken two by two, lists of the last few."""

from __future__ import annotations

import ast
from collections import Counter
from itertools import pairwise
from typing import TypeVar

Placed = TypeVar("Placed", bound=ast.AST)

PAIRWISE = "$pairwise"  # itertools.pairwise, whatever the program calls it
_CHANGING = frozenset({"append", "extend", "insert", "appendleft", "pop", "popleft", "remove", "clear", "sort", "reverse"})


def reworded(tree: ast.Module) -> ast.Module:
    """The source with all of them rewritten."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for name, most in _kept_short(node).items():
                _LastFew(name, most).visit(node)
    return ast.fix_missing_locations(_Pairs().visit(tree))


def placed(made: Placed, like: ast.AST) -> Placed:
    """All of what was made has the line of what it stands for, so that refusals name it."""
    for n in ast.walk(made):
        if isinstance(n, ast.stmt | ast.expr):
            ast.copy_location(n, like)
    return made


class _Pairs(ast.NodeTransformer):
    """zip(x[::2], x[1::2]) as [(x[k], x[k + 1]) for k in range(0, len(x) - 1, 2)]; zip(x, x[1:]) as pairwise(x)."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Call(
                ast.Name("zip"),
                [
                    ast.Subscript(ast.Name(name), ast.Slice(None | ast.Constant(0), None, ast.Constant(2))),
                    ast.Subscript(ast.Name(other), ast.Slice(ast.Constant(1), None, ast.Constant(2))),
                ],
                [],
            ) if name == other:
                pairs = f"[({name}[_k], {name}[_k + 1]) for _k in range(0, len({name}) - 1, 2)]"
                return placed(ast.parse(pairs, mode="eval").body, node)
            case ast.Call(
                ast.Name("zip"),
                [
                    ast.Name(name) | ast.Subscript(ast.Name(name), ast.Slice(None, ast.UnaryOp(ast.USub(), ast.Constant(1)), None)),
                    ast.Subscript(ast.Name(other), ast.Slice(ast.Constant(1), None, None)),
                ],
                [],
            ) if name == other:
                return placed(ast.Call(ast.Name(PAIRWISE, ast.Load()), [ast.Name(name, ast.Load())], []), node)
        return node


def _kept_short(function: ast.FunctionDef) -> dict[str, int]:
    """Lists from which the first is taken whenever an append makes them longer than so many, and that nothing else changes."""
    changes: Counter[str] = Counter()
    trimmed: dict[str, list[int]] = {}
    for node in ast.walk(function):
        match node:
            case ast.Attribute(ast.Name(name), method) if method in _CHANGING:
                changes[name] += 1
            case ast.Name(name, ast.Store() | ast.Del()):
                changes[name] += 1
            case ast.Assign([ast.Name(name)], ast.List([])) | ast.AnnAssign(ast.Name(name), _, ast.List([])):
                changes[name] -= 1
        for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
            for s, following in pairwise(body if isinstance(body, list) else ()):
                match s:
                    case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), "append"), [_], [])) if k := _limit(following, name):
                        trimmed.setdefault(name, []).append(k)
                        changes[name] -= 2  # the append, and the pop or the assignment
    return {name: found[0] for name, found in trimmed.items() if len(set(found)) == 1 and changes[name] == 0}


def _limit(node: ast.stmt, name: str) -> int | None:
    """k in `if len(x) > k: x.pop(0)` and in `x = x[-k:]`, with or without that condition."""
    match node:
        case ast.If(
            ast.Compare(ast.Call(ast.Name("len"), [ast.Name(found)], []), [ast.Gt()], [ast.Constant(int(most))]), [inner], []
        ) if found == name and most > 0:
            match inner:
                case ast.Expr(ast.Call(ast.Attribute(ast.Name(x), "pop"), [ast.Constant(0)], [])) if x == name:
                    return most
                case ast.Assign([ast.Name(x)], ast.Subscript(ast.Name(y), ast.Slice(ast.Constant(1), None, None))) if (
                    x == y == name
                ):
                    return most
            return most if _limit(inner, name) == most else None
        case ast.Assign(
            [ast.Name(x)], ast.Subscript(ast.Name(y), ast.Slice(ast.UnaryOp(ast.USub(), ast.Constant(int(most))), None, None))
        ) if x == y == name and most > 0:
            return most
    return None


class _LastFew(ast.NodeTransformer):
    """The list is let grow, and read as x[-k:]."""

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most = name, most

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("body", "orelse"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                setattr(node, field, [s for s in body if not (isinstance(s, ast.stmt) and _limit(s, self.name))])
        return super().generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(ast.Attribute(ast.Name(self.name), "append"), [value], []):
                node.args = [self.visit(value)]
                return node
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id != self.name or not isinstance(node.ctx, ast.Load):
            return node
        return placed(ast.parse(f"{self.name}[-{self.most}:]", mode="eval").body, node)
