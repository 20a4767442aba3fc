"""The concepts of a run's programs: what each says, which tokens it holds for, which heads use it and what it brings them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dsl.nodes import FALSE, Call, Concept, K, Program, Use, rebuild

if TYPE_CHECKING:
    from search.problem import Problem

MEMBERS = 12  # tokens of a concept that are named for each domain


def loss(program: Program, concept: Concept, problem: Problem, head: int) -> float:
    """The IoU that a head's program loses without a concept: with the best of its classes in its place, or nothing at all."""
    from search.scoring import score

    whole, *less = problem.mean(score([program, *_without(program, concept)], problem, [head]))[:, 0]
    return float(whole - max(less))


def _without(program: Program, concept: Concept) -> Iterator[Program]:
    from search.forms.unions import members

    yield _replaced(program, concept, None)
    for one in members(concept):
        yield _replaced(program, concept, one)


def _replaced(node: Any, concept: Concept, one: str | None) -> Any:
    """The node with a class in place of the concept, or with nothing; also within other concepts."""
    if isinstance(node, Use):
        if node.concept == concept:
            return FALSE if one is None else Call(one, node.args)
        other = replace(node.concept, guard=_replaced(node.concept.guard, concept, one))
        return Use(other, tuple(_replaced(a, concept, one) for a in node.args))
    return rebuild(node, lambda x: _replaced(x, concept, one))


def frequent(concept: Concept, problem: Problem) -> dict[str, list[str]]:
    """For each domain the tokens for which a concept of one position holds most often, most frequent first."""
    import numpy as np

    from dsl.evaluator import value

    if len(concept.params) != 1:
        return {}
    held = problem.pack_rows(np.broadcast_to(value(Use(concept, (K,)), problem.batch), (len(problem), 1, problem.batch.size)))
    found: dict[str, Counter[str]] = {name: Counter() for name in problem.domains.names}
    at = 0
    for text, domain in zip(problem.texts_given, problem.domain_of, strict=True):
        mine = held[at : at + len(text.tokens)]
        found[problem.domains.names[domain]].update(t for t, yes in zip(text.tokens, mine, strict=True) if yes)
        at += len(text.tokens)
    return {name: [t for t, _ in sorted(count.items(), key=lambda x: (-x[1], x[0]))[:MEMBERS]] for name, count in found.items()}


def entry(concept: Concept, problem: Problem, heads: Sequence[Sequence[int]], gains: Sequence[float]) -> dict[str, Any]:
    """What result.json says of a concept. heads: those whose shown program uses it, gains: what each loses without it."""
    from dsl import size
    from dsl.sentences import definition

    return {
        "name": concept.name,
        "definition": str(concept),
        "size": size(concept),
        "english": definition(concept),
        "members": frequent(concept, problem),
        "heads": [list(head) for head in heads],
        "gain": round(sum(gains) / max(1, len(gains)), 6),
    }
