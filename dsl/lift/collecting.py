"""Python's own functions that make lists and numbers."""

from __future__ import annotations

from typing import Any

from dsl.lift.builtins import Builtins
from dsl.lift.guards import and_, compare, if_, or_
from dsl.lift.infinity import INFINITE, is_endless
from dsl.lift.infinity import REASON as NO_ARITHMETIC
from dsl.lift.ranges import quantified
from dsl.lift.sequences import as_filter, constant, items_of, renewed, reversed_, sort_positions
from dsl.lift.terms import ONE, ZERO, arith, neg, num, whole
from dsl.lift.values import Arr, Builtin, Dict, Item, Opaque, Over, Refusal, S, Seq, Write, number, sort_of, value_of
from dsl.nodes import FALSE, Call, Expr, Name


class Collecting(Builtins):
    def py_reversed(self, x: Any) -> Any:
        return reversed_(self.iterable(x))

    def py_sorted(self, x: Any, key: Any = None, reverse: Any = False) -> Any:
        seq = self.iterable(x)
        if isinstance(key, Builtin) and key.name == "dict.get":
            held = self.unbox(key.of)
            if isinstance(self.unbox(x), Dict) and self.unbox(x) == held:
                seq = Seq(seq.segments, False, True)
        if not isinstance(reverse, bool):
            self.refuse("sorting in a computed direction")
        if key is not None:
            ranked = self.ranked(seq, key, reverse)
            return ranked
        return self.box(sort_positions(self, seq, reverse))

    def ranked(self, seq: Seq, key: Any, reverse: bool) -> Any:
        """Sorted by a key: only the first elements can be asked for, one by one."""
        known = items_of(seq)
        if known is not None:
            keys = [self.apply(key, [v], {}) for v in known]
            if all(isinstance(k, int | float | str) for k in keys):
                order = sorted(range(len(known)), key=lambda i: keys[i], reverse=reverse)
                return self.box(constant([known[i] for i in order]))
        return self.box(self.by_rank(seq, key, reverse))

    def by_rank(self, seq: Seq, key: Any, reverse: bool) -> Seq:
        segment = seq.segments[0] if len(seq.segments) == 1 else None
        if not isinstance(segment, Over) or len(segment.ranges) != 1:
            return self.refuse("sorting a list put together from several")
        a, b = renewed(self, segment), renewed(self, segment)
        ra, rb = a.ranges[0], b.ranges[0]
        if ra.domain is not None or not seq.ordered:
            self.refuse("sorting words by computed values")
        keys = [self.apply(key, [o.value], {}) for o in (a, b)]
        mine, other = (
            [number(x) for x in (k if isinstance(k, tuple) else (k,)) if sort_of(x) in ("number", "guard")] for k in keys
        )
        if len(mine) != len(keys[0] if isinstance(keys[0], tuple) else (0,)):
            self.refuse("sorting by computed strings")
        ahead: Expr = FALSE
        equal_so_far: list[Expr] = []
        for x, y in zip(other, mine, strict=True):
            ahead = or_(ahead, and_(*equal_so_far, compare(">" if reverse else "<", x, y)))
            equal_so_far.append(compare("==", x, y))
        tie = and_(*equal_so_far, compare(">" if a.descending else "<", Name(rb.var), Name(ra.var)))
        rank = quantified("count", rb, and_(b.guard, or_(ahead, tie)))
        return Seq((Over(a.ranges, a.guard, a.value, a.descending, rank),), False, False)

    def py_list(self, x: Any = ()) -> Any:
        value = self.unbox(x)
        if isinstance(value, Arr) and len(value.dims) == 1:
            return value
        if isinstance(value, Seq) and value.is_set and items_of(value) is None:
            try:
                return self.box(as_filter(self, value))
            except Refusal:
                return self.box(Seq(value.segments, False, False))
        seq = self.iterable(x)
        return self.box(Seq(seq.segments, False, seq.ordered and not seq.is_set))

    def py_tuple(self, x: Any = ()) -> Any:
        seq = self.iterable(x)
        known = items_of(seq)
        return tuple(known) if known is not None else self.box(seq)

    def py_set(self, x: Any = ()) -> Any:
        return self.box(Seq(self.iterable(x).segments, True))

    py_frozenset = py_set

    def py_dict(self, x: Any = (), **more: Any) -> Any:
        x = self.unbox(x)
        if isinstance(x, Dict):
            return self.box(self.updated(x, Dict(tuple(more.items()))))
        result = Dict(tuple(more.items()))
        if x == ():
            return self.box(result)
        seq = self.iterable(x)
        for s in seq.segments:
            if not isinstance(s.value, tuple) or len(s.value) != 2:
                self.refuse("dict(…) of this list")
            k, v = s.value
            if isinstance(s, Item):
                result = self.with_entry(result, k, v)
            else:
                result = Dict(result.items, (*result.writes, Write(s.ranges, s.guard, k, v, "last", 0.0, s.descending)))
        return self.box(result)

    def py_str(self, x: Any = "") -> Any:
        return x if sort_of(x) == "text" else str(x) if isinstance(x, int | float) else Opaque("string")

    py_repr = py_str

    def py_int(self, x: Any = 0) -> Any:
        if isinstance(x, S) and x.sort == "id":
            return x
        if isinstance(x, int | float):
            return int(x) if abs(x) != INFINITE else self.refuse(NO_ARITHMETIC)
        if isinstance(x, str):
            return self.refuse("int(…) of a string")
        e = number(x)

        if whole(e):
            return value_of("number", e)
        self.rounding.doubt("whole", e, ONE)
        if is_endless(e):
            self.refuse(NO_ARITHMETIC)
        if self.nonnegative(e):
            return S("number", Call("floor", (e,)))
        return S("number", if_(compare(">=", e, ZERO), Call("floor", (e,)), neg(Call("floor", (neg(e),)))))

    def py_float(self, x: Any = 0.0) -> Any:
        if isinstance(x, str):
            try:
                return self.known_number(float(x))
            except ValueError:
                return self.refuse("float(…) of a string")
        return x if isinstance(x, int | float) and not isinstance(x, bool) else value_of("number", number(x))

    def py_bool(self, x: Any = False) -> Any:
        return value_of("guard", self.decide(self.truth(x)))

    def py_abs(self, x: Any) -> Any:
        if isinstance(x, Arr):
            return self.numpy_call("np.abs", None, [x], {})
        if isinstance(x, int | float):
            return abs(x)
        e = number(x)
        if self.nonnegative(e):
            return value_of("number", e)
        if self.nonnegative(arith("-", ZERO, e)):
            return value_of("number", neg(e))
        return value_of("number", Call("abs", (e,)))

    def py_round(self, x: Any, digits: Any = 0) -> Any:
        if isinstance(x, int | float) and isinstance(digits, int):
            return round(x, digits) if digits else round(x)
        if not isinstance(digits, int):
            self.refuse("rounding to a computed number of digits")
        e = number(x)
        self.rounding.doubt("half" if digits else "whole", e, num(10.0**-digits) if digits else num(0.5))
        if digits:
            scale = num(10.0**digits)
            return S("number", arith("/", Call("round", (arith("*", e, scale),)), scale))
        return S("number", Call("round", (e,)))
