"""From flat rules to the shortest text: where blocks, `else`, choices and names stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dsl.canonical.compare import opposite
from dsl.canonical.expressions import simplified
from dsl.canonical.flatten import Act, Item
from dsl.canonical.logic import parts
from dsl.canonical.order import key, size, sorted_items
from dsl.canonical.rules import part_place
from dsl.canonical.shares import by_row
from dsl.nodes import (
    TRUE,
    Aggregate,
    And,
    Block,
    Call,
    Compare,
    Expr,
    IfElse,
    Let,
    Name,
    Not,
    Num,
    Or,
    Rule,
    Statement,
    rebuild,
    substitute,
    walk,
)

BLOCK = len("when  {\n}\n")  # what a block costs, its guard aside
ELSE = len("} else {\n")
INDENT = 4
WHEN = len("when  ")


@dataclass(frozen=True)
class _Line:
    """A rule on its way into blocks: the parts of its guard that no block around it says."""

    parts: frozenset[Expr]
    op: str
    value: Expr | None


def laid_out(items: list[Item]) -> tuple[Statement, ...]:
    """The statements of the shortest text found."""
    result: list[Statement] = []
    lines: list[_Line] = []
    for item in [*items, None]:
        if isinstance(item, Act):
            lines.append(_Line(frozenset(parts(item.guard)), item.op, item.value))
            continue
        result += _blocks(lines)
        lines = []
        if item is not None:
            result.append(Let(item.name, item.value))
    return tuple(_inlined(result))


def _blocks(lines: list[_Line]) -> list[Statement]:
    best = max(_candidates(lines), default=None, key=lambda c: (c.saves, -c.start, -c.end, c.name))
    if best is None or best.saves <= 0:
        return [_rule(line) for line in lines]
    then = _blocks([_without(line, best.common) for line in lines[best.start : best.middle]])
    other = _blocks([_without(line, best.opposite) for line in lines[best.middle : best.end]])
    guard = _conjunction(best.common)
    block: Statement = Block(guard, tuple(then), tuple(other))
    if len(then) == len(other) == 1 and (choice := _choice(guard, then[0], other[0])) is not None:
        block = choice
    return [*_blocks(lines[: best.start]), block, *_blocks(lines[best.end :])]


@dataclass(frozen=True)
class _Candidate:
    """A block over lines start..middle, whose `else` takes middle..end."""

    saves: int
    start: int
    middle: int
    end: int
    common: frozenset[Expr]
    opposite: frozenset[Expr]
    name: str


def _candidates(lines: list[_Line]) -> list[_Candidate]:
    result = []
    seen: set[tuple[int, frozenset[Expr]]] = set()
    for start, line in enumerate(lines):
        for part in sorted(line.parts, key=part_place):
            if start and part in lines[start - 1].parts:
                middles = []  # the run began earlier
            else:
                end = start
                while end < len(lines) and part in lines[end].parts:
                    end += 1
                middles = [end]
            for middle in middles:
                common = frozenset.intersection(*(line.parts for line in lines[start:middle]))
                for taken in {common, frozenset({part})}:
                    if (start, taken) not in seen and (middle - start > 1 or _may_have_else(lines, start, taken)):
                        seen.add((start, taken))
                        result.append(_candidate(lines, start, middle, taken))
    return [c for c in result if c.saves > 0]


def _may_have_else(lines: list[_Line], start: int, taken: frozenset[Expr]) -> bool:
    """Whether the line after `start` might hold where the guard does not."""
    if start + 1 == len(lines):
        return False
    after = lines[start + 1].parts
    if len(taken) == 1:
        (part,) = taken
        return isinstance(part, Or | Not) or opposite(part) in after or Not(part) in after
    return any(isinstance(p, Or | Not) for p in after)


def _candidate(lines: list[_Line], start: int, middle: int, common: frozenset[Expr]) -> _Candidate:
    guard = _conjunction(common)
    opposite = frozenset(parts(simplified(Not(guard))))
    end = middle
    while end < len(lines) and opposite <= lines[end].parts:
        end += 1
    length, other = size(guard), size(_conjunction(opposite))
    first, second = middle - start, end - middle
    joint = len(" and ")

    def said(line: _Line, taken: frozenset[Expr], long: int) -> int:
        return long + (WHEN if line.parts == taken else joint)

    saves = sum(said(line, common, length) - INDENT for line in lines[start:middle]) - length - BLOCK
    if second:
        saves += sum(said(line, opposite, other) - INDENT for line in lines[middle:end]) - ELSE
    if first == second == 1 and _is_choice(lines[start], lines[middle], common, opposite):
        saves = 2 * WHEN + length + other + len(lines[start].op) - len(" if  else ") - length
    return _Candidate(saves, start, middle, end, common, opposite, key(guard))


def _is_choice(a: _Line, b: _Line, common: frozenset[Expr], opposite: frozenset[Expr]) -> bool:
    plain = not isinstance(a.value, IfElse) and not isinstance(b.value, IfElse)
    plain = plain and (a.op != "share" or all(map(by_row, common)))
    return a.op == b.op and a.value is not None and plain and a.parts == common and b.parts == opposite


def _choice(guard: Expr, then: Statement, other: Statement) -> Rule | None:
    """add a where G, add b elsewhere: add a if G else b."""
    if not (isinstance(then, Rule) and isinstance(other, Rule)) or then.op != other.op or then.value is None or other.value is None:
        return None
    if then.op == "share" and not by_row(guard):
        return None
    if then.guard is not None or other.guard is not None or isinstance(then.value, IfElse) or isinstance(other.value, IfElse):
        return None
    value = simplified(IfElse(guard, then.value, other.value))
    return Rule(then.op, value) if isinstance(value, IfElse) else None


def _without(line: _Line, said: frozenset[Expr]) -> _Line:
    return _Line(line.parts - said, line.op, line.value)


def _rule(line: _Line) -> Rule:
    guard = _conjunction(line.parts)
    return Rule(line.op, line.value, None if guard == TRUE else guard)


def _conjunction(items: frozenset[Expr]) -> Expr:
    return TRUE if not items else next(iter(items)) if len(items) == 1 else And(sorted_items(items))


def _inlined(statements: list[Statement]) -> list[Statement]:
    """Names that the next statement alone uses, before anything changes, are not needed."""
    for i, let in enumerate(statements[:-1]):
        after = statements[i + 1]
        if not isinstance(let, Let) or any(let.name in _names(s) for s in statements[i + 2 :]):
            continue
        uses = sum(isinstance(n, Name) and n.name == let.name for n in walk(after))
        inside = isinstance(after, Block) and any(let.name in _names(s) for s in (*after.then, *after.other))
        if uses == 1 and not inside and isinstance(after, Rule | Block):
            named = {let.name: let.value}
            if isinstance(after, Block):
                new: Statement = Block(substitute(after.guard, named), after.then, after.other)
            else:
                new = substitute(after, named)
            return _inlined([*statements[:i], new, *statements[i + 2 :]])
    return statements


def _names(node: Any) -> set[str]:
    return {n.name for n in walk(node) if isinstance(n, Name)}


def shown(node: Any) -> Any:
    """Guards turned to the spelling that is shorter to read: all(…) for not any(…: not …), abs(x) <= 3 for two bounds."""
    node = rebuild(node, shown)
    match node:
        case Not(Aggregate("any", over, Not(guard))):
            return Aggregate("all", over, guard)
        case And(items) | Or(items):
            for a in items:
                for b in items:
                    if isinstance(a, Compare) and isinstance(b, Compare) and (both := _both_sides(a, b, type(node))) is not None:
                        rest = [i for i in items if i is not a and i is not b]
                        return shown(type(node)(sorted_items([*rest, both]))) if rest else both
    return node


def _both_sides(a: Compare, b: Compare, kind: type) -> Expr | None:
    """x <= 3 and x >= -3 is abs(x) <= 3; x > 3 or x < -3 is abs(x) > 3."""
    if a.left != b.left or not isinstance(a.right, Num) or a.right.value <= 0 or b.right != Num(-a.right.value):
        return None
    mirrored = {"<": ">", "<=": ">="} if kind is And else {">": "<", ">=": "<="}
    return Compare(a.op, Call("abs", (a.left,)), a.right) if mirrored.get(a.op) == b.op else None
