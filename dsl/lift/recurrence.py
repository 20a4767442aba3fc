"""Solving for the variables that a loop hands from one iteration to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dsl.lift.cases import (
    Leaf,
    clamped,
    greatest,
    implied_missing,
    implies,
    indifferent,
    leaves_of,
    only_positive,
    united,
    without_common,
)
from dsl.lift.facts import Facts
from dsl.lift.guards import and_, compare, default, exists, guard_if, if_, not_, or_
from dsl.lift.machine import Machine
from dsl.lift.ranges import find, quantified, refold, replace_names
from dsl.lift.terms import MISSING, ONE, ZERO, arith, extreme, num, sure
from dsl.lift.values import Loop, expr, high_of, low_of, number, value_of
from dsl.nodes import FALSE, TRUE, And, Call, Compare, Expr, Name, Num, Range, free_names


class Recurrences(Machine):
    """Solves for what iterations hand on."""

    def solve(
        self, loop: Loop, start: dict[Any, Any], unknown: dict[Any, Any], names: dict[Any, str], store: dict[Any, Any]
    ) -> dict[Any, Any]:
        """Closes every unknown: its value before the iteration of the loop's variable. Gives the updates by variable."""
        waiting = dict(unknown)
        updates: dict[Any, Any] = {}
        open_names = {names[k] for k in waiting}
        while waiting:
            progress = False
            for key in list(waiting):
                name = names[key]
                new = store[key]
                e = None if new is None else self.resolve(expr(new) if waiting[key].sort != "number" else number(new))
                others = (free_names(e) if e is not None else frozenset()) & (open_names - {name})
                if others:
                    continue
                update = self.update_of(loop, waiting[key].sort, start[key], name, e)
                updates[key] = update
                self.closed[name] = self.at_start(loop, update)
                open_names.discard(name)
                del waiting[key]
                progress = True
            if not progress:
                key = next(iter(waiting))
                self.refuse(f"{key[2]!r} and other variables of this loop determine each other from element to element")
        return updates

    # --- one variable -------------------------------------------------------------------------------------------

    def update_of(self, loop: Loop, sort: str, start: Any, name: str, e: Expr | None) -> Update:
        if sort == "guard":
            return self.flag(loop, start, name, e)
        missing = MISSING.get(sort)
        initial = (number(start) if sort == "number" else expr(start)) if start is not None else missing
        assert initial is not None
        if e is None:
            return Update("set", initial, (Leaf(TRUE, "set", missing),), name, sort)  # type: ignore[arg-type]
        leaves = leaves_of(e, name)
        acting = united([x for x in leaves if x.kind != "keep"])
        acting = [Leaf(indifferent(x.guard, name), x.kind, x.e) for x in acting]
        own = [x for x in acting if name in free_names(x.guard)]
        if own:
            decided = self.decided_by_itself(loop, sort, initial, name, acting)
            if decided is not None:
                return decided
            self.refuse(f"a variable whose change depends on its own value in a way that has no counterpart (line {loop.line})")
        kinds = {x.kind for x in acting}
        if "unknown" in kinds:
            self.refuse("a variable computed from its own value of the element before")
        if kinds <= {"set"}:
            return Update("set", initial, tuple(acting), name, sort)
        if kinds <= {"set", "add"}:
            return Update("add", initial, tuple(acting), name, sort)
        if kinds == {"scale"} or kinds == {"scale", "set"}:
            return Update("scale", initial, tuple(acting), name, sort)
        if kinds in ({"max"}, {"min"}):
            return Update(kinds.pop(), initial, tuple(acting), name, sort)
        if kinds <= {"max", "min", "set"}:
            mixed = clamped(initial, acting)
            if mixed is not None:
                return Update(mixed[0], initial, mixed[1], name, sort)
        return self.refuse("a variable that is both added to and multiplied from element to element")

    def decided_by_itself(self, loop: Loop, sort: str, initial: Expr, name: str, acting: list[Leaf]) -> Update | None:
        """Guards that look at the variable itself: set once, counted up to a limit, greatest so far."""
        me = Name(name)
        if all(x.kind == "set" for x in acting) and len(acting) == 1:
            (leaf,) = acting
            parts = leaf.guard.items if isinstance(leaf.guard, And) else (leaf.guard,)
            mine = [p for p in parts if name in free_names(p)]
            rest = and_(*(p for p in parts if name not in free_names(p)))
            if len(mine) == 1 and name not in free_names(leaf.e):
                (test,) = mine
                at_first = refold(replace_names(test, {name: initial}))
                later: dict[str, Expr] = {loop.range.var: Name(self.var())}  # another element, met afterwards
                again = replace_names(replace_names(test, later), {name: leaf.e})
                if at_first == TRUE and self.stays_false(loop, again, and_(rest, replace_names(rest, later))):
                    return Update("first", initial, (Leaf(rest, "set", leaf.e),), name, sort)
                best = greatest(test, me, leaf.e)
                if best is not None:
                    return Update(best, initial, (Leaf(rest, best, leaf.e),), name, sort)
        if all(x.kind == "add" for x in acting) and len(acting) == 1:
            (leaf,) = acting
            parts = leaf.guard.items if isinstance(leaf.guard, And) else (leaf.guard,)
            mine = [p for p in parts if name in free_names(p)]
            rest = and_(*(p for p in parts if name not in free_names(p)))
            if len(mine) == 1 and isinstance(mine[0], Compare) and mine[0].left == me and isinstance(mine[0].right, Num):
                limit = mine[0].right.value
                if leaf.e == ONE and isinstance(initial, Num) and mine[0].op in ("<", "<="):
                    top = limit if mine[0].op == "<" else limit + 1
                    if top == int(top) and top >= initial.value:
                        return Update("add", initial, (Leaf(rest, "add", ONE),), name, sort, top)
        return None

    def stays_false(self, loop: Loop, test: Expr, given: Expr) -> bool:

        facts = Facts([given, *self.loop_guards(loop)])
        return facts.decide(refold(test)) == FALSE

    def flag(self, loop: Loop, start: Any, name: str, e: Expr | None) -> Update:
        """A truth value: where the body makes it true, where false, where it turns it over."""
        e = FALSE if e is None else e
        initial = expr(start) if start is not None else FALSE
        if_true = refold(replace_names(e, {name: TRUE}))
        if_false = refold(replace_names(e, {name: FALSE}))
        if if_true == if_false:
            return Update("set", initial, (Leaf(TRUE, "set", if_true),), name, "guard")
        turned = and_(if_false, not_(if_true))
        if turned != FALSE and not only_positive(e, name) and not implies(if_false, if_true):
            if if_false == not_(if_true):
                return Update("toggle", initial, (Leaf(if_false, "toggle", TRUE),), name, "guard")
            self.refuse("a truth value that is turned over and set in the same loop")
        on, off = if_false, not_(if_true)
        leaves = []
        if on != FALSE:
            leaves.append(Leaf(on, "set", TRUE))
        if off != FALSE:
            leaves.append(Leaf(off, "set", FALSE))
        return Update("set", initial, tuple(leaves), name, "guard")

    # --- values before an iteration and after the loop ----------------------------------------------------------

    def at_start(self, loop: Loop, update: Update) -> Expr:
        v = self.var(self.named.get(loop.range.var, ""))
        guard = replace_names(loop.guard, {loop.range.var: Name(v)})
        if loop.range.domain is not None:
            op = ">" if loop.descending else "<"
            guard = and_(guard, compare(op, Call("index", (Name(v),)), Call("index", (loop.var,))))
        return self.value_after(loop, update, self.ran_before(loop, v), guard)

    def after(self, loop: Loop, updates: dict[Any, Any], key: Any, start: Any, out: Any) -> Any:
        update = updates[key]
        r = loop.range
        v = self.var(self.named.get(r.var, ""))
        guard = replace_names(loop.guard, {r.var: Name(v)})
        if loop.stop is not None:
            at_stop = self.only_at_stop(loop, update)
            if at_stop is not None:
                return value_of(update.sort, at_stop)
            guard = and_(guard, replace_names(self.runs(loop), {r.var: Name(v)}))
        return value_of(update.sort, self.value_after(loop, update, Range(v, r.low, r.high, r.domain), guard))

    def only_at_stop(self, loop: Loop, update: Update) -> Expr | None:
        """The value if it changes only in the iteration that ends the loop."""
        if update.kind not in ("set", "first") or loop.stop is None:
            return None
        paths = [self.resolve(b.cond) for b in loop.breaks]
        leaves = [Leaf(self.resolve(x.guard), x.kind, self.resolve(x.e)) for x in update.leaves]
        if not all(any(implies(x.guard, p) for p in paths) for x in leaves):
            return None
        at: dict[str, Expr] = {loop.range.var: loop.stop}
        result: Expr = update.initial
        everything = len(leaves) == 1 and len(paths) == 1
        for leaf in leaves:
            e = replace_names(leaf.e, at)
            if everything and implies(paths[0], leaf.guard):
                cond = exists(loop.stop)
            else:
                cond = and_(exists(loop.stop), replace_names(leaf.guard, at))
            result = guard_if(cond, e, result) if update.sort == "guard" else if_(cond, e, result)
        return result

    def value_after(self, loop: Loop, update: Update, ran: Range, guard: Expr) -> Expr:
        """The value after the iterations of the range's elements where the guard holds."""
        here: dict[str, Expr] = {loop.range.var: Name(ran.var)}
        leaves = [
            Leaf(and_(guard, replace_names(self.resolve(x.guard), here)), x.kind, replace_names(self.resolve(x.e), here))
            for x in update.leaves
        ]
        late = "first" if loop.descending else "last"
        match update.kind:
            case "set":
                return self.last_set(loop, update, ran, leaves, late)
            case "first":
                return self.last_set(loop, update, ran, leaves, "last" if loop.descending else "first")
            case "toggle":
                count = quantified("count", ran, leaves[0].guard)
                odd = compare("==", arith("%", count, num(2)), ONE)
                return guard_if(odd, not_(update.initial), update.initial)
            case "max" | "min":
                if any(x.kind == "set" for x in leaves):
                    return self.extreme_since(loop, update, ran, leaves, late)
                if len(leaves) > 1:
                    value: Expr = leaves[-1].e
                    for x in reversed(leaves[:-1]):
                        value = if_(x.guard, x.e, value)
                    leaves = [Leaf(or_(*(x.guard for x in leaves)), update.kind, value)]
                leaf = leaves[0]
                found = quantified(update.kind, ran, leaf.guard, leaf.e)
                if abs(update.initial.value if isinstance(update.initial, Num) else 0) >= 1e6:
                    return default(found, update.initial)
                if update.initial in MISSING.values():
                    return found
                return extreme(update.kind, [default(found, update.initial), update.initial])
        adding = [x for x in leaves if x.kind in ("add", "scale")]
        setting = [x for x in leaves if x.kind == "set"]
        base = update.initial
        if setting:
            base = self.last_set(loop, update, ran, setting, late)
            at = find(late, ran, or_(*(x.guard for x in setting)))
            new = self.var()
            if loop.range.domain is not None:
                return self.refuse("a counter over words that is set back")
            fresh: dict[str, Expr] = {ran.var: Name(new)}
            if loop.descending:
                ran = Range(new, ran.low, arith("-", default(at, arith("+", high_of(ran), ONE)), ONE))
            else:
                ran = Range(new, arith("+", default(at, arith("-", low_of(ran), ONE)), ONE), ran.high)
            adding = [Leaf(replace_names(x.guard, fresh), x.kind, replace_names(x.e, fresh)) for x in adding]
            # where the variable is both set and added to in one iteration, the leaf that sets it holds the sum already
        if update.kind == "scale":
            result = base
            for x in adding:
                if ran.var in free_names(x.e):
                    return self.refuse("a product over a list of different factors")
                result = arith("*", result, arith("**", x.e, quantified("count", ran, x.guard)))
            return result
        total: Expr = ZERO
        same_step = {x.e for x in adding}
        if len(same_step) == 1 and len(adding) > 1:
            adding = [Leaf(or_(*(x.guard for x in adding)), "add", adding[0].e)]
        for x in adding:
            total = arith("+", total, quantified("sum", ran, x.guard, x.e))
        result = arith("+", base, total)
        if update.limit is not None:
            result = extreme("min", [result, num(update.limit)])
        return result

    def extreme_since(self, loop: Loop, update: Update, ran: Range, leaves: list[Leaf], late: str) -> Expr:
        """The greatest (or smallest) since the variable was last set."""
        setting = [x for x in leaves if x.kind == "set"]
        base = self.last_set(loop, update, ran, setting, late)
        at = find(late, ran, or_(*(x.guard for x in setting)))
        new = self.var()
        here: dict[str, Expr] = {ran.var: Name(new)}
        since: Expr = compare("<" if loop.descending else ">", self.ordinal(loop, Name(new)), self.ordinal(loop, at))
        since = not_(compare(">=" if loop.descending else "<=", self.ordinal(loop, Name(new)), self.ordinal(loop, at)))
        over = Range(new, ran.low, ran.high, ran.domain)
        result = base
        for x in leaves:
            if x.kind != "set":
                found = quantified(update.kind, over, and_(since, replace_names(x.guard, here)), replace_names(x.e, here))
                result = extreme(update.kind, [default(found, result), result])
        return result

    def last_set(self, loop: Loop, update: Update, ran: Range, leaves: list[Leaf], which: str) -> Expr:
        if not leaves:
            return update.initial
        guard_sort = update.sort == "guard"
        if guard_sort and len({x.e for x in leaves}) == 1 and ran.var not in free_names(leaves[0].e):
            # set to one value only
            some = or_(*(x.guard for x in leaves))
            return guard_if(quantified("any", ran, some), leaves[0].e, update.initial)
        some = or_(*(x.guard for x in leaves))
        at = find(which, ran, some)
        names: dict[str, Expr] = {ran.var: at}
        value = leaves[-1].e
        if not guard_sort and len(leaves) == 1 and ran.var not in free_names(value) and sure(value):
            return if_(quantified("any", ran, some), value, update.initial)
        value = replace_names(value, names)
        for leaf in reversed(leaves[:-1]):
            e = replace_names(leaf.e, names)
            cond = replace_names(without_common(leaf.guard, leaves), names)
            value = guard_if(cond, e, value) if guard_sort else if_(cond, e, value)
        if guard_sort:
            if update.initial == FALSE and not any(x.e == TRUE for x in leaves):
                pass
            return guard_if(exists(at), value, update.initial)
        if update.initial in MISSING.values():
            return value if implied_missing(at, value) else if_(exists(at), value, update.initial)
        if value == at:
            return default(at, update.initial)
        return if_(exists(at), value, update.initial)


@dataclass(frozen=True)
class Update:
    """How one variable changes in an iteration."""

    kind: str  # set first add scale max min toggle
    initial: Expr
    leaves: tuple[Leaf, ...]
    name: str
    sort: str
    limit: float | None = None  # a counter that stops here
