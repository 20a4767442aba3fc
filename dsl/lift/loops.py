"""Loops: the body is executed once for an unknown element; what one iteration hands to the next is solved for.

A variable that the body changes starts an iteration as an unknown. After the body its new value, as an expression of the unknown,
is a recurrence: kept, set, counted up, multiplied, or decided by itself. Solving it gives the variable's value before the
iteration of element p (`before`) and after the loop (`after`), as searches, counts and sums over the elements.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dsl.lift.definite import carried
from dsl.lift.guards import and_, not_, or_
from dsl.lift.likeness import array_in, same
from dsl.lift.machine import UNDEFINED, Frame, Undefined
from dsl.lift.recurrence import Recurrences
from dsl.lift.sequences import as_filter, items_of, renewed
from dsl.lift.values import CondEl, Item, Later, Loop, Over, Ref, Seq, map_value
from dsl.nodes import FALSE, TRUE, Expr

UNROLL = 64


@dataclass
class Round:
    """What one execution of a loop's body shows."""

    store: dict[Any, Any]
    live: Expr
    frame: Frame


class Loops(Recurrences):
    def for_statement(self, node: ast.For) -> Expr:
        over = self.evaluate(node.iter)
        held = self.unbox(over)
        seq = self.iterable(over)
        for name in carried(node.body, (n.id for n in ast.walk(node.target) if isinstance(n, ast.Name))):
            if self.lookup(name) is UNDEFINED:
                self.bind(name, None)  # unset at first; reading it then would raise
        reached = self.run_sequence(seq, lambda v: self.assign(node.target, v), node.body, node.orelse, node.target)
        if isinstance(held, Seq) and isinstance(over, Ref) and self.store.get(("h", over.id), held) != held:
            self.line = node.lineno
            self.refuse("a list that changes while a loop goes through it")
        return reached

    def run_sequence(
        self, seq: Seq, bind: Callable[[Any], None], body: list[ast.stmt], orelse: list[ast.stmt], target: ast.expr | None
    ) -> Expr:
        """Executes a loop over the elements; the guard under which what follows the loop is reached."""
        if len(seq.segments) > UNROLL:
            self.refuse("a loop over a long literal")
        if seq.is_set and items_of(seq) is None:
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
                broken.append((b.cond, b.store))
        return ended, returns

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
        if target is not None:
            for n in ast.walk(target):
                key = ("v", self.scope, n.id) if isinstance(n, ast.Name) else None
                held = self.store.get(key)
                if isinstance(held.find() if isinstance(held, Later) else held, Ref | Seq):
                    del self.store[key]  # a list that the loop's variable held before
        loop = Loop(self.fresh(), r, o.guard, o.descending, self.line)
        logs = {i: len(a.log) for i, a in self.arrays.items()}
        owed, seen, doubts = len(self.owed), len(self.seen), len(self.rounding.doubts)
        carried = dict(self.carried)
        start = dict(self.store)
        unknown: dict[Any, Any] = {}  # variables handed from iteration to iteration, as they start one
        names: dict[Any, str] = loop.unknown
        renewed_lists: dict[Any, Seq] = {}  # variables that the body binds to new lists: what they hold at the start
        resets: dict[Any, tuple[Any, ...]] = {}
        guesses: dict[Any, Any] = {}  # the same for lists and dictionaries: their contents so far
        for _attempt in range(12):
            for i, a in list(self.arrays.items()):
                if i in logs:
                    del a.log[logs[i] :]
            del self.owed[owed:]
            del self.seen[seen:], self.rounding.doubts[doubts:]
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
                    changed = self.restarted(loop, key, start, shown.store, renewed_lists, resets, begun.get(key)) or changed
                elif key in unknown:
                    changed = self.firmer(key, value, new, unknown, names, loop.line) or changed
                elif new is not value and not same(new, value) and not isinstance(value, Undefined):
                    names[key] = ""
                    self.firmer(key, value, new, unknown, names, loop.line)
                    changed = True
            if not changed:
                changed = self.filled_in_steps(loop, start, logs, seen)
            if not changed:
                break
        else:
            self.refuse("a value that this loop hands from one element to the next and that no search or count gives")
        self.carried = carried
        returned = self.finish(loop, o, start, unknown, names, guesses, shown)
        for key, (c, added) in resets.items():
            added = tuple(map_value(s, self.resolve) for s in added)
            held = self.since_reset(loop, start[key], start, self.resolve(c), added, False)
            self.store[key] = self.box(held)
        return returned
