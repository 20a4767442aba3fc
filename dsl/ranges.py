"""Ranges: first, last, count, any, all, sum, min and max over positions or annotated words.

Fastest first: running counts, or a reduction per set of words, where the guard depends on the range variable alone; a table where
the guard asks which position has a given value; a matrix product where the guard is a conjunction of parts that each see q or k but
not both; an axis of its own, or, where that would not fit, a loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsl.batch import indices
from dsl.nodes import TRUE, Aggregate, And, Compare, Expr, Find, K, Range, free_names, substitute

if TYPE_CHECKING:
    from dsl.values import State

LARGEST_KEY = 1 << 14  # whole numbers up to here are looked up in a table
EXACT = 2.0**40  # whole numbers up to here have the same sum in any order, which in a matrix product is the library's
AXIS_CELLS = 1 << 24  # the largest array with an axis for the range variable; beyond it the range is looped over


def over_range(node: Find | Aggregate, state: State) -> np.ndarray:
    """The value of a quantified expression, with the axes of `state`."""
    guard = node.guard if node.guard is not None else TRUE
    number = node.value if isinstance(node, Aggregate) else None
    kind = node.which if isinstance(node, Find) else node.kind
    inner = free_names(guard) | (free_names(number) if number is not None else frozenset())
    if node.range.domain is None:
        limits = _bounds(node.range, state)
        if inner <= {node.range.var, "n"} and kind not in ("min", "max"):
            return _running(kind, node.range.var, guard, number, *limits, state)
        if (found := _by_equality(kind, node.range, guard, number, state)) is not None:
            return found
        size = state.batch.size
    else:
        limits = None
        if inner <= {node.range.var, "n"}:
            return _over_words(kind, node.range, guard, number, state)
        size = state.batch.words
    if kind in ("any", "count", "sum") and (product := _product(kind, node.range, guard, number, limits, state)) is not None:
        return product
    return _with_axis(kind, node.range, guard, number, limits, size, state)


def _bounds(over: Range, state: State) -> tuple[np.ndarray, np.ndarray]:
    """First and last position of the range, whole numbers within the text; an empty range where a bound is missing."""
    size = state.batch.size
    high: Any = state.batch.lengths.reshape(-1, 1, 1) - 1
    low: Any = np.zeros((1, 1, 1), np.int64)
    if over.low is not None:
        low = np.fmin(np.fmax(np.ceil(state.value(over.low)), 0), size)
        low = np.where(np.isnan(state.value(over.low)), size, low).astype(np.int64)
    if over.high is not None:
        end = np.fmax(np.floor(state.value(over.high)), -1)  # fmax: -1 where the bound is missing
        high = np.minimum(np.minimum(end, size).astype(np.int64), high)
    return low, high


def _running(kind: str, var: str, guard: Expr, number: Expr | None, low: np.ndarray, high: np.ndarray, state: State) -> np.ndarray:
    """From tables over positions (running counts, sums, last and next match), read at the range's ends."""
    batch = state.batch
    shape = batch.valid.shape
    holds = np.broadcast_to(state.value(substitute(guard, {var: K})), (shape[0], 1, shape[1]))[:, 0] & batch.valid  # (B, N)
    if kind == "last":
        table = np.maximum.accumulate(np.where(holds, np.arange(shape[1]), -1), axis=1)
        found = _at(table, np.maximum(high, 0))
        return np.where((found < low) | (low > high), np.nan, found)
    if kind == "first":
        reverse = np.where(holds, np.arange(shape[1]), shape[1])[:, ::-1]
        table = np.minimum.accumulate(reverse, axis=1)[:, ::-1]
        found = _at(table, np.minimum(low, shape[1] - 1))
        return np.where((found > high) | (low > high), np.nan, found)
    if kind == "sum":
        assert number is not None
        values = np.broadcast_to(state.value(substitute(number, {var: K})), (shape[0], 1, shape[1]))[:, 0]
        terms = np.where(holds & ~np.isnan(values), values, 0.0)
    else:
        terms = ~holds & batch.valid if kind == "all" else holds
    running = np.zeros((shape[0], shape[1] + 1))
    np.cumsum(terms, axis=1, out=running[:, 1:])
    total = _at(running, high + 1)
    if low.any():
        total = total - _at(running, low)
    total = np.where(low > high, 0.0, total)
    return total == 0 if kind == "all" else total > 0 if kind == "any" else total


def _by_equality(kind: str, over: Range, guard: Expr, number: Expr | None, state: State) -> np.ndarray | None:
    """Over the whole text, where the guard asks for f(p) == x: a table of what is found for each value of f, read at x."""
    if over.low is not None or over.high is not None or number is not None or kind not in ("any", "count", "first", "last"):
        return None
    own = {over.var, "n"}
    items = guard.items if isinstance(guard, And) else (guard,)
    asking = [i for i in items if not free_names(i) <= own]
    if len(asking) != 1 or not isinstance(asking[0], Compare) or asking[0].op != "==":
        return None
    sides = sorted((asking[0].left, asking[0].right), key=lambda side: over.var not in free_names(side))
    if not free_names(sides[0]) <= own or over.var in free_names(sides[1]):
        return None
    batch = state.batch
    shape = batch.valid.shape

    def of_position(e: Expr) -> np.ndarray:
        return np.broadcast_to(state.value(substitute(e, {over.var: K})), (shape[0], 1, shape[1]))[:, 0]

    values, wanted = of_position(sides[0]), state.value(sides[1])
    holds = batch.valid & (values >= 0)  # not missing: MISSING is -1, and a comparison with NaN is false
    for item in items:
        if item is not asking[0]:
            holds = holds & of_position(item)
    texts, at = np.nonzero(holds)
    values = values[texts, at]
    if values.dtype != np.int32 and not ((values == np.floor(values)) & (values < LARGEST_KEY)).all():
        return None
    if values.dtype != np.int32 and (of_position(sides[0]) < 0).any():
        return None
    size = int(values.max(initial=0)) + 1
    cells = texts * size + values.astype(np.int64)
    index = indices(wanted, size)
    if kind in ("any", "count"):
        counted = _at(np.bincount(cells, minlength=shape[0] * size).reshape(-1, size), np.maximum(index, 0))
        total = np.where(index < 0, 0.0, counted)
        return total if kind == "count" else total > 0
    table = np.full(shape[0] * size, np.nan)
    order = slice(None, None, -1 if kind == "first" else 1)
    table[cells[order]] = at[order]  # the last one written stays
    return np.where(index < 0, np.nan, _at(table.reshape(-1, size), np.maximum(index, 0)))


def _at(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """table (B, X) at indices (…, b, q, k) from 0 to X - 1."""
    starts = np.arange(0, table.size, table.shape[1]).reshape(-1, 1, 1)
    return np.ravel(table).take(index + starts)


def _over_words(kind: str, over: Range, guard: Expr, number: Expr | None, state: State) -> np.ndarray:
    """Over words, where guard and number depend on the word alone: reduced once per set of words, read where a set is asked for."""
    batch = state.batch
    domain = over.domain
    assert domain is not None
    index: Any = np.zeros((1, 1, 1), np.int64)
    if domain.args:
        index = indices(state.value(domain.args[0]), batch.size) if domain.name == "words" else state.as_word(domain.args[0])
    of_words = None if not domain.args else domain.name != "words"
    sets, words = batch.members(domain.name, of_words)  # numbers of sets, of all texts together, and of the words in them
    size = 1 if of_words is None else batch.words if of_words else batch.size
    inner, _ = _inner(over, type(state)(batch), batch.words)

    def of_word(e: Expr) -> np.ndarray:
        return np.broadcast_to(inner.value(e), (batch.words, len(batch), 1, 1))[..., 0, 0].T.ravel()[words]

    holds = of_word(guard)
    if kind == "all":
        holds = ~holds
    values: Any = None
    if number is not None:
        values = of_word(number)
        holds = holds & ~np.isnan(values)
        values = values[holds]
    sets, found = sets[holds], words[holds] % batch.words
    cells = len(batch) * size
    empty: Any = 0.0
    table: Any
    match kind:
        case "first" | "last":
            table, empty = np.full(cells, -1, np.int32), -1
            order = slice(None, None, -1 if kind == "first" else 1)
            table[sets[order]] = found[order]  # words come in order, and the last one written stays
        case "min" | "max":
            table, empty = np.full(cells, np.nan), np.nan
            (np.fmin if kind == "min" else np.fmax).at(table, sets, values)
            table[~np.isfinite(table)] = np.nan
        case _:
            table = np.bincount(sets, values, cells).astype(np.float64)
            if kind in ("any", "all"):
                table, empty = (table > 0, False) if kind == "any" else (table == 0, True)
    picked = _at(table.reshape(len(batch), size), np.maximum(index, 0))
    return picked if index.min() >= 0 else np.where(index < 0, empty, picked).astype(picked.dtype)


def _inner(over: Range, state: State, size: int) -> tuple[State, np.ndarray]:
    """The scope inside the range, and its variable as an axis of its own: (size, 1, …, 1)."""
    rank = 3 + state.depth + 1
    at = np.arange(size).reshape(size, *(1,) * (rank - 1))
    sort = "number" if over.domain is None else "word"
    variable = at.astype(np.float64) if sort == "number" else at.astype(np.int32)
    return state.bind(over.var, sort, variable, deeper=1), at


def _inside(over: Range, limits: tuple[np.ndarray, np.ndarray] | None, at: np.ndarray, state: State) -> np.ndarray:
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


def _product(kind: str, over: Range, guard: Expr, number: Expr | None, limits: Any, state: State) -> np.ndarray | None:
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
        if not ((values == np.floor(values)) & (abs(values) < EXACT)).all():
            return None
        which = 1 if values.shape[-1] > 1 else 0
        factors[which] = factors[which] * values
    batch, n = len(state.batch), state.batch.size
    left = np.broadcast_to(factors[0], (size, batch, n, 1))[..., 0].transpose(1, 2, 0)  # (B, Q, V)
    right = np.broadcast_to(factors[1], (size, batch, 1, n))[:, :, 0].transpose(1, 0, 2)  # (B, V, K)
    total = np.matmul(left, right)
    return total > 0.5 if kind == "any" else total.astype(np.float64)


def _with_axis(kind: str, over: Range, guard: Expr, number: Expr | None, limits: Any, size: int, state: State) -> np.ndarray:
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
            return _total(np.where(holds, values, 0.0))
        case "first" | "last":
            out_of_reach = np.inf if kind == "first" else -np.inf
            found = np.where(holds, where, out_of_reach)
            return _found(found.min(0) if kind == "first" else found.max(0), over)
    reach = np.where(holds, values, np.inf if kind == "min" else -np.inf)
    extreme = reach.min(0) if kind == "min" else reach.max(0)
    return np.where(np.isfinite(extreme), extreme, np.nan)


def _total(terms: np.ndarray) -> np.ndarray:
    """The sum over the first axis, one term after another: the same bits whatever the array's shape."""
    total = np.zeros(terms.shape[1:])
    for term in terms:
        total += term
    return total


def _found(found: np.ndarray, over: Range) -> np.ndarray:
    if over.domain is not None:
        return np.where(np.isfinite(found), found, -1).astype(np.int32)
    return np.where(np.isfinite(found), found, np.nan)


def _looped(kind: str, over: Range, guard: Expr, number: Expr | None, inside: np.ndarray, size: int, state: State) -> np.ndarray:
    """The same, one value of the variable at a time."""
    start = {"any": False, "all": True, "count": 0.0, "sum": 0.0, "first": np.inf, "min": np.inf}.get(kind, -np.inf)
    result: Any = np.full((1, 1, 1), start)
    sort = "number" if over.domain is None else "word"
    for v in range(size):
        within = inside[v] if inside.shape[0] > 1 else inside[0]
        if not within.any():
            continue
        here = np.full((1, 1, 1), v, np.float64 if sort == "number" else np.int32)  # one value is no axis
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
