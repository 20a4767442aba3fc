"""From the writes of an array to rules: loops' variables become q and k, what remains becomes searches, counts and sums."""

from __future__ import annotations

from typing import Any

from dsl.lift.guards import conjuncts
from dsl.lift.machine import Machine
from dsl.lift.normal import CELLS, Normal, Step, Unsettled, fold
from dsl.lift.operations import nested, operation, rows, strip_reads, top_down
from dsl.lift.ranges import transform
from dsl.lift.rounds import in_turn
from dsl.lift.terms import ZERO, arith, whole
from dsl.lift.values import X0, X1, Arr, LoopEl, Refusal, number
from dsl.nodes import TRUE, Call, Compare, Expr, Let, Name, Num, Rule, Statement, free_names, walk


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
        self.normals = [*normals, *in_turn(self.m, a, entries, self.mine)]
        normals = self.normals
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
        own = dict(self.own_cells(rule))
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
        found: list[tuple[Expr, Expr]] = []
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
            _which, version, at = (int(p) for p in x.name[1:].split(":"))
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
        own = dict(self.own_cells(rule))
        for loop in loops:
            writers = [
                e for e in self.a.log
                if any(isinstance(el, LoopEl) and el.loop is loop for el in e.path)
            ]  # fmt: skip
            if not writers or rule.at < 0:
                continue
            here = rule.rounds.get(loop.id)
            told = [c for c in CELLS if here is not None and c.name in free_names(here)]
            if told and all(self.same(index[CELLS.index(c)], c, own) for c in told):
                continue
            raise Refusal(line, "a cell that other rounds of the same loop write is read")

    # --- operations ---------------------------------------------------------------------------------------------

    def operations(self, rule: Normal, n: int, own: dict[Expr, Expr]) -> list[tuple[str, Expr | None, Expr]]:
        if rule.op == "stochastic":  # make_row_stochastic clips before it divides
            return [("max", ZERO, TRUE), ("normalize", None, TRUE)]
        if rule.op not in ("set", "add", "scale", "max", "min"):
            raise Refusal(rule.line, f"{rule.op} of a cell")
        value = self.reads(rule.value, rule, n, own)
        return operation(rule.op, value)
