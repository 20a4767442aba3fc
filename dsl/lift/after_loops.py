"""What a loop leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from dsl.lift.guards import and_, compare, default, exists, if_, not_, or_
from dsl.lift.handed_on import HandedOn
from dsl.lift.likeness import Poison, same
from dsl.lift.loops import Round
from dsl.lift.machine import UNDEFINED, Conflict, Undefined
from dsl.lift.order import search
from dsl.lift.ranges import replace_names
from dsl.lift.terms import MISSING
from dsl.lift.values import Arr, Later, Loop, Over, Ref, Refusal, S, high_of, low_of, map_value, rename, sort_of
from dsl.nodes import FALSE, TRUE, Expr, Name, Range


class AfterLoops(HandedOn):
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
            self.stop_of(loop)
        after = dict(start)
        for key, value in shown.store.items():
            if key in unknown:
                if isinstance(unknown[key], S):
                    after[key] = self.later(partial(self.after_by_key, loop, solved, key, start, shown.store))
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
                after[key] = self.later(partial(self.last_value, loop, value))
        self.store = after
        returns = [b for b in loop.breaks if b.returned]
        self.last_loop = loop
        if not returns:
            return (FALSE if loop.stop is None else exists(loop.stop)), FALSE
        stop = loop.stop
        assert stop is not None
        conds = []
        result: Any = UNDEFINED
        for b in returns:
            names_at = {r.var: stop}
            here = replace_names(self.resolve(b.cond), names_at) if len(loop.breaks) > 1 else TRUE
            v = rename(map_value(b.value, self.resolve), names_at)
            result = v if isinstance(result, Undefined) else self.merge(here, v, result)
            conds.append(and_(exists(stop), here) if len(returns) < len(loop.breaks) else exists(stop))
        cond = or_(*conds)
        if isinstance(result, Conflict):
            self.refuse("a function that returns values of different kinds")
        self.hand_on(cond, result, self.store)
        return (and_(exists(stop), not_(cond)) if len(returns) < len(loop.breaks) else FALSE), cond

    def after_by_key(self, loop: Loop, solved: Any, key: Any, start: Any, store: Any) -> Any:
        if key not in solved:
            raise self.untold[loop.unknown[key]]
        return self.after(loop, solved, key, start[key], store[key])

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
        guard = replace_names(and_(loop.guard, cond), {r.var: Name(v)})
        loop.stop = search(self, "last" if loop.descending else "first", Range(v, r.low, r.high, r.domain), guard)

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
        last = search(self, "first" if loop.descending else "last", Range(v, r.low, r.high, r.domain), guard)
        if loop.stop is not None and r.domain is None and loop.guard == TRUE:
            end = low_of(r) if loop.descending else high_of(r)

            last = default(loop.stop, if_(compare("<=", low_of(r), high_of(r)), end, MISSING["number"]))
        return rename(map_value(value, self.resolve), {r.var: last})
