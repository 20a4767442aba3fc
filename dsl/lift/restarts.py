"""Lists that a loop begins anew, and arrays that it fills from the element before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dsl.lift.elsewhere import at_element, value_at_element
from dsl.lift.facts import contradictory
from dsl.lift.guards import and_, conjuncts, default, exists, not_
from dsl.lift.likeness import kept_under, same
from dsl.lift.loops import Loops, Round
from dsl.lift.machine import Frame, conditional
from dsl.lift.ranges import find, replace_names
from dsl.lift.terms import ONE, arith
from dsl.lift.values import Item, Loop, LoopEl, Over, Ref, Refusal, Seq, high_of, low_of
from dsl.nodes import FALSE, TRUE, Expr, Name, Range, free_names


class Restarts(Loops):
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
        begun: Ref | None,
    ) -> bool:
        """A list that grows from iteration to iteration and is begun anew in some: what it holds when one starts.

        begun: what the variable held at the start of the iteration.
        """
        held_by = store[key]
        new: Any = store.get(("h", held_by.id)) if isinstance(held_by, Ref) else held_by
        if not isinstance(new, Seq):
            self.refuse("what this loop does to a list")
        old: Seq | None = lists.get(key)
        before: Seq = start["h", start[key].id]
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
                now = tuple(kept_under(x, y) for x, y in zip(old.segments, new.segments, strict=False))
                if now != (kept,) * size:
                    self.refuse("a list that this loop both fills and changes")
                rest = new.segments[size:]
        put_aside = FALSE if begun is None else self.shared_when.get(begun.id, FALSE)
        if old.segments and and_(put_aside, kept) != FALSE and not contradictory([*conjuncts(put_aside), *conjuncts(kept)]):
            self.refuse("a list that is changed after it was put into another")
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
        begun = at_element(self, loop, and_(loop.guard, not_(kept)), t)
        if not before:
            begun = and_(begun, replace_names(self.runs(loop), {r.var: Name(t)}))
        last = find("last", upto, begun)
        segments: list[Any] = [conditional(s, not_(exists(last))) for s in value.segments]
        segments = [s for s in segments if (s.cond if isinstance(s, Item) else s.guard) != FALSE]

        for s in added:
            low = default(last, low_of(ran)) if begun != FALSE else low_of(ran)
            names: dict[str, Expr] = {r.var: Name(v)}
            guard = at_element(self, loop, and_(loop.guard, s.cond), v)
            if begun != FALSE and and_(s.cond, not_(kept)) == FALSE:  # added first, thrown away by the same iteration
                low = default(arith("+", last, ONE), low_of(ran))
            if not before:
                guard = and_(guard, replace_names(self.runs(loop), names))
            segments.append(Over((Range(v, low, ran.high),), guard, value_at_element(self, loop, s.value, v)))
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
