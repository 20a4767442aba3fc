"""Typed mutation and crossover of programs: every child is a program that the checker accepts.

A program is taken as a list of guarded rules. What may replace what follows from the vocabulary: a feature is exchanged for one of
the same sorts, a token for a token of the texts, a rule for a rule of another program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dsl.errors import LanguageError
from dsl.nodes import (
    And,
    Block,
    Call,
    Compare,
    Expr,
    Let,
    Member,
    Node,
    Not,
    Num,
    Program,
    Rule,
    Same,
    Statement,
    all_of,
    free_names,
    rebuild,
    substitute,
    walk,
)
from dsl.vocabulary import SAME_FEATURES, VOCABULARY

if TYPE_CHECKING:
    import numpy as np

OPERATIONS = ("set", "add", "scale", "max")
FACTORS = (0.3, 0.6, 1.6, 3.0)  # of a constant
STEPS = (-2.0, -1.0, -1.0, 1.0, 1.0, 2.0)  # of a whole number in a guard
TRIES = 8  # moves drawn until one applies

# Primitives of the same signature, which may stand for one another.
ALIKE: dict[str, tuple[str, ...]] = {
    p.name: tuple(
        o.name
        for o in VOCABULARY.values()
        if (o.params, o.result, o.domain, o.optional) == (p.params, p.result, p.domain, p.optional) and o.name != p.name
    )
    for p in VOCABULARY.values()
}


def flat(program: Program) -> list[Rule] | None:
    """The program as guarded rules without blocks and names; None where a block or a name depends on the weights so far."""
    rules: list[Rule] = []

    def add(statements: Sequence[Statement], guards: tuple[Expr, ...], names: dict[str, Expr]) -> bool:
        for s in statements:
            match s:
                case Let(name, value):
                    value = substitute(value, names)
                    if {"weight", "row"} & free_names(value):
                        return False
                    names = {**names, name: value}
                case Block(guard, then, other):
                    guard = substitute(guard, names)
                    if {"weight", "row"} & free_names(guard):
                        return False
                    if not (add(then, (*guards, guard), names) and add(other, (*guards, Not(guard)), names)):
                        return False
                case Rule(_, value, guard):
                    own = () if guard is None else (substitute(guard, names),)
                    rules.append(replace(s, value=value and substitute(value, names), guard=all_of((*guards, *own))))
        return True

    return rules if add(program.statements, (), {}) else None


def mutated(program: Program, others: Sequence[Program], tokens: Sequence[str], rng: np.random.Generator) -> Program | None:
    """A child of the program and, for crossover, one of the others; None where no move drawn applies.

    tokens: strings that a set of tokens may gain.
    """
    from dsl.check import check

    rules = flat(program)
    if not rules:
        return None
    moves: list[Callable[..., list[Rule] | None]] = [_drop, _swap, _operation, _conjunct, _feature, _number, _set, _cross]
    for _ in range(TRIES):
        child = moves[int(rng.integers(len(moves)))](rules, others, tokens, rng)
        if not child or child == rules:
            continue
        made = Program(tuple(child))
        try:
            check(made)
        except LanguageError:  # a feature that does not suit its new arguments
            continue
        return made
    return None


def _pick(items: Sequence[Any], rng: np.random.Generator) -> Any:
    return items[int(rng.integers(len(items)))]


def _drop(rules: list[Rule], others: Any, tokens: Any, rng: np.random.Generator) -> list[Rule] | None:
    at = int(rng.integers(len(rules)))
    return rules[:at] + rules[at + 1 :]


def _swap(rules: list[Rule], others: Any, tokens: Any, rng: np.random.Generator) -> list[Rule] | None:
    if len(rules) < 2:
        return None
    at = int(rng.integers(len(rules) - 1))
    return [*rules[:at], rules[at + 1], rules[at], *rules[at + 2 :]]


def _operation(rules: list[Rule], others: Any, tokens: Any, rng: np.random.Generator) -> list[Rule] | None:
    at = int(rng.integers(len(rules)))
    if rules[at].op not in OPERATIONS:
        return None
    return _with(rules, at, replace(rules[at], op=_pick([o for o in OPERATIONS if o != rules[at].op], rng)))


def _conjunct(rules: list[Rule], others: Sequence[Program], tokens: Any, rng: np.random.Generator) -> list[Rule] | None:
    """Drops, negates or adds one part of a guard; what is added stands in some other rule."""
    at = int(rng.integers(len(rules)))
    guard = rules[at].guard
    parts: list[Expr] = [] if guard is None else list(guard.items) if isinstance(guard, And) else [guard]
    kind = int(rng.integers(3))
    if kind == 0 and parts:
        parts.pop(int(rng.integers(len(parts))))
    elif kind == 1 and parts:
        i = int(rng.integers(len(parts)))
        part = parts[i]
        parts[i] = part.item if isinstance(part, Not) else Not(part)
    else:
        pool = [g for p in (Program(tuple(rules)), *others) for g in _guard_parts(p)]
        if not pool:
            return None
        parts.append(_pick(pool, rng))
    return _with(rules, at, replace(rules[at], guard=all_of(parts)))


def _guard_parts(program: Program) -> list[Expr]:
    parts: list[Expr] = []
    for rule in flat(program) or []:
        if rule.guard is not None:
            parts += list(rule.guard.items) if isinstance(rule.guard, And) else [rule.guard]
    return parts


def _feature(rules: list[Rule], others: Any, tokens: Any, rng: np.random.Generator) -> list[Rule] | None:
    """Exchanges one primitive for another of the same signature, or one side's feature in same(…)."""

    def change(node: Node) -> Node | None:
        if isinstance(node, Call) and ALIKE[node.name]:
            return replace(node, name=_pick(ALIKE[node.name], rng))
        return Same(_pick(SAME_FEATURES, rng)) if isinstance(node, Same) else None

    return _somewhere(rules, change, rng)


def _number(rules: list[Rule], others: Any, tokens: Any, rng: np.random.Generator) -> list[Rule] | None:
    """Moves a bound by a step, or a constant by a factor."""
    bounds = {id(n.right) for rule in rules for n in walk(rule) if isinstance(n, Compare)}

    def change(node: Node) -> Node | None:
        if isinstance(node, Compare) and isinstance(node.right, Num):
            value = node.right.value
            new = value + _pick(STEPS, rng) if value == int(value) else float(f"{value * _pick(FACTORS, rng):.3g}")
            return replace(node, right=Num(new))
        if isinstance(node, Num) and id(node) not in bounds:
            return Num(float(f"{node.value * _pick(FACTORS, rng):.3g}"))
        return None

    return _somewhere(rules, change, rng)


def _set(rules: list[Rule], others: Any, tokens: Sequence[str], rng: np.random.Generator) -> list[Rule] | None:
    def change(node: Node) -> Node | None:
        if not isinstance(node, Member) or not node.values or not isinstance(node.values[0], str):
            return None
        values = list(node.values)
        if len(values) > 1 and rng.random() < 0.5:
            values.pop(int(rng.integers(len(values))))
        else:
            values.append(_pick(tokens, rng))
        return replace(node, values=tuple(values))

    return _somewhere(rules, change, rng)


def _cross(rules: list[Rule], others: Sequence[Program], tokens: Any, rng: np.random.Generator) -> list[Rule] | None:
    """Takes over a rule of another program, in place of one or beside all."""
    if not others:
        return None
    donor = flat(_pick(others, rng))
    if not donor:
        return None
    rule = _pick(donor, rng)
    at = int(rng.integers(len(rules) + 1))
    return [*rules[:at], rule, *rules[at + int(rng.random() < 0.3) :]]


def _somewhere(rules: list[Rule], change: Callable[[Node], Node | None], rng: np.random.Generator) -> list[Rule] | None:
    """Changes one node, drawn from those that `change` changes."""
    places = [(at, node, new) for at, rule in enumerate(rules) for node in walk(rule) if (new := change(node)) is not None]
    if not places:
        return None
    at, target, new = _pick(places, rng)
    done = [False]

    def once(node: Any) -> Any:
        if node is target and not done[0]:
            done[0] = True
            return new
        return rebuild(node, once)

    return _with(rules, at, once(rules[at]))


def _with(rules: list[Rule], at: int, rule: Rule) -> list[Rule]:
    return [*rules[:at], rule, *rules[at + 1 :]]
