"""Ranges: first, last, count, any, all, sum, min and max over positions or annotated words.

Three ways, fastest first: running counts where the guard depends on the range variable alone; a matrix product where the guard
is a conjunction of parts that each see q or k but not both; an axis of its own, or, where that would not fit, a loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsl.batch import indices
from dsl.nodes import TRUE, Aggregate, And, Expr, Find, K, Range, free_names, substitute

if TYPE_CHECKING:
    from dsl.evaluator import _State

AXIS_CELLS = 1 << 24  # the largest array with an axis for the range variable; beyond it the range is looped over


def over_range(node: Find | Aggregate, state: _State) -> np.ndarray:
    """The value of a quantified expression, with the axes of `state`."""
    guard = node.guard if node.guard is not None else TRUE
    number = node.value if isinstance(node, Aggregate) else None
    kind = node.which if isinstance(node, Find) else node.kind
    if node.range.domain is None:
        low, high = _bounds(node.range, state)
        inner = free_names(guard) | (free_names(number) if number is not None else frozenset())
        if inner <= {node.range.var, "n"} and kind not in ("min", "max"):
            return _running(kind, node.range.var, guard, number, low, high, state)
        limits = (low, high)
        size = state.batch.size
    else:
        limits = None
        size = state.batch.words
    if kind in ("any", "count", "sum") and (product := _product(kind, node.range, guard, number, limits, state)) is not None:
        return product
    return _with_axis(kind, node.range, guard, number, limits, size, state)


def _bounds(over: Range, state: _State) -> tuple[np.ndarray, np.ndarray]:
    """First and last position of the range, whole numbers within the text; an empty range where a bound is missing."""
    last = state.batch.lengths.reshape(-1, 1, 1) - 1
    low: Any = np.zeros((1, 1, 1), np.int64)
    high: Any = last
    if over.low is not None:
        value = state.value(over.low)
        low = np.where(np.isnan(value), state.batch.size, np.clip(np.ceil(value), 0, state.batch.size)).astype(np.int64)
    if over.high is not None:
        value = state.value(over.high)
        high = np.where(np.isnan(value), -1, np.clip(np.floor(value), -1, state.batch.size)).astype(np.int64)
        high = np.minimum(high, last)
    return low, high


def _running(kind: str, var: str, guard: Expr, number: Expr | None, low: np.ndarray, high: np.ndarray, state: _State) -> np.ndarray:
    """From tables over positions (running counts, sums, last and next match), read at the range's ends."""
    batch = state.batch
    shape = batch.valid.shape
    holds = np.broadcast_to(state.value(substitute(guard, {var: K})), (shape[0], 1, shape[1]))[:, 0] & batch.valid  # (B, N)
    texts = np.arange(shape[0]).reshape(-1, 1, 1)
    empty = low > high
    if kind == "last":
        table = np.maximum.accumulate(np.where(holds, np.arange(shape[1]), -1), axis=1)
        found = table[texts, np.maximum(high, 0)]
        return np.where((found < low) | empty, np.nan, found)
    if kind == "first":
        reverse = np.where(holds, np.arange(shape[1]), shape[1])[:, ::-1]
        table = np.minimum.accumulate(reverse, axis=1)[:, ::-1]
        found = table[texts, np.minimum(low, shape[1] - 1)]
        return np.where((found > high) | empty, np.nan, found)
    if kind == "sum":
        assert number is not None
        values = np.broadcast_to(state.value(substitute(number, {var: K})), (shape[0], 1, shape[1]))[:, 0]
        terms = np.where(holds & ~np.isnan(values), values, 0.0)
    else:
        terms = (~holds & batch.valid if kind == "all" else holds).astype(np.float64)
    running = np.zeros((shape[0], shape[1] + 1))
    np.cumsum(terms, axis=1, out=running[:, 1:])
    total = np.where(empty, 0.0, running[texts, np.maximum(high, -1) + 1] - running[texts, np.minimum(low, shape[1])])
    return total == 0 if kind == "all" else total > 0 if kind == "any" else total


def _inner(over: Range, state: _State, size: int) -> tuple[_State, np.ndarray]:
    """The scope inside the range, and its variable as an axis of its own: (size, 1, …, 1)."""
    rank = 3 + state.depth + 1
    at = np.arange(size).reshape(size, *(1,) * (rank - 1))
    sort = "number" if over.domain is None else "word"
    variable = at.astype(np.float64) if sort == "number" else at.astype(np.int32)
    return state.bind(over.var, sort, variable, deeper=1), at


def _inside(over: Range, limits: tuple[np.ndarray, np.ndarray] | None, at: np.ndarray, state: _State) -> np.ndarray:
    """Which values of the variable are in the range: (size, …, b, q, k)."""
    if limits is not None:
        return (at >= limits[0]) & (at <= limits[1])
    from dsl.vocabulary import VOCABULARY

    domain = over.domain
    assert domain is not None
    batch = state.batch
    evaluate = VOCABULARY[domain.name].evaluate
    if not domain.args:
        members = batch.membership(domain.name, evaluate, None)  # (B, 1, W)
        return members[:, 0].T.reshape(batch.words, *(1,) * state.depth, len(batch), 1, 1)
    if domain.name == "words":
        table = batch.membership("words", evaluate, False)
        index = indices(state.value(domain.args[0]), batch.size)
    else:
        table = batch.membership(domain.name, evaluate, True)
        index = state.as_word(domain.args[0])
    picked = table[np.arange(len(batch)).reshape(-1, 1, 1), np.maximum(index, 0)] & (index >= 0)[..., None]
    return (
        np.moveaxis(picked, -1, 0)
        if picked.ndim == 4 + state.depth
        else np.moveaxis(picked.reshape(*(1,) * (4 + state.depth - picked.ndim), *picked.shape), -1, 0)
    )


def _product(kind: str, over: Range, guard: Expr, number: Expr | None, limits: Any, state: _State) -> np.ndarray | None:
    """any / count / sum over the variable of A(q, v) B(v, k) as one matrix product per text, if the guard falls apart so."""
    if state.depth:
        return None
    items = guard.items if isinstance(guard, And) else (guard,)
    names = [free_names(i) for i in (*items, *(() if number is None else (number,)))]
    together = frozenset().union(*names)
    if not {"q", "k"} <= together | free_names(over) or together - {over.var, "q", "k", "n"}:
        return None
    if any({"q", "k"} <= n for n in names):
        return None
    size = state.batch.size if over.domain is None else state.batch.words
    inner, at = _inner(over, state, size)
    inside = _inside(over, limits, at, state)
    if inside.shape[-1] > 1 and inside.shape[-2] > 1:
        return None
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    for item in items:
        holds = inner.value(item)
        (columns if holds.shape[-1] > 1 else rows).append(holds)
    (columns if inside.shape[-1] > 1 else rows).append(inside)
    factors: list[np.ndarray] = []
    for parts in (rows, columns):
        part: Any = np.ones((1, 1, 1, 1), np.float32)
        for p in parts:
            part = part * p
        factors.append(part.astype(np.float64 if number is not None else np.float32))
    if number is not None:
        values = np.nan_to_num(inner.value(number), nan=0.0)
        which = 1 if values.shape[-1] > 1 else 0
        factors[which] = factors[which] * values
    batch, n = len(state.batch), state.batch.size
    left = np.broadcast_to(factors[0], (size, batch, n, 1))[..., 0].transpose(1, 2, 0)  # (B, Q, V)
    right = np.broadcast_to(factors[1], (size, batch, 1, n))[:, :, 0].transpose(1, 0, 2)  # (B, V, K)
    total = np.matmul(left, right)
    return total > 0.5 if kind == "any" else total.astype(np.float64)


def _with_axis(kind: str, over: Range, guard: Expr, number: Expr | None, limits: Any, size: int, state: _State) -> np.ndarray:
    inner, at = _inner(over, state, size)
    inside = _inside(over, limits, at, state)
    names = free_names(guard) | (free_names(number) if number is not None else frozenset())
    cells = size * len(state.batch)
    for name in names | free_names(over):
        cells *= state.batch.size if name in ("q", "k") else 1
        bound = state.bound.get(name)
        cells *= bound.shape[0] if bound is not None and bound.ndim > 3 else 1
    if names & {"weight", "row"}:
        cells *= state.batch.size
    if cells > AXIS_CELLS:
        return _looped(kind, over, guard, number, inside, size, state)
    holds = inside & inner.value(guard)
    values: Any = None
    if number is not None:
        values = inner.value(number)
        holds = holds & ~np.isnan(values)
    where = np.arange(size, dtype=np.float64).reshape(at.shape)
    match kind:
        case "any":
            return holds.any(0)
        case "all":
            return ~(inside & ~inner.value(guard)).any(0)
        case "count":
            return holds.sum(0, dtype=np.float64)
        case "sum":
            return np.where(holds, values, 0.0).sum(0)
        case "first" | "last":
            out_of_reach = np.inf if kind == "first" else -np.inf
            found = np.where(holds, where, out_of_reach)
            return _found(found.min(0) if kind == "first" else found.max(0), over)
    reach = np.where(holds, values, np.inf if kind == "min" else -np.inf)
    extreme = reach.min(0) if kind == "min" else reach.max(0)
    return np.where(np.isfinite(extreme), extreme, np.nan)


def _found(found: np.ndarray, over: Range) -> np.ndarray:
    if over.domain is not None:
        return np.where(np.isfinite(found), found, -1).astype(np.int32)
    return np.where(np.isfinite(found), found, np.nan)


def _looped(kind: str, over: Range, guard: Expr, number: Expr | None, inside: np.ndarray, size: int, state: _State) -> np.ndarray:
    """The same, one value of the variable at a time."""
    start = {"any": False, "all": True, "count": 0.0, "sum": 0.0, "first": np.inf, "min": np.inf}.get(kind, -np.inf)
    result: Any = np.full((1,) * (3 + state.depth), start)
    sort = "number" if over.domain is None else "word"
    for v in range(size):
        within = inside[v] if inside.shape[0] > 1 else inside[0]
        if not within.any():
            continue
        here = np.full((1,) * (3 + state.depth), v, np.float64 if sort == "number" else np.int32)
        inner = state.bind(over.var, sort, here)
        holds = within & inner.value(guard)
        if kind in ("any", "all"):
            result = result | holds if kind == "any" else result & (holds | ~within)
            continue
        values: Any = float(v)
        if number is not None:
            values = inner.value(number)
            holds = holds & ~np.isnan(values)
        match kind:
            case "count":
                result = result + holds
            case "sum":
                result = result + np.where(holds, values, 0.0)
            case "first" | "min":
                result = np.minimum(result, np.where(holds, values, np.inf))
            case "last" | "max":
                result = np.maximum(result, np.where(holds, values, -np.inf))
    if kind in ("any", "all", "count", "sum"):
        return result
    return _found(result, over) if kind in ("first", "last") else np.where(np.isfinite(result), result, np.nan)
