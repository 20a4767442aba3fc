"""Conditions that hold for several classes of tokens: concepts that the search makes of the language's own words.

    concept content_word_or_inner(p) = content_word(p) or inner(p)

A use costs what a class costs, for a definition counts once for a model: so they are made for many heads at once. A head's search
joins classes as it likes (`any_of`); then the few concepts are chosen that serve the heads best (`chosen`), and every program is
put in terms of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dsl.nodes import Call, Concept, Expr, Name, Or, Program, Use
from dsl.sizes import size

Names = tuple[str, ...]  # of classes, in order

PARAMETER = Name("p")
MOST = 4  # classes in one concept
HEADS = 3  # that a concept serves; fewer only where it pays for itself in each of them


def classes(condition: Expr) -> Names:
    """The names of the classes that a condition on one position asks for, any of which may hold; empty for any other condition."""
    match condition:
        case Call(name, (Name("q" | "k"),)):
            return (name,)
        case Use(concept, (Name("q" | "k"),)):
            return members(concept)
    return ()


def members(concept: Concept) -> Names:
    """The classes that a concept joins; empty where it says anything else."""
    if len(concept.params) != 1:
        return ()
    place = (Name(concept.params[0]),)
    parts = concept.guard.items if isinstance(concept.guard, Or) else (concept.guard,)
    names = tuple(part.name for part in parts if isinstance(part, Call) and part.args == place)
    return tuple(sorted(names)) if len(names) == len(parts) else ()


def side(condition: Expr) -> str:
    """The position of which a condition with classes speaks."""
    assert isinstance(condition, Call | Use)
    place = condition.args[0]
    assert isinstance(place, Name)
    return place.name


def concept(names: Iterable[str]) -> Concept:
    """The concept that one of these classes holds, named after them."""
    ordered = tuple(sorted(set(names)))
    return Concept("_or_".join(ordered), ("p",), Or(tuple(Call(name, (PARAMETER,)) for name in ordered)))


def any_of(names: Iterable[str], place: str) -> Expr:
    """The condition that one of these classes holds: a class itself, or the use of a concept that says so."""
    ordered = tuple(sorted(set(names)))
    if len(ordered) == 1:
        return Call(ordered[0], (Name(place),))
    return Use(concept(ordered), (Name(place),))


def made(program: Program) -> set[Names]:
    """The concepts of a program that the search made, not its user."""
    found = {members(c): c.name for c in program.concepts}
    return {names for names, name in found.items() if len(names) > 1 and concept(names).name == name}


def chosen(uses: Sequence[Mapping[Names, float]], price: float) -> list[Names]:
    """The concepts that serve the uses best, each worth its definition's tokens at this price of one, most valuable first.

    uses: for each place in a program the IoU with each set of classes in it, single classes among them. Greedy: the total of
    the best values is submodular in the set of concepts (facility location, Nemhauser et al. 1978).
    """
    best = [max((v for names, v in use.items() if len(names) == 1), default=0.0) for use in uses]
    names_left = sorted({names for use in uses for names in use if len(names) > 1})
    found: list[Names] = []
    while names_left:
        gains: dict[Names, float] = {}
        for names in names_left:
            gain = [use[names] - b for use, b in zip(uses, best, strict=True) if names in use and use[names] > b]
            cost = price * size(concept(names))
            if len(gain) < HEADS:  # it pays for itself where it is used
                gain = [g for g in gain if g > cost]
            gains[names] = sum(gain) - cost
        pick = max(names_left, key=lambda names: gains[names])
        if gains[pick] <= 0:
            return found
        found.append(pick)
        names_left.remove(pick)
        best = [max(b, use.get(pick, 0.0)) for use, b in zip(uses, best, strict=True)]
    return found
