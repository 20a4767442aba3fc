"""One rule, prepared for the inner loops of dsl/kernels.py, whatever the texts.

A rule becomes a gate (what depends on the query alone), comparisons that narrow it to some keys, a mask for what is left of its
guard, and a value. What depends on one position, on q - k or on nothing is an operand that numpy computes once per batch; the
rest is computed by steps, row by row, where the gate is open. What no step exists for is an operand with an entry for every cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

from dsl import kernels as kn
from dsl.batch import REGISTERS
from dsl.check import Scope
from dsl.nodes import (
    TRUE,
    Aggregate,
    And,
    Binary,
    Call,
    Compare,
    Expr,
    IfElse,
    K,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Q,
    Range,
    Same,
    free_names,
    substitute,
)
from dsl.parts import TEXTUAL, Axis, apart, axis_of, conjunction, grouped, narrowing
from dsl.values import kind_of

Form = Literal["number", "guard", "weight", "double"]  # float64, truth value, float32 or float64 as a rule takes it
OFFSET = Name("dist of a diagonal")
_LASTING = TEXTUAL | {OFFSET.name}
_OPERATIONS = {
    "set": kn.SET,
    "add": kn.INCREASE,
    "scale": kn.SCALE,
    "max": kn.RAISE,
    "min": kn.LOWER,
    "normalize": kn.NORMALIZE,
    "share": kn.SHARE,
}
_ARITHMETIC = {"+": kn.ADD, "-": kn.SUB, "*": kn.MUL, "/": kn.DIV}
_COMPARISONS = {"==": kn.EQ, "!=": kn.NE, "<": kn.LT, "<=": kn.LE, ">": kn.GT, ">=": kn.GE}
_FUNCTIONS = {"abs": kn.ABS, "sqrt": kn.SQRT, "floor": kn.FLOOR, "exp": kn.EXP}
_FOLDS = {"min": kn.LEAST, "max": kn.MOST, "default": kn.DEFAULT}
_OVER_ROW = {"sum": kn.TOTAL, "min": kn.LEAST_OF, "max": kn.MOST_OF}


@dataclass(frozen=True)
class Operand:
    """What a step or a rule reads or writes: a value of the texts, a register, or what a `let` keeps for each cell of a text.

    The expression of a query is written with k in place of q, that of an offset with OFFSET in place of dist.
    """

    kind: Literal["value", "register", "kept"]
    form: Form
    axis: Axis = "cell"
    expression: Expr | None = None
    number: int = 0

    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.form, self.axis, self.expression, self.number))

    @cached_property
    def known_by(self) -> tuple[str, Expr] | None:
        """What a batch keeps it by (a query's and a key's values are the same), None if it does not last."""
        if self.expression is None or not free_names(self.expression) <= _LASTING:
            return None
        return "key" if self.axis == "query" else self.axis, self.expression

    def __hash__(self) -> int:  # computed once: operands are looked up for every new program
        return self._hash


@dataclass(frozen=True)
class Fragment:
    """A rule, its narrowing comparisons and its steps as dsl/kernels.py reads them, except that operands count from 0 here."""

    rule: tuple[int, int, int, int, int]  # operation, gate, mask, value, how the value is given (-1: none)
    fixed: tuple[tuple[int, int], ...]  # comparisons with one number per text
    moving: tuple[tuple[int, int], ...]  # comparisons with one number per row
    steps: tuple[tuple[int, ...], ...]
    operands: tuple[Operand, ...]


class NoStep(Exception):
    """An expression that reads the weights and that the inner loops cannot compute."""


Sorts = tuple[tuple[str, str], ...]


@lru_cache(maxsize=1 << 14)
def fragment(
    op: str, value: Expr | None, parts: tuple[Expr, ...], sorts: Sorts, settled: bool, double: bool = False
) -> Fragment | None:
    """A rule that acts where all parts hold; None if it reads the weights in a way that has no steps.

    sorts: of the names that its expressions use. settled: what the texts alone decide about a cell is kept, not computed again.
    double: the weights are float64.
    """
    try:
        return _Writer(dict(sorts), settled, double).rule(op, value, parts)  # type: ignore[arg-type]
    except NoStep:
        return None


@lru_cache(maxsize=1 << 14)
def kept(value: Expr, to: Operand, sorts: Sorts) -> Fragment | None:
    """Writes the value of every cell to an operand; None if there are no steps."""
    try:
        return _Writer(dict(sorts), False).keep(value, to)  # type: ignore[arg-type]
    except NoStep:
        return None


def value_operand(e: Expr, form: Form) -> Operand:
    """The operand of an expression that does not read the weights."""
    axis = axis_of(e)
    if axis == "query":
        e = of_key(e)
    elif axis == "offset":
        e = substitute(e, {"dist": OFFSET})
    return Operand("value", form, axis, e)


@lru_cache(maxsize=1 << 14)
def of_key(e: Expr) -> Expr:
    """With k in place of q; the parts of guards are met again in other rules."""
    if isinstance(e, And | Or):
        return type(e)(tuple(map(of_key, e.items)))
    return substitute(e, {"q": K})


class _Writer:
    """Writes the steps of one rule."""

    def __init__(self, scope: Scope, settled: bool, double: bool = False) -> None:
        self.scope, self.settled = scope, settled
        self.given: Form = "double" if double else "weight"
        self.operands: dict[Operand, int] = {}
        self.steps: list[tuple[int, ...]] = []
        self.used: set[int] = set()  # operands that are registers in use
        self.wide = 0  # 1 within a step over the whole row

    def rule(self, op: str, value: Expr | None, parts: Sequence[Expr]) -> Fragment:
        gates: list[Expr] = []
        masks: list[Expr] = []
        fixed: list[tuple[int, int]] = []
        moving: list[tuple[int, int]] = []
        for part in dict.fromkeys(parts):
            if part == TRUE:
                continue
            if axis_of(part) in ("text", "query"):
                gates.append(part)
                continue
            code, bound = narrowing(part)
            axis = "cell" if bound is None else axis_of(bound)
            if bound is not None and axis in ("text", "query"):
                (fixed if axis == "text" else moving).append((code, self.operand(value_operand(bound, "number"))))
            else:
                masks.append(part)
        gate = self.operand(value_operand(conjunction(gates), "guard")) if gates else -1
        mask = -1
        if masks:
            whole = conjunction(masks)
            mask = self.operand(value_operand(whole, "guard")) if self.settled and self.pure(whole) else self.vector(whole)
        found, given = -1, -1
        if value is not None:
            computed = None
            if axis_of(value) == "cell" and not (self.settled and self.pure(value)):
                computed = self.attempted(value)
            if computed is not None:
                found, given = computed, kn.COMPUTED
            else:
                found = self.operand(value_operand(value, self.given))
                given = kn.PER_ROW if axis_of(value) in ("text", "query") else kn.PER_CELL
        return Fragment((_OPERATIONS[op], gate, mask, found, given), tuple(fixed), tuple(moving), *self.written())

    def keep(self, value: Expr, to: Operand) -> Fragment:
        code = {"number": kn.KEEP, "guard": kn.KEEP_GUARD, "weight": kn.KEEP_WEIGHT, "double": kn.KEEP_WEIGHT}[to.form]
        target = self.operand(to)
        return Fragment((code, -1, -1, self.composed(value), target), (), (), *self.written())

    def written(self) -> tuple[tuple[tuple[int, ...], ...], tuple[Operand, ...]]:
        return tuple(self.steps), tuple(self.operands)

    def pure(self, e: Expr) -> bool:
        return free_names(e) <= TEXTUAL

    def form(self, e: Expr) -> Form:
        return "guard" if kind_of(e, self.scope) == "guard" else "number"

    def operand(self, wanted: Operand) -> int:
        return self.operands.setdefault(wanted, len(self.operands))

    def step(self, code: int, form: Form, *of: int) -> int:
        """Writes one step; its result never lies where an operand lies, so that loops can run on many cells at once."""
        for number in range(REGISTERS):
            out = self.operand(Operand("register", form, number=number))
            if out not in self.used:
                break
        else:
            raise NoStep
        self.used.add(out)
        self.used.difference_update(of)
        self.steps.append((code, out, *(of + (out,) * 3)[:3], self.wide))
        return out

    def vector(self, e: Expr) -> int:
        """An operand with a value for every key of the row; writes the steps that compute it."""
        axis, form = axis_of(e), self.form(e)
        if axis == "query":
            return self.step(kn.FILL_GUARD if form == "guard" else kn.FILL, form, self.operand(value_operand(e, form)))
        if axis == "text":
            return self.operand(replace(value_operand(e, form), axis="key"))
        found = self.attempted(e) if axis == "cell" else None
        return self.operand(value_operand(e, form)) if found is None else found

    def attempted(self, e: Expr) -> int | None:
        """By steps if there are any; None, with nothing written, if not and the value does not read the weights."""
        steps, operands, used, wide = len(self.steps), dict(self.operands), set(self.used), self.wide
        try:
            return self.composed(e)
        except NoStep:
            if not self.pure(e):
                raise
        del self.steps[steps:]
        self.operands, self.used, self.wide = operands, used, wide
        return None

    def composed(self, e: Expr) -> int:
        match e:
            case Name("weight") if not self.wide:
                return self.step(kn.WEIGHT, "number")
            case Name("row"):
                return self.step(kn.ROW_SUM, "number")
            case Name(name) if name in self.scope and not self.wide:
                if name.startswith("let "):
                    return self.operand(Operand("kept", self.form(e), number=int(name[4:])))
                return self.operand(Operand("value", self.form(e), "cell", e))
            case Call("weight", (row, at)) if row == Q:
                if self.wide and at == K:
                    return self.step(kn.WEIGHT, "number")
                return self.step(kn.GATHER, "number", self.vector(at))
            case Same(feature):
                return self.composed(Compare("==", Call(feature, (Q,)), Call(feature, (K,))))
            case Compare(op, left, right):
                if self.form(left) == "guard":
                    equal = self.step(kn.GUARD_EQ, "guard", self.vector(left), self.vector(right))
                    return equal if op == "==" else self.step(kn.NOT, "guard", equal)
                return self.step(_COMPARISONS[op], "guard", self.vector(left), self.vector(right))
            case Not(item):
                return self.step(kn.NOT, "guard", self.vector(item))
            case And(items):
                return self.folded(kn.AND, grouped(And, items))
            case Or(items):
                return self.folded(kn.OR, grouped(Or, items))
            case IfElse(test, then, other):
                parts = (self.vector(test), self.vector(then), self.vector(other))
                return self.step(kn.PICK_GUARD if self.form(then) == "guard" else kn.PICK, self.form(then), *parts)
            case Neg(item):
                return self.step(kn.NEG, "number", self.vector(item))
            case Binary(op, left, right) if op in _ARITHMETIC:
                return self.step(_ARITHMETIC[op], "number", self.vector(left), self.vector(right))
            case Call("exists", (item,)):
                return self.step(kn.EXISTS, "guard", self.vector(item))
            case Call(name, (item,)) if name in _FUNCTIONS:
                return self.step(_FUNCTIONS[name], "number", self.vector(item))
            case Call(name, args) if name in _FOLDS and self.form(e) == "number":
                return self.folded(_FOLDS[name], args)
            case Aggregate(_, over) if over.domain is None and "k" not in free_names(e) and not self.wide:
                return self.over_row(e)
            case Aggregate(kind, Range(var, low, high), guard) if (difference := apart(kind, var, low, high, guard)) is not None:
                return self.composed(difference)
        raise NoStep

    def folded(self, code: int, items: Sequence[Expr]) -> int:
        form: Form = "guard" if code in (kn.AND, kn.OR) else "number"
        result = self.vector(items[0])
        for item in items[1:]:
            result = self.step(code, form, result, self.vector(item))
        return result

    def over_row(self, e: Aggregate) -> int:
        """An aggregate of what the row's cells are: its variable takes the place of k."""
        over, name = e.range, {e.range.var: K}
        guards = [] if e.guard is None or e.kind == "all" else [substitute(e.guard, name)]
        if e.kind == "all" and e.guard is not None:
            guards.append(Not(substitute(e.guard, name)))
        if over.low is not None:
            guards.append(Compare(">=", K, over.low))
        if over.high is not None:
            guards.append(Compare("<=", K, over.high))
        self.wide = 1
        mask = self.vector(conjunction(guards) if guards else TRUE)
        if e.value is not None:
            result = self.step(_OVER_ROW[e.kind], "number", mask, self.vector(substitute(e.value, name)))
        else:
            result = self.step(kn.COUNT, "number", mask)
            zero = self.operand(Operand("value", "number", "key", Num(0.0)))
            if e.kind != "count":
                result = self.step(kn.EQ if e.kind == "all" else kn.GT, "guard", result, zero)
        self.wide = 0
        return result
