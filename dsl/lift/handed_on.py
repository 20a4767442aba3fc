"""What an iteration hands to the next: variables, lists, dictionaries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dsl.lift.cases import implies
from dsl.lift.dictionaries import dict_has
from dsl.lift.elsewhere import at_element, value_at_element
from dsl.lift.guards import and_, conjuncts, default, exists, not_, or_
from dsl.lift.likeness import Poison, canonical, is_whole, may_be_missing, same
from dsl.lift.machine import Conflict
from dsl.lift.order import later
from dsl.lift.ranges import find, replace_names
from dsl.lift.restarts import Restarts
from dsl.lift.sequences import contains, is_identity, items_of, plain
from dsl.lift.terms import ONE, ZERO, arith, whole
from dsl.lift.values import (
    Arr,
    Dict,
    Extend,
    Item,
    Loop,
    Over,
    Refusal,
    S,
    Seq,
    Write,
    high_of,
    low_of,
    mentions,
    number,
    rename,
    sort_of,
)
from dsl.nodes import FALSE, TRUE, Compare, Expr, Name, Num, Range, free_names


def continued(before: tuple[Item | Over, ...], last: Over) -> tuple[Item | Over, ...]:
    """[p] and then p + 1, p + 2… is one range of positions."""
    if before and plain(last) and is_identity(last):
        *rest, first = before
        low = low_of(last.ranges[0])
        if isinstance(first, Item) and first.cond == TRUE and sort_of(first.value) == "number":
            e = number(first.value)
            if whole(e) and arith("+", e, ONE) == low:
                r = last.ranges[0]
                return (*rest, Over((Range(r.var, None if e == ZERO else e, r.high),), TRUE, last.value))
    return (*before, last)


class HandedOn(Restarts):
    def firmer(self, key: Any, value: Any, new: Any, unknown: dict[Any, Any], names: dict[Any, str], line: int) -> bool:
        """Makes a changed variable unknown at the start of an iteration; whether that is news. line: of the loop."""
        if isinstance(new, Conflict):
            old = unknown.get(key)
            if isinstance(old, Conflict) or (old is not None and isinstance(old, Poison)):
                return False
            unknown[key] = Poison(key[2])
            return True
        sort = sort_of(new) or sort_of(value)
        if sort is None or (sort_of(value) is None and value is not None):
            if key in unknown:
                return False
            unknown[key] = Poison(key[2])
            return True
        if sort_of(value) not in (None, sort):
            sort = "number" if {sort, sort_of(value)} == {"guard", "number"} else sort
        old = unknown.get(key)
        maybe = value is None or may_be_missing(value) or may_be_missing(new)
        if isinstance(old, S) and old.sort == sort and (not maybe or old.e.name.startswith("$m")):  # type: ignore[union-attr]
            return False
        fractional = sort == "number" and not all(v is None or is_whole(v, names.get(key, "")) for v in (value, new))
        kind = ("mf" if fractional else "m") if maybe else "f" if fractional else "i"
        name = f"${kind}{self.fresh()}"
        names[key] = name
        self.origin[name] = Refusal(line, f"what {key[2]!r} is after rounds of this loop")
        unknown[key] = S(sort, Name(name))
        return True

    def guess(self, loop: Loop, key: Any, value: Any, new: Any, guesses: dict[Any, Any]) -> bool:
        """What a list or dictionary holds when an iteration starts, from what the last round added. Whether that is news."""
        old = guesses.get(key, value)
        if new is old or same(new, old):
            if key not in guesses:
                return False
            added: Any = ()
        else:
            added = self.added(loop, old, new)
        before = self.collected(loop, key, value, added, True)
        if same(before, old):
            return False
        guesses[key] = before
        return True

    def added(self, loop: Loop, old: Any, new: Any) -> Any:
        if isinstance(new, Conflict | Arr) or type(new) is not type(old):
            self.refuse("what this loop does to a list or dictionary")
        if isinstance(new, Seq):
            shared = len(old.segments)
            if new.segments[:shared] != old.segments:
                self.refuse("a list that this loop both fills and changes")
            return tuple(self.new_element(old, s) for s in new.segments[shared:]) if new.is_set else new.segments[shared:]
        if isinstance(new, Dict):
            shared = len(old.writes)
            if new.writes[:shared] != old.writes:
                self.refuse("a dictionary that this loop both fills and changes")
            fixed = []
            for (k, a), (k2, b) in zip(old.items, new.items, strict=False):
                if k != k2:
                    self.refuse("a dictionary whose keys this loop changes")
                if not same(a, b):
                    self.refuse("a dictionary whose entries this loop changes")
                fixed.append(k)
            extra = tuple(Write((), TRUE, k, v) for k, v in new.items[len(fixed) :])
            return (*extra, *(self.first_write(old, w) for w in new.writes[shared:]))
        return ()

    def first_write(self, old: Dict, w: Write) -> Write:
        """`if key not in d: d[key] = value` keeps what was written first."""

        absent = {canonical(p) for p in conjuncts(not_(self.decide(dict_has(self, old, w.key))))}
        parts = conjuncts(w.cond)
        kept = [p for p in parts if canonical(p) not in absent]
        if not absent or len(kept) != len(parts) - len(absent) or w.mode != "last":
            return w
        return Write(w.ranges, and_(*kept), w.key, w.value, "first", w.start, w.descending)

    def new_element(self, old: Seq, s: Item | Over) -> Item | Over:
        """`if x not in s: s.add(x)` is s.add(x)."""

        absent = {canonical(p) for p in conjuncts(not_(self.decide(contains(self, old, s.value))))}
        guard = s.cond if isinstance(s, Item) else s.guard
        parts = conjuncts(guard)
        kept = and_(*(p for p in parts if canonical(p) not in absent))
        if len(conjuncts(kept)) != len(parts) - len(absent):
            return s
        return Item(s.value, kept) if isinstance(s, Item) else Over(s.ranges, kept, s.value, s.descending)

    def collected(self, loop: Loop, key: Any, value: Any, added: Any, before: bool) -> Any:
        """The list or dictionary with what all (earlier) iterations add to it."""
        if not added:
            return value
        r = loop.range
        v = f"$p{loop.id}c{key[1]}{'b' if before else 'a'}"
        if r.var in self.named:
            self.named[v] = self.named[r.var]
        names: dict[str, Expr] = {r.var: Name(v)}
        ran = self.ran_before(loop, v) if before else Range(v, r.low, r.high, r.domain)
        guard = replace_names(loop.guard, names)
        if before and r.domain is not None:
            guard = and_(guard, later(self, loop, loop.var, Name(v)))
        if not before:
            guard = and_(guard, replace_names(self.runs(loop), names))
        if isinstance(value, Dict):
            writes = [self.write_of(loop, w, ran, guard) for w in added]
            return Dict(value.items, (*value.writes, *writes), value.factory)
        segments: list[Item | Over] = []
        if any(isinstance(s, Item) and isinstance(s.value, Extend) for s in added):
            return Seq((*value.segments, self.groups(loop, value, added, ran, guard)), False, value.ordered)
        items = [s for s in added if isinstance(s, Item)]
        if len(items) == len(added) and len(items) > 1:
            joined = self.one_item(items)
            if joined is not None:
                added = (joined,)
        if not before and loop.stop is not None:
            added = tuple(self.at_the_end(loop, s) for s in added)
            fixed = tuple(
                s for s in added if isinstance(s, Item) and r.var not in free_names(s.cond) and not mentions(s.value, r.var)
            )
            if len(fixed) == len(added) == 1:
                return Seq((*value.segments, *fixed), value.is_set, value.ordered)
            if len(added) == 1 and (short := self.up_to_the_end(loop, added[0], v)) is not None:
                return Seq(continued(value.segments, short), value.is_set, value.ordered)
        ordered = value.ordered and (len(added) == 1)
        for s in added:
            s = value_at_element(self, loop, s, v)
            if isinstance(s, Item):
                segments.append(Over((ran,), and_(guard, s.cond), s.value, loop.descending))
            else:
                if s.descending != loop.descending:
                    ordered = False
                segments.append(Over((ran, *s.ranges), and_(guard, s.guard), s.value, loop.descending))
        if len(segments) == 1 and isinstance(segments[0], Over):
            return Seq(continued(value.segments, segments[0]), value.is_set, ordered or value.is_set)
        return Seq((*value.segments, *segments), value.is_set, ordered or value.is_set)

    def up_to_the_end(self, loop: Loop, s: Item | Over, v: str) -> Over | None:
        """What every iteration adds before the one that ends the loop: the elements up to there."""
        r, stop = loop.range, loop.stop
        going_on = and_(*(not_(self.resolve(b.cond)) for b in loop.breaks))
        if not isinstance(s, Item) or s.cond != going_on or r.domain is not None or stop is None:
            return None
        if loop.descending:
            over = Range(v, default(arith("+", stop, ONE), low_of(r)), r.high)
        else:
            over = Range(v, r.low, default(arith("-", stop, ONE), high_of(r)))
        return Over((over,), at_element(self, loop, loop.guard, v), value_at_element(self, loop, s.value, v), loop.descending)

    def at_the_end(self, loop: Loop, s: Item | Over) -> Item | Over:
        """An element that only the iteration that ends the loop adds."""
        assert loop.stop is not None
        if not isinstance(s, Item):
            return s
        paths = [self.resolve(b.cond) for b in loop.breaks]
        if not any(implies(s.cond, p) for p in paths):
            return s
        at: dict[str, Expr] = {loop.range.var: loop.stop}
        cond = exists(loop.stop)
        if len(paths) > 1 or not implies(paths[0], s.cond):
            cond = and_(cond, replace_names(s.cond, at))
        return Item(rename(s.value, at), cond)

    def groups(self, loop: Loop, value: Seq, added: Any, ran: Range, guard: Expr) -> Over:
        """Lists inside a list: some iterations begin one, the others add to the last."""
        if any(isinstance(s, Over) for s in added):
            self.refuse("a list of lists filled in this way")
        begins = self.alternatives(self.at_its_index(loop, s) for s in added if not isinstance(s.value, Extend))
        more = self.alternatives(s for s in added if isinstance(s.value, Extend))
        if len(begins) != 1 or len(more) != 1 or value.segments or loop.descending or loop.range.domain is not None:
            self.refuse("a list of lists filled in this way")
        first, rest = begins[0], more[0]
        start = items_of(first.value) if isinstance(first.value, Seq) else None
        if start is None:
            self.refuse("a list of lists filled in this way")
        s, r, t = Name(ran.var), f"{ran.var}r", f"{ran.var}t"
        opens = at_element(self, loop, and_(loop.guard, first.cond), t)
        following = find("first", Range(t, arith("+", s, ONE), ran.high), opens)

        last = ran.high if ran.high is not None else high_of(ran)
        end = default(arith("-", following, ONE), last)
        members = Over(
            (Range(r, arith("+", s, ONE), end),),
            at_element(self, loop, and_(loop.guard, rest.cond), r),
            value_at_element(self, loop, rest.value.value, r),
        )
        begun = [value_at_element(self, loop, v, ran.var) for v in start or []]
        group = Seq((*(Item(v) for v in begun), members))
        if len(begun) == 1 and begun[0] == value_at_element(self, loop, rest.value.value, ran.var):
            # either: up to the end none but s begins a list
            either = at_element(self, loop, and_(loop.guard, or_(first.cond, rest.cond)), r)
            group = Seq((Over((Range(r, s, end),), either, members.value),))
        return Over((ran,), and_(guard, at_element(self, loop, first.cond, ran.var)), group)

    def alternatives(self, items: Iterable[Item]) -> list[Item]:
        """Appends of the same value, of which an iteration does one, as one."""
        found: list[Item] = []
        for s in items:
            last = found[-1] if found else None
            if last is not None and s.value == last.value and and_(s.cond, last.cond) == FALSE:
                found[-1] = Item(s.value, or_(last.cond, s.cond))
            else:
                found.append(s)
        return found

    def at_its_index(self, loop: Loop, s: Item) -> Item:
        """[3], where the loop is at 3, as [i]."""
        inner = items_of(s.value) if isinstance(s.value, Seq) else None
        at = inner[0] if inner and len(inner) == 1 else None
        if isinstance(at, int | float) and Compare("==", loop.var, Num(float(at))) in conjuncts(s.cond):
            return Item(Seq((Item(S("number", loop.var)),)), s.cond)
        return s

    def one_item(self, items: list[Item]) -> Item | None:
        """Several appends of which an iteration does one, as one."""
        value = items[-1].value
        cond = items[-1].cond
        for item in reversed(items[:-1]):
            if and_(item.cond, cond) != FALSE:
                return None
            merged = self.merge(item.cond, item.value, value)
            if isinstance(merged, Conflict):
                return None
            value, cond = merged, or_(item.cond, cond)
        return Item(value, cond)

    def write_of(self, loop: Loop, w: Write, ran: Range, guard: Expr) -> Write:
        w = value_at_element(self, loop, w, ran.var)
        if w.ranges and w.descending != loop.descending:
            self.refuse("a dictionary filled in two directions")
        return Write((ran, *w.ranges), and_(guard, w.cond), w.key, w.value, w.mode, w.start, loop.descending)

    def ran_before(self, loop: Loop, var: str) -> Range:
        """The elements of the iterations before that of the loop's variable."""
        r = loop.range
        if r.domain is not None:
            return Range(var, None, None, r.domain)
        if loop.descending:
            return Range(var, arith("+", loop.var, ONE), r.high)
        return Range(var, r.low, arith("-", loop.var, ONE))

    def runs(self, loop: Loop) -> Expr:
        """The iteration of the loop's variable takes place: the loop has not ended before."""
        if loop.stop is None:
            return TRUE
        return not_(later(self, loop, loop.var, loop.stop))
