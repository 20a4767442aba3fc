"""Plans: programs prepared for the inner loops of dsl/kernels.py, whatever the texts. dsl/steps.py prepares the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from dsl import kernels as kn
from dsl.check import Scope
from dsl.nodes import Block, Call, Expr, Let, Name, Not, Num, Program, Rule, Statement, free_names, substitute, walk
from dsl.parts import TEXTUAL, parts_of
from dsl.steps import Fragment, NoStep, Operand, Sorts, fragment, kept
from dsl.values import kind_of

SMALL, LARGE = 1e-12, 1e3  # of constants beside which float32 loses none that matters


@dataclass(frozen=True, eq=False)
class Stage:
    """Rules for one call of the inner loops, after `before`: names that numpy computes from the weights so far."""

    before: tuple[tuple[str, Expr], ...]
    rules: np.ndarray  # (R, 10) int64
    narrows: np.ndarray  # (., 2)
    steps: np.ndarray  # (., 6)
    operands: tuple[Operand, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """stages in order; `whole` if rows are read beyond the masked cells, so that these count too; scope: sorts of names.

    double: weights are float64 (needs_double).
    """

    stages: tuple[Stage, ...]
    whole: bool
    double: bool
    scope: Scope


@lru_cache(maxsize=4096)
def plan(program: Program, settled: bool = False) -> Plan:
    """The plan of a program that the checker accepts. settled: for texts that will meet this program many times."""
    statements = inlined(program).statements
    whole = any(r.value is None for r in program.rules()) or any(map(_reads_rows, statements))
    double = needs_double(program)
    try:
        planner = _Planner(settled, double, cut=False)
        planner.statements(statements, (), {})
    except NoStep:
        planner = _Planner(settled, double, cut=True)
        planner.statements(statements, (), {})
    return Plan(tuple(stage(*d) for d in planner.drafts), whole, double, planner.scope)


def needs_double(program: Program) -> bool:
    """Whether weights are float64: they are read, or constants are too large or small for what float32 keeps beside them."""
    if any({"weight", "row"} & free_names(s) for s in program.statements):
        return True
    values = [x.value for x in walk(program) if isinstance(x, Rule | Let) and x.value is not None]
    return any(isinstance(x, Num) and x.value and not SMALL <= abs(x.value) <= LARGE for v in values for x in walk(v))


def inlined(program: Program) -> Program:
    """The program without the `let`s that do not read weights: their values are shared through the batch."""

    def within(statements: tuple[Statement, ...], names: dict[str, Expr]) -> tuple[Statement, ...]:
        result: list[Statement] = []
        for s in statements:
            match s:
                case Let(name, value):
                    new = substitute(value, names)
                    if free_names(new) <= TEXTUAL:
                        names = {**names, name: new}
                    else:
                        result.append(Let(name, new))
                case Block(guard, then, other):
                    result.append(Block(substitute(guard, names), within(then, names), within(other, names)))
                case Rule():
                    result.append(substitute(s, names) if names else s)
        return tuple(result)

    return Program(within(program.statements, {}))


def stage(before: Sequence[tuple[str, Expr]], fragments: Sequence[Fragment]) -> Stage:
    """Fragments one after another, with one table of operands."""
    operands: dict[Operand, int] = {}
    rules: list[list[int]] = []
    narrows: list[list[int]] = []
    steps: list[list[int]] = []
    for f in fragments:
        at = [operands.setdefault(o, len(operands)) for o in f.operands]
        code, gate, mask, value, given = f.rule
        target = at[given] if code >= kn.KEEP else given
        row = [code, at[gate] if gate >= 0 else -1, at[mask] if mask >= 0 else -1, at[value] if value >= 0 else -1, target]
        row += [len(narrows), len(narrows) + len(f.fixed), len(narrows) + len(f.fixed) + len(f.moving)]
        rules.append([*row, len(steps), len(steps) + len(f.steps)])
        narrows += [[kind, at[o]] for kind, o in f.fixed + f.moving]
        steps += [[s[0], *(at[o] for o in s[1:5]), s[5]] for s in f.steps]

    def array(rows: list[list[int]], width: int) -> np.ndarray:
        return np.array(rows, np.int64).reshape(-1, width)

    return Stage(tuple(before), array(rules, 10), array(narrows, 2), array(steps, 6), tuple(operands))


def _reads_rows(s: Statement) -> bool:
    """Reads other cells than the one it changes."""
    names = free_names(s)
    return "row" in names or ("weight" in names and any(isinstance(x, Call) and x.name == "weight" for x in walk(s)))


@dataclass
class _Planner:
    """Collects fragments. With `cut`, what has no step and every `let` become names that numpy computes between two stages."""

    settled: bool
    double: bool
    cut: bool
    scope: Scope = field(default_factory=dict)
    drafts: list[tuple[list[tuple[str, Expr]], list[Fragment]]] = field(default_factory=lambda: [([], [])])

    def statements(self, statements: Sequence[Statement], path: tuple[Expr, ...], names: dict[str, Expr]) -> None:
        """path: the guards, in parts, of the blocks around. Raises NoStep unless `cut`."""
        for s in statements:
            match s:
                case Let(name, value):
                    names = {**names, name: self.name(substitute(value, names))}
                case Block(guard, then, other):
                    guard = substitute(guard, names)
                    if {"weight", "row"} & free_names(guard):
                        guard = self.name(guard)
                    self.statements(then, (*path, *parts_of(guard)), names)
                    if other:
                        self.statements(other, (*path, *parts_of(Not(guard))), names)
                case Rule(op, value, guard):
                    value = None if value is None else substitute(value, names)
                    self.rule(op, value, path if guard is None else (*path, *parts_of(substitute(guard, names))))

    def sorts(self, *of: Expr) -> Sorts:
        used = frozenset().union(*map(free_names, of))
        return tuple((name, sort) for name, sort in self.scope.items() if name in used)

    def rule(self, op: str, value: Expr | None, parts: tuple[Expr, ...]) -> None:
        def written(value: Expr | None, parts: tuple[Expr, ...]) -> Fragment | None:
            return fragment(op, value, parts, self.sorts(*parts, *(() if value is None else (value,))), self.settled, self.double)

        found = written(value, parts)
        if found is None:
            if not self.cut:
                raise NoStep
            parts = tuple(p if written(None, (p,)) else self.between(p) for p in parts)
            value = value if written(value, ()) or value is None else self.between(value)
            found = written(value, parts)
            assert found is not None
        self.drafts[-1][1].append(found)

    def name(self, value: Expr) -> Name:
        """A name for a value as it is now."""
        sort = kind_of(value, self.scope)
        if self.cut:
            return self.between(value)
        name = Name(f"let {len(self.scope)}")
        to = Operand("kept", "guard" if sort == "guard" else "number", number=len(self.scope))
        found = kept(value, to, self.sorts(value))
        if found is None:
            raise NoStep
        self.drafts[-1][1].append(found)
        self.scope = {**self.scope, name.name: sort}
        return name

    def between(self, value: Expr) -> Name:
        """A name for a value that numpy computes from the weights after the rules so far."""
        if self.drafts[-1][1]:
            self.drafts.append(([], []))
        name = Name(f"cut {len(self.scope)}")
        self.drafts[-1][0].append((name.name, value))
        self.scope = {**self.scope, name.name: kind_of(value, self.scope)}
        return name
