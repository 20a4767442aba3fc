"""Concepts: named guards of one or two positions. Reading them is in dsl/parser.py; here is what they mean and whether they fit.

A concept is hygienic: beside its parameters it reads n alone, and a program's variables never meet those of a definition, because
a definition is evaluated for itself and looked up where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from dsl.classes import NAMES
from dsl.errors import LanguageError
from dsl.nodes import (
    BUILTIN_NAMES,
    DIST,
    OPERATIONS,
    Binary,
    Call,
    Concept,
    Expr,
    K,
    Name,
    Q,
    Same,
    Use,
    free_names,
    rebuild,
    substitute,
    walk,
)
from dsl.vocabulary import ALIASES, VOCABULARY

Concepts = Mapping[str, Concept]
NO_CONCEPTS: Concepts = {}
MOST_NESTED = 16  # concepts within concepts
WORDS = frozenset({"when", "else", "let", "if", "and", "or", "not", "in", "true", "false", "concept", "same"})
RANGES = frozenset({"first", "last", "nearest", "count", "any", "all", "sum", "min", "max"})
OWN_NAMES = frozenset({*VOCABULARY, *ALIASES, *BUILTIN_NAMES, *OPERATIONS, *WORDS, *RANGES})


@lru_cache(maxsize=1 << 12)
def body(concept: Concept) -> Expr:
    """The guard with k for its one parameter, or q and k for its two: no variable of a range can have these names."""
    guard = concept.guard
    if concept.params == ("k", "q"):
        guard = _spelled(guard)
    return substitute(guard, dict(zip(concept.params, places(concept), strict=True)))


def places(concept: Concept) -> tuple[Name, ...]:
    """The names that parameters have in `body`."""
    return (K,) if len(concept.params) == 1 else (Q, K)


def _spelled(node: Any) -> Any:
    """dist said with q and k, which are about to change places; same(f) is symmetric."""
    return Binary("-", Q, K) if node == DIST else rebuild(node, _spelled)


def define(drafts: Iterable[Concept], given: Concepts = NO_CONCEPTS) -> dict[str, Concept]:
    """Concepts by name, checked, from definitions as they were read (uses are calls yet), in any order.

    given: concepts that these may use; one of these with the same name takes its place. Raises LanguageError with the place.
    """
    from dsl.check import check_concept

    by_name: dict[str, Concept] = {}
    for draft in drafts:
        _name_is_free(draft)
        if draft.name in by_name:
            raise LanguageError(f"the concept {draft.name!r} is defined twice", *(draft.at or (0, 0)))
        by_name[draft.name] = draft
    done: dict[str, Concept] = {}
    names = {**given, **by_name}

    def finish(name: str, above: tuple[str, ...]) -> Concept:
        if name not in by_name:
            return given[name]
        draft = by_name[name]
        if name in above:
            cycle = " -> ".join((*above[above.index(name) :], name))
            raise LanguageError(f"concepts cannot refer to themselves: {cycle}", *(by_name[above[-1]].at or (0, 0)))
        if name not in done:
            too_deep = LanguageError(f"concepts are nested deeper than {MOST_NESTED}", *(draft.at or (0, 0)))
            if len(above) > MOST_NESTED:
                raise too_deep
            guard = resolved(draft.guard, names, lambda used: finish(used, (*above, name)))
            concept = Concept(name, draft.params, guard, at=draft.at)
            if depth(concept) > MOST_NESTED:
                raise too_deep
            check_concept(concept)
            done[name] = concept
        return done[name]

    return {name: finish(name, ()) for name in by_name}


@lru_cache(maxsize=1 << 12)
def depth(concept: Concept) -> int:
    """How many concepts stand within one another in a definition."""
    return 1 + max((depth(x.concept) for x in walk(concept.guard) if isinstance(x, Use)), default=0)


def resolved(node: Any, names: Concepts, find: Callable[[str], Concept] | None = None) -> Any:
    """The node with uses in place of calls of concepts. Raises LanguageError for a name that is neither concept nor primitive."""
    if isinstance(node, Call) and node.name not in VOCABULARY:
        if node.name not in names:
            known = sorted({*VOCABULARY, *ALIASES, "same", *names})
            close = get_close_matches(node.name, known, 1, 0.5)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise LanguageError(f"unknown function {node.name!r}{hint}", *(node.at or (0, 0)))
        concept = names[node.name] if find is None else find(node.name)
        return Use(concept, tuple(resolved(a, names, find) for a in node.args), at=node.at)
    return rebuild(node, lambda x: resolved(x, names, find))


def _name_is_free(draft: Concept) -> None:
    for name, what in ((draft.name, "concept"), *((p, "parameter") for p in draft.params)):
        taken = OWN_NAMES if what == "concept" else OWN_NAMES - NAMES - {"q", "k"}
        if name in taken:
            raise LanguageError(
                f"the language has a {name!r} of its own; call the {what} otherwise, such as my_{name}", *(draft.at or (0, 0))
            )
    if len(draft.params) > 2 or len(set(draft.params)) < len(draft.params):
        raise LanguageError(f"the concept {draft.name!r} needs one or two parameters, each of its own name", *(draft.at or (0, 0)))


def reads_too_much(concept: Concept) -> str | None:
    """A name that the definition reads and may not: not a parameter, not n."""
    params = set(concept.params)
    left = free_names(concept.guard) - params - {"n"}
    if not left and params == {"q", "k"}:
        return None
    for x in walk(concept.guard):
        if x == DIST or isinstance(x, Same):
            return "dist" if x == DIST else str(x)
    return min(left, default=None)


def concepts_text(concepts: Iterable[Concept]) -> str:
    """The text of a concept file, a line for each."""
    return "".join(f"{c}\n" for c in concepts)
