"""Recombination: a program for some heads put together from the parts of others, exhaustively instead of by chance.

Every guard of the donors, every part of one, their opposites, and the best of these together with every part or its opposite are
ranked at once, by sums over their cells. The first of the ranking are tried by exact line search, and changed where a change raises
the IoU: a part left out, a bound moved, tokens taken into a set or out of it. Nothing else is used that no donor proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from dsl.nodes import Binary, Call, Compare, Expr, Member, Name, Not, Num, Program, rebuild, walk
from search.growth import Effort, Grown, Growth, Tried, grown
from search.parts import Conjunction, Masks, Parts, conjunction, negated

RANKED = 80_000  # cells on which guards and pairs of guards are ranked: whole rows, spread over the texts
LEFT = 50  # guards that pairs are made of, by each ranking
PRIOR = 1.0  # probability mass that a guard counts as having beside its own
CHANGED = 3  # of the best guards are changed, so many times
STEPS = (-2, -1, 1, 2)  # of a whole number in a guard
EFFORT = Effort(candidates=30, refined=(12, 9))


def recombine(
    masks: Masks,
    donors: Sequence[Program],
    heads: Sequence[int],
    rng: np.random.Generator,
    max_rules: int = 12,
    budget: int | None = None,
    effort: Effort = EFFORT,
) -> Grown:
    """Programs that explain the given heads of the masks' problem together, made of the donors' parts; budget as in `grown`."""
    parts = Parts(masks, donors)
    if not parts.atoms:
        return Grown((), 0)
    return grown(Recombination(parts, heads, rng, effort), max_rules, budget)


class Recombination(Growth):
    """A log-linear program that grows by parts of others."""

    origin = "recombination"
    bank: Parts

    def __init__(self, parts: Parts, heads: Sequence[int], rng: np.random.Generator, effort: Effort) -> None:
        problem = parts.problem
        number = np.repeat(np.arange(len(problem.position)), np.diff(problem.rows))  # (C) each cell's row
        every = -(-len(number) // RANKED)
        self._ranked = np.flatnonzero(number % every == 0)
        self._rows = -(-len(problem.position) // every)
        self._singles = _matrix(parts, (*parts.atoms, *parts.wholes), self._ranked)
        self._atoms = self._singles[: len(parts.atoms)]
        self._shifted: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        super().__init__(parts, heads, rng, effort)

    def proposals(self, pattern: np.ndarray, gradient: np.ndarray) -> list[Conjunction]:
        """The guards and pairs with the highest estimated gains, by both rankings."""
        ranked, atoms = self._ranked, self.bank.atoms
        singles = [*atoms, *self.bank.wholes]
        slope = gradient[ranked] * np.float32(len(self.problem.position) / len(self.problem))
        given = np.stack([self.mean[ranked], pattern[ranked], slope])  # (3, R): target, pattern, slope
        total = given.sum(1, dtype=np.float64)
        inside = (given @ self._singles.T).astype(np.float64)  # (3, S)
        sums = np.concatenate([inside, total[:, None] - inside], 1)  # (3, 2 S): a guard, its opposite
        worth = self._worth(sums)
        first = sorted({int(i) for w in worth for i in np.argsort(-w, kind="stable")[:LEFT]})
        left = np.stack([self._singles[i] if i < len(singles) else 1 - self._singles[i - len(singles)] for i in first])
        both = ((left * given[:, None]).reshape(-1, len(ranked)) @ self._atoms.T).reshape(3, len(first), -1).astype(np.float64)
        pairs = np.stack([both, sums[:, first][..., None] - both], -1)  # (3, L, A, 2)
        best: dict[Conjunction, None] = {}
        for ranking, pair_ranking in zip(worth, self._worth(pairs), strict=True):
            every = np.concatenate([ranking, pair_ranking.ravel()])
            for i in np.argsort(-every, kind="stable")[: self.effort.candidates]:
                if i < len(ranking):
                    parts = [_signed(singles, int(i))]
                else:
                    one, other, opposite = np.unravel_index(i - len(ranking), pair_ranking.shape)
                    part = atoms[other]
                    parts = [_signed(singles, first[one]), negated(part) if opposite else part]
                best[conjunction(parts)] = None
        return list(best)

    def _worth(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gain in KL divergence by rescaling the cells, and squared slope of the IoU over the mass moved."""
        a, p = np.clip(sums[:2] / self._rows, 1e-7, 1 - 1e-7)
        return a * np.log(a / p) + (1 - a) * np.log((1 - a) / (1 - p)), sums[2] ** 2 / (np.maximum(sums[1], 0) + PRIOR)

    def refined(
        self, tried: list[Tried], trial: Callable[[Conjunction], Tried], pattern: np.ndarray, gradient: np.ndarray
    ) -> list[Tried]:
        known = {guard for _, _, guard in tried}
        done: set[Conjunction] = set()
        for _ in range(CHANGED):
            for _, factor, guard in tried[:CHANGED]:
                if guard in done:
                    continue
                done.add(guard)
                for other in self._changes(guard, gradient, factor):
                    if other not in known:
                        known.add(other)
                        tried.append(trial(other))
            tried = sorted(tried, key=lambda t: -t[0])
        return tried

    def _changes(self, guard: Conjunction, gradient: np.ndarray, factor: int) -> Iterator[Conjunction]:
        yield from self.shorter(guard)
        for i, part in enumerate(guard.parts):
            others = guard.parts[:i] + guard.parts[i + 1 :]
            yield conjunction([*others, negated(part)])
            for new in _moved(part):
                yield conjunction([*others, new])
            for new in self._sets(part, others, gradient):
                yield conjunction([*others, new])

    def _sets(self, part: Expr, others: Sequence[Expr], gradient: np.ndarray) -> Iterator[Expr]:
        """The part with tokens taken into its set or out of it: those that pull hardest where the other parts hold."""
        member = part.item if isinstance(part, Not) else part
        place = _place(member)
        if place is None:
            return
        assert isinstance(member, Member)
        letter, shift = place
        cells = self.bank.cells(Conjunction(tuple(others)))
        names, tokens = self._tokens(shift)
        at = tokens[(self.problem.q if letter == "q" else self.problem.k)[cells]]
        slope = np.bincount(at, gradient[cells], len(names))
        mass = np.bincount(at, self.pattern[cells], len(names))
        slope, mass = slope[1:], mass[1:]  # the first stands for no token
        inside = np.isin(names[1:], member.values)
        acts = inside if member is part else ~inside
        pull = np.sign(slope[acts].sum()) * slope * np.abs(slope) / (mass + PRIOR) * (1 if member is part else -1)
        order = np.argsort(-pull, kind="stable")
        enter = [str(names[1 + i]) for i in order if not inside[i] and pull[i] > 0]
        leave = [str(names[1 + i]) for i in order[::-1] if inside[i] and pull[i] < 0]
        steepest = [str(names[1 + i]) for i in order if pull[i] > 0]
        present = {str(v) for v in member.values}
        options = [present | set(enter[:n]) for n in (1, 2, 4)]
        options += [present - set(leave[:n]) for n in (1, 3, 9)]
        options += [(present | set(enter[:2])) - set(leave), *(set(steepest[:n]) for n in (2, 4, 8))]
        for values in options:
            if values and values != present:
                new = replace(member, values=tuple(sorted(values)))
                yield new if member is part else Not(new)

    def _tokens(self, shift: int) -> tuple[np.ndarray, np.ndarray]:
        """Names of tokens, the first "" for none, and the index of the token at each position (N) moved by `shift`."""
        if shift not in self._shifted:
            texts = self.problem.texts_given
            flat = [t.tokens[i + shift] if 0 <= i + shift < len(t) else "" for t in texts for i in range(len(t))]
            names, at = np.unique(["", *flat], return_inverse=True)
            self._shifted[shift] = names, at[1:]
        return self._shifted[shift]

    def cells_below(self, guard: Conjunction, stop: int) -> np.ndarray:
        return np.flatnonzero(self.bank.holds(guard)[:stop]).astype(np.int32)

    def shorter(self, guard: Conjunction) -> Iterator[Conjunction]:
        if len(guard.parts) > 1:
            yield from (Conjunction(guard.parts[:i] + guard.parts[i + 1 :]) for i in range(len(guard.parts)))

    def cost(self, guard: Conjunction) -> float:
        tokens = sum(len(node.values) for part in guard.parts for node in walk(part) if isinstance(node, Member))
        return self.effort.token_cost * tokens + self.effort.condition_cost * len(guard.parts)


def _matrix(parts: Parts, guards: Sequence[Expr], cells: np.ndarray) -> np.ndarray:
    """(guards, cells) float32: where guards hold."""
    return np.array([parts.masks(g)[cells] for g in guards], np.float32).reshape(len(guards), len(cells))


def _signed(guards: Sequence[Expr], at: int) -> Expr:
    return guards[at] if at < len(guards) else negated(guards[at - len(guards)])


def _place(part: Expr) -> tuple[str, int] | None:
    """Whose token `text(q + 1) in {…}` asks for: (q, 1); None for any other guard."""
    if not (isinstance(part, Member) and isinstance(part.item, Call) and part.item.name == "text"):
        return None
    match part.item.args[0]:
        case Name("q" | "k" as letter):
            return letter, 0
        case Binary("+" | "-" as sign, Name("q" | "k" as letter), Num(number)):
            return letter, int(number) if sign == "+" else -int(number)
    return None


def _moved(part: Expr) -> Iterator[Expr]:
    """The part with one whole number in a comparison moved by a step, or halved or doubled."""
    for node in walk(part):
        if isinstance(node, Compare) and isinstance(node.right, Num) and node.right.value == int(node.right.value):
            number = int(node.right.value)
            for new in dict.fromkeys((*(number + s for s in STEPS), number // 2, 2 * number)):
                if new != number:
                    yield _replaced(part, node, replace(node, right=Num(float(new))))


def _replaced(part: Expr, old: Compare, new: Compare) -> Expr:
    return new if part is old else rebuild(part, lambda below: _replaced(below, old, new))
