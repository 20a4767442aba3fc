"""Parts of programs: the guards of their rules, and what these are made of. What recombination puts together anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dsl.evaluator import value
from dsl.nodes import TRUE, And, Call, Expr, IfElse, Name, Not, Or, Program, Rule, all_of, free_names, walk
from search.loglinear import features
from search.mutation import flat
from search.problem import Problem

MOST = 256  # parts, and whole guards, of the donors that come first
KEPT_BYTES = 1 << 27  # of the cells of expressions; beyond it they are forgotten
CELLS = frozenset({"q", "k", "n"})  # what a guard may depend on, so that it holds wherever its rule stands


@dataclass(frozen=True)
class Conjunction:
    """Parts of guards that hold together, in the order of their text."""

    parts: tuple[Expr, ...]


def conjunction(parts: Iterable[Expr]) -> Conjunction:
    """Each part once; a guard made of parts counts as its parts."""
    single = {p for part in parts for p in (part.items if isinstance(part, And) else (part,))}
    return Conjunction(tuple(sorted(single, key=str)))


def negated(part: Expr) -> Expr:
    return part.item if isinstance(part, Not) else Not(part)


class Masks:
    """The cells of a problem where expressions hold, packed to bits; each expression is evaluated once."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.kept: dict[Expr, np.ndarray] = {}
        self.most = max(1, KEPT_BYTES // (len(problem.q) // 8 + 1))

    def __call__(self, part: Expr) -> np.ndarray:
        """(C) bool."""
        if isinstance(part, Not):
            return ~self(part.item)
        bits = self.kept.get(part)
        if bits is None:
            if len(self.kept) >= self.most:
                self.kept.clear()
            bits = self.kept[part] = np.packbits(self.problem.pack(value(And((TRUE, part)), self.problem.batch)))
        return np.unpackbits(bits, count=len(self.problem.q)).view(bool)


class Parts:
    """The guards that donors' rules offer, and the numbers that their values depend on."""

    def __init__(self, masks: Masks, donors: Sequence[Program]) -> None:
        """donors: programs, the most promising first."""
        self.masks, self.problem = masks, masks.problem
        rules = [rule for program in donors for rule in flat(program) or ()]
        known = {np.packbits(np.zeros(len(self.problem.q), bool)).tobytes()}  # of what holds everywhere or nowhere
        atoms = [part for rule in rules for part in _atoms(rule)]
        self.atoms = self._telling(atoms, known)
        self.wholes = self._telling([rule.guard for rule in rules if isinstance(rule.guard, And)], known)
        self.features = features(self.problem) * _used(rules)[:, None]

    def _telling(self, parts: Iterable[Expr], known: set[bytes]) -> list[Expr]:
        """Those that hold somewhere but not everywhere, one of those that hold on the same cells or on all others."""
        found: list[Expr] = []
        for part in dict.fromkeys(parts):
            if len(found) == MOST:
                break
            if not free_names(part) <= CELLS:
                continue
            holds = self.masks(part)
            mark = np.packbits(holds ^ holds[0]).tobytes()
            if mark not in known:
                known.add(mark)
                found.append(part)
        return found

    def holds(self, guard: Conjunction) -> np.ndarray:
        """(C) bool."""
        result = np.ones(len(self.problem.q), bool)
        for part in guard.parts:
            result &= self.masks(part)
        return result

    def cells(self, guard: Conjunction) -> np.ndarray:
        return np.flatnonzero(self.holds(guard)).astype(np.int32)

    def expression(self, guard: Conjunction) -> Expr | None:
        return all_of(guard.parts)


def _atoms(rule: Rule) -> Iterator[Expr]:
    """Parts of the rule's guard, the alternatives among them one by one, and what its value asks."""
    todo = [rule.guard] if rule.guard is not None else []
    todo += [node.test for node in walk(rule.value) if isinstance(node, IfElse)] if rule.value is not None else []
    while todo:
        part = todo.pop(0)
        if isinstance(part, Not):
            part = part.item
        if not isinstance(part, And):
            yield part
        if isinstance(part, And | Or):
            todo += part.items


def _used(rules: Sequence[Rule]) -> np.ndarray:
    """(5): which of the features the values of rules depend on."""
    nodes = [n for rule in rules if rule.value is not None for n in walk(rule.value)]
    names = {n.name for n in nodes if isinstance(n, Name)}
    distance = "dist" in names or {"q", "k"} <= names
    similarity = any(isinstance(n, Call) and n.name == "similarity" for n in nodes)
    return np.array([distance, distance, similarity, "q" in names, "k" in names], np.float32)
