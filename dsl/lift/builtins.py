"""Python's own functions: len, range, enumerate, zip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dsl.lift.ascending import joined_parts
from dsl.lift.calls import Calls, _bounds, element_after
from dsl.lift.dictionaries import entries_asked
from dsl.lift.elements import element, first_of, sliced
from dsl.lift.guards import and_, compare, conjuncts, exists, if_, or_
from dsl.lift.likeness import canonical
from dsl.lift.machine import never
from dsl.lift.order import precedes
from dsl.lift.ranges import quantified
from dsl.lift.sequences import constant, items_of, length, nonempty, rename_guard, renewed
from dsl.lift.terms import ONE, ZERO, N, arith, extreme, num
from dsl.lift.values import Arr, Dict, DictSlot, Item, Opaque, Over, RowView, S, Seq, high_of, low_of, number, rename, value_of
from dsl.nodes import FALSE, TRUE, Call, Expr, Name, Num, Range


class Builtins(Calls):
    def py_len(self, x: Any) -> Any:
        holder, x = x, self.unbox(x)
        match x:
            case S("text", e):
                return S("number", Call("length", (e,)))
            case S("word", e):
                return S("number", Call("length", (Call("text", (e,)),)))
            case str() | tuple():
                return len(x)
            case Arr() | RowView():
                array = self.row_array(x)
                return value_of("number", array.dims[0])
            case Dict(items, writes):
                entries_asked(self, holder)
                if writes:
                    return value_of("number", length(self, self.keys_set(x)))
                return len(items)
            case DictSlot():
                return self.py_len(self.slot_list(x))
            case Opaque("ids"):
                return S("number", N)
            case Opaque("batch"):
                return 1
            case Opaque():
                self.refuse("the length of this object")
        if not isinstance(x, Seq):
            x = self.iterable(x)
        return value_of("number", length(self, joined_parts(self, x)))

    def keys_set(self, d: Dict) -> Seq:
        segments: list[Item | Over] = [Item(k) for k, _ in d.items]
        for w in d.writes:
            segments.append(Over(w.ranges, w.cond, w.key) if w.ranges else Item(w.key, w.cond))
        return Seq(tuple(segments), True)

    def py_range(self, *args: Any) -> Any:
        values = [number(a) for a in args]
        if not 1 <= len(values) <= 3:
            self.refuse("range(…) with these arguments")
        low, high = (ZERO, values[0]) if len(values) == 1 else (values[0], values[1])
        step = values[2] if len(values) == 3 else ONE
        if isinstance(low, Num) and isinstance(high, Num) and isinstance(step, Num) and step.value:
            known = range(int(low.value), int(high.value), int(step.value))
            if len(known) > 200:
                self.refuse("a loop over very many fixed numbers")
            return constant(list(known))
        if not isinstance(step, Num) or step.value == 0:
            self.refuse("a range with a computed step")
        assert isinstance(step, Num)
        small = self.small_range(low, high, step.value)
        if small is not None:
            return small
        v = self.var()
        if step.value in (1, -1):
            if step.value == 1:
                r, down = (low, arith("-", high, ONE)), False
            else:
                r, down = (arith("+", high, ONE), low), True
            return self.span(v, *r, down)
        if step.value > 0:
            guard = compare("==", arith("%", arith("-", Name(v), low), step), ZERO)
            s = self.span(v, low, arith("-", high, ONE), False)
        else:
            guard = compare("==", arith("%", arith("-", low, Name(v)), num(-step.value)), ZERO)
            s = self.span(v, arith("+", high, ONE), low, True)
        o = s.segments[0]
        assert isinstance(o, Over)
        return Seq((Over(o.ranges, guard, o.value, o.descending),))

    def span(self, v: str, low: Expr, high: Expr, descending: bool) -> Seq:
        """low..high as positions of the text. Numbers outside are left out, so refuse where the program could see them."""
        if not self.inside_later(low):
            shifted = self.shifted_span(v, low, high, descending)
            if shifted is not None:
                return shifted
        if not self.inside_later(arith("-", arith("-", N, ONE), high)):
            shifted = self.shifted_span(v, low, high, descending)
            if shifted is not None:
                return shifted
        return Seq((Over((Range(v, None if low == ZERO else low, None if high == arith("-", N, ONE) else high),), TRUE,
                          S("number", Name(v)), descending),))  # fmt: skip

    def shifted_span(self, v: str, low: Expr, high: Expr, descending: bool) -> Seq | None:
        """A range that leaves the text on one side, in terms of positions at a distance."""
        size = arith("-", high, low)
        if isinstance(size, Num) and size.value <= 64:
            count = int(size.value) + 1
            values = [value_of("number", arith("+", low, num(i))) for i in range(max(0, count))]
            return constant(list(reversed(values)) if descending else values)
        if self.nonnegative(arith("-", arith("-", N, ONE), size)):
            # v counts from the low end: position = low + v
            value = S("number", arith("+", low, Name(v)))
            return Seq((Over((Range(v, None, size),), TRUE, value, descending),))
        return self.refuse("a range that reaches beyond the text")

    def small_range(self, low: Expr, high: Expr, step: float) -> Seq | None:
        if step > 0:
            return self.list_range(low, arith("-", high, ONE), False, int(step))
        if step == -1:
            return self.list_range(arith("+", high, ONE), low, True)
        return None

    def py_enumerate(self, x: Any, start: Any = 0) -> Any:
        seq = self.iterable(x)
        known = items_of(seq)
        offset = number(start)
        if known is not None:
            return constant([(value_of("number", arith("+", num(i), offset)), v) for i, v in enumerate(known)])
        seq = joined_parts(self, seq)
        segments: list[Item | Over] = []
        before: Expr = offset
        if len(seq.segments) == 1 and isinstance(seq.segments[0], Over) and seq.segments[0].rank is not None:
            o = renewed(self, seq.segments[0])
            assert o.rank is not None
            return Seq((Over(o.ranges, o.guard, (value_of("number", arith("+", o.rank, offset)), o.value)),), False, False)
        if not seq.ordered or seq.is_set:
            self.refuse("numbering a set or a list whose order follows from the data")
        for s in seq.segments:
            if isinstance(s, Item):
                segments.append(Item((value_of("number", before), s.value), s.cond))
                before = arith("+", before, if_(s.cond, ONE, ZERO))
                continue
            o = renewed(self, s)
            r = o.ranges[0]
            if len(o.ranges) != 1:
                self.refuse("numbering a list built by nested loops")
            if o.guard == TRUE and r.domain is None:
                index = arith("-", high_of(r), Name(r.var)) if o.descending else arith("-", Name(r.var), low_of(r))
            else:
                v = self.var(self.named.get(r.var, ""))
                guard = rename_guard(o.guard, {r.var: Name(v)})
                if r.domain is not None:
                    guard = and_(guard, precedes(self, r, Name(v), Name(r.var)))
                    index = quantified("count", Range(v, None, None, r.domain), guard)
                elif o.descending:
                    index = quantified("count", Range(v, arith("+", Name(r.var), ONE), r.high), guard)
                else:
                    index = quantified("count", Range(v, r.low, arith("-", Name(r.var), ONE)), guard)
            segments.append(Over(o.ranges, o.guard, (value_of("number", arith("+", before, index)), o.value), o.descending))
            before = arith("+", before, length(self, Seq((s,))))
        return Seq(tuple(segments))

    def py_zip(self, *lists: Any) -> Any:
        seqs = [self.iterable(x) for x in lists]
        seqs = [s if items_of(s) is not None else joined_parts(self, s) for s in seqs]
        if not seqs:
            return Seq()
        known = [items_of(s) for s in seqs]
        if all(k is not None for k in known):
            return constant(list(zip(*known, strict=False)))  # type: ignore[arg-type]
        if any(k is not None for k in known):
            size = min(len(k) for k in known if k is not None)
            columns = [
                k[:size] if k is not None else [element(self, s, i) for i in range(size)] for k, s in zip(known, seqs, strict=True)
            ]
            conds = []
            for i in range(size):
                c = and_(*(compare("<", num(i), length(self, s)) for k, s in zip(known, seqs, strict=True) if k is None))
                conds.append(c)
            return Seq(tuple(Item(t, c) for t, c in zip(zip(*columns, strict=True), conds, strict=True)))
        pairs = self.zip_ends(seqs)
        if pairs is not None:
            return pairs
        overs = []
        for s in seqs:
            segment = s.segments[0] if len(s.segments) == 1 else None
            if not isinstance(segment, Over) or len(segment.ranges) != 1 or not s.ordered:
                return self.refuse("zip of lists put together from several")
            overs.append(renewed(self, segment))
        first = overs[0]
        same = all(o.descending == first.descending for o in overs)
        if same and all(o.ranges[0].domain == first.ranges[0].domain and _bounds(o) == _bounds(first) for o in overs):
            v = first.ranges[0].var
            guards = [rename_guard(o.guard, {o.ranges[0].var: Name(v)}) for o in overs]
            if all(g == guards[0] for g in guards):
                values = tuple(rename(o.value, {o.ranges[0].var: Name(v)}) for o in overs)
                return Seq((Over(first.ranges, first.guard, values, first.descending),))
        if not all(o.guard == TRUE and o.ranges[0].domain is None for o in overs):
            if len(seqs) == 2 and seqs[0].segments[0].ranges[0].domain is None:  # type: ignore[union-attr]
                return self.zip_neighbours(seqs)
            self.refuse("zip of filtered lists")
        sizes = [arith("+", arith("-", high_of(o.ranges[0]), low_of(o.ranges[0])), ONE) for o in overs]
        shortest: Expr = sizes[0]
        for other in sizes[1:]:
            if self.nonnegative(arith("-", shortest, other)):
                shortest = other
            elif not self.nonnegative(arith("-", other, shortest)):
                shortest = extreme("min", [shortest, other])
        v = self.var()
        columns_here = []
        for o in overs:
            r = o.ranges[0]
            at = arith("-", high_of(r), Name(v)) if o.descending else arith("+", low_of(r), Name(v))
            columns_here.append(rename(o.value, {r.var: at}))
        return Seq((Over((Range(v, None, arith("-", shortest, ONE)),), TRUE, tuple(columns_here)),))

    def zip_neighbours(self, seqs: list[Seq]) -> Any:
        """zip(starts, starts[1:]) or zip(starts[:-1], starts[1:]), in this order or the other: neighbours in a list."""
        for first, second in (seqs, seqs[::-1]):
            base = self.shared_base(first, second)
            if base is not None:
                return self.with_next(base, swapped=first is seqs[1])
        a = seqs[0].segments[0]
        b = seqs[1].segments[0]
        assert isinstance(a, Over) and isinstance(b, Over)
        rb = renewed(self, b)
        following = self.sliced_once(seqs[0])

        if canonical(following) != canonical(Seq((b,))) and canonical(following) != canonical(Seq((rb,))):
            self.refuse("zip of filtered lists")
        return self.with_next(seqs[0], swapped=False)

    def with_next(self, seq: Seq, swapped: bool) -> Seq:
        """Pairs of an element and the next one, of a list with one filter."""
        pairs = self.neighbours(seq)
        return Seq(tuple(replace(s, value=s.value[::-1]) for s in pairs.segments)) if swapped else pairs

    def shared_base(self, but_last: Seq, but_first: Seq) -> Seq | None:
        """The list x for which the first is x or x[:-1], and the second x[1:]: told from the second by leaving out a condition."""
        o = but_first.segments[0]
        assert isinstance(o, Over)
        parts = conjuncts(o.guard)
        for left_out in parts:
            base = Seq((Over(o.ranges, and_(*(p for p in parts if p is not left_out)), o.value, o.descending),))
            if canonical(self.sliced_once(base)) == canonical(but_first):
                either = (base, sliced(self, base, None, -1, None))
                if canonical(but_last) in [canonical(s) for s in either]:
                    return base
        return None

    def zip_ends(self, seqs: list[Seq]) -> Seq | None:
        """zip(bounds[:-1], bounds[1:]) with a last bound after the others: every element with the next one, or with that."""
        if len(seqs) != 2 or len(seqs[1].segments) != 2:
            return None
        first, (_, end) = seqs[0].segments[0], seqs[1].segments
        if not (isinstance(first, Over) and isinstance(end, Item) and end.cond == TRUE and len(first.ranges) == 1):
            return None
        if first.ranges[0].domain is not None or seqs[0].segments[1:] not in ((), (end,)):
            return None
        if self.decide(nonempty(self, Seq((first,)))) != TRUE:
            return None
        following = Seq((*self.sliced_once(Seq((first,))).segments, end))
        if canonical(following) != canonical(Seq(seqs[1].segments)):
            return None
        return self.neighbours(Seq((first, end)))

    def neighbours(self, seq: Seq) -> Seq:
        """Pairs of an element and the next one, of lists one after the other: [0, *starts, n]."""
        made: list[Item | Over] = []
        after: Any = None  # the first element of what comes later, if `there` holds
        there: Expr = FALSE
        for s in reversed(seq.segments):
            if isinstance(s, Item):
                if s.cond != TRUE:
                    self.refuse("zip of lists put together from several")
                made.append(Item((s.value, after), there))
                after, there = s.value, TRUE
                continue
            if len(s.ranges) != 1 or s.ranges[0].domain is not None or not seq.ordered:
                self.refuse("zip of lists put together from several")
            rest = element_after(self, s, self.var())
            o = renewed(self, s)
            nxt = rest(o)
            follows = rename(o.value, {o.ranges[0].var: nxt})
            value = follows if there == FALSE else self.merge(exists(nxt), follows, after)
            made.append(Over(o.ranges, and_(o.guard, or_(exists(nxt), there)), (o.value, value), o.descending))
            some = self.decide(nonempty(self, Seq((o,))))
            after = first_of(self, o, False) if there == FALSE else self.merge(some, first_of(self, o, False), after)
            there = or_(some, there)
        return Seq(tuple(s for s in reversed(made) if not never(s)))

    def sliced_once(self, seq: Seq) -> Seq:

        return sliced(self, seq, 1, None, None)
