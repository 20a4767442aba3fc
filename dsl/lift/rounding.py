"""Where a program compares, rounds or chooses by sums of decimals: whether the lifted program decides as Python's doubles do.

What the lifted program computes may differ from Python's number in the last bits: a loop's sum becomes a product, a product a
power, a sum over a part of a row is taken in another order, and the writes of a cell are put together. That is no harm in a weight,
and it is where a number is compared that would, but for rounding, be equal to the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any

from dsl.lift.decimals import (
    NEAR,
    REASON,
    ROUNDS,
    Grid,
    Repeated,
    common,
    compares_alike,
    either,
    grid,
    product,
)
from dsl.lift.ranges import transform
from dsl.lift.terms import FLIP, ONE, ZERO, bounds, neg, whole
from dsl.lift.values import Arr, Entry, LoopEl, Refusal, number, sort_of
from dsl.nodes import TRUE, Aggregate, Binary, Call, Expr, Find, IfElse, Name, Neg, Num, Range, free_names

if TYPE_CHECKING:
    from dsl.lift.machine import Machine

# What these give meets a limit by no more than chance.
SMOOTH = frozenset({"exp", "log", "sqrt", "sin", "cos", "tanh", "similarity", "char_similarity"})
_NUMBERS = (Num, Call, Binary, Neg, IfElse, Name, Aggregate, Find)


INFINITE = 1e300  # stands for infinity
LOSING = 1e9  # added to such a number, a weight loses digits


@dataclass(frozen=True)
class Doubt:
    """A place where rounding might decide.

    op: of a comparison; "whole" where a is rounded to a multiple of b; "half" where Python rounds it to decimals of the unit b,
    which is not the same as rounding a / b; "tie" where the greatest or smallest of a's values is taken.
    """

    op: str
    a: Expr
    b: Expr
    line: int


@dataclass(frozen=True)
class Cell:
    """What the cells of a matrix may hold after some of its writes."""

    grid: Grid | None
    low: float
    high: float
    faithful: bool = True  # the lifted program's cells have the bits of Python's
    smooth: bool = False
    constant: bool = False  # one number, or one of a few


class Rounding:
    """The doubts of a program, and what is known about its sums."""

    def __init__(self, m: Machine) -> None:
        self.m = m
        self.doubts: list[Doubt] = []
        self.repeated: dict[Expr, Repeated] = {}  # those known to add (or multiply by) the same number one by one
        self._shapes: set[str] = set()
        self._cells: dict[str, Cell] = {}
        self._final: dict[int, int] = {}  # the arrays that become the result, with the number of writes taken over

    def note(self, made: Expr, value: Expr) -> Expr:
        """`made`, a sum or product of `value` over a range: remembered where doubles would round it otherwise."""
        if made != value and (self.inexact(value) or _is_open(value)):
            self._shapes.update(_shape(x) for x in parts_of(made) if isinstance(x, Binary | Aggregate))
        return made

    def in_turn(self, made: Expr) -> None:
        """A sum that Python takes element by element, not in numpy's order."""
        if isinstance(made, Aggregate) and made.value is not None:
            self.note(made, made.value)

    def doubt(self, op: str, a: Expr, b: Expr = ZERO) -> None:
        if not (whole(a) and whole(b)):
            self.doubts.append(Doubt(op, a, b, self.m.line))

    def settle(self, result: Arr) -> None:
        """Raises Refusal where rounding may decide."""
        self._cells.clear()
        self._final = {**result.lineage, result.id: len(result.log)}
        self.check_cancelling(result)
        for d in dict.fromkeys(self.doubts):
            a, b = self.m.resolve(d.a), self.m.resolve(d.b)
            if self.decides(d.op, a, b):
                raise Refusal(d.line, REASON)

    def check_cancelling(self, a: Arr) -> None:
        """Beside a large number smaller ones lose their last digits, which show when it is taken away again."""
        low = high = 0.0
        for entry in a.log:
            if entry.op not in ("set", "add") or entry.value is None:
                continue
            value = self.m.resolve(_number(entry.value))
            if any(isinstance(x, Num) and x.value >= INFINITE for x in parts_of(value)):
                raise Refusal(entry.line, "infinity as a weight")
            least, most = self.bounds(value)
            for x in (x for x in (least, most) if LOSING <= abs(x) < INFINITE):
                if entry.op == "add" and (low < 0 if x > 0 else high > 0):
                    raise Refusal(entry.line, "a large number added and taken away again")
                low, high = min(low, x), max(high, x)

    def decides(self, op: str, a: Expr, b: Expr) -> bool:
        """Whether rounding decides what becomes of a and b."""
        if op == "tie":
            return not whole(a) and self.within(a) and not self.smooth(a)
        if op == "whole":
            return self.within(a) and self.could_be_multiple(a, b)
        if op == "half":
            return self.could_be_half(a, b)
        for x, y, way in ((a, b, op), (b, a, FLIP[op])):
            repeated = self.repeated.get(x)
            if repeated is not None and isinstance(y, Num):
                return not compares_alike(way, repeated, y.value)
        return (self.within(a) or self.within(b)) and self.could_meet(a, b)

    # --- what an expression may be ------------------------------------------------------------------------------

    def grid(self, e: Expr) -> Grid | None:
        return grid(e, lambda x: self.cell(x).grid)

    def inexact(self, e: Expr) -> bool:
        found = self.grid(e)
        return not found.is_exact if found is not None else not (whole(e) or self.smooth(e))

    def smooth(self, e: Expr) -> bool:
        """Whether only chance makes two such numbers equal."""
        for x in parts_of(e):
            if isinstance(x, Call) and (x.name in SMOOTH or (x.name.startswith("@") and self.cell(x).smooth)):
                return True
            if _is_open(x):
                return True
        rounded = self.rounded(e)
        return len(rounded) > 1 and any(x.op == "**" for x in rounded)

    def bounds(self, e: Expr) -> tuple[float, float]:
        def change(x: Any) -> Any:
            if isinstance(x, Call) and x.name.startswith("@"):
                cell = self.cell(x)
                return IfElse(TRUE, Num(cell.low), Num(cell.high))
            return None

        return bounds(transform(e, change))

    def could_meet(self, a: Expr, b: Expr) -> bool:
        """Whether two expressions may be equal but for rounding."""
        for x, y in ((a, b), (b, a)):
            if isinstance(y, Num) and (powers := _powers(x)) is not None:
                return any(abs(p - y.value) <= NEAR * abs(y.value) for p in powers)
        (low, high), (least, most) = self.bounds(a), self.bounds(b)
        if low - most > NEAR or high - least < -NEAR:
            return False
        for x, y, far in ((a, b, low), (b, a, least)):
            if isinstance(y, Num) and y.value <= 0 <= far and not _subtracts(x):
                return False  # a sum of what is not negative is 0 where all of it is, however it is added up
        one, other = self.grid(a), self.grid(b)
        if one is None or other is None:
            return not (self.smooth(a) or self.smooth(b))
        between, step = one.offset - other.offset, common(one.step, other.step)
        return (between % step if step else between) == 0

    def could_be_multiple(self, a: Expr, of: Expr) -> bool:
        found, unit = self.grid(a), self.grid(of)
        if found is None or unit is None or unit.step or not unit.offset:
            return not self.smooth(a)
        step = common(found.step, unit.offset)
        return found.offset % step == 0

    def could_be_half(self, a: Expr, unit: Expr) -> bool:
        """Whether a may lie in the middle between two multiples of the unit, as a decimal does that no double is equal to."""
        found, one = self.grid(a), self.grid(unit)
        if found is None or one is None:
            return not self.smooth(a)
        return not found.is_exact and (one.offset / 2 - found.offset) % common(found.step, one.offset) == 0

    def within(self, e: Expr) -> bool:
        """Whether the lifted program may compute the expression with other last bits than Python."""
        for x in parts_of(e):
            match x:
                case Call(name) if name.startswith("@"):
                    if not self.cell(x).faithful:
                        return True
                case Aggregate("sum", _, _, value) if value is not None and self.inexact(value):
                    if not self.is_row(x):
                        return True
                case Binary() if _shape(x) in self._shapes:
                    return True
        return False

    def is_row(self, e: Aggregate) -> bool:
        """The sum of a row of the result, which the lifted program takes in numpy's order."""
        over, value = e.range, e.value
        if over != Range(over.var) or e.guard is not None or not isinstance(value, Call) or not value.name.startswith("@"):
            return False
        which, version = _cell_of(value)
        mine = self._final.get(which, -1) >= version
        return mine and len(value.args) == 2 and value.args[1] == Name(over.var) and _shape(e) not in self._shapes

    # --- cells --------------------------------------------------------------------------------------------------

    def cell(self, read: Expr) -> Cell:
        assert isinstance(read, Call)
        key = read.name.rsplit(":", 1)[0]
        if key not in self._cells:
            self._cells[key] = Cell(None, -inf, inf, smooth=True)  # while it is being found out, for cells that read themselves
            which, version = _cell_of(read)
            self._cells[key] = self.after_writes(self.m.arrays[which], version)
            if self._final.get(which, -1) < version and self.adds_up(self.m.arrays[which], version):
                self._cells[key] = replace(self._cells[key], faithful=False)  # becomes an expression, whose decimals are collected
        return self._cells[key]

    def adds_up(self, a: Arr, upto: int) -> bool:
        """Whether decimals are added to the cells, or multiplied, that are not 0 before."""
        values = [(e.op, self.m.resolve(_number(e.value))) for e in a.log[:upto] if e.value is not None]
        return len(values) > 1 and any(op in ("add", "scale") and not self.exact(value) for op, value in values)

    def after_writes(self, a: Arr, upto: int) -> Cell:
        held = self.of_value(_number(a.init))
        before: list[Entry] = []
        for entry in a.log[:upto]:
            loops = [el.loop for el in entry.path[a.base :] if isinstance(el, LoopEl)]
            named = frozenset().union(*(free_names(i) for i in entry.index))
            often = any(not loop.parallel and loop.range.var not in named for loop in loops)
            if entry.op in ("normalize", "stochastic"):
                held = Cell(None, 0.0, 1.0, held.faithful, held.smooth)
            elif entry.value is not None:
                value = self.m.resolve(_number(entry.value))
                turned = not self.exact(value) and any(_in_other_rounds(entry, other, a.base) for other in before)
                held = self.after(held, {a.id, *a.lineage}, entry.op, value, often)
                if turned and not (held.grid is not None and held.grid.is_exact):
                    held = replace(held, faithful=False)
            before.append(entry)
        return held

    def after(self, held: Cell, mine: set[int], op: str, value: Expr, often: bool) -> Cell:
        """The cells after a write to some of them. mine: the array's number, and those of what it was before."""
        if op in ("set", "scale") and isinstance(value, Binary) and value.op == "/":
            whole_row = isinstance(value.right, Aggregate) and self.is_row(value.right)
            if whole_row and (value.left == ONE if op == "scale" else _is_read(value.left, mine)):
                return Cell(None, 0.0, 1.0, held.faithful, held.smooth)
        if op == "set" and any(_is_read(x, mine) for x in parts_of(value)):
            match value:
                case Binary("+", x, other) | Binary("+", other, x) if _is_read(x, mine):
                    return written(held, "add", self.of_value(other), often)
                case Binary("-", x, other) if _is_read(x, mine):
                    return written(held, "add", self.of_value(neg(other)), often)
                case Binary("*", x, other) | Binary("*", other, x) if _is_read(x, mine):
                    return written(held, "scale", self.of_value(other), often)
            if often:
                return Cell(None, -inf, inf, False, held.smooth)
        return written(held, op, self.of_value(value), often)

    def of_value(self, e: Expr) -> Cell:
        low, high = self.bounds(e)
        found = self.grid(e)
        exact = whole(e) or (found is not None and found.is_exact)
        return Cell(found, low, high, exact or self.plain(e), self.smooth(e), _is_constant(e))

    def plain(self, e: Expr) -> bool:
        """Numbers of one operation at most, of which there is one way to write them."""
        return len(self.rounded(e)) <= 1 and not self.within(e)

    def rounded(self, e: Expr) -> list[Binary]:
        """The operations that a double rounds."""
        return [x for x in parts_of(e) if isinstance(x, Binary) and not self.exact(x)]

    def exact(self, e: Expr) -> bool:
        found = self.grid(e)
        return found is not None and found.is_exact


def written(held: Cell, op: str, new: Cell, often: bool) -> Cell:
    """The cells after a write to some of them. often: a cell may be written by several rounds of a loop."""
    low, high = min(held.low, new.low), max(held.high, new.high)
    smooth = held.smooth or new.smooth
    faithful = held.faithful and new.faithful
    match op:
        case "set" | "max" | "min":
            return Cell(either(held.grid, new.grid), low, high, faithful, smooth)
        case "add":
            times = inf if often else 1
            low = held.low + (new.low * times if new.low < 0 else 0)
            high = held.high + (new.high * times if new.high > 0 else 0)
            found = None
            if held.grid is not None and new.grid is not None:
                found = Grid(held.grid.offset, common(common(held.grid.step, new.grid.step), new.grid.offset))
            exact = found is not None and found.is_exact
            alone = new.constant or held.low == held.high == 0
            return Cell(found, low, high, exact or (faithful and alone and not often), smooth)
        case "scale":
            ends = [x * y for x in (held.low, held.high) for y in (new.low, new.high, 1.0) if x and y] or [0.0]
            if often:
                ends = [0.0 if held.low >= 0 <= new.low else -inf, inf]
            found = None if often else either(held.grid, product(held.grid, new.grid))
            told = new.grid is not None or not new.constant  # not one third, by which Python divided
            return Cell(found, min(*ends, held.low), max(*ends, held.high), faithful and told and not often, smooth)
    return Cell(None, -inf, inf, False, smooth)


def _in_other_rounds(a: Entry, b: Entry, base: int) -> bool:
    """Whether a loop writes to the same cell by both, in different rounds."""
    loops = [el.loop for el in a.path[base:] if isinstance(el, LoopEl) and el in b.path[base:]]
    return any(not any(x == y and loop.range.var in free_names(x) for x, y in zip(a.index, b.index, strict=True)) for loop in loops)


def _number(value: Any) -> Expr:
    """An array's cell or a written value as a number; truth values and texts are none of decimals."""
    return number(value) if sort_of(value) in ("number", "guard") else value if isinstance(value, _NUMBERS) else ZERO


def _is_open(e: Expr) -> bool:
    """Speaks of a variable of a loop whose value is not known yet."""
    return any(name.startswith(("$f", "$mf")) for name in free_names(e))


def _is_read(e: Expr, arrays: set[int]) -> bool:
    return isinstance(e, Call) and e.name.startswith("@") and _cell_of(e)[0] in arrays


def _is_constant(e: Expr) -> bool:
    match e:
        case Num() | Neg(Num()):
            return True
        case IfElse(_, a, b):
            return _is_constant(a) and _is_constant(b)
    return False


def _cell_of(read: Call) -> tuple[int, int]:
    which, version, _ = (int(p) for p in read.name[1:].split(":"))
    return which, version


def parts_of(e: Expr) -> Iterator[Expr]:
    """The numbers that a number is made of; not the guards that choose among them."""
    yield e
    match e:
        case IfElse(_, a, b):
            yield from parts_of(a)
            yield from parts_of(b)
        case Aggregate(kind, _, _, value):
            if value is not None and kind not in ("count", "any"):
                yield from parts_of(value)
        case Call(name, args) if not name.startswith("@"):
            for a in args:
                yield from parts_of(a)
        case Binary(_, a, b):
            yield from parts_of(a)
            yield from parts_of(b)
        case Neg(item):
            yield from parts_of(item)


def _powers(e: Expr) -> list[float] | None:
    """The values of c * s ** count."""
    factor, rest = (e.left.value, e.right) if isinstance(e, Binary) and e.op == "*" and isinstance(e.left, Num) else (1.0, e)
    match rest:
        case Binary("**", Num(base), times) if 0 < base < 1 and whole(times) and bounds(times)[0] >= 0:
            return [factor * base**t for t in range(ROUNDS)]
    return None


def _subtracts(e: Expr) -> bool:
    return any(isinstance(x, Neg) or (isinstance(x, Binary) and x.op == "-" and not whole(x)) for x in parts_of(e))


def _shape(e: Expr) -> str:
    """The expression whatever its variables are called: a cell is read at other indices than it is written at."""
    return re.sub(r"\$\w+", "$", re.sub(r"(@\d+:\d+):\d+", r"\1", str(e)))
