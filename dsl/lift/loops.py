"""Loops: the body is executed once for an unknown element; what one iteration hands to the next is solved for.

A variable that the body changes starts an iteration as an unknown. After the body its new value, as an expression of the unknown,
is a recurrence: kept, set, counted up, multiplied, or decided by itself. Solving it gives the variable's value before the
iteration of element p (`before`) and after the loop (`after`), as searches, counts and sums over the elements.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dsl.lift.build import (
    MISSING,
    ONE,
    and_,
    arith,
    compare,
    conjuncts,
    exists,
    find,
    not_,
    or_,
    replace_names,
    spend,
)
from dsl.lift.machine import UNDEFINED, Conflict, Frame, Machine, Undefined, conditional
from dsl.lift.recurrence import Recurrences, implies
from dsl.lift.sequences import items_of, renewed
from dsl.lift.values import (
    Arr,
    CondEl,
    Dict,
    Extend,
    Item,
    Later,
    Loop,
    LoopEl,
    Over,
    Ref,
    Refusal,
    S,
    Seq,
    Write,
    high_of,
    low_of,
    map_value,
    mentions,
    rename,
    sort_of,
)
from dsl.nodes import FALSE, TRUE, Bool, Call, Expr, Name, Range, free_names

UNROLL = 64


@dataclass
class Round:
    """What one execution of a loop's body shows."""

    store: dict[Any, Any]
    live: Expr
    frame: Frame


class Loops(Recurrences):
    def for_statement(self, node: ast.For) -> Expr:
        seq = self.iterable(self.evaluate(node.iter))
        return self.run_sequence(seq, lambda v: self.assign(node.target, v), node.body, node.orelse, node.target)

    def run_sequence(
        self, seq: Seq, bind: Callable[[Any], None], body: list[ast.stmt], orelse: list[ast.stmt], target: ast.expr | None
    ) -> Expr:
        """Executes a loop over the elements; the guard under which what follows the loop is reached."""
        if len(seq.segments) > UNROLL:
            self.refuse("a loop over a long literal")
        if seq.is_set and items_of(seq) is None:
            from dsl.lift.sequences import as_filter

            seq = as_filter(self, seq)
        pushed = 0
        broken: list[tuple[Expr, dict[Any, Any]]] = []
        returned: Expr = FALSE
        done = False
        leaves = any(isinstance(n, ast.Break | ast.Return) for s in body for n in ast.walk(s))
        if leaves and not seq.ordered:
            self.refuse("leaving a loop whose order follows from the data")
        for at, segment in enumerate(seq.segments):
            if isinstance(segment, Item):
                element = CondEl(self.fresh(), segment.cond) if segment.cond != TRUE else None
                ended, returns = self.run_item(segment, element, bind, body, broken)
            else:
                ended, returns = self.run_over(renewed(self, segment), bind, body, broken, target)
            returned = or_(returned, returns)
            if ended == FALSE and returns == FALSE:
                continue
            if at == len(seq.segments) - 1 and not orelse:
                break
            if isinstance(segment, Over) and ended != FALSE:
                broken.append((ended, dict(self.store)))
            here = not_(or_(ended, returns))
            if here == FALSE:
                done = True
                break
            self.push(CondEl(self.fresh(), here))
            pushed += 1
        else_live: Expr = TRUE
        if orelse and not done:
            else_live = self.block(orelse)
        not_broken = and_(*(el.guard for el in self.path[len(self.path) - pushed :] if isinstance(el, CondEl)))
        del self.path[len(self.path) - pushed :]
        reached = not done and else_live != FALSE
        for cond, store in reversed(broken):
            if not reached:
                self.store, reached = dict(store), True
                continue
            merged = self.store
            self.store = {**store, **merged}
            self.store = self.merge_stores(cond, store, merged)
        if not reached:
            return FALSE
        if else_live != TRUE:
            return and_(not_(returned), or_(not_(not_broken), else_live))
        return not_(returned)

    def run_item(
        self,
        item: Item,
        element: CondEl | None,
        bind: Callable[[Any], None],
        body: list[ast.stmt],
        broken: list[tuple[Expr, dict[Any, Any]]],
    ) -> tuple[Expr, Expr]:
        """One element known by itself. Gives the guards under which it ended the loop by break, and by return."""
        base = len(self.path)
        frame = Frame("loop", base)
        before = self.store
        if element is not None:
            self.store = dict(before)
            self.push(element)
        self.frames.append(frame)
        bind(item.value)
        live = self.block(body)
        self.frames.pop()
        store = self.store
        if live == FALSE and frame.continues:
            *rest, (_, store) = frame.continues
        else:
            rest = frame.continues
        for cond, other in rest:
            self.store = {**other, **store}
            store = self.merge_stores(cond, other, store)
        if element is not None:
            self.path.pop()
            self.store = {**before, **store}
            store = self.merge_stores(element.guard, store, before)
        self.store = dict(store)
        ended: Expr = FALSE
        returns: Expr = FALSE
        for b in frame.breaks:
            if b.returned:
                returns = or_(returns, b.cond)
                self.hand_on(b.cond, b.value, b.store)
            else:
                ended = or_(ended, b.cond)
                broken.append((and_(self.since_loop(base), b.cond), b.store))
        return ended, returns

    def since_loop(self, base: int) -> Expr:
        return TRUE

    def hand_on(self, cond: Expr, value: Any, store: dict[Any, Any]) -> None:
        """A return inside a loop, as one of the code around the loop."""
        element = CondEl(self.fresh(), cond)
        kept = self.store
        self.store = dict(store)
        self.push(element)
        self.return_value(value)
        self.path.pop()
        self.store = kept

    def run_over(
        self,
        o: Over,
        bind: Callable[[Any], None],
        body: list[ast.stmt],
        broken: list[tuple[Expr, dict[Any, Any]]],
        target: ast.expr | None = None,
    ) -> tuple[Expr, Expr]:
        """Elements value(v1, v2…): nested loops, the body in the innermost."""
        if len(o.ranges) > 1:
            if any(isinstance(n, ast.Break | ast.Return) for s in body for n in ast.walk(s)):
                self.refuse("leaving a loop over a list built by nested loops")
            inner = Over(o.ranges[1:], o.guard, o.value, o.descending)
            outer = Over(o.ranges[:1], TRUE, None, o.descending)
            self.run_range(outer, lambda v: None, lambda: self._inner(inner, bind, body), None)
            return FALSE, FALSE
        return self.run_range(o, bind, lambda: self.block(body), target)

    def _inner(self, o: Over, bind: Callable[[Any], None], body: list[ast.stmt]) -> Expr:
        self.run_over(o, bind, body, [])
        return TRUE

    def run_range(
        self, o: Over, bind: Callable[[Any], None], body: Callable[[], Expr], target: ast.expr | None
    ) -> tuple[Expr, Expr]:
        """The loop proper. Gives the guards under which it ended by break (always false: done here), and by return."""
        r = o.ranges[0]
        if isinstance(target, ast.Name):
            self.named[r.var] = target.id
        elif isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
            self.named[r.var] = target.elts[0].id
        loop = Loop(self.fresh(), r, o.guard, o.descending, self.line)
        if r.domain is not None and r.domain.name == "ancestors":
            loop.ordered = False
        logs = {i: len(a.log) for i, a in self.arrays.items()}
        owed, seen = len(self.owed), len(self.seen)
        carried = dict(self.carried)
        start = dict(self.store)
        unknown: dict[Any, Any] = {}  # variables handed from iteration to iteration, as they start one
        names: dict[Any, str] = {}
        renewed_lists: dict[Any, Seq] = {}  # variables that the body binds to new lists: what they hold at the start
        resets: dict[Any, tuple[Any, ...]] = {}
        guesses: dict[Any, Any] = {}  # the same for lists and dictionaries: their contents so far
        for attempt in range(12):
            for i, a in list(self.arrays.items()):
                if i in logs:
                    del a.log[logs[i] :]
            del self.owed[owed:]
            del self.seen[seen:]
            begun = {key: self.box_of(g) for key, g in renewed_lists.items()}
            boxes = {("h", r.id): g for (key, g), r in zip(renewed_lists.items(), begun.values(), strict=True)}
            shown = self.execute(loop, {**start, **unknown, **guesses, **begun, **boxes}, o.value, bind, body)
            changed = False
            for key, value in list(start.items()):
                new = shown.store.get(key, UNDEFINED)
                if isinstance(new, Later) and new is not value:
                    new = shown.store[key] = new.find()
                if isinstance(value, Later) and not isinstance(new, Later):
                    value = start[key] = value.find()
                if key[0] == "h" and isinstance(value, Seq) and (turned := array_in(new)) is not None:
                    new = turned
                    made = self.as_array(value)
                    made.is_list, made.base = True, new.base
                    start[key], logs[made.id], changed = made, 0, True
                elif key[0] == "h":
                    changed = self.guess(loop, key, value, new, guesses) or changed
                elif key[0] == "v" and (key in renewed_lists or self.rebound_list(start, shown.store, value, new)):
                    changed = self.restarted(loop, key, start, shown.store, renewed_lists, resets) or changed
                elif key in unknown:
                    changed = self.firmer(key, value, new, unknown, names) or changed
                elif new is not value and not same(new, value) and not isinstance(value, Undefined):
                    names[key] = ""
                    self.firmer(key, value, new, unknown, names)
                    changed = True
            if not changed:
                changed = self.filled_in_steps(loop, start, logs, seen)
            if not changed:
                break
        else:
            self.refuse("what this loop hands from one element to the next")
        self.carried = carried
        returned = self.finish(loop, o, start, unknown, names, guesses, shown)
        for key, (c, added) in resets.items():
            added = tuple(map_value(s, self.resolve) for s in added)
            held = self.since_reset(loop, start[key], start, self.resolve(c), added, False)
            self.store[key] = self.box(held)
        return returned

    def box_of(self, held: Seq) -> Ref:
        return Ref(self.fresh())

    def rebound_list(self, start: dict[Any, Any], store: dict[Any, Any], value: Any, new: Any) -> bool:
        """A variable that held one list before the body and may hold another after it."""

        def held(v: Any, where: dict[Any, Any]) -> Any:
            return where.get(("h", v.id)) if isinstance(v, Ref) else v

        return isinstance(value, Ref) and new != value and isinstance(held(value, start), Seq) and isinstance(held(new, store), Seq)

    def restarted(
        self,
        loop: Loop,
        key: Any,
        start: dict[Any, Any],
        store: dict[Any, Any],
        lists: dict[Any, Seq],
        resets: dict[Any, tuple[Any, ...]],
    ) -> bool:
        """A list that grows from iteration to iteration and is begun anew in some: what it holds when one starts."""
        new = store[key]
        new = store.get(("h", new.id)) if isinstance(new, Ref) else new
        if not isinstance(new, Seq):
            self.refuse("what this loop does to a list")
        old = lists.get(key)
        before = start.get(("h", start[key].id))
        if old is None:
            lists[key] = before
            resets[key] = (TRUE, ())
            return True
        kept: Expr = TRUE
        rest = new.segments
        if old.segments:
            first = old.segments[0]
            kept = FALSE
            if new.segments and (added := kept_under(first, new.segments[0])) is not None:
                kept = added
                size = len(old.segments)
                if new.segments[:size] != tuple(conditional(s, kept) for s in old.segments):
                    self.refuse("a list that this loop both fills and changes")
                rest = new.segments[size:]
        resets[key] = (kept, rest)
        held = self.since_reset(loop, start[key], start, kept, rest, True)
        if same(held, old):
            return False
        lists[key] = held
        return True

    def since_reset(self, loop: Loop, ref: Ref, start: dict[Any, Any], kept: Expr, added: Any, before: bool) -> Seq:
        """The elements added since the list was last begun anew (before the iteration of the loop's variable, or at all)."""
        value = start[("h", ref.id)]
        r = loop.range
        if r.domain is not None or loop.descending or any(not isinstance(s, Item) for s in added) or len(added) > 1:
            self.refuse("a list that this loop begins anew")
        v, t = f"$p{loop.id}k{ref.id}", f"$p{loop.id}l{ref.id}"
        ran = self.ran_before(loop, v) if before else Range(v, r.low, r.high)
        upto = Range(t, ran.low, ran.high)
        begun = replace_names(and_(loop.guard, not_(kept)), {r.var: Name(t)})
        if not before:
            begun = and_(begun, replace_names(self.runs(loop), {r.var: Name(t)}))
        last = find("last", upto, begun)
        segments: list[Any] = [conditional(s, not_(exists(last))) for s in value.segments]
        segments = [s for s in segments if (s.cond if isinstance(s, Item) else s.guard) != FALSE]
        from dsl.lift.build import default

        for s in added:
            low = default(last, low_of(ran)) if begun != FALSE else low_of(ran)
            names: dict[str, Expr] = {r.var: Name(v)}
            guard = replace_names(and_(loop.guard, s.cond), names)
            if begun != FALSE and and_(s.cond, not_(kept)) == FALSE:  # added first, thrown away by the same iteration
                low = default(arith("+", last, ONE), low_of(ran))
            if not before:
                guard = and_(guard, replace_names(self.runs(loop), names))
            segments.append(Over((Range(v, low, ran.high),), guard, rename(s.value, names)))
        return Seq(tuple(segments), value.is_set, value.ordered)

    def filled_in_steps(self, loop: Loop, start: dict[Any, Any], logs: dict[int, int], seen: int) -> bool:
        """Cells read of an array that this loop writes must be this iteration's own, or the one written just before."""
        for a, index, line in self.seen[seen:]:
            if a.id not in logs or (len(a.dims) == 2 and a.log):
                continue
            mine = [e for e in a.log[logs[a.id] :] if any(isinstance(el, LoopEl) and el.loop is loop for el in e.path)]
            if not mine or all(e.index == index for e in mine):
                continue
            before = arith("+" if loop.descending else "-", loop.var, ONE)
            first = low_of(loop.range) if not loop.descending else high_of(loop.range)
            key = ("d", a.id, "the array")
            if key in start or index != (before,) or any(e.index != (loop.var,) for e in mine):
                raise Refusal(line, "an array that is read at other places while a loop fills it")
            if loop.guard != TRUE or loop.range.domain is not None:
                raise Refusal(line, "an array that is read at other places while a loop fills it")
            log, a.log[logs[a.id] :] = a.log[logs[a.id] :], []
            kept, self.store = self.store, dict(start)
            start[key] = self.cell(a, (arith("+" if loop.descending else "-", first, ONE),))
            self.store = kept
            a.log.extend(log)
            self.carried[a.id] = (before, key)
            return True
        return False

    def execute(
        self, loop: Loop, store: dict[Any, Any], value: Any, bind: Callable[[Any], None], body: Callable[[], Expr]
    ) -> Round:
        self.steps += 5
        if self.steps > 60_000:
            self.refuse("the program takes too many steps to follow")
        self.store = dict(store)
        loop.breaks = []
        self.push(LoopEl(loop))
        frame = Frame("loop", len(self.path), loop)
        self.frames.append(frame)
        line = self.line
        bind(value)
        live = body()
        self.line = line
        self.frames.pop()
        filled = {}
        for at, (index, key) in list(self.carried.items()):
            if loop.range.var in free_names(index):
                filled[key] = self.cell(self.arrays[at], (loop.var,))
        self.path.pop()
        ends = [(c, s) for c, s in frame.continues] + [(b.cond, b.store) for b in frame.breaks]
        if live == FALSE and ends:
            *ends, (_, result) = ends
        else:
            result = self.store
        for cond, other in ends:
            self.store = {**other, **result}
            result = self.merge_stores(cond, other, result)
        loop.breaks = list(frame.breaks)
        result = {**result, **filled}
        return Round(dict(result), live, frame)

    # --- what is handed on --------------------------------------------------------------------------------------

    def firmer(self, key: Any, value: Any, new: Any, unknown: dict[Any, Any], names: dict[Any, str]) -> bool:
        """Makes a changed variable unknown at the start of an iteration; whether that is news."""
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
        name = f"${'m' if maybe else 'f' if fractional else 'i'}{self.fresh()}"
        names[key] = name
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
        from dsl.lift.sequences import dict_has

        absent = {canonical(p) for p in conjuncts(not_(self.decide(dict_has(self, old, w.key))))}
        parts = conjuncts(w.cond)
        kept = [p for p in parts if canonical(p) not in absent]
        if not absent or len(kept) != len(parts) - len(absent) or w.mode != "last":
            return w
        return Write(w.ranges, and_(*kept), w.key, w.value, "first", w.start, w.descending)

    def new_element(self, old: Seq, s: Item | Over) -> Item | Over:
        """`if x not in s: s.add(x)` is s.add(x)."""
        from dsl.lift.sequences import contains

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
            guard = and_(guard, compare(">" if loop.descending else "<", Call("index", (Name(v),)), Call("index", (loop.var,))))
        if not before:
            guard = and_(guard, replace_names(self.runs(loop), names))
        if isinstance(value, Dict):
            writes = [self.write_of(loop, w, ran, guard, names) for w in added]
            return Dict(value.items, (*value.writes, *writes), value.factory)
        segments: list[Item | Over] = []
        if any(isinstance(s, Item) and isinstance(s.value, Extend) for s in added):
            return Seq((*value.segments, self.groups(loop, value, added, ran, guard, names)), False, value.ordered)
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
        ordered = value.ordered and (len(added) == 1)
        for s in added:
            s = rename_segment(self, s, names)
            if isinstance(s, Item):
                segments.append(Over((ran,), and_(guard, s.cond), s.value, loop.descending))
            else:
                if s.descending != loop.descending:
                    ordered = False
                segments.append(Over((ran, *s.ranges), and_(guard, s.guard), s.value, loop.descending))
        return Seq((*value.segments, *segments), value.is_set, ordered or value.is_set)

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

    def groups(self, loop: Loop, value: Seq, added: Any, ran: Range, guard: Expr, names: dict[str, Expr]) -> Over:
        """Lists inside a list: some iterations begin one, the others add to the last."""
        begins = [s for s in added if not isinstance(s.value, Extend)]
        more = [s for s in added if isinstance(s.value, Extend)]
        if len(begins) != 1 or len(more) != 1 or value.segments or loop.descending or loop.range.domain is not None:
            self.refuse("a list of lists filled in this way")
        first, rest = begins[0], more[0]
        start = items_of(first.value) if isinstance(first.value, Seq) else None
        if not isinstance(first, Item) or start is None:
            self.refuse("a list of lists filled in this way")
        s, r, t = Name(ran.var), f"{ran.var}r", f"{ran.var}t"
        opens = replace_names(and_(loop.guard, first.cond), {loop.range.var: Name(t)})
        following = find("first", Range(t, arith("+", s, ONE), ran.high), opens)
        from dsl.lift.build import default

        last = ran.high if ran.high is not None else high_of(ran)
        end = default(arith("-", following, ONE), last)
        here: dict[str, Expr] = {loop.range.var: Name(r)}
        members = Over(
            (Range(r, arith("+", s, ONE), end),),
            replace_names(and_(loop.guard, rest.cond), here),
            rename(rest.value.value, here),
        )
        group = Seq((*(Item(rename(v, names)) for v in start or []), members))
        if (
            isinstance(members.guard, Bool)
            and len(group.segments) == 2
            and group.segments[0] == Item(S("number", s))
            and members.value == S("number", Name(r))
        ):
            group = Seq((Over((Range(r, s, end),), TRUE, members.value),))
        elif start is not None and len(start) == 1 and rename(start[0], names) == rename(rest.value.value, {loop.range.var: s}):
            if and_(first.cond, rest.cond) == FALSE and or_(first.cond, rest.cond) == TRUE and loop.guard == TRUE:
                group = Seq((Over((Range(r, s, end),), TRUE, members.value),))
        return Over((ran,), and_(guard, replace_names(first.cond, names)), group)

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

    def write_of(self, loop: Loop, w: Write, ran: Range, guard: Expr, names: dict[str, Expr]) -> Write:
        w = Write(*[rename(x, names) if i in (2, 3) else x for i, x in enumerate(
            (w.ranges, w.cond, w.key, w.value, w.mode, w.start, w.descending))])  # fmt: skip
        from dsl.lift.values import map_range

        ranges = tuple(map_range(r, lambda e: replace_names(e, names)) for r in w.ranges)
        cond = and_(guard, replace_names(w.cond, names))
        if w.ranges and w.descending != loop.descending:
            self.refuse("a dictionary filled in two directions")
        return Write((ran, *ranges), cond, w.key, w.value, w.mode, w.start, loop.descending)

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
        return not_(compare("<" if loop.descending else ">", self.ordinal(loop, loop.var), self.ordinal(loop, loop.stop)))

    def ordinal(self, loop: Loop, e: Expr) -> Expr:
        return Call("index", (e,)) if loop.range.domain is not None else e

    # --- after the loop -----------------------------------------------------------------------------------------

    def finish(
        self,
        loop: Loop,
        o: Over,
        start: dict[Any, Any],
        unknown: dict[Any, Any],
        names: dict[Any, str],
        guesses: dict[Any, Any],
        shown: Round,
    ) -> tuple[Expr, Expr]:
        r = loop.range
        solvable = {k: v for k, v in unknown.items() if isinstance(v, S)}
        solved = self.solve(loop, start, solvable, {k: names[k] for k in solvable}, shown.store)
        if loop.breaks:
            if not loop.ordered:
                self.refuse("leaving a loop over ancestors")
            self.stop_of(loop)
        after = dict(start)
        for key, value in shown.store.items():
            if key in unknown:
                if isinstance(unknown[key], S):
                    after[key] = self.later(lambda k=key: self.after(loop, solved, k, start[k], shown.store[k]))
                else:
                    after[key] = Poison(key[2])
            elif key[0] == "h":
                if key in start:
                    if key in guesses:
                        old = guesses[key]
                        added = self.added(loop, old, value) if not same(old, value) else ()
                        added = tuple(map_value(s, self.resolve) for s in added)
                        after[key] = self.collected(loop, key, start[key], added, False)
                else:
                    after[key] = value
            elif key not in start:
                after[key] = self.later(lambda v=value: self.last_value(loop, v))
        self.store = after
        returns = [b for b in loop.breaks if b.returned]
        self.last_loop = loop
        if not returns:
            return (FALSE if loop.stop is None else exists(loop.stop)), FALSE
        stop = loop.stop
        assert stop is not None
        conds = []
        value: Any = UNDEFINED
        for b in returns:
            names_at = {r.var: stop}
            here = replace_names(self.resolve(b.cond), names_at) if len(loop.breaks) > 1 else TRUE
            v = rename(map_value(b.value, self.resolve), names_at)
            value = v if isinstance(value, Undefined) else self.merge(here, v, value)
            conds.append(and_(exists(stop), here) if len(returns) < len(loop.breaks) else exists(stop))
        cond = or_(*conds)
        if isinstance(value, Conflict):
            self.refuse("a function that returns values of different kinds")
        self.hand_on(cond, value, self.store)
        return (and_(exists(stop), not_(cond)) if len(returns) < len(loop.breaks) else FALSE), cond

    def later(self, find_out: Callable[[], Any]) -> Later:
        known: list[Any] = []

        def once() -> Any:
            if not known:
                try:
                    known.append(find_out())
                except Refusal as refusal:
                    known.append(Poison(refusal.reason))
            return known[0]

        return Later(once, self.fresh())

    def stop_of(self, loop: Loop) -> None:
        """Where the loop ends early."""
        r = loop.range
        v = f"$p{loop.id}s"
        if r.var in self.named:
            self.named[v] = self.named[r.var]
        cond = or_(*(self.resolve(b.cond) for b in loop.breaks))
        cond = self.simpler_break(loop, cond)
        guard = replace_names(and_(loop.guard, cond), {r.var: Name(v)})
        loop.stop = find("last" if loop.descending else "first", Range(v, r.low, r.high, r.domain), guard)

    def last_value(self, loop: Loop, value: Any) -> Any:
        """What a variable set in the loop's body is after the loop: its value in the last iteration."""
        if isinstance(value, Conflict | Later | Arr | Ref) or sort_of(value) is None:
            if isinstance(value, tuple) or value is None:
                pass
            else:
                return value if not isinstance(value, Conflict | Later) else Poison("a variable of the loop")
        r = loop.range
        v = self.var()
        guard = replace_names(and_(loop.guard, self.runs(loop)), {r.var: Name(v)})
        last = find("first" if loop.descending else "last", Range(v, r.low, r.high, r.domain), guard)
        if loop.stop is not None and r.domain is None and loop.guard == TRUE:
            end = low_of(r) if loop.descending else high_of(r)
            from dsl.lift.build import default, if_

            last = default(loop.stop, if_(compare("<=", low_of(r), high_of(r)), end, MISSING["number"]))
        return rename(map_value(value, self.resolve), {r.var: last})


def kept_under(old: Item | Over, new: Item | Over) -> Expr | None:
    """The condition under which the new list still has the old one's segment."""
    if type(old) is not type(new) or old.value != new.value:
        return None
    a = conjuncts(old.cond if isinstance(old, Item) else old.guard)
    b = conjuncts(new.cond if isinstance(new, Item) else new.guard)
    if isinstance(old, Over) and isinstance(new, Over) and old.ranges != new.ranges:
        return None
    return and_(*(p for p in b if p not in a)) if all(p in b for p in a) else None


def array_in(v: Any) -> Arr | None:
    """The array that a list became on some of the paths."""
    if isinstance(v, Arr):
        return v
    return (array_in(v.a) or array_in(v.b)) if isinstance(v, Conflict) else None


class Poison:
    """A variable whose value after a loop cannot be told; refused when used."""

    def __init__(self, name: Any):
        self.name = name


def rename_segment(m: Machine, s: Item | Over, names: dict[str, Expr]) -> Item | Over:
    new = map_value(s, lambda e: replace_names(e, names))
    return new


_BOUND = re.compile(r"\$[a-z]\d+(?:[a-z]\d*[a-z]?)?|@\d+:\d+:\d+|Arr\d+|Ref\(id=\d+\)")


def canonical(v: Any) -> str:
    """A text that is equal for values that differ only in the numbers of bound variables."""
    numbers: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return numbers.setdefault(match.group(), f"${len(numbers)}")

    text = repr(v)
    spend(len(text))
    return _BOUND.sub(renamed, text)


def same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Conflict | Undefined | Poison | Arr):
        return False
    if a == b:
        return True
    if isinstance(a, Seq) and len(a.segments) != len(b.segments):
        return False
    return isinstance(a, Seq | Dict | S | tuple) and canonical(a) == canonical(b)


def may_be_missing(v: Any) -> bool:
    from dsl.lift.build import sure

    return v is None or (isinstance(v, S) and v.sort != "guard" and not sure(v.e))


def is_whole(v: Any, own: str) -> bool:
    from dsl.lift.build import whole

    if isinstance(v, S):
        return whole(replace_names(v.e, {own: Name("$i0")})) if own else whole(v.e)
    return isinstance(v, int | float) and v == int(v)
