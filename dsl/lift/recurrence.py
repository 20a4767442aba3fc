"""Solving for the variables that a loop hands from one iteration to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dsl.lift.best import Contest, beats, beside, by_own_score
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
from dsl.lift.decimals import Repeated, is_inexact
from dsl.lift.elsewhere import settled_elsewhere, unknowns
from dsl.lift.facts import Facts
from dsl.lift.guards import and_, compare, conjuncts, default, exists, guard_if, if_, not_, or_
from dsl.lift.machine import Machine
from dsl.lift.order import later, search
from dsl.lift.ranges import quantified, refold, replace_names, size_of, transform
from dsl.lift.terms import MISSING, ONE, ZERO, arith, extreme, num, sure
from dsl.lift.values import Loop, Refusal, expr, high_of, low_of, number, sort_of, value_of
from dsl.nodes import FALSE, TRUE, And, Binary, Bool, Compare, Expr, Name, Not, Num, Or, Range, free_names, walk


class Recurrences(Machine):
    """Solves for what iterations hand on."""

    def solve(
        self, loop: Loop, start: dict[Any, Any], unknown: dict[Any, Any], names: dict[Any, str], store: dict[Any, Any]
    ) -> dict[Any, Any]:
        """Closes every unknown: its value before the iteration of the loop's variable. Gives the updates by variable."""
        waiting = dict(unknown)
        updates: dict[Any, Any] = {}
        open_names = {names[k] for k in waiting}
        for key in unknown:
            beside_another = self.decided_beside(start, unknown, names, store, key)
            if beside_another is not None:
                updates[key] = beside_another
                del waiting[key]
        for key, update in updates.items():
            self.close(names[key], loop, self.at_start(loop, update))
            open_names.discard(names[key])
        while waiting:
            progress = False
            for key in list(waiting):
                name = names[key]
                new = store[key]
                if new is not None and sort_of(new) is None:
                    del waiting[key]
                    progress = True
                    reason = f"{key[2]!r} holds values of different kinds from element to element"
                    self.untold[name] = Refusal(self.line, reason)
                    continue
                e = None if new is None else self.resolve(expr(new) if waiting[key].sort != "number" else number(new))
                others = (unknowns(e) if e is not None else set()) & (open_names - {name})
                if others or (e is not None and name in unknowns(e) - free_names(e)):
                    continue
                del waiting[key]
                progress = True
                try:
                    update = self.update_of(loop, unknown[key].sort, start[key], name, e)
                    before = self.at_start(loop, update)
                except Refusal as refusal:
                    self.untold[name] = refusal  # matters only if something depends on it
                    continue
                updates[key] = update
                self.close(name, loop, before)
                open_names.discard(name)
            if not progress:
                break
        for key in waiting:
            reason = f"{key[2]!r} and other variables of this loop determine each other from element to element"
            self.untold[names[key]] = self.first_untold(store[key]) or Refusal(self.line, reason)
        return updates

    def first_untold(self, value: Any) -> Refusal | None:
        """Why a variable that this value depends on cannot be told."""
        e = self.resolve(expr(value)) if sort_of(value) is not None else None
        return next((self.untold[n] for n in sorted(unknowns(e)) if n in self.untold), None) if e is not None else None

    def decided_beside(
        self, start: dict[Any, Any], unknown: dict[Any, Any], names: dict[Any, str], store: dict[Any, Any], key: Any
    ) -> Update | None:
        """A variable set wherever another one finds a new best score."""
        sort = unknown[key].sort
        if store[key] is None or sort not in MISSING or any(v is not None and sort_of(v) is None for v in (start[key], store[key])):
            return None
        e = self.resolve(expr(store[key]) if sort != "number" else number(store[key]))
        others = unknowns(e) & ({*names.values()} - {names[key]})
        partner = next((k for k in unknown if others == {names[k]}), None)
        if partner is None or unknown[partner].sort != "number" or store[partner] is None:
            return None
        floor = MISSING["number"] if start[partner] is None else number(start[partner])
        won = beside(names[key], e, names[partner], self.resolve(number(store[partner])), floor)
        if won is None:
            return None
        initial = MISSING[sort] if start[key] is None else number(start[key]) if sort == "number" else expr(start[key])
        return Update("best", initial, (won[0],), names[key], sort, contest=won[1])

    def close(self, name: str, loop: Loop, value: Expr) -> None:
        self.closed[name], self.closed_in[name] = value, loop.range.var

    def elsewhere(self, e: Expr) -> Expr:
        return settled_elsewhere(self, e)

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
            if decided is None:
                decided = self.decided_by_state(loop, sort, initial, name, acting)
            if decided is not None:
                return decided
            raise Refusal(loop.line, "a variable whose change depends on its own value in a way that has no counterpart")
        kinds = {x.kind for x in acting}
        if kinds == {"unknown"}:
            times = self.var()
            turning = turned_round(initial, name, acting, Name(times))
            if turning is not None:
                return Update("cycle", initial, turning, times, sort)
        if "unknown" in kinds:
            self.refuse("a variable computed from its own value of the element before")
        if kinds <= {"set"}:
            return Update("set", initial, tuple(acting), name, sort)
        if kinds <= {"set", "add"}:
            return Update("add", initial, tuple(acting), name, sort, one_by_one=adds_once(e, name))
        if kinds == {"scale"} or kinds == {"scale", "set"}:
            return Update("scale", initial, tuple(acting), name, sort, one_by_one=multiplies_once(e, name))
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
                won = by_own_score(name, initial, acting)
                if won is not None:
                    return Update("best", initial, (won[0],), name, sort, contest=won[1])
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

    def decided_by_state(self, loop: Loop, sort: str, initial: Expr, name: str, acting: list[Leaf]) -> Update | None:
        """Guards that ask whether the variable is in one of two states, such as set or -1: a truth value of its own tells which."""
        tests = list(dict.fromkeys(t for x in acting for t in tests_of(x.guard, name)))
        if (
            not tests
            or any(free_names(t) != {name} for t in tests)
            or any(x.kind != "set" or name in free_names(x.e) for x in acting)
        ):
            return None

        def state(value: Expr, given: Expr) -> tuple[Expr, ...]:
            facts = Facts([*conjuncts(given), *self.loop_guards(loop)])
            return tuple(facts.decide(refold(replace_names(t, {name: value}))) for t in tests)

        begin = state(initial, TRUE)
        ends = [state(x.e, and_(*(p for p in conjuncts(x.guard) if name not in free_names(p)))) for x in acting]
        states = list(dict.fromkeys([begin, *ends]))
        if len(states) != 2 or any(not isinstance(t, Bool) for s in states for t in s):
            return None
        flag = f"$i{self.fresh()}"
        on, off = states[1], states[0]
        told: dict[Expr, Expr] = {}
        for test, there, before in zip(tests, on, off, strict=True):
            told[test] = there if there == before else Name(flag) if there == TRUE else not_(Name(flag))
        guards = [refold(transform(x.guard, told.get)) for x in acting]
        turned = or_(*(g for g, end in zip(guards, ends, strict=True) if end == on))
        kept = and_(Name(flag), not_(or_(*guards)))
        update = self.flag(loop, False, flag, or_(turned, kept))
        self.close(flag, loop, self.at_start(loop, update))
        leaves = tuple(Leaf(g, "set", x.e) for g, x in zip(guards, acting, strict=True))
        back = [x.e for x, end in zip(leaves, ends, strict=True) if end == off]
        if all(e == initial for e in back):
            away = tuple(x for x, end in zip(leaves, ends, strict=True) if end == on)
            any_guard = or_(*guards)  # away from the initial value, the last leaf that acted was one of `away`
            if len(away) == 1 and size_of(any_guard, 500) < size_of(away[0].guard, 500):
                away = (Leaf(any_guard, "set", away[0].e),)
            return Update("state", initial, away, name, sort, state=update)
        return Update("set", initial, leaves, name, sort)

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
            guard = and_(guard, later(self, loop, loop.var, Name(v)))
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
            case "best":
                return self.winner(loop, update, ran, leaves[0], guard)
            case "state":
                assert update.state is not None
                there = self.value_after(loop, update.state, ran, guard)
                at = search(self, late, ran, or_(*(x.guard for x in leaves)))
                return if_(there, self.value_at(leaves, at, ran.var, False), update.initial)
            case "toggle":
                count = quantified("count", ran, leaves[0].guard)
                odd = compare("==", arith("%", count, num(2)), ONE)
                return guard_if(odd, not_(update.initial), update.initial)
            case "cycle":
                count = quantified("count", ran, leaves[0].guard)
                return replace_names(leaves[0].e, {update.name: count})
            case "max" | "min":
                if any(x.kind == "set" for x in leaves):
                    return self.extreme_since(loop, update, ran, leaves, late)
                if len(leaves) > 1:
                    value: Expr = leaves[-1].e
                    for x in reversed(leaves[:-1]):
                        value = if_(x.guard, x.e, value)
                    leaves = [Leaf(or_(*(x.guard for x in leaves)), update.kind, value)]
                leaf = leaves[0]
                best = quantified(update.kind, ran, leaf.guard, leaf.e)
                if abs(update.initial.value if isinstance(update.initial, Num) else 0) >= 1e6:
                    return default(best, update.initial)
                if update.initial in MISSING.values():
                    return best
                return extreme(update.kind, [default(best, update.initial), update.initial])
        adding = [x for x in leaves if x.kind in ("add", "scale")]
        setting = [x for x in leaves if x.kind == "set"]
        base = update.initial
        if setting:
            base = self.last_set(loop, update, ran, setting, late)
            at = search(self, late, ran, or_(*(x.guard for x in setting)))
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
                times = quantified("count", ran, x.guard)
                result = arith("*", result, self.rounding.note(arith("**", x.e, times), x.e))
            if len(adding) == 1 and isinstance(base, Num) and isinstance(x.e, Num) and update.one_by_one:
                self.rounding.repeated[result] = Repeated(base.value, x.e.value, times, "*")
            return result
        total: Expr = ZERO
        same_step = {x.e for x in adding}
        if len(same_step) == 1 and len(adding) > 1:
            adding = [Leaf(or_(*(x.guard for x in adding)), "add", adding[0].e)]
        for x in adding:
            part = self.rounding.note(quantified("sum", ran, x.guard, x.e), x.e)
            total = arith("+", total, part)
        result = arith("+", base, total)
        if len(adding) == 1 and isinstance(base, Num) and isinstance(x.e, Num) and is_inexact(x.e) and update.one_by_one:
            self.rounding.repeated[result] = Repeated(base.value, x.e.value, quantified("count", ran, x.guard))
        if update.limit is not None:
            result = extreme("min", [result, num(update.limit)])
        return result

    def winner(self, loop: Loop, update: Update, ran: Range, leaf: Leaf, guard: Expr) -> Expr:
        """The value set by the element with the best score."""
        contest = update.contest
        assert contest is not None
        score = replace_names(self.resolve(contest.score), {loop.range.var: Name(ran.var)})
        v = self.var()
        other: dict[str, Expr] = {ran.var: Name(v)}
        over = Range(v, ran.low, ran.high, ran.domain)
        best = quantified(contest.kind, over, replace_names(leaf.guard, other), replace_names(score, other))
        which = "first" if contest.strict != loop.descending else "last"
        at = search(self, which, ran, and_(leaf.guard, compare("==", score, best)))
        value = replace_names(leaf.e, {ran.var: at})
        won = beats(replace(contest, floor=None if contest.floor is None else self.resolve(contest.floor)), best, at)
        if contest.floor is None and update.initial in MISSING.values():
            return value
        if value == at and won == exists(at):
            return default(at, update.initial)
        return if_(won, value, update.initial)

    def extreme_since(self, loop: Loop, update: Update, ran: Range, leaves: list[Leaf], late: str) -> Expr:
        """The greatest (or smallest) since the variable was last set."""
        setting = [x for x in leaves if x.kind == "set"]
        base = self.last_set(loop, update, ran, setting, late)
        at = search(self, late, ran, or_(*(x.guard for x in setting)))
        new = self.var()
        here: dict[str, Expr] = {ran.var: Name(new)}
        since = not_(or_(later(self, loop, at, Name(new)), compare("==", Name(new), at)))
        over = Range(new, ran.low, ran.high, ran.domain)
        result = base
        for x in leaves:
            if x.kind != "set":
                extreme_here = quantified(update.kind, over, and_(since, replace_names(x.guard, here)), replace_names(x.e, here))
                result = extreme(update.kind, [default(extreme_here, result), result])
        return result

    def value_at(self, leaves: list[Leaf], at: Expr, var: str, guard_sort: bool) -> Expr:
        """What the variable is set to in the iteration of the element `at`, in which one of the leaves acts."""
        names: dict[str, Expr] = {var: at}
        value = replace_names(leaves[-1].e, names)
        for leaf in reversed(leaves[:-1]):
            e = replace_names(leaf.e, names)
            cond = replace_names(without_common(leaf.guard, leaves), names)
            value = guard_if(cond, e, value) if guard_sort else if_(cond, e, value)
        return value

    def last_set(self, loop: Loop, update: Update, ran: Range, leaves: list[Leaf], which: str) -> Expr:
        if not leaves:
            return update.initial
        guard_sort = update.sort == "guard"
        if guard_sort and len({x.e for x in leaves}) == 1 and ran.var not in free_names(leaves[0].e):
            # set to one value only
            some = or_(*(x.guard for x in leaves))
            return guard_if(quantified("any", ran, some), leaves[0].e, update.initial)
        some = or_(*(x.guard for x in leaves))
        at = search(self, which, ran, some)
        value = leaves[-1].e
        if not guard_sort and len(leaves) == 1 and ran.var not in free_names(value) and sure(value):
            return if_(quantified("any", ran, some), value, update.initial)
        value = self.value_at(leaves, at, ran.var, guard_sort)
        if guard_sort:
            if update.initial == FALSE and not any(x.e == TRUE for x in leaves):
                pass
            return guard_if(exists(at), value, update.initial)
        if update.initial in MISSING.values():
            return value if implied_missing(at, value) else if_(exists(at), value, update.initial)
        if value == at:
            return default(at, update.initial)
        return if_(exists(at), value, update.initial)


def turned_round(initial: Expr, name: str, acting: list[Leaf], times: Name) -> tuple[Leaf, ...] | None:
    """x = 1 - x, or x = (x + 1) % 3: the value as an expression of how often that happened."""
    me = Name(name)
    if not isinstance(initial, Num) or len({x.e for x in acting}) != 1:
        return None
    (e,) = {x.e for x in acting}
    guard = or_(*(x.guard for x in acting))
    both = arith("+", e, me)
    if isinstance(both, Num):
        odd = compare("==", arith("%", times, num(2)), ONE)
        return (Leaf(guard, "set", if_(odd, num(both.value - initial.value), initial)),)
    if isinstance(e, Binary) and e.op == "%" and isinstance(e.right, Num):
        step, size = arith("-", e.left, me), e.right.value
        amounts = (initial.value, size, step.value if isinstance(step, Num) else 0.5)
        if all(a == int(a) for a in amounts) and 0 <= initial.value < size and amounts[2] > 0:
            return (Leaf(guard, "set", arith("%", arith("+", arith("*", step, times), initial), e.right)),)
    return None


def tests_of(guard: Expr, name: str) -> list[Expr]:
    """The parts of a guard, neither and, or nor not, that speak of the name."""
    match guard:
        case And(items) | Or(items):
            return [t for i in items for t in tests_of(i, name)]
        case Not(item):
            return tests_of(item, name)
    return [guard] if name in free_names(guard) else []


def adds_once(e: Expr, name: str) -> bool:
    """Whether every addition in the new value is to the variable itself, not to a sum of it."""
    return all(x.left == Name(name) for x in walk(e) if isinstance(x, Binary) and name in free_names(x))


def multiplies_once(e: Expr, name: str) -> bool:
    """Whether the new value is nowhere a product of a product of the variable."""
    return all(Name(name) in (x.left, x.right) for x in walk(e) if isinstance(x, Binary) and name in free_names(x))


@dataclass(frozen=True)
class Update:
    """How one variable changes in an iteration."""

    kind: str  # set first add scale max min toggle cycle best state
    initial: Expr
    leaves: tuple[Leaf, ...]
    name: str
    sort: str
    limit: float | None = None  # a counter that stops here
    contest: Contest | None = None  # of the best element so far
    one_by_one: bool = False  # an iteration adds one number at most
    state: Update | None = None  # the truth value that says whether the variable is away from its initial value
