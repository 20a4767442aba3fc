"""Grows programs for one head: rules of all forms compete by gain per token of text; what no longer pays is taken back.

Moves: a new rule (scale, add, set or share, its guard out of all conjunctions), another operation for a rule, a constant of its own
for a class of queries, a value that depends on distance, similarity or position, a rule or a part of it left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dsl import parse_expression
from dsl.nodes import Expr, Member
from search.forms import kernels, unions
from search.forms.board import Board
from search.forms.candidates import Candidates
from search.forms.fitting import Fit, fitted, score
from search.forms.shapes import RuleShape, Shape, rule_size, size
from search.forms.token_sets import TokenSets

SHORTEST = 24  # tokens at which a long program is no longer cut back


@dataclass(frozen=True)
class Effort:
    """How much work goes into one head."""

    price: float = 0.0004  # IoU that a token must be worth in the shown program
    last_price: float = 0.00008  # the same for what comes after it
    shown: int = 60  # tokens of the shown program at most
    most: int = 180  # tokens of the longest program; no longer than `shown`: nothing comes after it
    rules: int = 40  # at most
    candidates: int = 8  # per ranking, tried by line search
    steps: int = 24  # gradient steps after a move
    wide: int = 4  # finalists whose constants are fitted before one is chosen


ALIKE = 0.3  # of the positions of either of two conditions, for one to be tried in the other's place


@dataclass(frozen=True)
class Condition:
    """A place in a rule where a condition stands: in its guard, or at a step of its constants."""

    at: int
    step: bool

    def of(self, rule: RuleShape) -> Expr:
        return (rule.steps if self.step else rule.guard)[self.at]

    def put(self, rule: RuleShape, condition: Expr) -> RuleShape:
        before = rule.steps if self.step else rule.guard
        after = (*before[: self.at], condition, *before[self.at + 1 :])
        return replace(rule, steps=after) if self.step else replace(rule, guard=after)


def conditions(rule: RuleShape) -> list[Condition]:
    return [Condition(j, False) for j in range(len(rule.guard))] + [Condition(j, True) for j in range(len(rule.steps))]


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one & other).sum() >= ALIKE * (one | other).sum())


@dataclass(frozen=True)
class Found:
    shape: Shape
    iou: float
    size: int


@dataclass
class Growth:
    """The state of a search for one head, or for one program that several heads share."""

    candidates: Candidates
    heads: Sequence[int]
    effort: Effort
    budget: float = math.inf  # programs scored at most, checked between moves
    settled: Sequence[unions.Names] | None = None  # the model's concepts, once they are chosen; before, any classes may be joined
    sets: TokenSets | None = None  # sets of tokens, which programs beyond the shown length may list
    evaluations: int = 0
    shape: Shape = field(init=False)
    iou: float = field(init=False)

    def __post_init__(self) -> None:
        self.board = self.candidates.board
        self.words = self.candidates
        self.targets = self.board.target(self.heads)  # (H, C)
        self.target = self.targets.mean(0)  # what new rules are chosen by
        c = len(self.board.q)
        self.out = tuple(np.empty(c, np.float32) for _ in range(3))
        self.total = np.empty(len(self.board.rows) - 1, np.float32)
        self.common = np.empty_like(self.total)
        starts = self.board.rows[self.board.texts[:-1]]
        self.target_mass = np.add.reduceat(self.target, starts)

    # the state

    def affordable(self) -> bool:
        return self.evaluations < self.budget

    def settle(self, shape: Shape, steps: int) -> tuple[float, Shape]:
        self.evaluations += steps + 1
        return fitted(self.board, shape, self.targets, steps)

    def worth(self, iou: float, shape: Shape, price: float) -> float:
        return iou - price * size(shape)

    def take(self, iou: float, shape: Shape) -> None:
        self.iou, self.shape = iou, shape

    # moves

    def observe(self) -> None:
        """Weights, slopes and pattern of the present shape."""
        fit = Fit(self.board, self.shape.rules)
        fit.run(self.targets, fit.theta(self.shape.theta), np.array(self.shape.beta, float), out=self.out)
        kernels.rowwise(self.target, self.out[0], self.board.q, self.board.rows, self.total, self.common)

    def list_tokens(self) -> None:
        """Makes sets of tokens that would serve the present shape conditions of the next rules."""
        if self.sets is None:
            return
        W, G, P = self.out
        self.observe()
        used = {g for rule in self.shape.rules for g in (*rule.guard, *rule.steps) if isinstance(g, Member)}
        query, key = self.sets.proposals(G * W, P)
        sides = {s: [g for g in used if self.board.mask(g)[0] == s] for s in "qk"}
        self.candidates = self.words.extended([*query, *sides["q"]], [*key, *sides["k"]])

    def additions(self, limit: int) -> Iterator[tuple[float, RuleShape, float]]:
        """(IoU, rule, its constant) of promising new rules, constants by line search."""
        W, G, P = self.out
        self.observe()
        sums = self.candidates.sums(self.target, W, G, P)
        mean = float(self.total.mean())
        starts = self.board.rows[self.board.texts[:-1]]
        mass = self.target_mass + np.add.reduceat(P, starts)
        for triple in self.candidates.ranked(sums, self.effort.candidates, limit):
            a, p = float(sums.attention[triple]), float(sums.mass[triple])
            guard = self.candidates.guard(triple)
            cells, _ = self.board.cells(guard)
            rows = np.unique(self.board.q[cells])
            weight = max(float(self.candidates.omega[rows].sum()), 1e-9)
            share_a, share_p = min(max(a / weight, 1e-4), 0.995), min(max(p / weight, 1e-4), 0.995)
            odds = share_a / (1 - share_a) / (share_p / (1 - share_p))
            options: list[tuple[int, list[float]]] = [
                (kernels.SCALE, [min(max(odds * f, 0.01), 300) for f in (0.5, 1.0, 2.0)] + ([0.5] if odds < 1 else [2.0]))
            ]
            if a > p:
                per_row = len(cells) / max(1, len(rows))
                more = mean * max(share_a - share_p, 0.005) / max(1 - share_a, 0.05) / per_row
                options.append((kernels.ADD, [more * f for f in (0.3, 1.0, 3.0)]))
            if len(rows) > 20 and share_a > 0.03:
                options.append((kernels.SHARE, [share_a, min(0.98, share_a * 1.3)]))
            for op, constants in options:
                result = self._tried(kernels.OPERATIONS[op], cells, constants, mass)
                best = int(result.argmax())
                constant = constants[best]
                theta = math.log(constant / (1 - constant)) if op == kernels.SHARE else math.log(constant)
                yield float(result[best]), RuleShape(kernels.OPERATIONS[op], guard), theta

    def _tried(self, op: str, cells: np.ndarray, constants: Sequence[float], mass: np.ndarray) -> np.ndarray:
        """IoU with one more rule, for each of these constants. mass (T): of target and pattern."""
        b = self.board
        result = np.empty(len(constants))
        kernels.trial(
            kernels.OPERATIONS.index(op), cells, np.array(constants, np.float32), self.target, self.out[0], self.total, self.common,
            mass, b.omega, b.q, b.rows, b.texts, result,
        )  # fmt: skip
        self.evaluations += len(constants)
        return result

    def grow(self, price: float, limit: int) -> bool:
        """Adds the rule that is worth most after its constants are fitted, if one is."""
        return self._best_of(self._finalists(price, limit), price, self.effort.wide)

    def venture(self, price: float, limit: int, most: int = 3) -> bool:
        """Adds a rule that is not worth its tokens as it stands, but is once it has been widened, split or bent."""
        before = (self.iou, self.shape)
        here = self.worth(*before, price)
        best: tuple[float, float, Shape] | None = None
        for _, shape in self._finalists(price, limit)[:most]:
            if not self.affordable():
                break
            self.take(*self.settle(shape, self.effort.steps // 2))
            if self.worth(self.iou, self.shape, price) < here - 0.006:
                continue
            last = len(self.shape.rules) - 1
            while self.widen(price, limit, [last]):
                pass
            self.split(price, limit)
            self.bend(price, limit, [last])
            worth = self.worth(self.iou, self.shape, price)
            if best is None or worth > best[0]:
                best = (worth, self.iou, self.shape)
        self.take(*before)
        if best is None or best[0] <= here + 1e-5:
            return False
        self.take(*self.settle(best[2], self.effort.steps))
        return True

    def _finalists(self, price: float, limit: int) -> list[tuple[float, Shape]]:
        """(worth by line search, shape) with one more rule, the most promising first."""
        if len(self.shape.rules) >= self.effort.rules:
            return []
        room = limit - size(self.shape)
        found = [(v - price * rule_size(r), r, t) for v, r, t in self.additions(room - 2) if rule_size(r) <= room]
        found.sort(key=lambda x: -x[0])
        finalists: list[tuple[float, Shape]] = []
        seen: set[tuple[Expr, ...]] = set()
        for value, rule, theta in found:
            if len(finalists) == self.effort.wide:
                break
            if rule.guard in seen and len(finalists) >= 3:
                continue
            seen.add(rule.guard)
            finalists.append((value, self.shape.with_rule(rule, (theta,))))
        return finalists

    def split(self, price: float, limit: int, most: int = 3) -> bool:
        """Gives one rule a constant of its own for a class of queries."""
        room = limit - size(self.shape)
        fit = Fit(self.board, self.shape.rules)
        theta, beta = fit.theta(self.shape.theta), np.array(self.shape.beta, float)
        *_, by_row = fit.run(self.targets, theta, beta, slopes=True, rows=True)
        found: list[tuple[float, int, Expr, float]] = []
        query = self.candidates.query
        masks = np.array([self.board.mask(g)[1] for g in query], np.float32)
        for i, rule in enumerate(self.shape.rules):
            if len(rule.steps) >= most or any(g in query for g in rule.guard):
                continue
            free = fit.steps[i] == len(rule.steps)
            slope = by_row[i] * free
            total = masks @ slope
            rest = slope.sum() - total
            spread = np.sqrt(masks @ slope**2) + 1e-9
            for j in (
                np.argsort(-np.abs(total - rest), kind="stable")[:4].tolist()
                + np.argsort(-np.abs(total) / spread, kind="stable")[:2].tolist()
            ):
                more = rule_size(RuleShape(rule.op, rule.guard, (*rule.steps, query[j]), rule.feature)) - rule_size(
                    rule, self.shape.theta[i]
                )
                if more <= room and query[j] not in rule.steps:
                    found.append((abs(float(total[j])), i, query[j], math.copysign(0.7, total[j])))
        found.sort(key=lambda x: -x[0])
        trials = []
        for _, i, condition, move in dict.fromkeys(found[:16]):
            rule = self.shape.rules[i]
            old = self.shape.theta[i]
            new = RuleShape(rule.op, rule.guard, (*rule.steps, condition), rule.feature)
            shape = self.shape.changed(i, new, (*old[:-1], old[-1] + move, old[-1]), self.shape.beta[i])
            trials.append((score(self.board, shape, self.targets) - price * size(shape), shape))
            self.evaluations += 1
        return self._best_of(trials, price)

    def _best_of(self, trials: list[tuple[float, Shape]], price: float, wide: int = 3) -> bool:
        """Takes the one of the `wide` best that is worth most after its constants are fitted, if one is."""
        trials.sort(key=lambda x: -x[0])
        best: tuple[float, float, Shape] | None = None
        for _, shape in trials[:wide]:
            iou, shape = self.settle(shape, self.effort.steps // 2)
            worth = self.worth(iou, shape, price)
            if best is None or worth > best[0]:
                best = (worth, iou, shape)
        if best is None or best[0] <= self.worth(self.iou, self.shape, price) + 1e-5:
            return False
        self.take(*self.settle(best[2], self.effort.steps))
        return True

    def bend(self, price: float, limit: int, only: Sequence[int]) -> bool:
        """Lets the value of one of the given rules depend on a feature."""
        room = limit - size(self.shape)
        trials = []
        for i in only:
            rule = self.shape.rules[i]
            if rule.op == "share" or rule.feature is not None:
                continue
            for f in self.board.features:
                new = RuleShape(rule.op, rule.guard, rule.steps, f)
                if rule_size(new) - rule_size(rule) > room:
                    continue
                for b in (-0.05, 0.05) if f.name == "decay" else (-0.5, 0.5) if "sim" not in f.name else (1.0, -1.0):
                    shape = self.shape.changed(i, new, self.shape.theta[i], b)
                    trials.append((score(self.board, shape, self.targets) - price * size(shape), shape))
                    self.evaluations += 1
        return self._best_of(trials, price)

    def weigh(self, price: float, limit: int) -> bool:
        """Lets a feature scale all weights, or those of the first rule alone."""
        room = limit - size(self.shape)
        trials = []
        for f in self.board.features:
            new = RuleShape("scale", (), (), f)
            if rule_size(new, (0.0,)) > room or len(self.shape.rules) >= self.effort.rules:
                continue
            for at in {1, len(self.shape.rules)}:
                for b in (-0.05, 0.05) if f.name == "decay" else (-0.5, 0.5) if "sim" not in f.name else (1.0, -1.0):
                    shape = self.shape.with_rule(new, (0.0,), b, at)
                    trials.append((score(self.board, shape, self.targets) - price * size(shape), shape))
                    self.evaluations += 1
        return self._best_of(trials, price)

    def widen(self, price: float, limit: int, only: Sequence[int] | None = None) -> bool:
        """Lets a condition of a rule, or one of its steps, hold for another class of tokens, too.

        Where the concepts of the model are settled, a condition may change to any of them that holds for much the same tokens.
        """
        self.observe()
        fit = Fit(self.board, self.shape.rules)
        beta = np.array(self.shape.beta, float)
        *_, by_row = fit.run(self.targets, fit.theta(self.shape.theta), beta, slopes=True, rows=True)
        found: list[tuple[float, Shape]] = []
        for i, use, shape in self._joined(range(len(self.shape.rules)) if only is None else only):
            if size(shape) > limit:
                continue
            if self.settled is not None:
                self.evaluations += 1
                estimate = score(self.board, shape, self.targets)
            elif use.step:
                theta = np.array(self.shape.theta[i])
                before = fit.steps[i]
                moved = (before > use.at) & (self.board.mask(use.of(shape.rules[i]))[1] > 0)
                estimate = float((by_row[i] * (theta[use.at] - theta[before]))[moved].sum())
            else:
                estimate = self._gain(i, use, shape)
            found.append((estimate, shape))
        found.sort(key=lambda x: -x[0])
        trials = []
        for _, shape in found[:8]:
            self.evaluations += 1
            trials.append((score(self.board, shape, self.targets) - price * size(shape), shape))
        return self._best_of(trials, price)

    def _joined(self, only: Iterable[int]) -> Iterator[tuple[int, Condition, Shape]]:
        """The shape with another set of classes in one place of one of these rules."""
        s = self.shape
        for i in only:
            for use in conditions(s.rules[i]):
                part = use.of(s.rules[i])
                for other in self._others(part):
                    yield i, use, s.changed(i, use.put(s.rules[i], other), s.theta[i], s.beta[i])

    def _others(self, part: Expr) -> Iterator[Expr]:
        """What may stand in the place of a condition on classes."""
        names = unions.classes(part)
        if not names:
            return
        place = unions.side(part)
        old = self.board.mask(part)[1]
        for other in self.words.query if place == "q" else self.words.key:
            more = unions.classes(other)
            if self.settled is not None:
                if more and more != names and alike(old, self.board.mask(other)[1]):
                    yield other
            elif len(more) == 1 and more[0] not in names:
                joined = self._telling((*names, *more), place)
                mask = self.board.mask(unions.any_of(joined, place))[1]
                if len(joined) <= unions.MOST and old.sum() < mask.sum() < len(mask):
                    yield unions.any_of(joined, place)

    def _telling(self, names: Sequence[str], place: str) -> list[str]:
        """Without the classes that the others hold already."""
        kept = list(names)
        for name in names:
            rest = [n for n in kept if n != name]
            whole, less = (self.board.mask(unions.any_of(n, place))[1] for n in (kept, rest)) if rest else (np.ones(1), np.zeros(1))
            if (whole == less).all():
                kept = rest
        return kept

    def _gain(self, i: int, use: Condition, shape: Shape) -> float:
        """About what a rule would bring on the cells that it gains, as one more rule after all others."""
        rule, b = self.shape.rules[i], self.board
        kind, before = b.mask(use.of(rule))
        more = (b.mask(use.of(shape.rules[i]))[1] > 0) & (before == 0)
        cells, _ = b.cells(rule.guard[: use.at] + rule.guard[use.at + 1 :])
        cells = cells[more[b.q[cells] if kind == "q" else b.k[cells]]]
        if not len(cells):
            return -1.0
        theta = float(np.mean(self.shape.theta[i]))
        if rule.feature is not None:
            f = b.features.index(rule.feature)
            theta += self.shape.beta[i] * float(b.table[f][b.index[f][cells]].mean())
        constant = 1 / (1 + math.exp(-theta)) if rule.op == "share" else math.exp(min(max(theta, -20.0), 20.0))
        mass = self.target_mass + np.add.reduceat(self.out[2], b.rows[b.texts[:-1]])
        return self._tried(rule.op, cells, [constant], mass)[0] - self.iou

    def swap(self, price: float, only: Sequence[int] | None = None) -> bool:
        """Tries other operations for rules."""
        trials = []
        for i, rule in enumerate(self.shape.rules):
            if i == 0 or (only is not None and i not in only):
                continue
            for op in kernels.OPERATIONS:
                if op == rule.op or (op == "share" and rule.feature is not None):
                    continue
                theta = self._converted(i, op)
                new = RuleShape(op, rule.guard, rule.steps, rule.feature)
                trials.append((0.0, self.shape.changed(i, new, theta, self.shape.beta[i])))
        found = []
        for _, shape in trials:
            iou, shape = self.settle(shape, 6)
            found.append((self.worth(iou, shape, price), shape))
        return self._best_of(found, price)

    def _converted(self, i: int, op: str) -> tuple[float, ...]:
        """Constants for another operation of a rule, from the mass it now has."""
        cells, _ = self.board.cells(self.shape.rules[i].guard)
        rows = np.unique(self.board.q[cells])
        inside = float(self.target[cells].sum()) / max(1, len(rows))
        inside = min(max(inside, 1e-3), 0.99)
        count = len(self.shape.theta[i])
        if op == "share":
            return (math.log(inside / (1 - inside)),) * count
        mean = float(self.total[rows].mean()) if len(rows) else 1.0
        if op in ("add", "set"):
            return (math.log(max(mean, 1e-9) * inside / max(len(cells) / max(1, len(rows)), 1)),) * count
        return (0.5,) * count

    def prune(self, price: float) -> bool:
        """Leaves out what costs less than its tokens: a rule, a step, a feature, a part of a guard."""
        here = self.worth(self.iou, self.shape, price)
        trials: list[tuple[float, Shape]] = []
        for less in self._less():
            self.evaluations += 1
            trials.append((score(self.board, less, self.targets) - price * size(less), less))
        trials.sort(key=lambda x: -x[0])
        for worth, less in trials[:4]:
            if worth < here - 0.02:
                break
            iou, less = self.settle(less, self.effort.steps // 2)
            if self.worth(iou, less, price) >= here:
                self.take(*self.settle(less, self.effort.steps // 2))
                return True
        return False

    def reconsider(self, price: float, limit: int) -> None:
        """Takes each rule out once and lets the best one in its place."""
        for guard in [r.guard for r in self.shape.rules[1:]]:
            if not self.affordable():
                return
            at = next((i for i, r in enumerate(self.shape.rules) if i and r.guard == guard), None)
            if at is None:
                continue
            before = (self.iou, self.shape)
            self.take(*self.settle(self.shape.without(at), 8))
            self.grow(price, limit)
            if self.worth(self.iou, self.shape, price) <= self.worth(*before, price) + 1e-5:
                self.take(*before)

    def shorten(self) -> bool:
        """Leaves out what costs least for its length, whatever it costs; false where nothing is left to leave out."""
        trials = []
        for less in self._less():
            self.evaluations += 1
            saved = max(1, size(self.shape) - size(less))
            trials.append(((self.iou - score(self.board, less, self.targets)) / saved, less))
        if not trials:
            return False
        trials.sort(key=lambda x: x[0])
        best: tuple[float, float, Shape] | None = None
        for _, less in trials[:2]:
            iou, less = self.settle(less, self.effort.steps // 3)
            worth = (self.iou - iou) / max(1, size(self.shape) - size(less))
            if best is None or worth < best[0]:
                best = (worth, iou, less)
        assert best is not None
        self.take(best[1], best[2])
        return True

    def _less(self) -> Iterator[Shape]:
        s = self.shape
        for i, rule in enumerate(s.rules):
            if i > 0 or (len(s.rules) > 1 and s.rules[1].op in ("add", "set")):
                yield s.without(i)
            for j in range(len(rule.guard)):
                if len(rule.guard) > 1:
                    new = RuleShape(rule.op, rule.guard[:j] + rule.guard[j + 1 :], rule.steps, rule.feature)
                    yield s.changed(i, new, s.theta[i], s.beta[i])
            for j in range(len(rule.steps)):
                new = RuleShape(rule.op, rule.guard, rule.steps[:j] + rule.steps[j + 1 :], rule.feature)
                yield s.changed(i, new, s.theta[i][:j] + s.theta[i][j + 1 :], s.beta[i])
            if rule.feature is not None:
                yield s.changed(i, RuleShape(rule.op, rule.guard, rule.steps), s.theta[i])
            for use in conditions(rule) if self.settled is None else ():
                part = use.of(rule)
                names = unions.classes(part)
                for name in names if len(names) > 1 else ():
                    less = unions.any_of((n for n in names if n != name), unions.side(part))
                    yield s.changed(i, use.put(rule, less), s.theta[i], s.beta[i])



def bases(board: Board) -> Iterator[Shape]:
    """Where every search begins: a decay, a power, a uniform row; beside it the start of the text."""
    by_name = {f.name: f for f in board.features}
    start = parse_expression("start(k)")
    none = RuleShape("add")
    firsts = [
        (none, 0.0),
        (RuleShape("add", (), (), by_name["decay"]), -0.1),
        (RuleShape("add", (), (), by_name["power 1"]), -1.0),
        (RuleShape("add", (), (), by_name["power 2"]), -1.5),
    ]
    for rule, beta in firsts:
        yield Shape((rule,), ((0.0,),), (beta,))
        for op, theta in (("add", 1.0), ("share", 0.0)):
            yield Shape((rule, RuleShape(op, (start,))), ((0.0,), (theta,)), (beta, 0.0))


def begin(growth: Growth, starts: Sequence[Shape]) -> None:
    """Takes the start that is worth most after its constants are fitted."""
    options = []
    for shape in starts:
        iou, shape = growth.settle(shape, growth.effort.steps)
        options.append((growth.worth(iou, shape, growth.effort.price), iou, shape))
    _, iou, shape = max(options, key=lambda x: x[0])
    growth.take(iou, shape)


def nearest(growth: Growth, shapes: Sequence[Shape], most: int) -> list[Shape]:
    """Of other heads' shapes, those that fit this head best as they are."""
    scores = [score(growth.board, s, growth.targets) for s in shapes]
    growth.evaluations += len(shapes)
    return [shapes[i] for i in np.argsort(-np.array(scores), kind="stable")[:most]]


def alternatives(growth: Growth, shape: Shape, offered: Sequence[unions.Names]) -> Iterator[list[tuple[unions.Names, Shape]]]:
    """For each place of a shape with classes joined: the shape with each class, and each of the offered sets, that is much alike."""
    classes = {place: [unions.classes(g) for g in side] for place, side in (("q", growth.words.query), ("k", growth.words.key))}
    for i, rule in enumerate(shape.rules):
        for use in conditions(rule):
            part = use.of(rule)
            if len(unions.classes(part)) < 2:
                continue
            place = unions.side(part)
            mask = growth.board.mask(part)[1]
            options = []
            for names in dict.fromkeys([*(c for c in classes[place] if len(c) == 1), *offered]):
                other = unions.any_of(names, place)
                if alike(mask, growth.board.mask(other)[1]):
                    options.append((names, shape.changed(i, use.put(rule, other), shape.theta[i], shape.beta[i])))
            yield options


def settled(growth: Growth, shape: Shape) -> Shape:
    """The shape in the concepts of the model: in each place with classes joined the one that serves best."""
    known = growth.settled or ()
    while True:
        places = (
            options
            for options, used in zip(alternatives(growth, shape, known), _joined_sets(shape), strict=True)
            if used not in known and options
        )
        options = next(places, None)
        if options is None:
            return shape
        growth.evaluations += len(options)
        shape = max(options, key=lambda o: score(growth.board, o[1], growth.targets))[1]


def _joined_sets(shape: Shape) -> list[unions.Names]:
    found = [unions.classes(use.of(rule)) for rule in shape.rules for use in conditions(rule)]
    return [names for names in found if len(names) > 1]


def grown(growth: Growth) -> list[Found]:
    """Programs from short to long, each better on the board than all shorter ones: grown to the shown length and beyond, then cut
    back rule by rule."""
    effort = growth.effort
    front: dict[int, Found] = {}

    def note() -> None:
        s = size(growth.shape)
        if s not in front or front[s].iou < growth.iou:
            front[s] = Found(growth.shape, growth.iou, s)

    def pruned(price: float) -> None:
        note()
        while growth.affordable() and growth.prune(price):
            note()

    pruned(effort.price)
    _extend(growth, effort.price, effort.shown, note, careful=True)
    if growth.affordable() and growth.swap(effort.price):
        note()
    growth.reconsider(effort.price, effort.shown)
    pruned(effort.price)
    if effort.most > effort.shown:
        growth.list_tokens()
        _extend(growth, effort.last_price, effort.most, note, careful=False)
        while size(growth.shape) > SHORTEST and growth.affordable() and growth.shorten():
            note()
    best: list[Found] = []
    for s in sorted(front):
        if not best or front[s].iou > best[-1].iou:
            best.append(front[s])
    return best


def _extend(growth: Growth, price: float, limit: int, note: Callable[[], None], careful: bool) -> None:
    """Grows until nothing is worth its tokens. careful: every move is tried after every rule."""
    while growth.affordable():
        changed = growth.grow(price, limit)
        count = len(growth.shape.rules)
        if changed and careful:
            growth.swap(price, [count - 1])
        moved = growth.split(price, limit) if careful or not changed or count % 3 == 0 else False
        if careful and (not changed or count in (2, 3)):
            moved |= growth.bend(price, limit, range(count))
            moved |= growth.weigh(price, limit)
            moved |= growth.widen(price, limit)
        elif changed:
            moved |= growth.bend(price, limit, [count - 1])
        note()
        if not careful and count % 3 == 0:
            growth.list_tokens()
        if careful or count % 4 == 0:
            while growth.prune(price):
                note()
        if not changed and not moved and not (careful and growth.affordable() and growth.venture(price, limit)):
            return
