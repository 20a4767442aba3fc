"""Which variables a loop's body reads before it has set them in the same round: those go on from the round before."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_LEAVES = ast.Break | ast.Continue | ast.Return | ast.Raise


def carried(body: list[ast.stmt], given: Iterable[str]) -> list[str]:
    """Names that the body sets, and reads on some way on which it has not set them yet. given: set by the loop itself."""
    reader = _Reader()
    reader.block(body, frozenset(given))
    stored = {n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return [name for name in reader.early if name in stored]


class _Reader:
    def __init__(self) -> None:
        self.early: dict[str, None] = {}  # in order of the first reading

    def block(self, body: list[ast.stmt], known: frozenset[str]) -> frozenset[str] | None:
        """The names that are set at the end; None if the end is not reached."""
        for s in body:
            after = self.statement(s, known)
            if after is None:
                return None
            known = after
        return known

    def statement(self, s: ast.stmt, known: frozenset[str]) -> frozenset[str] | None:
        match s:
            case ast.If(test, then, other):
                self.reads(test, known)
                return _both(self.block(then, known), self.block(other, known))
            case ast.For(target, over, inner, other):
                self.reads(over, known)
                self.block(inner, known | set(_stored(target)))
                ended = self.block(other, known)
                leaves = any(isinstance(n, ast.Break) for x in inner for n in ast.walk(x))
                return known if leaves and ended is None else _both(known if leaves else None, ended)
            case ast.While(test, inner, other):
                self.reads(test, known)
                self.block(inner, known)
                self.block(other, known)
                return known
            case ast.Try(inner, handlers, other, final):
                ends = [self.block([*inner, *other], known), *(self.block(h.body, known) for h in handlers)]
                met = ends[0]
                for end in ends[1:]:
                    met = _both(met, end)
                return None if met is None else self.block(final, met)
            case ast.With(items, inner):
                for item in items:
                    self.reads(item.context_expr, known)
                return self.block(inner, known)
            case ast.FunctionDef(name):
                return known | {name}
            case ast.AugAssign(ast.Name(name) as target, _, value):
                self.reads(value, known)
                self.reads(ast.copy_location(ast.Name(name, ast.Load()), target), known)
                return known | {name}
        if isinstance(s, _LEAVES):
            self.reads(s, known)
            return None
        self.reads(s, known)
        return known | set(_stored(s))

    def reads(self, node: ast.AST, known: frozenset[str]) -> None:
        own = {
            n.id for c in ast.walk(node) if isinstance(c, ast.comprehension) for n in ast.walk(c.target) if isinstance(n, ast.Name)
        }
        own |= {a.arg for f in ast.walk(node) if isinstance(f, ast.Lambda) for a in f.args.args}
        for n in ast.walk(node):
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id not in known | own:
                self.early[n.id] = None


def _both(a: frozenset[str] | None, b: frozenset[str] | None) -> frozenset[str] | None:
    return b if a is None else a if b is None else a & b


def _stored(node: ast.AST) -> Iterator[str]:
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            yield n.id
