"""From the writes of an array to rules: loops' variables become q and k, what remains becomes searches, counts and sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dsl.lift.build import (
    ONE,
    ZERO,
    N,
    and_,
    arith,
    compare,
    conjuncts,
    find,
    from_linear,
    if_,
    linear,
    not_,
    quantified,
    replace_names,
    size_of,
    transform,
    whole,
)
from dsl.lift.facts import Facts
from dsl.lift.machine import MAX_SIZE, Machine
from dsl.lift.values import (
    X0,
    X1,
    Arr,
    CondEl,
    Entry,
    Loop,
    LoopEl,
    Refusal,
    S,
    high_of,
    low_of,
    map_range,
    number,
    rename,
    value_of,
)
from dsl.nodes import FALSE, TRUE, Block, Call, Compare, Expr, K, Let, Name, Node, Num, Q, Range, Rule, Statement, free_names, walk

CELLS = (X0, X1)


@dataclass
class Step:
    """A guard on the way to a rule. Steps of consecutive rules with equal keys are one block."""

    key: Any
    cond: Expr
    positive: bool = True

    @property
    def guard(self) -> Expr:
        return self.cond if self.positive else not_(self.cond)


@dataclass
class Normal:
    """A write as a rule over the cell ($x0, $x1)."""

    steps: list[Step]
    op: str
    value: Any
    line: int
    at: int = 0
    axes: dict[int, str] | None = None  # which loop's variable is determined by which index

    @property
    def guard(self) -> Expr:
        return and_(*(s.guard for s in self.steps))


def plain_index(e: Expr) -> bool:
    return isinstance(e, Name | Num)


def solve_for(var: str, e: Expr, target: Expr) -> Expr | None:
    """The variable's value from target == e, if e is the variable plus or minus something."""
    if var not in free_names(e) or not whole(e):
        return None
    terms, const = linear(e)
    c = terms.pop(Name(var), 0.0)
    if abs(c) != 1 or any(var in free_names(a) for a in terms):
        return None
    rest = from_linear(terms, const)
    return arith("-", target, rest) if c == 1 else arith("-", rest, target)


def normal(m: Machine, a: Arr, entry: Entry, at: int, fixed: frozenset[int] = frozenset()) -> Normal | None:
    """The write as a rule; None if it never happens. `fixed`: loops that count as given (their iteration is the reader's)."""
    path = [el for el in entry.path[a.base :] if not (isinstance(el, LoopEl) and el.loop.id in fixed)]
    resolve = m.resolve
    equations: list[tuple[Expr, Expr]] = [(CELLS[i], resolve(e)) for i, e in enumerate(entry.index)]
    loops = [el.loop for el in path if isinstance(el, LoopEl)]
    names: dict[str, Expr] = {}
    axes: dict[int, str] = {}
    # plain indices first, so that A[i, i + 1] gives i = q
    for exact in (True, False):
        for loop in loops:
            var = loop.range.var
            if var in names:
                continue
            for n, (target, e) in enumerate(equations):
                e = replace_names(e, names)
                if exact and e != Name(var):
                    continue
                x = solve_for(var, e, target)
                if x is None:
                    continue
                others = free_names(e) & {other.range.var for other in loops if other is not loop and other.range.var not in names}
                if others:
                    continue
                names[var] = x
                axes[loop.id] = "q" if target == X0 else "k"
                equations.pop(n)
                break
    names = {v: replace_names(e, names) for v, e in names.items()}
    here = [compare("==", target, replace_names(e, names)) for target, e in equations]
    loose = [loop for loop in loops if loop.range.var not in names]
    steps: list[Step] = []
    signature = tuple(sorted((k, str(hash(v))) for k, v in names.items()))
    breaks_at: dict[int, str] = {}
    dropped: set[int] = set()
    for i, el in enumerate(path):
        if isinstance(el, LoopEl):
            loop = el.loop
            guards = list(conjuncts(loop.guard)) if loop in loose else loop_steps(m, loop)
            ending = ending_of(m, loop, path[i + 1 :], dropped)
            breaks_at[loop.id] = "at" if ending is not None and isinstance(ending, Compare) and ending.op == "==" else "run"
            for j, g in enumerate([*guards, *([ending] if ending is not None else [])]):
                steps.append(Step((loop.id, j, ending if j == len(guards) else None), replace_names(resolve(g), names)))
        elif el.id not in dropped:
            steps.append(Step((el.id,), replace_names(resolve(el.cond), names), el.positive))
    value: Any = entry.value
    if isinstance(value, S):
        value = S(value.sort, replace_names(resolve(value.e), names))
    elif value is not None and isinstance(value, Expr):  # type: ignore[misc, arg-type]
        value = replace_names(resolve(value), names)
    elif value is not None:
        value = rename(value, names)
    for s in steps:
        s.key = (*s.key, signature)
    if here:
        steps.append(Step(("here", at), and_(*here)))
    op = entry.op
    for loop in reversed(loose):
        steps, op, value = summed(m, loop, steps, op, value, names)
    steps = simplified(m, steps)
    if isinstance(value, Node) and any(x == N for x in walk(value)):
        value = unwrapped(value, Facts([*CELL_RANGES, *(s.guard for s in steps)]))
    if any(s.guard == FALSE for s in steps):
        return None
    return Normal(steps, op, value, entry.line, at, axes)


def loop_steps(m: Machine, loop: Loop) -> list[Expr]:
    guards: list[Expr] = []
    if loop.range.domain is None:
        # not folded: the variable's own bounds hold only while it is one
        guards.append(Compare(">=", loop.var, low_of(loop.range)))
        guards.append(Compare("<=", loop.var, high_of(loop.range)))
    else:
        v = f"$p{m.fresh()}"
        inside = quantified("any", Range(v, None, None, loop.range.domain), compare("==", Name(v), loop.var))
        guards.append(inside)
    guards.extend(conjuncts(loop.guard))
    return guards


def ending_of(m: Machine, loop: Loop, below: list[CondEl | LoopEl], dropped: set[int]) -> Expr | None:
    """The guard that says that the iteration takes place, given how the path goes on; conditions it makes needless."""
    if not loop.breaks or loop.stop is None:
        return None
    conds: list[CondEl] = []
    for el in below:
        if isinstance(el, LoopEl):
            break
        conds.append(el)
    ids = {(c.id, c.positive) for c in conds}
    ordinal = m.ordinal
    excluded: set[int] = set()
    for b in loop.breaks:
        steps = {(c.id, c.positive) for c in b.path}
        if steps <= ids:
            if len(loop.breaks) == 1:
                dropped.update(c.id for c in b.path)
            return Compare("==", loop.var, loop.stop)
        if any((i, not p) in ids for i, p in steps) or any(b.id in c.excludes for c in conds):
            excluded.add(b.id)
    strict = len(excluded) == len(loop.breaks)
    if strict:
        wanted = {not_(b.cond) for b in loop.breaks}
        for c in conds:
            if c.guard in wanted or all(part in wanted for part in conjuncts(c.guard)):
                dropped.add(c.id)
    op = ("<=" if strict else "<") if loop.descending else (">=" if strict else ">")
    return not_(Compare(op, ordinal(loop, loop.var), ordinal(loop, loop.stop)))


def summed(m: Machine, loop: Loop, steps: list[Step], op: str, value: Any, solved: dict[str, Expr]) -> tuple[list[Step], str, Any]:
    """A write in a loop whose variable the cell does not determine: once for every iteration."""
    var = loop.range.var
    v = m.var(m.named.get(var, ""))
    names: dict[str, Expr] = {var: Name(v)}
    r = map_range(loop.range, lambda e: replace_names(m.resolve(e), solved))
    over = Range(v, r.low, r.high, r.domain)
    inner = [s for s in steps if var in free_names(s.guard)]
    outer = [s for s in steps if var not in free_names(s.guard)]
    guard = and_(*(replace_names(s.guard, names) for s in inner))
    key = ("sum", loop.id, tuple(s.key for s in inner))
    e = value.e if isinstance(value, S) else value
    depends = e is not None and not isinstance(e, bool | int | float | str) and var in free_names(e)
    once = loop.parallel
    if op == "add" and not once:
        if not depends:
            count = quantified("count", over, guard)
            some = quantified("any", over, guard)
            simple = only_if(count, some)
            if simple:
                return [*outer, Step(key, some)], op, e
            return outer, op, arith("*", e, count)
        return outer, op, quantified("sum", over, guard, replace_names(e, names))
    if op == "scale" and not once:
        if depends:
            raise Refusal(loop.line, "a cell multiplied by different factors in a loop")
        return outer, op, arith("**", e, quantified("count", over, guard))
    if op in ("max", "min") and depends:
        return outer, op, quantified(op, over, guard, replace_names(e, names))
    if op == "set" and depends:
        if not loop.ordered:
            raise Refusal(loop.line, "a cell set in a loop over ancestors")
        last = find("first" if loop.descending else "last", over, guard)
        last_v: dict[str, Expr] = {var: last}
        return [*outer, Step(key, quantified("any", over, guard))], op, replace_names(e, last_v)
    if depends:
        raise Refusal(loop.line, "a cell changed by different amounts at once")
    return [*outer, Step(key, quantified("any", over, guard))], op, value


def only_if(count: Expr, some: Expr) -> bool:
    """The count is 1 wherever there are any."""
    from dsl.nodes import IfElse

    return (isinstance(count, IfElse) and count.then == ONE and count.other == ZERO) or count == ONE


CELL_RANGES = [compare(">=", x, ZERO) for x in CELLS] + [compare("<=", x, arith("-", N, ONE)) for x in CELLS]


def unwrapped(e: Expr, facts: Facts) -> Expr:
    """x % n as x where x is known to be a position: Python's negative indices that do not occur."""
    from dsl.nodes import Binary

    if not any(isinstance(x, Binary) and x.op == "%" and x.right == N for x in walk(e)):
        return e

    def change(x: Any) -> Any:
        if isinstance(x, Binary) and x.op == "%" and x.right == N:
            inner = unwrapped(x.left, facts)
            if facts.nonnegative(inner) and facts.nonnegative(arith("-", arith("-", N, ONE), inner)):
                return inner
        return None

    return transform(e, change)


def simplified(m: Machine, steps: list[Step]) -> list[Step]:
    """Steps that follow from earlier ones fall away."""
    known: list[Expr] = list(CELL_RANGES)
    result: list[Step] = []
    for s in steps:
        if size_of(s.cond, MAX_SIZE) > MAX_SIZE:
            raise Refusal(m.line, "the condition of a rule becomes too large")
        facts = Facts(known)
        s = Step(s.key, unwrapped(s.cond, facts), s.positive)
        guard = facts.decide(s.guard)
        known.append(s.guard)
        if guard == TRUE:
            continue
        if guard == s.guard:
            result.append(s)
        elif not s.positive and not_(guard) != s.cond:
            result.append(Step(s.key, not_(guard), False))
        else:
            result.append(Step(s.key, guard if s.positive else not_(guard), s.positive))
    return result


# --- one-dimensional arrays, read ------------------------------------------------------------------------------------


class Unsettled(Exception):
    """A cell of other rounds of a loop that is still being followed."""


def fold(m: Machine, a: Arr, upto: int, index: tuple[Expr, ...]) -> Any:
    """The cell's value as one expression."""
    active = {el.loop.id: el.loop for el in m.path if isinstance(el, LoopEl)}
    value: Any = a.init
    for i, entry in enumerate(a.log[:upto]):
        mine = [el.loop for el in entry.path[a.base :] if isinstance(el, LoopEl) and el.loop.id in active]
        if mine:
            at = tuple(m.resolve(e) for e in entry.index)
            if at != tuple(m.resolve(e) for e in index):
                raise Unsettled
        rule = normal(m, a, entry, i, frozenset(loop.id for loop in mine))
        if rule is None:
            continue
        names = {"$x0": index[0]} if mine else {}
        guard = replace_names(rule.guard, names)
        if mine:
            guard = m.decide(guard)
        value = applied(m, value, guard, rule)
    names = {"$x0": index[0]} if len(index) == 1 else {"$x0": index[0], "$x1": index[1]}
    return rename(value, names)


def applied(m: Machine, old: Any, guard: Expr, rule: Normal) -> Any:
    new = rule.value
    match rule.op:
        case "set":
            if isinstance(new, Expr) and not isinstance(new, S):  # type: ignore[misc, arg-type]
                new = value_of("number", new)
            return m.merge(guard, new, old)
        case "add":
            return value_of("number", arith("+", number(old), if_(guard, new, ZERO)))
        case "scale":
            return value_of("number", arith("*", number(old), if_(guard, new, ONE)))
        case "normalize" | "stochastic":
            raise Refusal(rule.line, "a normalised matrix inside another")
    raise Refusal(rule.line, f"{rule.op} inside an array that is read")


# --- the matrix ------------------------------------------------------------------------------------------------------


class Emitter:
    def __init__(self, m: Machine, a: Arr):
        self.m = m
        self.a = a
        self.normals: list[Normal] = []
        self.lets: dict[int, list[tuple[str, Expr]]] = {}  # before the rule with this number
        self.named: dict[Expr, str] = {}
        self.mine = {**a.lineage, a.id: len(a.log)}

    def statements(self) -> tuple[Statement, ...]:
        a = self.a
        entries = list(a.log)
        while entries and entries[-1].op == "stochastic":
            entries.pop()
        normals: list[Normal] = []
        init = number(a.init)
        if init != ZERO:
            normals.append(Normal([], "set", init, 0, -1, {}))
        for i, entry in enumerate(entries):
            rule = normal(self.m, a, entry, i)
            if rule is not None:
                normals.append(rule)
        self.check_order(entries, normals)
        self.normals = normals
        leaves: list[tuple[list[Step], Rule | Let]] = []
        done = [self.finished(n, rule) for n, rule in enumerate(normals)]
        for n, (steps, made) in enumerate(done):
            for name, value in self.lets.get(n, []):
                leaves.append(([], Let(name, value)))
            leaves.extend((steps, r) for r in made)
        return nested(leaves)

    # --- reads --------------------------------------------------------------------------------------------------

    def finished(self, n: int, rule: Normal) -> tuple[list[Step], list[Rule]]:
        """The rule over q and k, with its reads of cells as weights, as they are or as they were."""
        own = {x: y for x, y in self.own_cells(rule)}
        steps: list[Step] = []
        known: list[Expr] = []
        for s in rule.steps:
            cond = self.reads(s.cond, rule, n, own)
            steps.append(Step(s.key, cond, s.positive))
            known.append(cond)
        made = []
        for op, value, extra in self.operations(rule, n, own):
            guard = extra
            made.append(Rule(op, value, None if guard == TRUE else guard))
        return steps, made

    def own_cells(self, rule: Normal) -> list[tuple[Expr, Expr]]:
        """Equalities of the rule's own guard, to know a read of the own cell in another spelling."""
        found = []
        for s in rule.steps:
            for part in conjuncts(s.guard):
                if isinstance(part, Compare) and part.op == "==":
                    if part.left in CELLS:
                        found.append((part.left, part.right))
                    elif part.right in CELLS:
                        found.append((part.right, part.left))
        return found

    def same(self, e: Expr, cell: Expr, own: dict[Expr, Expr]) -> bool:
        if e == cell or (cell in own and own[cell] == e):
            return True
        if cell in own:
            return arith("-", e, own[cell]) == ZERO if whole(e) and whole(own[cell]) else False
        return False

    def reads(self, e: Expr, rule: Normal, n: int, own: dict[Expr, Expr]) -> Expr:
        """Reads of earlier states are given names; reads of the present state become weight."""
        if not any(isinstance(x, Call) and x.name.startswith("@") for x in walk(e)):
            return e
        e = self.foreign(e)
        stale = self.stale(e, rule, n)
        if stale is not None:
            e = stale

        def change(x: Any) -> Any:
            if isinstance(x, Call) and x.name.startswith("@"):
                index = self.full_index(x)
                if self.same(index[0], X0, own) and self.same(index[1], X1, own):
                    return Name("weight")
                return Call("weight", tuple(self.q_of(i, own) for i in index))
            return None

        e = transform(e, change)
        return rows(e)

    def q_of(self, i: Expr, own: dict[Expr, Expr]) -> Expr:
        return X0 if self.same(i, X0, own) else i

    def full_index(self, x: Call) -> tuple[Expr, ...]:
        if len(x.args) == 1:
            return (X0, x.args[0])
        return tuple(x.args)

    def foreign(self, e: Expr) -> Expr:
        """Cells of other matrices become expressions."""

        def change(x: Any) -> Any:
            if isinstance(x, Call) and x.name.startswith("@"):
                which, version, _ = (int(p) for p in x.name[1:].split(":"))
                if which in self.mine and version <= self.mine[which]:
                    return None
                index = tuple(self.foreign(a) for a in x.args)
                other = self.m.arrays[which]
                path, self.m.path = self.m.path, []
                try:
                    value = fold(self.m, other, version, index)
                except Unsettled:
                    raise Refusal(self.m.line, "an array that is read while a loop fills it") from None
                finally:
                    self.m.path = path
                return self.foreign(self.m.resolve(number(value)))
            return None

        return transform(e, change)

    def stale(self, e: Expr, rule: Normal, n: int) -> Expr | None:
        """Names the largest parts that read the matrix as it was before some earlier rule."""
        before = [r.at for r in self.normals[:n]]

        def version_of(x: Call) -> int:
            which, version, at = (int(p) for p in x.name[1:].split(":"))
            self.check_read(x, at, rule)
            return version

        def is_stale(version: int) -> bool:
            return any(at >= version for at in before)

        versions = {version_of(x) for x in walk(e) if isinstance(x, Call) and x.name.startswith("@")}
        old = [v for v in versions if is_stale(v)]
        if not old:
            return None

        def change(x: Any) -> Any:
            if not isinstance(x, Expr):  # type: ignore[misc, arg-type]
                return None
            here = {version_of(y) for y in walk(x) if isinstance(y, Call) and y.name.startswith("@")}
            here_old = {v for v in here if is_stale(v)}
            if not here_old or len(here) != 1:
                return None
            if free_names(x) & {v for v in free_names(x) if v.startswith("$p")}:
                return None
            if not self.worth(x):
                return None
            return Name(self.name_for(x, here.pop()))

        return top_down(e, change)

    def worth(self, x: Expr) -> bool:
        """A part to name: one that is a number or a guard by itself."""
        return not isinstance(x, Num | Name)

    def name_for(self, x: Expr, version: int) -> str:

        stripped = strip_reads(x)
        key = Call(f"v{version}", (stripped,))
        known = self.named.get(key)
        if known is not None:
            return known
        name = f"seen{len(self.named) + 1}"
        self.named[key] = name
        n = next((i for i, r in enumerate(self.normals) if r.at >= version), len(self.normals))

        def change(y: Any) -> Any:
            if isinstance(y, Call) and y.name.startswith("@"):
                index = self.full_index(y)
                if index == (X0, X1):
                    return Name("weight")
                return Call("weight", index)
            return None

        value = rows(transform(x, change))
        self.lets.setdefault(n, []).append((name, value))
        return name

    def check_read(self, x: Call, at: int, rule: Normal) -> None:
        """A cell read inside a loop that also writes must belong to that loop's own iteration."""
        loops, line = self.m.reads[at]
        if not loops:
            return
        index = self.full_index(x)
        own = {a: b for a, b in self.own_cells(rule)}
        for loop in loops:
            writers = [
                e for e in self.a.log
                if any(isinstance(el, LoopEl) and el.loop is loop for el in e.path)
            ]  # fmt: skip
            if not writers or rule.axes is None:
                continue
            axis = rule.axes.get(loop.id)
            if axis == "q" and (index[0] == X0 or self.same(index[0], X0, own)):
                continue
            if axis == "k" and (index[1] == X1 or self.same(index[1], X1, own)):
                continue
            raise Refusal(line, "a cell that other rounds of the same loop write is read")

    # --- operations ---------------------------------------------------------------------------------------------

    def operations(self, rule: Normal, n: int, own: dict[Expr, Expr]) -> list[tuple[str, Expr | None, Expr]]:
        if rule.op in ("normalize", "stochastic"):
            return ([("max", ZERO, TRUE)] if False else []) + [("normalize", None, TRUE)]
        if rule.op not in ("set", "add", "scale", "max", "min"):
            raise Refusal(rule.line, f"{rule.op} of a cell")
        value = self.reads(rule.value, rule, n, own)
        return operation(rule.op, value)

    # --- order --------------------------------------------------------------------------------------------------

    def check_order(self, entries: list[Entry], normals: list[Normal]) -> None:
        """Rules act one after the other on all cells; in a loop Python does so element by element. The same unless cells of
        different rounds are the same cells, in another order."""
        by_loop: dict[int, list[Normal]] = {}
        loops: dict[int, Loop] = {}
        for rule in normals:
            if rule.at < 0:
                continue
            for el in entries[rule.at].path[self.a.base :]:
                if isinstance(el, LoopEl):
                    by_loop.setdefault(el.loop.id, []).append(rule)
                    loops[el.loop.id] = el.loop
        for at, rules in by_loop.items():
            if len(rules) < 2:
                continue
            axes = {(r.axes or {}).get(at) for r in rules}
            if len(axes) == 1 and None not in axes and self.same_round(loops[at], rules, entries):
                continue
            if all(r.op == "add" for r in rules) or all(r.op == "scale" for r in rules):
                if not any(self.reads_self(r) for r in rules):
                    continue
            for i, r in enumerate(rules):
                for later in rules[i + 1 :]:
                    if not self.in_order(loops[at], r, later, entries):
                        raise Refusal(later.line, "this loop writes a cell in several rounds, in an order that matters")

    def same_round(self, loop: Loop, rules: list[Normal], entries: list[Entry]) -> bool:
        """All rules that can write a cell do so in the same round."""
        rounds = set()
        for r in rules:
            rounds.add(self.round_of(loop, entries[r.at]))
        return len(rounds) == 1 and None not in rounds

    def round_of(self, loop: Loop, entry: Entry) -> Expr | None:
        for target, e in zip(CELLS, entry.index, strict=False):
            e = self.m.resolve(e)
            x = solve_for(loop.range.var, e, target)
            if x is not None and not any(n.startswith("$p") for n in free_names(x)):
                return x
        return None

    def reads_self(self, r: Normal) -> bool:
        parts = [s.cond for s in r.steps] + ([r.value] if r.value is not None else [])
        return any(isinstance(x, Call) and x.name.startswith("@") for p in parts for x in walk(p))

    def in_order(self, loop: Loop, first: Normal, second: Normal, entries: list[Entry]) -> bool:
        """Whether, for every cell that both write, all rounds of the first come before (or are) those of the second."""
        if first.op == second.op and first.op in ("add", "scale") and not (self.reads_self(first) or self.reads_self(second)):
            return True
        guard = and_(first.guard, second.guard)
        if guard == FALSE:
            return True
        facts = Facts([*CELL_RANGES, *conjuncts(guard)])
        if facts.decide(FALSE) == TRUE:
            return True
        if any(facts.decide(part) == FALSE for part in conjuncts(guard)):
            return True
        x, y = self.round_of(loop, entries[first.at]), self.round_of(loop, entries[second.at])
        low, high = low_of(loop.range), high_of(loop.range)
        if loop.range.domain is not None:
            return False
        sign = -1 if loop.descending else 1

        def before(a: Expr, b: Expr) -> bool:
            return facts.nonnegative(arith("-", b, a) if sign > 0 else arith("-", a, b))

        if x is not None and y is not None:
            return before(x, y)
        if x is not None:  # the second may happen in any round: at the earliest in the first round
            return before(x, high if loop.descending else low)
        if y is not None:
            return before(low if loop.descending else high, y)
        return False


def top_down(e: Expr, change: Any) -> Expr:
    """The topmost parts that `change` replaces."""
    from dsl.lift.build import rebuild

    new = change(e)
    if new is not None:
        return new
    return rebuild(e, lambda x: top_down(x, change))


def strip_reads(e: Expr) -> Expr:
    def change(x: Any) -> Any:
        if isinstance(x, Call) and x.name.startswith("@"):
            return Call("@", tuple(strip_reads(a) for a in x.args))
        return None

    return transform(e, change)


def rows(e: Expr) -> Expr:
    """The sum of a whole row is `row`."""
    from dsl.nodes import Aggregate

    def change(x: Any) -> Any:
        if isinstance(x, Aggregate) and x.kind == "sum" and x.range.low is None and x.range.high is None and x.guard is None:
            if x.value == Call("weight", (X0, Name(x.range.var))):
                return Name("row")
        return None

    return transform(e, change)


def operation(op: str, value: Expr) -> list[tuple[str, Expr | None, Expr]]:
    """`set` of an expression of the weight itself as another operation; one rule (op, value, guard) or several."""
    from dsl.nodes import Binary, IfElse

    w = Name("weight")
    if op == "set":
        match value:
            case Name("weight"):
                return []
            case Binary("*", a, b) if w in (a, b) and not reads_weight(b if a == w else a):
                return operation("scale", b if a == w else a)
            case Binary("/", a, Name("row")) if a == w:
                return [("normalize", None, TRUE)]
            case Binary("/", a, b) if a == w and not reads_weight(b):
                return operation("scale", arith("/", ONE, b))
            case Binary("+", a, b) if w in (a, b) and not reads_weight(b if a == w else a):
                return operation("add", b if a == w else a)
            case Binary("-", a, b) if a == w and not reads_weight(b):
                from dsl.lift.build import neg

                return operation("add", neg(b))
            case Call("max" | "min", args) if w in args:
                rest = tuple(a for a in args if a != w)
                if not any(reads_weight(r) for r in rest):
                    return [(value.name, rest[0] if len(rest) == 1 else Call(value.name, rest), TRUE)]
            case IfElse(test, then, other):
                if then == w:
                    return [(o, v, and_(not_(test), g)) for o, v, g in operation(op, other)]
                if other == w:
                    return [(o, v, and_(test, g)) for o, v, g in operation(op, then)]
    if op == "scale" and isinstance(value, IfElse):
        if value.other == ONE:
            return [(o, v, and_(value.test, g)) for o, v, g in operation(op, value.then)]
        if value.then == ONE:
            return [(o, v, and_(not_(value.test), g)) for o, v, g in operation(op, value.other)]
    if op == "scale" and value == Binary("/", ONE, Name("row")):
        return [("normalize", None, TRUE)]
    if op == "scale" and value == ZERO:
        return [("set", ZERO, TRUE)]
    if op == "scale" and value == ONE:
        return []
    if op == "add" and isinstance(value, IfElse):
        if value.other == ZERO:
            return [(o, v, and_(value.test, g)) for o, v, g in operation(op, value.then)]
        if value.then == ZERO:
            return [(o, v, and_(not_(value.test), g)) for o, v, g in operation(op, value.other)]
    if op == "add" and value == ZERO:
        return []
    if op in ("set", "add") and isinstance(value, Binary) and value.op in "+-" and isinstance(value.right, IfElse):
        extra = value.right
        if ZERO in (extra.then, extra.other) and not reads_weight(value):
            more = extra if value.op == "+" else if_(extra.test, arith("-", ZERO, extra.then), arith("-", ZERO, extra.other))
            return [*operation(op, value.left), *operation("add", more)]
    return [(op, value, TRUE)]


def reads_weight(e: Expr) -> bool:
    return bool({"weight", "row"} & free_names(e))


# --- blocks ----------------------------------------------------------------------------------------------------------


def nested(leaves: list[tuple[list[Step], Rule | Let]]) -> tuple[Statement, ...]:
    """Consecutive rules that share their first steps become a block."""
    result: list[Statement] = []
    i = 0
    while i < len(leaves):
        steps, leaf = leaves[i]
        if not steps:
            result.append(leaf)
            i += 1
            continue
        key, cond = steps[0].key, steps[0].cond
        then: list[tuple[list[Step], Rule | Let]] = []
        other: list[tuple[list[Step], Rule | Let]] = []
        while i < len(leaves):
            more, leaf = leaves[i]
            if not more or more[0].key != key or more[0].cond != cond:
                break
            if more[0].positive and other:
                break
            (then if more[0].positive else other).append((more[1:], leaf))
            i += 1
        result.extend(block(cond, nested(then), nested(other)))
    return tuple(result)


def block(cond: Expr, then: tuple[Statement, ...], other: tuple[Statement, ...]) -> list[Statement]:
    if not then and not other:
        return []
    if not then:
        return block(not_(cond), other, ())
    if not other and len(then) == 1:
        (inner,) = then
        if isinstance(inner, Rule):
            return [Rule(inner.op, inner.value, and_(cond, inner.guard if inner.guard is not None else TRUE))]
        if isinstance(inner, Block) and not inner.other:
            return [Block(and_(cond, inner.guard), inner.then)]
    return [Block(cond, then, other)]


# --- the program's names ---------------------------------------------------------------------------------------------


def to_cells(e: Any) -> Any:
    """$x0 and $x1 as q and k, in statements and expressions."""
    from dsl.nodes import substitute

    return substitute(e, {"$x0": Q, "$x1": K})
