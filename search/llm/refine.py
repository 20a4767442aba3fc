"""What to tell a model about the best program so far, and which heads to ask about next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dsl.nodes import Block, Program, Rule, Statement
from search.llm.evidence import HeadEvidence, mean_shares, quote, share

if TYPE_CHECKING:
    import numpy as np

MOST_RULES = 12  # whose help is measured
MOST_CELLS = 6  # of each kind of error
MOST_PROBLEMS = 6  # of earlier programs that are told
MOST_NEAR, LONGEST_NEAR = 2, 900  # programs of other heads, and characters of one


@dataclass(frozen=True)
class NearFit:
    """Another head's program that nearly fits this one."""

    name: str  # where it comes from, such as L2H3
    program: str
    score: float


@dataclass(frozen=True, eq=False)
class RoundState:
    """Where the search for one head stands. Scores are IoU on `fit` texts, 0 to 1."""

    round: int = 0  # how often the head was asked about before; part of the sample number
    baseline: float = 0.0  # best of uniform, first, self, previous
    score: float | None = None  # of `best`
    best: Program | None = None  # None: nothing to refine
    matrices: Sequence[np.ndarray] = ()  # of `best` on the evidence's texts, (n, n) each
    scorer: Callable[[Program], float] | None = None  # for leaving rules out
    near: Sequence[NearFit] = ()
    problems: Sequence[str] = ()  # why earlier programs of models for this head brought nothing


def feedback(evidence: HeadEvidence, state: RoundState) -> dict[str, str] | None:
    """Values for the template's feedback section; None where there is no program yet."""
    if state.best is None:
        return None
    parts = [f"An earlier program brought nothing: {reason}" for reason in list(dict.fromkeys(state.problems))[-MOST_PROBLEMS:]]
    parts += [*_texts(evidence, state.matrices), *_mass(evidence, state.matrices), *_cells(evidence, state.matrices)]
    if state.scorer is not None:
        parts += _rules(state.best, state.scorer)
    near = [n for n in state.near if len(n.program) <= LONGEST_NEAR][:MOST_NEAR]
    if near:
        parts.append("Programs of other heads that nearly fit this one:")
        parts += [f"{n.name}, score {n.score:.3f} here:\n```pattern\n{n.program.strip()}\n```" for n in near]
    return {
        "score": "unknown" if state.score is None else f"{state.score:.3f}",
        "baseline": f"{state.baseline:.3f}",
        "program": str(state.best).strip(),
        "details": "\n".join(parts),
    }


def iou(attention: np.ndarray, pattern: np.ndarray) -> float:
    """sum(min) / sum(max) of two (n, n) matrices; 0 where both are empty."""
    import numpy as np

    union = float(np.maximum(attention, pattern).sum())
    return float(np.minimum(attention, pattern).sum()) / union if union > 0 else 0.0


def _texts(evidence: HeadEvidence, matrices: Sequence[np.ndarray]) -> list[str]:
    if len(matrices) < 2:
        return []
    scores = [iou(a, p) for a, p in zip(evidence.matrices, matrices, strict=True)]
    order = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    best, worst = order[-1], order[0]
    return [
        f"Best text {scores[best]:.2f}: {_snippet(evidence, best)}",
        f"Worst text {scores[worst]:.2f}: {_snippet(evidence, worst)}",
    ]


def _snippet(evidence: HeadEvidence, index: int) -> str:
    tokens = [quote(t) for t in evidence.texts[index].tokens]
    return " ".join(tokens[:24]) + (" …" if len(tokens) > 24 else "")


def _mass(evidence: HeadEvidence, matrices: Sequence[np.ndarray]) -> list[str]:
    """Relations on which the program puts clearly more or less mass than the head."""
    if not matrices:
        return []
    head = mean_shares(evidence.texts, evidence.matrices, evidence.causal)
    ours = mean_shares(evidence.texts, matrices, evidence.causal)
    apart = sorted((r for r in head if abs(head[r] - ours[r]) >= 0.015), key=lambda r: (-abs(head[r] - ours[r]), r))[:6]
    if not apart:
        return []
    return ["Mass, head against program: " + "; ".join(f"{r} {share(head[r])} against {share(ours[r])}" for r in apart)]


def _cells(evidence: HeadEvidence, matrices: Sequence[np.ndarray]) -> list[str]:
    """Pairs of tokens where the difference, summed over texts, is greatest, each way."""
    missing: dict[tuple[str, str, int], float] = {}
    surplus: dict[tuple[str, str, int], float] = {}
    for text, attention, pattern in zip(evidence.texts, evidence.matrices, matrices, strict=False):
        difference = attention - pattern
        n = len(text)
        order = abs(difference).ravel().argsort(kind="stable")[::-1][: 4 * n]
        for cell in order:
            q, k = divmod(int(cell), n)
            side = missing if difference[q, k] > 0 else surplus
            pair = (text.tokens[q], text.tokens[k], q - k)
            side[pair] = side.get(pair, 0.0) + abs(float(difference[q, k]))
    lines = []
    for title, side in (("The head attends where the program does not", missing), ("The program where the head does not", surplus)):
        pairs = sorted(side, key=lambda p: (-side[p], p))[:MOST_CELLS]
        if pairs:
            shown = (f"{quote(q)} -> {quote(k)} at distance {d} ({side[(q, k, d)]:.1f})" for q, k, d in pairs)
            lines.append(f"{title} (mass over all texts): {'; '.join(shown)}")
    return lines


def _rules(program: Program, scorer: Callable[[Program], float]) -> list[str]:
    rules = program.rules()[:MOST_RULES]
    if len(rules) < 2:
        return []
    whole = scorer(program)
    lines = ["What each rule adds to the score (score with it minus score without it):"]
    lines += [f"{whole - scorer(without(program, i)):+.3f}  {_short(rule)}" for i, rule in enumerate(rules)]
    return lines


def _short(rule: Rule) -> str:
    text = " ".join(str(rule).split())
    return text if len(text) <= 120 else text[:119] + "…"


def without(program: Program, index: int) -> Program:
    """The program without its leaf rule number `index`; blocks that become empty go with it."""
    count = -1

    def drop(statements: Iterable[Statement]) -> tuple[Statement, ...]:
        nonlocal count
        kept: list[Statement] = []
        for s in statements:
            if isinstance(s, Rule):
                count += 1
                if count != index:
                    kept.append(s)
            elif isinstance(s, Block):
                then, other = drop(s.then), drop(s.other)
                if then or other:
                    kept.append(replace(s, then=then, other=other))
            else:
                kept.append(s)
        return tuple(kept)

    return replace(program, statements=drop(program.statements))


@dataclass(frozen=True)
class Progress:
    """What decides whether a head is asked about next."""

    head: tuple[int, int]
    baseline: float  # IoU of the best simple baseline
    score: float | None  # IoU of the best program; None: none yet
    asked: int = 0  # rounds so far
    share: float = 1.0  # the head's share in the model, in any unit


def plan(progress: Sequence[Progress], count: int) -> list[tuple[int, int]]:
    """The next `count` heads, the most promising first, none twice.

    Promise: the head's share times what its best program (or best simple baseline, where that is better) leaves to explain,
    over one more than the rounds already spent on it. Ties go to the lower layer and head.
    """

    def promise(p: Progress) -> float:
        return p.share * (1 - max(p.baseline, p.score or 0.0)) / (1 + p.asked)

    return [p.head for p in sorted(progress, key=lambda p: (-promise(p), p.head))[:count]]
