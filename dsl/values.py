"""Values of expressions on a batch of texts, by numpy. tests/dsl/oracle.py is their specification.

A value is an array with the axes (…, text, query, key): variables of ranges stand in front, innermost first, and an axis has
length 1 where the value does not depend on it. What depends on q and k alone is kept in the batch, and what depends on one
position alone is computed once and shared by q, k and every range variable.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dsl.batch import MISSING, Batch, indices
from dsl.check import Scope
from dsl.concepts import body, places
from dsl.nodes import (
    Aggregate,
    And,
    Binary,
    Bool,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    K,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Q,
    Same,
    Str,
    Use,
    free_names,
    substitute,
)
from dsl.ranges import over_range
from dsl.vocabulary import VOCABULARY, Sort

_TEXTUAL = frozenset({"q", "k", "n"})
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def value(expression: Expr, batch: Batch) -> np.ndarray:
    """The value of a closed expression, broadcastable to (B, Q, K): bool for guards, NaN for missing numbers."""
    with np.errstate(all="ignore"):
        return State(batch).value(expression)


@dataclass
class State:
    """Where evaluation stands: the weights so far, and the names bound by ranges and impure lets."""

    batch: Batch
    weights: Any = None  # (B, Q, K) float64, for expressions that read them
    sorts: Scope = field(default_factory=dict)
    bound: dict[str, np.ndarray] = field(default_factory=dict)
    depth: int = 0  # range variables in scope

    def bind(self, name: str, sort: Any, array: np.ndarray, deeper: int = 0) -> State:
        return replace(self, sorts={**self.sorts, name: sort}, bound={**self.bound, name: array}, depth=self.depth + deeper)

    def row(self) -> np.ndarray:
        """(B, Q, 1): the sums of the rows so far, masked cells included, padding not."""
        from dsl.kernels import row_sums

        sums = np.zeros((*self.weights.shape[:2], 1))
        row_sums(self.weights, self.batch.lengths, sums)
        return sums

    def value(self, node: Expr) -> np.ndarray:
        free = free_names(node)
        if free <= _TEXTUAL:
            return self._shared(node, free)
        positions = free - {"n"}
        if len(positions) == 1 and not isinstance(node, Name):
            (var,) = positions
            array = self.bound.get(var)
            if array is not None and array.ndim > 3 and self.sorts[var] == "number":
                return self._moved(self._shared(substitute(node, {var: K}), frozenset({"k"})), array.ndim)
        return self._compute(node)

    def _shared(self, node: Expr, free: frozenset[str]) -> np.ndarray:
        if isinstance(node, Name | Num | Bool | Str):
            return self._compute(node)
        known = self.batch.cache.get(node)
        if known is None:
            known = self.batch.features.get(node)
        if known is None:
            if "q" in free and "k" not in free:
                known = self.value(substitute(node, {"q": K})).swapaxes(-1, -2)
            else:
                known = (self if not self.bound else State(self.batch))._compute(node)
            if _is_feature(node):
                self.batch.features[node] = known
            else:
                self.batch.keep(node, known)
        return known

    def _moved(self, over_keys: np.ndarray, rank: int) -> np.ndarray:
        """(b, 1, N) as a range variable's: (N, 1, …, b, 1, 1) of the given rank."""
        flat = over_keys.reshape(over_keys.shape[0], -1).T
        return flat.reshape(flat.shape[0], *(1,) * (rank - 4), flat.shape[1], 1, 1)

    def _compute(self, node: Expr) -> np.ndarray:
        match node:
            case Num(number):
                return np.full((1, 1, 1), number)
            case Str(string):
                return np.full((1, 1, 1), self.batch.code(string), np.int32)
            case Bool(truth):
                return np.full((1, 1, 1), truth)
            case Name(name):
                return self._name(name)
            case Same(feature):
                return self.value(Compare("==", Call(feature, (Q,)), Call(feature, (K,))))
            case Call():
                return self._call(node)
            case Use():
                return self._use(node)
            case Neg(item):
                return -self.value(item)
            case Binary("**", left, right):
                from dsl.scalar import power

                return _finite(power(self.value(left), self.value(right)))
            case Binary(op, left, right):
                return _finite(_ARITHMETIC[op](self.value(left), self.value(right)))
            case Compare(op, left, right):
                return self._compare(op, self.value(left), self.value(right))
            case Member(item, values):
                return self._member(self.value(item), values)
            case Not(item):
                return ~self.value(item)
            case And(items):
                return _folded(np.logical_and, [self.value(i) for i in items])
            case Or(items):
                return _folded(np.logical_or, [self.value(i) for i in items])
            case IfElse(test, then, other):
                return np.where(self.value(test), self.value(then), self.value(other))
            case Find() | Aggregate():
                return over_range(node, self)
        raise TypeError(f"not an expression: {node!r}")

    def _name(self, name: str) -> np.ndarray:
        size = self.batch.size
        match name:
            case "q":
                return np.arange(size, dtype=np.float64).reshape(1, size, 1)
            case "k":
                return np.arange(size, dtype=np.float64).reshape(1, 1, size)
            case "n":
                return self.batch.lengths.astype(np.float64).reshape(-1, 1, 1)
            case "dist":
                return self._name("q") - self._name("k")
            case "weight":
                return self.weights
            case "row":
                return self.row()
        return self.bound[name]

    def _compare(self, op: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if a.dtype == np.int32:  # texts or words
            if op == "==":
                equal: np.ndarray = a == b
                return equal if b.size == 1 and b.item() != MISSING else equal & (a != MISSING)
            return (a != b) & (a != MISSING) & (b != MISSING)
        if op == "!=":
            return (a != b) & ~np.isnan(a) & ~np.isnan(b)
        return _COMPARISONS[op](a, b)

    def _member(self, item: np.ndarray, values: tuple[str | float, ...]) -> np.ndarray:
        if item.dtype != np.int32:
            return np.isin(item, [v for v in values if not isinstance(v, str)])
        codes = [self.batch.code(v) for v in values if isinstance(v, str)]
        table = np.zeros(len(self.batch.strings) + 1, bool)  # the last entry answers for MISSING = -1
        table[codes] = True
        return table.take(item)

    def _call(self, node: Call) -> np.ndarray:
        primitive = VOCABULARY[node.name]
        args = node.args
        match primitive.domain:
            case "number":
                from dsl import scalar

                values = [self.value(a) for a in args]
                return _finite(primitive.evaluate(*values, scalar))
            case "text":
                wanted = [primitive.params[min(i, len(primitive.params) - 1)] for i in range(len(args))]
                arrays = [self.as_text(a) if w == "text" else self.value(a) for a, w in zip(args, wanted, strict=True)]
                return self._strings(primitive, arrays)
            case "position":
                if node.name == "text" and kind_of(args[0], self.sorts) == "word":
                    return self.as_text(args[0])
                return self._at_position(primitive.name, args[0])
            case "word":
                table = self.batch.per_word(primitive.name, primitive.evaluate, primitive.result)
                if primitive.name in ("first_token", "last_token"):
                    table = np.where(table < 0, np.nan, table)
                return self.pick(table, self.as_word(args[0]), primitive.result)
            case "pair":
                table = self.batch.pairs(primitive.name, primitive.evaluate)
                if args == (Q, K):
                    return table
                rows, columns = (indices(self.value(a), self.batch.size) for a in args)
                picked = table[np.arange(len(table)).reshape(-1, 1, 1), np.maximum(rows, 0), np.maximum(columns, 0)]
                return np.where((rows < 0) | (columns < 0), np.nan, picked)
        return self._cell(node)

    def _cell(self, node: Call) -> np.ndarray:
        first = self.value(node.args[0])
        match node.name:
            case "exists":
                return first != MISSING if first.dtype == np.int32 else ~np.isnan(first)
            case "default":
                missing = first == MISSING if first.dtype == np.int32 else np.isnan(first)
                return np.where(missing, self.value(node.args[1]), first)
            case "nth_word":
                whole = indices(first, self.batch.words)
                return np.where(whole < self.batch.valid_words.sum(1).reshape(-1, 1, 1), whole, MISSING).astype(np.int32)
            case "weight":
                rows, columns = (indices(v, self.batch.size) for v in (first, self.value(node.args[1])))
                inside = (rows >= 0) & (columns >= 0)
                texts = np.arange(len(self.batch)).reshape(-1, 1, 1)
                picked = self.weights[texts, np.maximum(rows, 0), np.maximum(columns, 0)]
                lengths = self.batch.lengths.reshape(-1, 1, 1)
                return np.where(inside & (rows < lengths) & (columns < lengths), picked, np.nan)
        raise TypeError(f"{node.name} has no evaluator")

    def _use(self, node: Use) -> np.ndarray:
        """A definition is evaluated once for all positions (or pairs) of the batch, and looked up."""
        batch, args = self.batch, node.args
        held = State(batch).value(body(node.concept))
        if args == places(node.concept):
            return held
        size, within = batch.size, batch.valid
        index = [indices(self.value(a), size) for a in args]
        if len(args) == 1:
            return self.pick(np.broadcast_to(held, (len(batch), 1, size))[:, 0] & within, index[0], "guard")
        table = np.broadcast_to(held, (len(batch), size, size)) & within[:, :, None] & within[:, None, :]
        rows, columns = index
        picked = table[np.arange(len(table)).reshape(-1, 1, 1), np.maximum(rows, 0), np.maximum(columns, 0)]
        return picked & (rows >= 0) & (columns >= 0)

    def as_text(self, node: Expr) -> np.ndarray:
        """Codes of a text, of a position's token, or of a word's text."""
        sort = kind_of(node, self.sorts)
        if sort == "text":
            return self.value(node)
        if sort == "number":
            return self.value(Call("text", (node,)))
        table = self.batch.per_word("text", lambda text, w: text.words[w].text, "text")
        return self.pick(table, self.value(node), "text")

    def as_word(self, node: Expr) -> np.ndarray:
        """Indices of a word, or of a position's first word."""
        if kind_of(node, self.sorts) == "word":
            return self.value(node)
        return self.value(Call("word", (node,)))

    def _at_position(self, name: str, at: Expr) -> np.ndarray:
        primitive = VOCABULARY[name]
        table = self.batch.per_position(name, primitive.evaluate, primitive.result)
        if at == K:
            return table[:, None, :]
        return self.pick(table, indices(self.value(at), self.batch.size), primitive.result)

    def pick(self, table: np.ndarray, index: np.ndarray, sort: str) -> np.ndarray:
        """table (B, X) at the given indices (…, b, q, k), missing where the index is negative."""
        picked = table[np.arange(len(table)).reshape(-1, 1, 1), np.maximum(index, 0)]
        if sort == "guard":
            return picked & (index >= 0)
        return np.where(index < 0, np.nan if sort == "number" else MISSING, picked).astype(table.dtype, copy=False)

    def _strings(self, primitive: Any, arrays: list[np.ndarray]) -> np.ndarray:
        """A function of strings, computed once per distinct combination of arguments."""
        if arrays[0].dtype == np.int32 and all(a.size == 1 and a.item() != MISSING and a.item() == a.item() for a in arrays[1:]):
            return self._of_string(primitive, arrays)
        texts = [a.dtype == np.int32 for a in arrays]
        full = np.broadcast_arrays(*arrays)
        shape = full[0].shape
        flat = [a.ravel() for a in full]
        missing = _folded(np.logical_or, [a == MISSING if t else np.isnan(a) for a, t in zip(flat, texts, strict=True)])
        combined = np.zeros(len(flat[0]), np.int64)
        for a in flat:
            distinct, inverse = np.unique(a, return_inverse=True)
            combined = combined * len(distinct) + inverse
        _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
        results: list[Any] = []
        for i in first:
            if missing[i]:
                results.append(_NOTHING[primitive.result])
                continue
            args = [self.batch.strings[a[i]] if t else float(a[i]) for a, t in zip(flat, texts, strict=True)]
            result = primitive.evaluate(*args)
            results.append(self.batch.code(result) if primitive.result == "text" else result)
        return np.array(results, _DTYPE[primitive.result])[inverse].reshape(shape)

    def _of_string(self, primitive: Any, arrays: list[np.ndarray]) -> np.ndarray:
        """The same where only the first argument varies: looked up in a table over the batch's strings."""
        batch = self.batch
        args = tuple(batch.strings[a.item()] if a.dtype == np.int32 else float(a.item()) for a in arrays[1:])
        codes = arrays[0]
        wanted = np.zeros(len(batch.strings) + 1, bool)  # the last entry stands for MISSING = -1
        wanted[codes.ravel()] = True
        known, table = batch.of_string(primitive.name, args, _NOTHING[primitive.result], _DTYPE[primitive.result])
        for code in np.flatnonzero(wanted[:-1] & ~known[: len(wanted) - 1]).tolist():
            result = primitive.evaluate(batch.strings[code], *args)
            table[code] = batch.code(result) if primitive.result == "text" else result
            known[code] = True
        return table.take(codes)


_OF_KEY = ((K,), (Call("word", (K,)),))
_NOTHING = {"text": MISSING, "number": np.nan, "guard": False}
_DTYPE = {"text": np.int32, "number": np.float64, "guard": bool}


def _is_feature(node: Expr) -> bool:
    """A feature of key k, or of its word: other programs will ask for it too."""
    return isinstance(node, Call) and node.args in _OF_KEY and VOCABULARY[node.name].domain in ("text", "position", "word")


def _finite(values: Any) -> np.ndarray:
    """Not a finite number: missing."""
    values = np.asarray(values, np.float64)
    return values if np.isfinite(values).all() else np.where(np.isfinite(values), values, np.nan)


def _folded(combine: Callable[..., np.ndarray], values: list[np.ndarray]) -> np.ndarray:
    """Combined smallest first, so that few operations run on full matrices."""
    values = sorted(values, key=lambda v: v.size)
    result = values[0]
    for v in values[1:]:
        result = combine(result, v)
    return result


def kind_of(node: Expr, sorts: Scope) -> Sort:
    """The sort of an expression that the checker accepts. Inlining may have nested two ranges with variables of one name."""
    match node:
        case Name(name):
            return sorts.get(name, "number")
        case Str():
            return "text"
        case Bool() | Same() | Compare() | Member() | Not() | And() | Or() | Use():
            return "guard"
        case Call("default", args):
            return kind_of(args[0], sorts)
        case Call(name):
            return VOCABULARY[name].result
        case IfElse(_, then):
            return kind_of(then, sorts)
        case Find(_, over):
            return "number" if over.domain is None else "word"
        case Aggregate(kind):
            return "guard" if kind in ("any", "all") else "number"
    return "number"
