"""Evolution of a few programs for one head: mutate, skip what is known, score, keep the front, fit the survivors' constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Program
    from search.problem import Problem

ROUNDS = 3
SURVIVORS = 8
TEXTS = 16  # on which children are compared; survivors are fitted on all
SIZE_PRICE = 1e-5  # IoU that a token of text must be worth, so that of equal programs the shorter one stays


@dataclass(frozen=True)
class Evolved:
    """The survivors, best first, the parent each descends from (as an index), and programs scored and skipped on the way."""

    programs: tuple[Program, ...]
    roots: tuple[int, ...]
    scored: int
    same_text: int


def evolve(
    programs: Sequence[Program],
    others: Sequence[Program],
    problem: Problem,
    head: int,
    rng: np.random.Generator,
    children: int,
    max_rules: int,
) -> Evolved:
    """Descendants of `programs` for one head. others give rules for crossover. children: mutants made in all."""
    import numpy as np

    from dsl import simplify, size
    from search.fitting import fit_constants
    from search.incremental import IncrementalEvaluator
    from search.mutation import mutated

    texts = np.sort(rng.permutation(len(problem))[:TEXTS])
    sample = problem.part(texts.tolist())
    evaluator = IncrementalEvaluator(sample, head)
    tokens = sorted({t for text in sample.texts_given for t in text.tokens})
    known: dict[str, tuple[float, Program, int]] = {}  # by text: score, program, root
    same_text = 0

    def note(program: Program, root: int) -> None:
        nonlocal same_text
        canonical = simplify(program)
        text = str(canonical)
        if text in known:
            same_text += 1
        elif canonical.statements and len(canonical.rules()) <= max_rules:
            known[text] = (evaluator.iou(program) - SIZE_PRICE * size(canonical), canonical, root)

    def survivors() -> list[tuple[Program, int]]:
        return [(p, root) for _, p, root in sorted(known.values(), key=lambda v: (-v[0], str(v[1])))[:SURVIVORS]]

    for i, program in enumerate(programs):
        note(program, i)
    for _ in range(ROUNDS):
        parents = survivors()
        if not parents:
            break
        for _ in range(children // ROUNDS):
            parent, root = parents[int(rng.integers(len(parents)))]
            child = mutated(parent, others, tokens, rng)
            if child is not None:
                note(child, root)
        for survivor, root in survivors()[:2]:
            note(fit_constants(survivor, problem, [head]), root)
    best = survivors()
    return Evolved(tuple(p for p, _ in best), tuple(root for _, root in best), len(known), same_text)
