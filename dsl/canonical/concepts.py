"""Concepts in canonical form: definitions simplified, equal ones under one name, constant ones gone."""

from __future__ import annotations

from typing import Any

from dsl.canonical.binders import rename
from dsl.canonical.expressions import simplified
from dsl.canonical.layout import shown
from dsl.concepts import body
from dsl.nodes import FALSE, TRUE, Call, Concept, Expr, Program, Use, all_of, rebuild

MOST_ROUNDS = 4


def settled(program: Program) -> Program:
    """The program with its concepts in canonical form; it stays the same object where they are already."""
    known: dict[Concept, Concept] = {}
    first: dict[tuple[int, Expr], Concept] = {}
    for concept in program.concepts:  # those that others use come first
        new = _definition(concept, known)
        known[concept] = first.setdefault((len(new.params), new.guard), new)
    return _with(program, known) if known else program


def _definition(concept: Concept, known: dict[Concept, Concept]) -> Concept:
    """Named p, or q and k: positions of the text, of which nothing else is known."""
    guard: Any = _with(body(concept), known)
    for _ in range(MOST_ROUNDS):
        new = shown(simplified(rename(guard)))
        if new == guard:
            break
        guard = new
    if len(concept.params) == 1:
        return Concept(concept.name, ("p",), rename(guard, {"k": "p"}, (1, 0)), at=concept.at)
    return Concept(concept.name, ("q", "k"), rename(guard), at=concept.at)


def _with(node: Any, known: dict[Concept, Concept]) -> Any:
    node = rebuild(node, lambda x: _with(x, known))
    if not isinstance(node, Use):
        return node
    concept = known[node.concept]
    if concept.guard == FALSE:
        return FALSE
    if concept.guard == TRUE:  # of every position of the text
        return all_of(Call("exists", (Call("text", (a,)),)) for a in node.args)
    return node if concept == node.concept else Use(concept, node.args, at=node.at)
