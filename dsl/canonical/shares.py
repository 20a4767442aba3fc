"""What stands before a share without effect.

A share first drops negative weights and divides the row by its sum, so that it sees proportions alone.
"""

from __future__ import annotations

from collections.abc import Callable

from dsl.canonical.flatten import Act, Item, kept_name
from dsl.nodes import TRUE, Expr, IfElse, Num, free_names

WHOLE = Num(1.0)  # share 1, everywhere: the row keeps its proportions


def without_idle(items: list[Item], idle: Callable[[Act, list[Item]], bool]) -> list[Item]:
    """Without rules that a share right after them undoes. idle: whether a rule keeps the proportions of all rows."""
    result: list[Item] = []
    for item in items:
        if isinstance(item, Act) and item.op == "share":
            while result and isinstance(last := result[-1], Act) and _undone(last, result[:-1], item, idle):
                result.pop()
            if _keeps_all(item) and result and isinstance(last := result[-1], Act) and last.op == "share":
                continue  # its rows sum to 1 already
        result.append(item)
    return result


def _keeps_all(item: Act) -> bool:
    return item.guard == TRUE and item.value == WHOLE


def _undone(last: Act, before: list[Item], share: Act, idle: Callable[[Act, list[Item]], bool]) -> bool:
    if last.op == "share":
        if _keeps_all(last):
            return True
        numbers = isinstance(last.value, Num) and isinstance(share.value, Num) and 0 < last.value.value < 1
        return numbers and last.guard == share.guard and not kept_name(share.guard)
    if idle(last, before):
        return True
    if before or last.op not in ("set", "add") or last.value is None:  # rows of zeros count as even, too
        return False
    return not any("k" in free_names(e) or kept_name(e) for e in (last.guard, last.value))


def shares_paired(items: list[Item], pair: Callable[[Act, Act], Act | None]) -> list[Item]:
    """Shares that follow one another and concern different rows, in one rule: share a if T(q) else b."""
    result: list[Item] = []
    for item in items:
        last = result[-1] if result else None
        if isinstance(item, Act) and isinstance(last, Act) and item.op == last.op == "share" and not (item.asks or last.asks):
            one = pair(last, item)
            if one is not None and isinstance(one.value, IfElse) and by_row(one.value.test):
                result[-1] = one
                continue
        result.append(item)
    return result


def by_row(guard: Expr) -> bool:
    """Whether a guard says the same of all cells of a row."""
    return free_names(guard) <= {"q", "n"}
